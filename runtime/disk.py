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
    disk.sync(patience) -> bool             likewise: what is under way ends, then a flush
    disk.stop(patience) -> bool             the machine ends: sync, and the device lets go
    disk.on_change = f                      f() when the disk has another size

    disk.block_device(polling=False)        for file systems: runtime/blocks.py

Neighbours: drivers/virtio/blk.py, scsi.py below; blocks.py above.
"""

import metal
from micropython import const

EIO, ETIMEDOUT = const(5), const(110)
PATIENCE_MS = const(10000)  # of `fetch`: longer than a host retries


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

    def on_change(self):
        """Nobody asked to be told about the size."""

    def refuse(self, sector, length):
        """Say what is wrong with a request for `length` bytes at `sector`."""
        if length <= 0 or length % self.block_size or sector % (self.block_size >> 9):
            text = f"whole blocks of {self.block_size} bytes, not {length} at sector {sector}"
        else:
            text = f"sector {sector} and {length} bytes: there are {self.sectors} sectors"
        raise ValueError(f"{self.name}: {text}")

    def wait(self, request, patience):
        """Poll until `request(done)` is done; returns its status."""
        status = []
        try:
            request(lambda error, _: status.append(error))
        except OSError as error:
            return error.args[0]  # the device is gone
        end = metal.uptime_ms() + patience
        while not status:
            self.poll()
            if metal.uptime_ms() > end:
                return ETIMEDOUT
        return status[0]

    def fetch(self, sector, count):
        buffer = bytearray(count << 9)
        error = self.wait(lambda done: self.read(sector, buffer, done), PATIENCE_MS)
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
