"""Which disks are mounted where, before the service starts.

The setting `mount` is a list:   mount=disk1:/data:littlefs:format,disk2:/conf:fat:ro

    disk1       the disk's name, or its serial number
    /data       where its files appear
    littlefs, fat   only this file system (else any that is there)
    format      make one (littlefs unless `fat` is said) if the disk's first 64 KiB are zero
    ro          read only
    poll        file operations let nobody else run (runtime/blocks.py)

Without the setting the first disk that has a file system is mounted at `/`; with `mount=no` none
is.  What cannot be mounted is said in the log, and the service starts without it: `open` then
raises OSError.

Law: a disk that has anything on it is never formatted.
At the end what is still open is closed, so that everything that was written is on the disk.
It is in an image that uses `open`, `vfs` or what `os` does with files (tools/image/closure.py).
Neighbours: blocks.py; MicroPython's vfs, which knows FAT (oofatfs) and littlefs 2.
"""

import sys

import vfs
from micropython import const

from runtime.blocks import Blocks, stranger
from runtime.disk import rouse

try:
    from metal import files as opened
except ImportError:
    opened = list  # a process of Linux

KINDS = {"littlefs": "VfsLfs2", "fat": "VfsFat"}
WORDS = ("littlefs", "fat", "format", "ro", "poll")
BLANK = const(65536)


def mount(machine):
    """Do what the setting says, or what is meant without it."""
    # Imports look for no files: everything is frozen, and a disk is slow and not ours.
    sys.path[:] = [place for place in sys.path if place.startswith(".frozen")]
    machine.ends.insert(0, close)  # others may write until then, or hold writes (the agent)
    wanted = machine.settings.get("mount", "")
    if wanted == "no":
        return
    rouse(machine.disks)
    if not wanted:
        for disk in machine.disks:
            if attempt(machine, disk, "/", (), quiet=True):
                return
        text = "has a file system; mount=DISK:/:format makes one" if machine.disks else "is there"
        machine.log.info("no disk %s", text)
        return
    for entry in wanted.split(","):
        name, *words = entry.split(":")
        place = words.pop(0) if words else "/"
        found = [disk for disk in machine.disks if name == disk.name or name == disk.serial]
        strange = [word for word in words if word not in WORDS]
        if not found:
            machine.log.error("mount=%s: there is no disk %s", entry, name)
        elif strange or not place.startswith("/"):
            machine.log.error("mount=%s: expected DISK:/PATH and of %s", entry, ", ".join(WORDS))
        else:
            attempt(machine, found[0], place, words)


def attempt(machine, disk, place, words, quiet=False):
    """Mount a disk; False, and a line in the log, if that cannot be."""
    log = machine.log.debug if quiet else machine.log.error
    try:
        blocks = Blocks(disk, "poll" in words)
        wanted = [word for word in words if word in KINDS]
        if not blocks.kind and "format" in words:
            make(machine, blocks, wanted[0] if wanted else "littlefs")
        kind = blocks.kind
        why = None
        if not kind:
            why = stranger(disk.fetch(0, disk.block_size >> 9))
        elif wanted and kind not in wanted:
            why = f"it has {kind}, the setting says {wanted[0]}"
        elif not hasattr(vfs, KINDS[kind]):
            why = f"it has {kind}, which is not in this image"
        if why:
            log("%s: %s: not mounted", disk.name, why)
            return False
        vfs.mount(
            getattr(vfs, KINDS[kind])(blocks), place, readonly=disk.read_only or "ro" in words
        )
    except (OSError, ValueError) as error:  # (the latter: a disk without a sector)
        log("%s: error %s: not mounted", disk.name, error.args[0])
        return False
    machine.log.info("%s: %s at %s", disk.name, kind, place)
    return True


def close():
    """The machine ends: files that nobody has closed are."""
    for file in opened():
        try:
            file.close()
        except OSError as error:
            print("a file that nobody had closed:", error)


def make(machine, blocks, kind):
    """A new file system on a disk that is empty."""
    disk = blocks.disk
    count = min(BLANK >> 9, disk.sectors)
    if disk.fetch(0, count) != bytes(count << 9):
        machine.log.error("%s: there is something on it: not formatted", disk.name)
        return
    maker = getattr(vfs, KINDS[kind], None)
    if maker is None:
        machine.log.error("%s: %s is not in this image: not formatted", disk.name, kind)
        return
    maker.mkfs(blocks)
    blocks.kind = kind
    machine.log.info("%s: formatted, %s", disk.name, kind)
