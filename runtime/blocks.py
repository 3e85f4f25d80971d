"""A disk as MicroPython's file systems want it: numbered blocks that are read and written at once.

    vfs.VfsLfs2.mkfs(machine.disks[0].block_device())
    vfs.mount(machine.disks[0].block_device(), "/data")

MicroPython, "Simple and extended interface" of block devices: readblocks, writeblocks, ioctl.
Errors are negative errnos, never exceptions, because a file system in C would not survive one.

Who waits for the disk waits in loop.block, so timers, drivers and other callbacks go on; who uses
files in one of those while another file operation waits gets OSError(EBUSY) from the file system
(port/micropython/files.c).  `polling=True` waits without letting anybody else run.  A machine that
is being stopped finishes what it has begun, by polling.

Law: a block has the size that the file system on the disk was made with; on an empty disk a sector
for FAT, 4,096 bytes for littlefs, which asks first (ioctl 7).  littlefs reads and writes whole
sectors, so that nothing that was written is ever written again in passing.
Neighbours: runtime/disk.py below, files.py above.
"""

from micropython import const

from runtime import machine as running

INIT, DEINIT, SYNC, COUNT, SIZE, ERASE, UNIT = (
    const(1),
    const(2),
    const(3),
    const(4),
    const(5),
    const(6),
    const(7),  # patches/90-littlefs-sectors.patch: the size of a sector
)
LITTLEFS_BLOCK = const(4096)
EBUSY, EINVAL, EROFS = const(16), const(22), const(30)
BIGGEST = const(65536)


def known(disk, fetch):
    """("littlefs" or "fat", size of a block, how many or 0) of what is on a disk, else None, 0, 0.

    `fetch(sector, count)` reads; the numbers are only believed if they can be.
    """
    unit = disk.block_size >> 9
    first = fetch(0, unit)
    found = littlefs(first)
    if found[0]:
        return ("littlefs",) + found  # noqa: RUF005 (MicroPython)
    if first[510:512] == b"\x55\xaa" and first[0] in (0xEB, 0xE9):
        # FAT specification: bytes and sectors per cluster, number of tables.
        size, cluster, tables = first[11] | first[12] << 8, first[13], first[16]
        good = size in (512, 1024, 2048, 4096) and 1 <= tables <= 2
        if good and cluster and not cluster & (cluster - 1):
            return "fat", size, 0
    size = max(512, disk.block_size)
    while size <= BIGGEST and size >> 8 < disk.sectors:
        # Both of the first two blocks have the superblock; the first may be half written.
        found = littlefs(fetch(size >> 9, unit))
        if found[0] == size:
            return ("littlefs",) + found  # noqa: RUF005 (MicroPython)
        size <<= 1
    return None, 0, 0


def littlefs(block):
    """Size and number of blocks, if this is a superblock of littlefs 2 (its SPEC.md), else 0, 0."""
    size = int.from_bytes(block[24:28], "little")
    if block[8:16] != b"littlefs" or not 128 <= size <= BIGGEST or size & (size - 1):
        return 0, 0
    return size, int.from_bytes(block[28:32], "little")


class Blocks:
    def __init__(self, disk, polling=False):
        self.disk = disk
        self.unit = disk.block_size
        self.status = 0
        self.waits = False
        self.ended = self.end  # bound once
        self.polling = True
        self.kind, self.size, self.count = known(disk, disk.fetch)
        self.polling = polling

    # What MicroPython calls.

    def readblocks(self, number, buffer, offset=0):
        return self.move(self.disk.read, number, buffer, offset)

    def writeblocks(self, number, buffer, offset=0):
        if self.disk.read_only:
            return -EROFS
        return self.move(self.disk.write, number, buffer, offset)

    def ioctl(self, op, argument):
        if op == SYNC:
            return self.wait(self.disk.flush) if self.disk.volatile else 0
        if op == COUNT:
            # The disk may have grown since littlefs was told its size.
            return self.count or self.disk.sectors // (self.block() >> 9)
        if op == SIZE:
            return self.block()
        if op == UNIT:
            if self.kind != "littlefs":
                self.size = max(LITTLEFS_BLOCK, self.unit)
            return self.unit
        return 0

    def block(self):
        return self.size or self.unit

    # How it waits.

    def move(self, request, number, buffer, offset):
        """Read or write; 0 or a negative errno."""
        unit = self.unit
        if (len(buffer) | offset) & (unit - 1) or not len(buffer):
            return self.part(request, number, buffer, offset)
        sector = number * (self.block() >> 9) + (offset >> 9)
        return self.wait(lambda done: request(sector, buffer, done))

    def part(self, request, number, buffer, offset):
        """What is not whole sectors, by way of those that it is in."""
        unit = self.unit
        start = offset & -unit
        whole = bytearray((offset - start + len(buffer) + unit - 1) & -unit)
        view = memoryview(whole)[offset - start :][: len(buffer)]
        error = self.move(self.disk.read, number, whole, start)
        if error or request == self.disk.read:
            buffer[:] = view
            return error
        view[:] = buffer
        return self.move(request, number, whole, start)

    def wait(self, request):
        if self.waits:
            return -EBUSY
        self.waits = True
        try:
            request(self.ended)
        except ValueError:
            self.end(EINVAL, None)
        except OSError as error:
            self.end(error.args[0], None)
        loop = running.current.loop
        interrupted = False
        while self.waits:
            if self.polling or interrupted or loop.stopped():
                self.disk.poll()
                continue
            try:
                loop.block(-1)
            except (SystemExit, KeyboardInterrupt):
                interrupted = True  # the buffer is the disk's until the end
        return -self.status

    def end(self, status, _):
        self.status = status
        self.waits = False
        running.current.loop.wake()
