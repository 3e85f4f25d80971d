"""Virtual disks by qemu-img, which draws identifiers at random; here they are put right.

VMware, "Virtual Disk Format 5.0" (the descriptor's CID); VirtualBox, VDICore.h (UUIDs);
Microsoft, "Virtual Hard Disk Image Format Specification" (the footer and its copy); [MS-VHDX]
sections 2.2.2 (headers), 2.3 (log), 2.6.2.5 (page 83 data).  qcow2 has nothing of the kind.

    VMDK   descriptor: CID=...                        text, of changing length
    VDI    0x188 image, 0x198 snapshot                16 bytes each
    VHD    footer: +24 time, +64 checksum, +68 UUID   first and last 512 bytes
    VHDX   64 KiB and 128 KiB: +4 CRC-32C, +8 sequence number, +16 and +32 GUIDs; the log, which
           is replayed and empty; page 83 data

The smallest that is read everywhere: qcow2 in clusters of 512 bytes, whose tables are small, with
compression (the holes' neighbours; our payload is compressed already); VMDK stream-optimised, which
is what clouds exchange.
"""

import re
import struct
from pathlib import Path

from tools.image.formats import identity

OPTIONS = {
    "qcow2": ["qcow2", "-c", "-o", "cluster_size=512"],
    "vmdk": ["vmdk", "-o", "subformat=streamOptimized"],
    "vdi": ["vdi"],
    "vhd": ["vpc", "-o", "subformat=dynamic,force_size=on"],
    "vhdx": ["vhdx", "-o", "subformat=dynamic,block_size=1M"],
}
SECTOR = 512
VHD_COOKIE = bytes.fromhex("636f6e6563746978")


def make(name, elf, raw, targets, command_line):
    (target,) = targets
    identity.run("qemu-img", "convert", "-f", "raw", "-O", *OPTIONS[name], raw, target)
    put_right = RIGHT.get(name)
    if put_right:
        data = bytearray(Path(target).read_bytes())
        put_right(data, identity.digest(raw))
        identity.write(target, data)


def vmdk(data, image):
    """The descriptor, whose place and length stand in the header: a CID of eight digits."""
    magic, _, _, _, _, first, length = struct.unpack_from("<4sIIQQQQ", data)
    if magic != b"KDMV":
        raise ValueError("not a VMDK")
    start, end = first * SECTOR, (first + length) * SECTOR
    text = bytes(data[start:end]).rstrip(b"\0")
    cid = f"CID={identity.identifier(image, 'vmdk').hex[:8]}".encode()
    text, count = re.subn(rb"^CID=[0-9a-f]+$", cid, text, flags=re.MULTILINE)
    if count != 1 or len(text) > end - start:
        raise ValueError("a VMDK with another descriptor than expected")
    data[start:end] = text.ljust(end - start, b"\0")


def vdi(data, image):
    if data[0x40:0x44] != b"\x7f\x10\xda\xbe":
        raise ValueError("not a VDI")
    for at, purpose in (0x188, "vdi"), (0x198, "vdi snapshot"):
        data[at : at + 16] = identity.identifier(image, purpose).bytes_le


def vhd(data, image):
    for at in 0, len(data) - SECTOR:
        footer = data[at : at + SECTOR]
        if footer[:8] != VHD_COOKIE:
            raise ValueError("not a dynamic VHD")
        # Seconds since our date, which is its epoch.
        footer[24:28] = bytes(4)
        footer[64:84] = bytes(4) + identity.identifier(image, "vhd").bytes
        footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
        data[at : at + SECTOR] = footer


def vhdx(data, image):
    if data[:8] != b"vhdxfile":
        raise ValueError("not a VHDX")
    # The header with the larger number is the current one.
    places = sorted((0x10000, 0x20000), key=lambda at: data[at + 8 : at + 16][::-1])
    for number, at in enumerate(places, 1):
        header = data[at : at + 4096]
        if header[:4] != b"head" or any(header[48:64]):
            raise ValueError("a VHDX whose log is not empty")
        for place, purpose in (16, "vhdx file"), (32, "vhdx data"):
            header[place : place + 16] = identity.identifier(image, purpose).bytes_le
        header[4:16] = struct.pack("<IQ", 0, number)
        header[4:8] = struct.pack("<I", crc32c(header))
        data[at : at + 4096] = header
        length, log = struct.unpack_from("<IQ", header, 68)
        data[log : log + length] = bytes(length)
    metadata = data.index(b"metadata", 0x200000)
    entry = data.index(PAGE_83, metadata)
    (offset,) = struct.unpack_from("<I", data, entry + 16)
    place = metadata + offset
    data[place : place + 16] = identity.identifier(image, "vhdx page 83").bytes_le


# BECA12AB-B2E6-4523-93EF-C309E000C746
PAGE_83 = bytes.fromhex("ab12cabee6b2234593efc309e000c746")


def crc32c(data):
    """CRC-32C (Castagnoli), reflected: RFC 3720 appendix B.4."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _crc(value):
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_CRC = [_crc(byte) for byte in range(256)]
RIGHT = {"vmdk": vmdk, "vdi": vdi, "vhd": vhd, "vhdx": vhdx}
