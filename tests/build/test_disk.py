"""port/disk and tools/image/disk.py: what one packs, the other unpacks, and damage is noticed."""

import itertools
import random
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import deflate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.vm import Machine
from tools.errors import UserError
from tools.image import disk
from tools.image.elf import Elf

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "port/disk"


SOURCES_OF = {disk.DEFLATE: ("inflate.c", "block.S"), disk.LZMA: ("lzma.c",)}


@pytest.fixture(scope="module")
def unpack(tmp_path_factory):
    """unpack(stream, packing) -> what the loader makes of a stream."""
    programs = {}
    for packing, names in SOURCES_OF.items():
        program = programs[packing] = tmp_path_factory.mktemp("unpack") / "unpack"
        sources = [*(SOURCES / name for name in names), Path(__file__).parent / "unpack.c"]
        command = ["gcc", "-m32", "-Os", "-fno-pic", "-no-pie", "-fno-strict-aliasing"]
        subprocess.run([*command, "-o", program, *sources], check=True)

    def unpack(stream, packing=disk.DEFLATE):
        command = [programs[packing]]
        return subprocess.run(command, input=stream, capture_output=True, check=True).stdout

    return unpack


def raw_deflate(data, level=9, strategy=zlib.Z_DEFAULT_STRATEGY):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    return packer.compress(data) + packer.flush()


# Alphabets of all sizes, runs and repeats from afar, so that every kind of code occurs.
DATA = st.one_of(
    st.binary(max_size=3000),
    st.builds(
        lambda seed, letters, pieces: b"".join(
            random.Random(seed + i % 7)
            .randbytes(1 + n % 400)
            .translate(bytes(b % letters for b in range(256)))
            * (1 + n % 5)
            for i, n in enumerate(pieces)
        ),
        st.integers(0, 1 << 30),
        st.integers(1, 256),
        st.lists(st.integers(0, 1000), max_size=60),
    ),
)


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize(
    "strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]
)
def test_inflate_equals_zlib(unpack, level, strategy):
    @given(DATA)
    @settings(deadline=None, max_examples=25)
    def check(data):
        assert unpack(raw_deflate(data, level, strategy)) == data

    check()


@pytest.mark.parametrize("packing", SOURCES_OF)
def test_a_loader_undoes_what_the_build_does(unpack, packing):
    @given(DATA)
    @settings(deadline=None, max_examples=60)
    def check(data):
        assert unpack(disk.compress(data, packing), packing) == data

    check()


DISTANCES = (1, 2, 3, 4, 5, 64, 127, 128, 129, 4096, 70000)
LENGTHS = (2, 3, 9, 10, 17, 18, 272, 273, 274, 5000)
FAR = 1 << 20  # takes a second each


