"""Disk images: our loader, the flat image of an ELF compressed behind it, room for the firmware.

    image = disk_image(elf_path, loader_bytes, command_line="log=debug")
    write_sparse(path, image)
    with_sectors(image, 2048)   # the same, for a CD
    moved(image, lba)           # the same, with all but its first sector elsewhere
    bytes_used(path)            # up to the last one that is not zero: what an image "weighs"

The layout is drawn in port/disk/boot.S.  What the loader computes from names is left out, a filter
for branches comes next, and then the payload is packed as the loader says that it unpacks: raw LZMA
is smaller, raw deflate (RFC 1951) starts sooner; the numbers are in docs/build.md.
Left out: other formats, which tools/image/formats makes from this one.
"""

import lzma
import struct
from pathlib import Path
from typing import NamedTuple

import deflate

from tools.errors import UserError
from tools.image.elf import Elf

SECTOR = 512
LOAD = 0x7C00  # where the BIOS puts the loader's first sector
IMAGE = 0x100000  # where the image is linked to run
HEADER_OFFSET = 4
CHUNK = 32768  # what is read at once
BOUNCE = 0x10000
CALL, JUMP = 0xE8, 0xE9
DEFLATE, LZMA = 1, 2  # what a loader unpacks
PROPERTIES = {"id": lzma.FILTER_LZMA1, "preset": 9, "lc": 3, "lp": 0, "pb": 0}
# Matches of two bytes are found as well, long ones taken at once: docs/build.md has the figures.
PROPERTIES |= {"mode": lzma.MODE_NORMAL, "mf": lzma.MF_BT2, "nice_len": 128, "depth": 0}

# Interned strings, and what comes before the pointers of a pool: entries, hashes, lengths.
POOLS = ("mp_qstr_const_pool_static", "mp_qstr_const_pool", "mp_qstr_frozen_const_pool")
POOL = struct.Struct("<12xIII")

# SeaBIOS takes a virtio-blk disk of less than one cylinder (16 heads of 63 sectors) for a floppy;
# VDI, VHD and clouds count in these.
MEBIBYTE = 1 << 20

# The first entry of a partition table: status, first in CHS, type, last in CHS, first, length.
TABLE = 446
PARTITION = struct.Struct("<B3sB3sII")
ACTIVE, NO_FILES, NO_CHS = 0x80, 0xDA, b"\xfe\xff\xff"


class Header(NamedTuple):
    """What the boot sector is told: `header` in port/disk/boot.S."""

    packet: int = 16
    loader_sectors: int = 0
    loader_to: int = 0
    loader_segment: int = 0
    loader_first: int = 0
    loader_first_high: int = 0
    entry: int = 0
    payload_first: int = 0
    payload_sectors: int = 0
    chunk: int = 0
    sector_shift: int = 0
    payload_address: int = 0
    payload_end: int = 0
    payload_hash: int = 0
    command_line: int = 0
    calls_length: int = 0
    pools: int = 0
    packing: int = DEFLATE

    @classmethod
    def read(cls, image):
        return cls(*HEADER.unpack_from(image, HEADER_OFFSET))

    def written(self, image):
        """The image with this header."""
        end = HEADER_OFFSET + HEADER.size
        return image[:HEADER_OFFSET] + HEADER.pack(*self) + image[end:]


HEADER = struct.Struct("<HHHH14I")


def compress(data, packing=DEFLATE):
    """As small as it gets within a second."""
    if packing == LZMA:
        return lzma.compress(data, lzma.FORMAT_RAW, filters=[PROPERTIES])
    return bytes(deflate.deflate_compress(data, 12))


def absolute(flat, length):
    """Operands of calls and jumps in the first `length` bytes: absolute and big-endian.

    The same function called from many places is then the same bytes; this saves 5 % of an image.
    What only looks like one is changed too, and changed back by the loader all the same, in the
    other order: first calls, then jumps.
    """
    data = bytearray(flat)
    for code in CALL, JUMP:
        at = 0
        while (at := data.find(code, at, length) + 1) and at + 4 <= length:
            (distance,) = struct.unpack_from("<i", data, at)
            at += 4
            if -at <= distance < length - at:
                distance += at
            elif length - at <= distance < length:
                distance -= length  # nobody else is there: numbers from -at on were distances
            struct.pack_into(">i", data, at - 4, distance)
    return bytes(data)


def without_names(elf, flat):
    """The image without what the loader computes from names; behind it, where that belongs.

    A pool of interned strings (MicroPython's py/qstr.h) has a pointer, a length and a hash of each,
    and all three follow from the characters, which lie one behind the other.
    """
    flat += bytes(-len(flat) % 4)
    data, runs = bytearray(flat), b""
    for symbol in elf.symbols():
        if symbol.name not in POOLS:
            continue
        at = symbol.address - IMAGE
        count, hashes, lengths = POOL.unpack_from(flat, at)
        for first, last in _runs(flat, count, hashes, lengths, at + POOL.size):
            pointers = symbol.address + POOL.size + 4 * first
            (text,) = struct.unpack_from("<I", flat, pointers - IMAGE)
            count = last - first
            runs += struct.pack("<5I", count, text, hashes + first, lengths + first, pointers)
            for table, size in (hashes + first, 1), (lengths + first, 1), (pointers, 4):
                data[table - IMAGE : table - IMAGE + count * size] = bytes(count * size)
    return bytes(data), runs + bytes(4)


