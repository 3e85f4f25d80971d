"""A CD that BIOSes boot, and a stick with the same bytes: ISO 9660 with El Torito, no emulation.

El Torito 1.0, sections 2.0 to 2.2: the boot record of the volume leads to the catalogue, whose
first entry names a place; the BIOS loads the first 2,048 bytes there, which are our boot sector and
what fits behind it, and that reads the rest in sectors of a CD.  xorriso makes the volume; where it
has put our image we can write into the boot sector only then.

ISO 9660 leaves the first 32 KiB to others: there is our boot sector once more, with its loader, for
disks (sectors of 512 bytes, a partition table).  Both read the same payload.

With an ESP behind the volume (format `efi`) it is the second entry of the catalogue (UEFI 2.10,
section 13.3.2.1), and a partition.
"""

import os
import struct
import tempfile
from pathlib import Path

from tools.errors import UserError
from tools.image import disk
from tools.image.formats import identity

SECTOR = 2048
BOOT_RECORD = 17  # sector of the volume descriptor
CATALOGUE = 71  # where that says where the catalogue lies
LOADED = 4  # in sectors of 512 bytes
NAME = "importos.img"
SYSTEM_AREA = 32768
BEHIND = "--interval:appended_partition_2:all::"
ESP = 0xEF
CYLINDER = 16 * 63 * disk.SECTOR  # a smaller disk is none for SeaBIOS: tools/image/disk.py


def make(name, elf, raw, targets, command_line):
    (target,) = targets
    write(raw, target)


def write(raw, target, esp=None):
    """The volume of a raw disk; `esp` is a file with a file system for UEFI."""
    image = disk.with_sectors(Path(raw).read_bytes(), SECTOR)
    when = identity.DATE.strftime("%Y%m%d%H%M%S00")
    more = ("-eltorito-alt-boot", "-e", BEHIND, "-no-emul-boot") if esp else ()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / NAME
        file.write_bytes(image)
        file.chmod(0o644)  # Rock Ridge says it, and a umask would
        for path in (file, Path(folder)):
            os.utime(path, (identity.DATE.timestamp(),) * 2)
        Path(target).unlink(missing_ok=True)  # xorriso would add to it
        identity.run(
            *("xorriso", "-no_rc", "-as", "mkisofs", "-quiet", "-o", target),
            *("-V", label(Path(raw).stem), f"--modification-date={when}"),
            *("--set_all_file_dates", when, "-uid", "0", "-gid", "0", "-no-pad"),
            *(("-append_partition", "2", hex(ESP), esp) if esp else ()),
            *("-b", NAME, "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", LOADED),
            *(*more, folder),
        )
    data = Path(target).read_bytes()
    (catalogue,) = struct.unpack_from("<I", data, BOOT_RECORD * SECTOR + CATALOGUE)
    # Behind the validation entry: indicator, media, segment, type, ..., count, place.
    (place,) = struct.unpack_from("<I", data, catalogue * SECTOR + 32 + 8)
    at = place * SECTOR
    if data[at + SECTOR : at + len(image)] != image[SECTOR:]:
        raise ValueError("El Torito's catalogue does not lead to the image")
    moved = disk.moved(image, place + 1)
    data = (data[:at] + moved + data[at + len(image) :]).ljust(CYLINDER, b"\0")
    start = stick(raw, at + disk.Header.read(image).payload_first * SECTOR, data)
    identity.write(target, start + data[len(start) :])


def stick(raw, payload, volume):
    """Boot sector and loader for a disk with this volume, whose payload lies there."""
    header = disk.Header.read(raw_bytes := Path(raw).read_bytes())
    start = raw_bytes[: header.payload_first * disk.SECTOR]
    if len(start) > SYSTEM_AREA:
        raise UserError("the command line is too long for an ISO image")
    start = header._replace(payload_first=payload // disk.SECTOR).written(start)
    end = len(volume) // disk.SECTOR
    table, size = disk.TABLE, disk.PARTITION.size
    second = volume[table + size : table + 2 * size]  # what xorriso has appended
    *_, first, _ = disk.PARTITION.unpack(second)
    entry = disk.PARTITION.pack(
        disk.ACTIVE, disk.NO_CHS, disk.NO_FILES, disk.NO_CHS, 1, (first or end) - 1
    )
    return start[:table] + entry + second + start[table + 2 * size :]


def label(service):
    """A volume's name: d-characters, 32 at most (ECMA-119 section 7.4.1)."""
    text = service.upper()
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text)[:32]
