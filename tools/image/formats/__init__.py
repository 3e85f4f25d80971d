"""The formats that a machine is delivered in, each made from its ELF and its raw disk image.

    FORMATS["vmdk"].files("dns")        -> ["dns.vmdk"]
    chosen("vmdk,iso")                  -> ["vmdk", "iso"]; UserError: no such format
    make("vmdk", elf, raw, targets, command_line)

    raw  ->  qcow2 vmdk vdi vhd vhdx    virtual.py     by qemu-img
         ->  iso                        iso.py         by xorriso; CD and stick
         ->  oci.tar docker.tar         container.py
    raw, ELF  ->  efi, -efi.img, -efi.qcow2, -efi.iso    efi.py  by grub-mkimage, mtools, sfdisk

Same image, same bytes: what tools draw at random or from the clock comes from a hash of the image
(identity.py).  The launcher reads this table before anything is installed: only the standard
library here.

Left out: formats of one vendor's import tools (OVA, AMI), which those make from vmdk or raw.
"""

import importlib
from typing import NamedTuple

from tools.errors import UserError

QEMU_IMG = {"qemu-utils": ("disk images", "qemu-img")}
XORRISO = {"xorriso": ("ISO images", "xorriso")}


class Format(NamedTuple):
    """One format: what it is for, what its files end with, who makes it of what."""

    what: str
    suffixes: tuple
    module: str = ""  # in this package; without: the build makes it anyway
    packages: dict = QEMU_IMG  # Debian package -> (reason, a command that shows it is there)
    default: bool = True  # written by `build` without being asked for
    parts: tuple = ()  # what the machine needs to be started from it, as in tools/image/cloud.py

    def files(self, name):
        return [name + suffix for suffix in self.suffixes]


FORMATS = {
    "img": Format("raw disk", (".img",), packages={}),
    "qcow2": Format("OpenStack, libvirt, QEMU", (".qcow2",), "virtual"),
    "vmdk": Format("VMware", (".vmdk",), "virtual"),
    "vdi": Format("VirtualBox", (".vdi",), "virtual"),
    "vhd": Format("Hyper-V (first generation), Xen", (".vhd",), "virtual"),
    "vhdx": Format("Hyper-V", (".vhdx",), "virtual"),
    "containerdisk": Format("KubeVirt, as archives", (".oci.tar", ".docker.tar"), "container"),
    "iso": Format(
        "a CD, or a stick",
        (".iso",),
        "iso",
        XORRISO,
        default=False,
    ),
    "efi": Format(
        "UEFI: an application; disk and CD for UEFI and BIOS",
        (".efi", "-efi.img", "-efi.qcow2", "-efi.iso"),
        "efi",
        QEMU_IMG
        | XORRISO
        | {
            "grub-efi-amd64-bin": ("the boot loader of UEFI images", "grub-mkimage"),
            "grub-common": ("its tool", "grub-mkimage"),
            "mtools": ("the file system of UEFI images", "mformat"),
            "fdisk": ("the partitions of UEFI images", "sfdisk"),
        },
        default=False,
        parts=(("runtime.platform.reach", "drivers.virtio.transport"),),
    ),
}
DEFAULT = [name for name, form in FORMATS.items() if form.default]


def chosen(text):
    """The formats that a list with commas names; `all`, `default`."""
    names = []
    for word in text.split(","):
        if word not in FORMATS and word not in ("all", "default"):
            raise UserError(f"no format {word!r}; there are {', '.join(FORMATS)}, all")
        names += {"all": list(FORMATS), "default": DEFAULT}.get(word, [word])
    return list(dict.fromkeys(names))


def packages(names):
    """What formats need: {Debian package: (reason, command)}."""
    return {package: why for name in names for package, why in FORMATS[name].packages.items()}


def make(name, elf, raw, targets, command_line=""):
    """Write the files of a format."""
    module = importlib.import_module(f"tools.image.formats.{FORMATS[name].module}")
    module.make(name, elf, raw, [str(target) for target in targets], command_line)


def remove_old(folder, names):
    """Remove what a former build left in formats that this one did not make, unless it is of the
    same image: a folder never has two machines.
    """
    raw = folder / f"{folder.name}.img"
    current = raw.stat().st_mtime_ns if raw.is_file() else 0
    for name in FORMATS.keys() - set(names):
        for file in FORMATS[name].files(folder.name):
            path = folder / file
            if path.is_file() and path.stat().st_mtime_ns < current:
                path.unlink()
