"""Disk: what every disk offers, whatever it is behind.

    disk.name, serial       "disk0"; what the host calls it
    disk.sectors            of 512 bytes each, whatever the disk's own blocks are
    disk.block_size         bytes: requests begin and end at a multiple of it
    disk.physical_size      what the disk itself writes at once: such requests are cheaper
    disk.read_only

    disk.read(sector, buffer, done)         fill the buffer from there
    disk.write(sector, buffer, done)
    disk.flush(done)                        what was written before is on stable storage
    disk.discard(sector, count, done)       nobody needs these sectors' content any more
    disk.write_zeroes(sector, count, done)

These return at once, and later the loop calls done(status, buffer): status 0, or the errno of what
went wrong.  Many may be under way, in any order: who wants an order waits for `done`.  The buffer,
any object with one, belongs to the disk until then.  A request that cannot be right (outside of
the disk, not whole blocks, writing where that is not possible) raises at once.

    disk.fetch(sector, count) -> bytes      for set-up: waits by polling; OSError
    rouse(disks)                            before that: ask all at once, as silent ones are not
                                            waited for twice
    disk.sync(patience) -> bool             likewise: what is under way ends, then a flush
    disk.stop(patience) -> bool             the machine ends: sync, and the device lets go
    disk.on_change = f                      f() when the disk has another size

    disk.block_device(polling=False)        for file systems: runtime/blocks.py

Law: who polls lets nobody else run, so all who do between two turns of the loop have TOGETHER_MS,
less than a watchdog has; a disk that owes the answer to one such question is not asked another.
Neighbours: drivers/virtio/blk.py, scsi.py below; blocks.py above.
"""

import metal
from micropython import const

from runtime import machine as running

EIO, ETIMEDOUT = const(5), const(110)
PATIENCE_MS = const(10000)  # longer than a host retries
TOGETHER_MS = const(20000)
LEAST_MS = const(100)  # for who comes later

_over = 0  # when these end; 0: nobody has polled since the last turn


def patience():
    """For how long one may poll now."""
    global _over
    now = metal.uptime_ms()
    if not _over:
        _over = now + TOGETHER_MS
        running.current.loop.soon(_turned)
    return max(min(PATIENCE_MS, _over - now), LEAST_MS)


def _turned():
    global _over
    _over = 0


def rouse(disks):
    """Find out which of them answer, in the time of the slowest."""
    asked = [disk for disk in disks if disk.sectors and not disk.ask(disk.first)]
    end = metal.uptime_ms() + patience() if asked else 0
    while asked and metal.uptime_ms() <= end:
        for disk in asked:
            disk.poll()
        asked = [disk for disk in asked if not disk.status]
    for disk in asked:
        running.current.log.error("%s: no answer", disk.name)


class Disk:
    """A driver adds the requests, `stop`, and
    poll()      look once at what the device has answered
    busy()      how many requests are under way
    begin(kind, sector, buffer, done), longest      what Pieces needs
    """

    name = ""
    serial = ""
    sectors = 0
    block_size = physical_size = 512
    read_only = False
    volatile = True  # has a cache that a flush empties
    status = (0,)  # of what was waited for last; empty: it has not been answered yet
    patience = staticmethod(patience)

    def on_change(self):
        """Nobody asked to be told about the size."""

    def refuse(self, sector, length):
        """Say what is wrong with a request for `length` bytes at `sector`."""
        if length <= 0 or length % self.block_size or sector % (self.block_size >> 9):
            text = f"whole blocks of {self.block_size} bytes, not {length} at sector {sector}"
        else:
            text = f"sector {sector} and {length} bytes: there are {self.sectors} sectors"
        raise ValueError(f"{self.name}: {text}")

    def ask(self, request):
        """Call `request(done)`, whose status will be in `self.status`; else return an errno."""
        if not self.status:
            return ETIMEDOUT  # it still owes another
        status = []
        try:
            request(lambda error, _: status.append(error))
        except OSError as error:
            return error.args[0]  # the device is gone
        self.status = status
        return 0

    def wait(self, request, patience):
        """Poll until `request(done)` is done; returns its status."""
        error = self.ask(request)
        status = self.status
        end = metal.uptime_ms() + patience
        while not (error or status):
            self.poll()
            if metal.uptime_ms() > end:
                return ETIMEDOUT
        return error or status[0]

    def first(self, done):
        self.read(0, bytearray(self.block_size), done)

    def fetch(self, sector, count):
        buffer = bytearray(count << 9)
        error = self.wait(lambda done: self.read(sector, buffer, done), patience())
        if error:
            raise OSError(error)
        return bytes(buffer)

    def block_device(self, polling=False):
        return __import__("runtime.blocks", None, None, ("*",)).Blocks(self, polling)

    def sync(self, patience):
        end = metal.uptime_ms() + patience
        while self.busy():
            self.poll()
            if metal.uptime_ms() > end:
                return False
        return not self.volatile or self.wait(self.flush, end - metal.uptime_ms()) == 0


class Pieces:
    """A request longer than the device takes at once, piece after piece."""

    def __init__(self, disk, kind, sector, buffer, done):
        self.disk, self.kind, self.sector, self.buffer, self.done = disk, kind, sector, buffer, done
        self.at = 0
        self.go_on(0, None)

    def go_on(self, status, _):
        disk, at = self.disk, self.at
        if status or at == len(self.buffer):
            self.done(status, self.buffer)
            return
        piece = memoryview(self.buffer)[at : at + disk.longest]
        self.at = at + len(piece)
        try:
            disk.begin(self.kind, self.sector + (at >> 9), piece, self.go_on)
        except (OSError, ValueError):
            # Later than the first piece: the disk has shrunk, or is gone.
            if not at:
                raise
            self.done(EIO, self.buffer)
