"""Sectors of a virtio disk that are discarded or zeroed.

VIRTIO 1.2, section 5.2.6: a request has a list of spans as its data; here it has one:

     0                               8               12              16
     +-------------------------------+---------------+---------------+
     |            sector             |     count     |     flags     |
     +-------------------------------+---------------+---------------+

Law: a span is no longer than the device likes; what was asked for takes several requests, one after
the other, and ends with the first that fails.
Neighbours: blk.py.
"""

from micropython import const

# Of the configuration, 5.2.4: most sectors, most spans, alignment of discards; the same of zeroes.
CONFIG_DISCARD = const(36)
DISCARD = const(11)  # request types; zeroes: 13
EROFS, EOPNOTSUPP = const(30), const(95)


class Spans:
    def __init__(self, disk, kind, feature, sector, count, done):
        if disk.read_only:
            raise OSError(EROFS)
        if not disk.has(feature):
            raise OSError(EOPNOTSUPP)
        if count <= 0 or sector < 0 or sector + count > disk.sectors:
            disk.refuse(sector, count << 9)
        self.disk, self.kind, self.sector, self.count, self.done = disk, kind, sector, count, done
        most = disk.transport.read_config(CONFIG_DISCARD + (kind - DISCARD) * 6, 1, 4)[0]
        self.most = most & -(disk.block_size >> 9) or count
        self.go_on(0, b"")

    def go_on(self, status, _):
        if status or not self.count:
            self.done(status, b"")
            return
        some = min(self.count, self.most)
        span = self.sector.to_bytes(8, "little") + some.to_bytes(4, "little") + bytes(4)
        self.sector += some
        self.count -= some
        self.disk.begin(self.kind, 0, span, self.go_on)