def _runs(flat, count, hashes, lengths, pointers):
    """(first, end) of names whose pointer, length and hash are what the loader would compute."""
    first, expected = 0, None
    for i in range(count + 1):
        end = None
        if i < count:
            (text,) = struct.unpack_from("<I", flat, pointers + 4 * i)
            name = flat[text - IMAGE : flat.index(0, text - IMAGE)]
            if (flat[lengths - IMAGE + i], flat[hashes - IMAGE + i]) == (len(name), hash_of(name)):
                end = text + len(name) + 1
        if end is None or text != expected:
            if i - first > 4:
                yield first, i
            first = i + (end is None)
        expected = end


def hash_of(name):
    """The hash of an interned string, MICROPY_QSTR_BYTES_IN_HASH being 1."""
    value = 5381
    for character in name:
        value = value * 33 ^ character
    return value & 0xFF or 1


def checksum(data):
    """The loader's sum: over 32-bit words, each step `sum = rotate(sum ^ word, 5) * odd`."""
    total = 0
    for (word,) in struct.iter_unpack("<I", data):
        total ^= word
        total = ((total << 5 | total >> 27) * 0x9E3779B1) & 0xFFFFFFFF
    return total


def disk_image(elf_path, loader, command_line=""):
    """The bytes of a bootable disk, without the padding at its end."""
    elf = Elf(elf_path)
    start, flat = elf.flat()
    if start != IMAGE:
        raise ValueError(f"{elf_path} is linked at {start:#x}, the loader puts it at {IMAGE:#x}")
    loader = _sectors(loader + _text(command_line), SECTOR)
    command_line_at = LOAD + loader.rindex(_text(command_line))
    if LOAD + len(loader) > BOUNCE:
        raise UserError("the command line is too long for the loader")
    calls = elf.section(".text").size
    packing = Header.read(loader).packing
    flat, runs = without_names(elf, flat)
    payload = _sectors(compress(absolute(flat, calls) + runs, packing), SECTOR)
    header = Header(
        entry=elf.entry,
        # Behind the image, where its .bss and heap begin: 16 spare bytes for the last, wide load.
        payload_address=-(-(IMAGE + len(flat + runs) + 16) // 4096) * 4096,
        command_line=command_line_at,
        calls_length=calls,
        pools=IMAGE + len(flat),
        packing=packing,
    )
    return _partitioned(_joined(header, loader, payload, SECTOR))


def _partitioned(image):
    """With a partition table: all behind the boot sector is one partition without a file system.

    Clouds refuse a raw disk that has the signature of a table and none in it, and some firmware one
    without an active partition.
    """
    sectors = padded(len(image)) // SECTOR - 1
    entry = PARTITION.pack(ACTIVE, NO_CHS, NO_FILES, NO_CHS, 1, sectors)
    return image[:TABLE] + entry + image[TABLE + len(entry) :]


def _joined(header, loader, payload, sector):
    """Loader and payload as one image, for sectors of this size; the firmware loads the first."""
    loader, payload = _sectors(loader, sector), _sectors(payload, sector)
    first = len(loader) // sector
    header = header._replace(
        loader_sectors=first - 1,
        loader_to=LOAD + sector,
        loader_first=1,
        payload_first=first,
        payload_sectors=len(payload) // sector,
        chunk=CHUNK // sector,
        sector_shift=(sector // 4).bit_length() - 1,
        payload_end=header.payload_address + len(payload),
        payload_hash=checksum(payload),
    )
    return header.written(loader) + payload


def with_sectors(image, sector):
    """A disk image of sectors of 512 bytes, for a medium with others."""
    header = Header.read(image)
    at = header.payload_first * SECTOR
    end = at + header.payload_sectors * SECTOR
    return _joined(header, image[:at], image[at:end], sector)


def moved(image, lba):
    """An image whose loader and payload are read from `lba` on instead of sector 1."""
    header = Header.read(image)
    by = lba - header.loader_first
    header = header._replace(loader_first=lba, payload_first=header.payload_first + by)
    return header.written(image)


def write_sparse(path, image):
    """Write an image, padded with a hole to whole mebibytes."""
    with open(path, "wb") as file:
        file.write(image)
        file.truncate(padded(len(image)))


def padded(length):
    return -(-length // MEBIBYTE) * MEBIBYTE


def bytes_used(path):
    """Bytes up to the last one that is not zero."""
    return len(Path(path).read_bytes().rstrip(b"\0"))


def loader_size(path):
    """Bytes of boot sector, loader and command line of an image."""
    with open(path, "rb") as file:
        return Header.read(file.read(SECTOR)).payload_first * SECTOR


def _text(command_line):
    return command_line.encode("ascii") + b"\0"


def _sectors(data, sector):
    return data + bytes(-len(data) % sector)