@pytest.mark.parametrize(
    "distance, length", [*itertools.product(DISTANCES, LENGTHS), (FAR, 2), (FAR, 18), (FAR, 5000)]
)
def test_lzma_copies_from_any_distance_at_any_length(unpack, distance, length):
    # Distances below 128 are coded whole, longer ones in parts; lengths in three ranges.
    unique = random.Random(distance).randbytes(distance)
    data = unique + (unique * (length // distance + 1))[:length] + unique[:1] * 3 + unique
    assert unpack(disk.compress(data, disk.LZMA), disk.LZMA) == data


def test_lzma_repeats_each_of_the_last_four_distances(unpack):
    draw = random.Random(9)
    data = draw.randbytes(4000)
    for _ in range(3000):
        start = len(data) - draw.choice((300, 700, 1100, 1900, 2500))
        data += data[start : start + draw.randint(2, 12)] + draw.randbytes(draw.randint(0, 1))
    assert unpack(disk.compress(data, disk.LZMA), disk.LZMA) == data


def test_inflate_knows_codes_of_every_length(unpack):
    # Frequencies like Fibonacci numbers make the codes as long as they may become.
    counts, data = [1, 1], b""
    for symbol in range(24):
        data += bytes([symbol]) * counts[-1]
        counts = [counts[1], sum(counts)]
    shuffled = bytearray(data)
    random.Random(7).shuffle(shuffled)
    for text in (data, bytes(shuffled)):
        assert unpack(raw_deflate(text, strategy=zlib.Z_HUFFMAN_ONLY)) == text
        assert unpack(bytes(deflate.deflate_compress(text, 12))) == text


def test_inflate_copies_from_the_whole_window(unpack):
    block = random.Random(1).randbytes(32768)
    data = block + block[:300] + block + bytes(100000) + block[-258:]
    assert unpack(disk.compress(data)) == data


def relative(data, length):
    """What the loader does after unpacking (boot.S)."""
    data = bytearray(data)
    for code in 0xE9, 0xE8:
        at = 0
        while (at := data.find(code, at, length) + 1) and at + 4 <= length:
            value = int.from_bytes(data[at : at + 4], "big")
            at += 4
            if value < length:
                value -= at
            elif value + at >= 1 << 32:
                value += length
            struct.pack_into("<I", data, at - 4, value & 0xFFFFFFFF)
    return bytes(data)


@given(
    st.lists(
        st.sampled_from([b"\xe8", b"\xe9", b"\xe8\xe9\xe8", b"\x09\0\0\0", b"\xf7\xff\xff\xff"])
        | st.binary(max_size=1)
        | st.sampled_from([b"\0\0\0", b"\xff\xff\xff", b"abcdefg"])
    ),
    st.integers(0, 80),
)
@settings(deadline=None, max_examples=1000)
def test_branches_become_absolute_and_relative_again(pieces, length):
    data = b"".join(pieces)
    length = min(length, len(data))
    changed = disk.absolute(data, length)
    assert relative(changed, length) == data
    assert changed[length:] == data[length:]


@pytest.mark.parametrize("code", [0xE8, 0xE9])
def test_branches_to_one_function_look_alike(code):
    at = (7, 100)
    data = bytearray(200)
    for place in at:
        data[place] = code
        struct.pack_into("<i", data, place + 1, 50 - place - 5)
    changed = disk.absolute(bytes(data), len(data))
    assert {changed[place + 1 : place + 5] for place in at} == {struct.pack(">I", 50)}


def named(data, pools):
    """What it does last: hashes, lengths and pointers of names."""
    data, at = bytearray(data), pools - disk.IMAGE
    while struct.unpack_from("<I", data, at)[0]:
        words = struct.unpack_from("<5I", data, at)
        count, text, hashes, lengths, pointers = (words[0], *(w - disk.IMAGE for w in words[1:]))
        for i in range(count):
            name = data[text : data.index(0, text)]
            data[hashes + i], data[lengths + i] = disk.hash_of(name), len(name)
            struct.pack_into("<I", data, pointers + 4 * i, disk.IMAGE + text)
            text += len(name) + 1
        at += 20
    return bytes(data[: pools - disk.IMAGE])


@given(st.binary(min_size=4, max_size=400), st.data())
@settings(deadline=None)
def test_checksum_notices_any_change_of_one_word(data, draw):
    data += bytes(-len(data) % 4)
    word = draw.draw(st.integers(0, len(data) // 4 - 1)) * 4
    other = draw.draw(st.binary(min_size=4, max_size=4))
    changed = data[:word] + other + data[word + 4 :]
    assert (disk.checksum(changed) == disk.checksum(data)) == (changed == data)


def test_header_is_the_one_of_the_boot_sector():
    source = (SOURCES / "boot.S").read_text()
    fields = source[source.index("header:") : source.index("1:  cli")]
    sizes = {".word": "H", ".long": "I"}
    drawn = "<"
    for kind, values in re.findall(r":\s+(\.\w+) (0(?:, 0)*|unpacks)", fields):
        drawn += sizes[kind] * len(values.split(","))
    assert struct.Struct(drawn).size == disk.HEADER.size
    assert drawn.replace("I" * 14, "14I") == disk.HEADER.format
    assert len(disk.Header._fields) == len(drawn) - 1


# Images.


@pytest.fixture(scope="module")
def hello(image):
    return image("hello")


def test_an_image_has_the_layout_that_is_drawn(hello, unpack):
    data = (hello / "hello.img").read_bytes()
    header = disk.Header.read(data)
    first, calls = header.payload_first, header.calls_length
    assert data[510:512] == b"\x55\xaa"
    assert data[440:446] + data[462:510] == bytes(54)
    status, _, kind, _, start, length = disk.PARTITION.unpack_from(data, disk.TABLE)
    assert (status, kind, start) == (0x80, 0xDA, 1)
    assert (start + length) * 512 == len(data)
    assert (header.packet, header.loader_to, header.loader_first) == (16, 0x7E00, 1)
    assert first == header.loader_sectors + 1
    assert len(data) % disk.MEBIBYTE == 0
    payload = data[first * 512 :][: header.payload_sectors * 512]
    assert disk.checksum(payload) == header.payload_hash
    elf = Elf(hello / "hello.elf")
    start, flat = elf.flat()
    unpacked = relative(unpack(payload, header.packing), calls)
    assert named(unpacked, header.pools).rstrip(b"\0") == flat.rstrip(b"\0")
    assert unpacked.count(0) > flat.count(0) + 6 * 300, "what follows from names is not packed"
    assert (start, header.entry) == (disk.IMAGE, elf.entry)
    assert header.payload_address >= start + len(flat) and header.payload_address % 4096 == 0
    assert header.payload_end == header.payload_address + len(payload)
    assert data[header.command_line - disk.LOAD] == 0, "no command line"
    assert disk.loader_size(hello / "hello.img") == first * 512 <= 3072
    used = disk.bytes_used(hello / "hello.img")
    assert not any(data[used:]) and used <= (first + header.payload_sectors) * 512


def test_the_hole_at_the_end_costs_nothing(tmp_path):
    disk.write_sparse(tmp_path / "x.img", b"x" * 1000)
    state = (tmp_path / "x.img").stat()
    assert state.st_size == disk.MEBIBYTE
    assert state.st_blocks * 512 < 20000


def test_too_long_a_command_line_is_refused(hello):
    loader = (ROOT / "build/loader/deflate.bin").read_bytes()
    with pytest.raises(UserError, match="too long"):
        disk.disk_image(hello / "hello.elf", loader, "x" * 32768)


def boot(path, **more):
    """Boot an image until QEMU ends; the console."""
    with Machine(path, boot="ide", **more) as machine:
        machine.wait()
        return machine.text


def test_a_stored_command_line_arrives(hello, tmp_path):
    loader = (ROOT / "build/loader/deflate.bin").read_bytes()
    image = disk.disk_image(hello / "hello.elf", loader, "log=loud panic=exit")
    disk.write_sparse(tmp_path / "x.img", image)
    text = boot(tmp_path / "x.img")
    assert "started by disk" in text
    assert "log=loud is not one of" in text


@pytest.mark.parametrize("where", [0, 0.5, 0.999])
def test_damage_is_said(hello, tmp_path, where):
    copy = shutil.copy(hello / "hello.img", tmp_path / "x.img")
    used, first = disk.bytes_used(copy), disk.loader_size(copy)
    at = first + int((used - first - 1) * where)
    with open(copy, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))
    assert boot(copy) == "ImportOS: the image is damaged\n"


def test_a_short_disk_is_said(hello, tmp_path):
    copy = shutil.copy(hello / "hello.img", tmp_path / "x.img")
    with open(copy, "r+b") as file:
        file.truncate(20480)
    assert boot(copy) == "ImportOS: the disk cannot be read\n"


def test_too_little_memory_is_said(hello):
    assert boot(hello / "hello.img", memory="1M") == "ImportOS: too little memory\n"


def test_qcow2_is_the_same_disk(hello):
    assert "Hello from ImportOS." in boot(hello / "hello.qcow2")
    done = subprocess.run(
        ["qemu-img", "compare", hello / "hello.img", hello / "hello.qcow2"], capture_output=True
    )
    assert done.returncode == 0, done.stdout
