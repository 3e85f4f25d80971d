"""UEFI: an application that is the whole machine, and disk and CD that UEFI and BIOS boot.

    NAME.efi          GRUB as an EFI application, the ELF (gzip) in it; for an ESP, or the network
    NAME-efi.img      GPT:  0       boot sector of ours, protective MBR
                            1..33   GPT
                            34..    partition 1, "BIOS boot": loader and payload
                            2048..  partition 2, ESP, FAT16: EFI/BOOT/BOOTX64.EFI, which is NAME.efi
                            ..-1    GPT again
    NAME-efi.qcow2    the same
    NAME-efi.iso      the CD of iso.py, with an ESP (FAT12) behind it; also for a stick

UEFI 2.10, sections 3.5.1.1 (removable media) and 5 (GPT); Multiboot 0.6.96, as GRUB starts it: it
ends the firmware's services and passes on its memory map.  Nothing of UEFI is called after that.
The partitions are made by sfdisk, the file system by mtools, and GRUB is Debian's.

Left out: Secure Boot (GRUB is not signed); processors other than x86-64.
"""

import tempfile
from pathlib import Path

import deflate

from tools.errors import UserError
from tools.image import disk
from tools.image.formats import container, identity, iso, virtual

SECTOR = 512
FIRST = 34  # behind the GPT
ALIGNED = disk.MEBIBYTE // SECTOR
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
CODE = 440  # bytes of a boot sector before what belongs to partitions
# FAT16 has 4,085 clusters at least; one sector each, and room for tables and folders.
SMALLEST = 4300
TABLES = 200
MODULES = ("memdisk", "tar", "gzio", "multiboot", "boot")


def make(name, elf, raw, targets, command_line):
    application, image, qcow2, cd = targets
    Path(application).write_bytes(grub(elf, command_line))
    hybrid(Path(raw), Path(application), image)
    virtual.make("qcow2", elf, image, [qcow2], command_line)
    with tempfile.TemporaryDirectory() as folder:
        esp = Path(folder) / "esp"
        sectors = up(up(Path(application).stat().st_size, SECTOR) // SECTOR + TABLES, iso.LOADED)
        serial = identity.identifier(identity.digest(raw), "cd")
        esp.write_bytes(file_system(Path(application), sectors, 0, serial))
        iso.write(raw, cd, esp)


def grub(elf, command_line):
    """GRUB with one thing to do."""
    if set("'\\\n") & set(command_line):
        raise UserError(f"the command line of a UEFI image cannot have quotes: {command_line}")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        stripped = folder / "stripped"
        identity.run("objcopy", "--strip-all", elf, stripped)
        packed = bytes(deflate.gzip_compress(stripped.read_bytes(), 12))
        (folder / "disk.tar").write_bytes(container.archive({"importos": packed}))
        words = "".join(f" '{word}'" for word in command_line.split())
        (folder / "grub.cfg").write_text(
            f"set gfxpayload=text\nmultiboot (memdisk)/importos{words}\nboot\n"
        )
        identity.run(
            *("grub-mkimage", "-O", "x86_64-efi", "-p", "/EFI/BOOT", "-o", folder / "grub.efi"),
            *("-c", folder / "grub.cfg", "-m", folder / "disk.tar", *MODULES),
        )
        return (folder / "grub.efi").read_bytes()


def hybrid(raw, application, target):
    """A disk for both kinds of firmware."""
    known = identity.digest(raw)
    ours = disk.moved(raw.read_bytes()[: disk.bytes_used(raw)], FIRST)
    start = up(FIRST + up(len(ours), SECTOR) // SECTOR, ALIGNED)
    needed = max(SMALLEST, up(application.stat().st_size, SECTOR) // SECTOR + TABLES)
    sectors = up(start + needed + FIRST, ALIGNED)
    end = sectors - FIRST
    Path(target).unlink(missing_ok=True)
    with open(target, "wb") as file:
        file.truncate(sectors * SECTOR)
    identity.run(
        *("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", target),
        given=f"label: gpt\nlabel-id: {identity.identifier(known, 'gpt')}\nfirst-lba: {FIRST}\n"
        f"start={FIRST}, size={start - FIRST}, type={BIOS_BOOT}, name=importos,"
        f" uuid={identity.identifier(known, 'gpt 1')}\n"
        f"start={start}, size={end - start}, type=uefi, name=esp,"
        f" uuid={identity.identifier(known, 'gpt 2')}\n",
    )
    esp = file_system(application, end - start, start, identity.identifier(known, "esp"))
    data = bytearray(Path(target).read_bytes())
    data[:CODE] = ours[:CODE]
    at = FIRST * SECTOR
    data[at : at + len(ours) - SECTOR] = ours[SECTOR:]
    data[start * SECTOR : end * SECTOR] = esp
    identity.write(target, data)


def file_system(application, sectors, hidden, serial):
    """The bytes of an ESP with one file."""
    with tempfile.TemporaryDirectory() as folder:
        esp = Path(folder) / "esp"
        with open(esp, "wb") as file:
            file.truncate(sectors * SECTOR)
        identity.run(
            *("mformat", "-i", esp, "-T", sectors, "-h", 16, "-s", 63, "-H", hidden),
            *("-c", 1, "-N", serial.hex[:8], "-v", "IMPORTOS", "::"),
        )
        identity.run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT")
        identity.run("mcopy", "-i", esp, application, "::/EFI/BOOT/BOOTX64.EFI")
        return esp.read_bytes()


def up(number, unit):
    return -(-number // unit) * unit
