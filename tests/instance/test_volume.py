"""runtime/instance/{iso9660,fat,volume}.py: files as the makers of config drives write them, and
whatever else may lie on a disk.
"""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.instance import volume as volumes
from runtime.instance.drive import TROUBLE
from runtime.instance.volume import DIRECTORY, LONGEST
from tests.instance.disks import Disk, drive, fat, iso


def find(disk):
    """The first volume, or None."""
    return next(volumes.find(disk), None)


LONG = "a rather long name of a file.with.dots.json"
FILES = {
    **drive(b"user data " * 1000),
    "empty": b"",
    LONG: b"long",
    "sub/one.txt": b"1",
    **{f"many/file number {i}.txt": b"%d" % i for i in range(100)},
}
ISOS = {
    "joliet and rock ridge": (True, True),
    "joliet": (True, False),
    "rock ridge": (False, True),
}
FATS = {
    "fat12": (1440, 12, 1),
    "fat16": (9000, 16, 1),
    "fat32": (40_000, 32, 1),
    "clusters": (9000, 12, 8),
}


@pytest.fixture(scope="module")
def images():
    made = {name: iso(FILES, "config-2", *how) for name, how in ISOS.items()}
    made.update({name: fat(FILES, "config-2", *how) for name, how in FATS.items()})
    return made


@pytest.mark.parametrize("block_size", [512, 2048, 4096])
@pytest.mark.parametrize("kind", [*ISOS, *FATS])
def test_every_file_is_read(images, kind, block_size):
    volume = find(Disk(images[kind], block_size))
    assert volume.label.lower() == "config-2"
    for name, data in FILES.items():
        assert volume.read(name) == data, name
    for name in ("nothing", "openstack/latest/nothing", "openstack", "empty/x", "user_data", ""):
        assert volume.read(name) is None


@pytest.mark.parametrize("kind", ["fat12", "fat16", "fat32"])
def test_the_kind_of_fat(images, kind):
    assert find(Disk(images[kind])).bits == int(kind[3:])


def test_names_of_plain_iso9660():
    volume = find(Disk(iso({"meta-dat": b"m", "a/user.txt": b"u"}, "CIDATA", False, False)))
    assert volume.label == "CIDATA"
    assert volume.read("meta_dat") == b"m" and volume.read("a/user.txt") == b"u"


def test_a_file_that_is_too_large_is_refused():
    volume = find(Disk(iso({"big": bytes(LONGEST + 1), "fits": bytes(LONGEST)}, "cidata")))
    assert len(volume.read("fits")) == LONGEST
    with pytest.raises(ValueError, match="too many"):
        volume.read("big")


def test_no_file_system():
    for data in (b"", bytes(512), bytes(100_000), b"\x55\xaa" * 50_000, b"\xff" * 100_000):
        assert find(Disk(data)) is None


def test_a_disk_that_fails(images):
    with pytest.raises(OSError):
        find(Disk(images["joliet"], fail=range(64, 68)))


def poke(data, at, piece):
    return data[:at] + piece + data[at + len(piece) :]


def test_a_chain_of_clusters_that_is_a_ring(images):
    data = images["fat16"]
    volume = find(Disk(data))
    # Every cluster's successor is cluster 5.
    broken = poke(data, volume.fat, (5).to_bytes(2, "little") * (volume.clusters + 2))
    disk = Disk(broken)
    volume = find(disk)
    disk.fetched = 0
    with pytest.raises(ValueError):
        for name in FILES:
            volume.read(name)
        raise ValueError("all of them were bounded")
    assert disk.fetched < 3 * len(FILES) * (LONGEST + DIRECTORY) // 512


@pytest.mark.parametrize("cluster", [0, 1, 0xFFF0])
def test_a_chain_that_leads_out_of_the_file_system(images, cluster):
    data = images["fat16"]
    volume = find(Disk(data))
    start = next(place for name, place in volume.entries(volume.root) if name == LONG).start
    record = data.index(
        start.to_bytes(2, "little") + len(FILES[LONG]).to_bytes(4, "little"), volume.fixed
    )
    if cluster:
        data = poke(data, record, cluster.to_bytes(2, "little"))
    else:
        data = poke(data, record + 2, (5000).to_bytes(4, "little"))  # longer than its chain
    with pytest.raises(ValueError):
        find(Disk(data)).read(LONG)


def test_the_upper_half_of_a_cluster_of_fat32(images):
    data = images["fat32"]
    volume = find(Disk(data))
    start = next(place for name, place in volume.entries(volume.root) if name == LONG).start
    low = start.to_bytes(2, "little") + len(FILES[LONG]).to_bytes(4, "little")
    data = poke(data, data.index(low, volume.data) - 6, b"\1\0")
    assert volume.clusters > 0x10000 + start
    assert find(Disk(data)).read(LONG) == bytes(4)


def test_a_directory_that_is_its_own_child():
    data = iso({"a/b": b"x"}, "cidata", False, True)
    volume = find(Disk(data))
    assert volume.read("/".join(["a"] * 1000) + "/b") is None


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from([*ISOS, "fat12", "fat16"]),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=40)), max_size=30),
    st.integers(0, 1 << 21),
)
def test_damage_is_a_clear_error_or_nothing(images, kind, pokes, length):
    data = images[kind]
    # Where it hurts: boot sector, descriptors, directories, FATs.
    for at, piece in pokes:
        data = poke(data, at % min(len(data) - 64, 100_000), piece)
    disk = Disk(data[: max(length, 512)] if length < len(data) else data)
    try:
        volume = find(disk)
        if volume:
            for name in ("openstack/latest/meta_data.json", LONG, "many/file number 7.txt"):
                volume.read(name)
    except TROUBLE:
        pass
    assert disk.fetched << 9 < 64 << 20


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=512, max_size=8192), st.booleans())
def test_random_bytes_behind_a_right_signature(data, cd):
    if cd:
        data = bytes(16 * 2048) + b"\1CD001" + data + bytes(4096)
    else:
        data = poke(data, 11, b"\0\2\1\1\0\2") + bytes(200_000)
        data = poke(poke(data, 19, b"\x80\1"), 510, b"\x55\xaa")
    try:
        volume = find(Disk(data))
        if volume:
            volume.read("openstack/latest/user_data")
    except TROUBLE:
        pass


def partitioned(*volumes, block_size=512, table=None):
    """A disk with an MBR and these file systems, each on a boundary of 64 KB."""
    unit = block_size >> 9
    data, entries = bytearray(0x10000), b""
    for volume in volumes:
        numbers = len(data) // 512 // unit, len(volume) // 512 // unit
        entries += bytes([0x80, 0, 2, 0, 0x0C, 0, 0, 0]) + struct.pack("<II", *numbers)
        data += volume + bytes(-len(volume) % 0x10000)
    data[446 : 446 + len(entries)] = entries
    data[510:512] = b"\x55\xaa"
    if table:
        data[446:510] = table
    return Disk(bytes(data), block_size)


@pytest.mark.parametrize("block_size", [512, 4096])
def test_partitions_of_an_mbr(images, block_size):
    other = fat({"x": b"y"}, "EFI")
    disk = partitioned(other, images["fat16"], other, block_size=block_size)
    found = list(volumes.find(disk))
    assert [volume.label.lower() for volume in found] == ["efi", "config-2", "efi"]
    for path, data in FILES.items():
        assert found[1].read(path) == data


@given(st.binary(min_size=64, max_size=64))
def test_a_boot_sector_of_code_is_no_table(table):
    """Ours, for instance: it is looked at, and nothing is said of it."""
    assert list(volumes.find(partitioned(b"\x90" * 5000, table=table))) == []
