"""A disk as MicroPython's file systems want it: numbered blocks that are read and written at once.

    vfs.VfsLfs2.mkfs(machine.disks[0].block_device())
    vfs.mount(machine.disks[0].block_device(), "/data")

MicroPython, "Simple and extended interface" of block devices: readblocks, writeblocks, ioctl.
Errors are negative errnos; an exception would be one, too (patches/95-files-survive.patch).

Who waits for the disk waits in loop.block, so timers, drivers and other callbacks go on; who uses
files in one of those while another file operation waits gets OSError(EBUSY) from the file system
(port/micropython/files.c).  `polling=True` waits without letting anybody else run.  A machine that
is being stopped finishes what it has begun, by polling.

Law: a block has the size that the file system on the disk was made with; on an empty disk a sector
for FAT, 4,096 bytes for littlefs, which asks first (ioctl 7).  littlefs reads and writes whole
sectors, so that nothing that was written is ever written again in passing.
Law: nobody waits for ever: after LIMIT_MS (polling: Disk.patience) it is ETIMEDOUT, and until the
disk has answered after all, everything else is, at once.  The device may still write to the memory
of such a request, so that is ours (`bounce`), never the file system's, which goes on using its own.
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
ENOMEM, EBUSY, EINVAL, EROFS = const(12), const(16), const(22), const(30)
ETIMEDOUT = const(110)
BIGGEST = const(65536)
MOST = const(32768)  # of one request
LIMIT_MS = const(20000)
LAST_MS = const(3000)  # at the end of the machine
MOST_BLOCKS = const(0x7FFFFFFF)


def known(disk, fetch):
    """("littlefs" or "fat", size of a block, how many or 0) of what is on a disk, else None, 0, 0.

    `fetch(sector, count)` reads; the numbers are only believed if they can be.
    """
    unit = disk.block_size >> 9
    first = fetch(0, unit)
    found = littlefs(first)
    size = max(512, disk.block_size)
    if not found[0]:
        kind = fat(disk, fetch, first)
        if kind[0]:
            return kind
    while not found[0] and size <= BIGGEST and size >> 8 < disk.sectors:
        # Both of the first two blocks have the superblock; the first may be half written.
        other = littlefs(fetch(size >> 9, unit))
        if other[0] == size:
            found = other
        size <<= 1
    size, count = found
    if size and size >= disk.block_size and count * (size >> 9) <= disk.sectors:
        return "littlefs", size, count
    return None, 0, 0


def fat(disk, fetch, first):
    """The same of a FAT that has the whole disk, or one of its first four partitions."""
    unit = disk.block_size >> 9
    if first[510:512] != b"\x55\xaa":
        return None, 0, 0
    size = sector_of_fat(first)
    for at in range(446, 510, 16):
        start = int.from_bytes(first[at + 8 : at + 12], "little") * unit
        if not size and first[at + 4] and 0 < start < disk.sectors:
            size = sector_of_fat(fetch(start, unit))
    return "fat" if size else None, size, 0


def sector_of_fat(block):
    """Bytes of a sector, 0: it does not begin a FAT (its specification, 3.1)."""
    size, cluster, tables = block[11] | block[12] << 8, block[13], block[16]
    if size not in (512, 1024, 2048, 4096) or block[0] not in (0xEB, 0xE9) or not 1 <= tables <= 2:
        return 0
    return size if cluster and not cluster & (cluster - 1) else 0


def stranger(first):
    """What the first block of a disk is of, if there is nothing for us."""
    name = first[3:11].rstrip()
    if name in (b"EXFAT", b"NTFS"):
        return str(name, "ascii")
    if first[8:16] == b"littlefs":
        return "littlefs that needs a larger disk, or one with smaller blocks"
    if first[510:512] != b"\x55\xaa":
        return "no file system that is known here"
    if first[450] == 0xEE:
        return "a partition table (GPT), which is not read"
    return "a partition table without a FAT"


def littlefs(block):
    """Size and number of blocks, if this is a superblock of littlefs 2 (its SPEC.md), else 0, 0."""
    size = int.from_bytes(block[24:28], "little")
    if block[8:16] != b"littlefs" or not 128 <= size <= BIGGEST or size & (size - 1):
        return 0, 0
    return size, int.from_bytes(block[28:32], "little")


class Blocks:
    limit = LIMIT_MS

    def __init__(self, disk, polling=False):
        self.disk = disk
        self.unit = disk.block_size
        self.bounce = b""
        self.status = 0
        self.waits = False
        self.late = False
        self.ended = self.end  # bound once
        self.polling = polling
        self.kind, self.size, self.count = known(disk, disk.fetch)

    # What MicroPython calls.

    def readblocks(self, number, buffer, offset=0):
        return self.move(False, number, buffer, offset)

    def writeblocks(self, number, buffer, offset=0):
        if self.disk.read_only:
            return -EROFS
        return self.move(True, number, buffer, offset)

    def ioctl(self, op, argument):
        if op == SYNC:
            return self.wait(self.disk.flush) if self.disk.volatile else 0
        if op == COUNT:
            # The disk may have grown since littlefs was told its size.
            return self.count or min(self.disk.sectors // (self.block() >> 9), MOST_BLOCKS)
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

    def move(self, write, number, buffer, offset):
        """Read or write, by way of the sectors that it is in; 0 or a negative errno."""
        length = len(buffer)
        if length > MOST:
            view = memoryview(buffer)
            for at in range(0, length, MOST):
                error = self.move(write, number, view[at : at + MOST], offset + at)
                if error:
                    break
            return error
        if self.waits:
            return self.refusal()
        disk, unit = self.disk, self.unit
        sector = number * (self.block() >> 9) + (offset >> 9)
        ahead = sector & (unit >> 9) - 1
        sector -= ahead
        start = (offset & 511) + (ahead << 9)
        size = (start + length + unit - 1) & -unit
        if len(self.bounce) < size:
            self.bounce = bytearray(size)
        whole = memoryview(self.bounce)[:size]
        part = whole[start : start + length]
        if not write or size != length:
            error = self.wait(disk.read, sector, whole)
            if error:
                return error
        if write:
            part[:] = buffer
            return self.wait(disk.write, sector, whole)
        buffer[:] = part
        return 0

    def refusal(self):
        return -ETIMEDOUT if self.late else -EBUSY

    def wait(self, request, *where):
        """0 or a negative errno."""
        if self.waits:
            return self.refusal()
        self.waits = True
        try:
            request(*where, self.ended)
        except ValueError:
            self.end(EINVAL, None)
        except MemoryError:
            self.end(ENOMEM, None)
        except OSError as error:
            self.end(error.args[0], None)
        machine = running.current
        loop, now = machine.loop, machine.uptime_ms
        polls = self.polling
        over = now() + (self.disk.patience() if polls else self.limit)
        while self.waits:
            left = over - now()
            if left <= 0:
                self.late = True
                machine.log.error("%s: no answer: files fail until there is one", self.disk.name)
                return -ETIMEDOUT
            if polls:
                self.disk.poll()
                continue
            try:
                if not loop.stopped():
                    loop.block(left)
                    continue
            except (SystemExit, KeyboardInterrupt):
                pass
            polls = True
            over = now() + min(left, LAST_MS)
        return -self.status

    def end(self, status, _):
        self.status = status
        self.waits = False
        machine = running.current
        if self.late:
            self.late = False
            machine.log.info("%s: it answers again", self.disk.name)
        machine.loop.wake()
