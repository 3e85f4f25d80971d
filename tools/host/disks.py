"""--drive for a service in a Linux process: files as machine.disks, and their file systems.

    disks.attach(machine, ["/data.img", "/cd.iso"])     disk0, disk1
    disks.mount(machine)                                as runtime/files.py does it in the machine

A file is a disk with blocks of 512 bytes, an .iso one that is read only with blocks of 2,048.
Requests are done at once, and answered by the loop, as runtime/disk.py says.
MicroPython for Linux has the file systems of the machine.  CPython has none: there `machine.disks`
is all, and `open` opens files of Linux.  Where a disk is mounted at /, the files of Linux are at
/linux, and imports come from there.

Neighbours: runtime/disk.py is what a disk offers, main.py calls.
Left out: a file that grows meanwhile; discarding (the file keeps its size).
"""

import os
import sys

SECTOR = 512
LINUX = "/linux"
EIO, EROFS = 5, 30


def attach(machine, paths):
    """Give the machine its disks."""
    if not paths:
        return
    machine.metal.uptime_ms = machine.uptime_ms
    sys.modules["metal"] = machine.metal  # what runtime/disk.py waits by
    from runtime import disk

    del sys.modules["metal"]

    class File(disk.Disk):
        def __init__(self, name, path):
            self.name, self.serial = name, path.split("/")[-1][:20]
            self.read_only = path.lower().endswith(".iso")
            self.block_size = 2048 if self.read_only else SECTOR
            self.file = open(path, "rb" if self.read_only else "r+b")  # noqa: SIM115
            self.sectors = self.file.seek(0, 2) // self.block_size * (self.block_size // SECTOR)
            self.answers = []
            self.answer = self.poll  # bound once

        def place(self, sector, length):
            wrong = length <= 0 or (length | sector * SECTOR) % self.block_size
            if wrong or sector < 0 or sector * SECTOR + length > self.sectors * SECTOR:
                self.refuse(sector, length)
            self.file.seek(sector * SECTOR)

        def done(self, done, buffer, request, *arguments):
            try:
                status = 0 if request(*arguments) is not False else EIO
            except OSError as error:
                status = error.args[0]
            if not self.answers:
                machine.loop.soon(self.answer)
            self.answers.append((done, status, buffer))

        def read(self, sector, buffer, done):
            self.place(sector, len(buffer))
            self.done(done, buffer, self.fill, buffer)

        def fill(self, buffer):
            return self.file.readinto(buffer) == len(buffer)

        def write(self, sector, buffer, done):
            self.writable()
            self.place(sector, len(buffer))
            self.done(done, buffer, self.file.write, buffer)

        def flush(self, done):
            self.done(done, None, self.file.flush)

        def discard(self, sector, count, done):
            self.writable()
            self.place(sector, count * SECTOR)
            self.done(done, None, self.file.flush)

        def write_zeroes(self, sector, count, done):
            self.write(sector, bytes(count * SECTOR), lambda status, _: done(status, None))

        def writable(self):
            if self.read_only:
                raise OSError(EROFS)

        def poll(self):
            """Answer what has been asked for until now."""
            answers, self.answers = self.answers, []
            for done, status, buffer in answers:
                done(status, buffer)

        def busy(self):
            return len(self.answers)

        def stop(self, patience):
            well = self.sync(patience)
            self.file.close()
            return well

    for path in paths:
        made = File(f"disk{len(machine.disks)}", path)
        machine.disks.append(made)
        kind = "read only" if made.read_only else "writable"
        machine.log.info("%s: %s, %d sectors, %s", made.name, path, made.sectors, kind)


def mount(machine):
    """Mount what `mount` says, before the service is loaded."""
    if not machine.disks or machine.settings.get("mount") == "no":
        return
    if sys.implementation.name == "cpython":
        text = (
            "disks are not mounted: CPython has no FAT and no littlefs, --interpreter micropython"
        )
        machine.log.info(text)
        return
    import vfs

    places = list(sys.path)
    here = os.getcwd()
    vfs.umount("/")
    vfs.mount(vfs.VfsPosix("/"), LINUX)
    sys.path[:] = places = [_moved(place, here) for place in places]
    for module in sys.modules.values():
        if hasattr(module, "__path__"):  # a package, from which more may be imported
            module.__path__ = _moved(module.__path__, here)
    from runtime import files

    files.mount(machine)
    sys.path[:] = places
    os.chdir("/")


def _moved(place, here):
    """Where a folder to import from is now."""
    if place.startswith(".frozen"):
        return place
    return LINUX + (place if place.startswith("/") else f"{here}/{place}")
