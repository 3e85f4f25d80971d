"""A CD that BIOSes boot: ISO 9660 with El Torito, without emulation.

El Torito 1.0, sections 2.0 to 2.2: the boot record of the volume leads to the catalogue, whose
first entry names a place; the BIOS loads the first 2,048 bytes there, which are our boot sector and
what fits behind it, and that reads the rest in sectors of a CD.  xorriso makes the volume; where it
has put our image we can write into the boot sector only then.

Left out: booting the ISO by UEFI (format `efi`), or from a stick (any of the disks).
"""

import os
import struct
import tempfile
from pathlib import Path

from tools.image import disk
from tools.image.formats import identity

SECTOR = 2048
BOOT_RECORD = 17  # sector of the volume descriptor
CATALOGUE = 71  # where that says where the catalogue lies
LOADED = 4  # in sectors of 512 bytes
NAME = "importos.img"


def make(name, elf, raw, targets, command_line):
    (target,) = targets
    image = disk.with_sectors(Path(raw).read_bytes(), SECTOR)
    when = identity.DATE.strftime("%Y%m%d%H%M%S00")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / NAME
        file.write_bytes(image)
        for path in (file, Path(folder)):
            os.utime(path, (identity.DATE.timestamp(),) * 2)
        Path(target).unlink(missing_ok=True)  # xorriso would add to it
        identity.run(
            *("xorriso", "-no_rc", "-as", "mkisofs", "-quiet", "-o", target),
            *("-V", label(Path(raw).stem), f"--modification-date={when}"),
            *("--set_all_file_dates", when, "-uid", "0", "-gid", "0", "-no-pad"),
            *("-b", NAME, "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", LOADED),
            folder,
        )
    data = Path(target).read_bytes()
    (catalogue,) = struct.unpack_from("<I", data, BOOT_RECORD * SECTOR + CATALOGUE)
    # Behind the validation entry: indicator, media, segment, type, ..., count, place.
    (place,) = struct.unpack_from("<I", data, catalogue * SECTOR + 32 + 8)
    at = place * SECTOR
    if data[at + SECTOR : at + len(image)] != image[SECTOR:]:
        raise ValueError("El Torito's catalogue does not lead to the image")
    moved = disk.moved(image, place + 1)
    identity.write(target, data[:at] + moved + data[at + len(image) :])


def label(service):
    """A volume's name: d-characters, 32 at most (ECMA-119 section 7.4.1)."""
    text = service.upper()
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text)[:32]
