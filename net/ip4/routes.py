"""Routes: from a destination to the next hop, by longest prefix.  RFC 1122 section 3.3.1.

A row is 12 bytes, network order; longer prefixes stand before shorter ones, so the first that
matches is the longest.  A gateway of 0.0.0.0 means on-link: the destination is the next hop.

     0               4               8              12
     +---------------+---------------+---------------+
     |    prefix     |     mask      |    gateway    |
     +---------------+---------------+---------------+

Each interface has a table of its own (internet4.py says how they are one).
Left out: metrics and several routes to one prefix; a gateway need not be on a prefix of its own
(RFC 3442 gives such to hosts whose mask is 255.255.255.255), it is a neighbour by definition.
"""

import micropython
from micropython import const

from net.address import apply, mask, text
from net.address import length as length_of
from net.config import ROUTES

PREFIX = const(0)
MASK = const(4)
GATEWAY = const(8)
ROW = const(12)
ON_LINK = b"\x00\x00\x00\x00"

DESTINATION = const(32)
NEXT_HOP = const(48)


class Routes:
    def __init__(self):
        self.table = bytearray(ROUTES * ROW)
        self.count = 0
        self.changed = self.ignore  # slot ()

    def ignore(self):
        pass

    def clear(self):
        self.count = 0
        self.changed()

    def add(self, prefix, length, gateway=ON_LINK):
        """A route; the same prefix again replaces the gateway.  False: the table is full."""
        table = self.table
        row = apply(prefix, mask(length)) + mask(length)
        at = 0
        while at < self.count:
            start = at * ROW
            if table[start : start + GATEWAY] == row:
                table[start + GATEWAY : start + ROW] = gateway
                self.changed()
                return True
            if bytes(table[start + MASK : start + GATEWAY]) < mask(length):
                break
            at += 1
        if self.count == ROUTES:
            return False
        # The rows behind move one down.
        end = self.count * ROW
        table[at * ROW + ROW : end + ROW] = table[at * ROW : end]
        table[at * ROW : at * ROW + ROW] = row + gateway
        self.count += 1
        self.changed()
        return True

    def remove(self, prefix, length):
        """False: there is no such route."""
        table = self.table
        row = apply(prefix, mask(length)) + mask(length)
        for start in range(0, self.count * ROW, ROW):
            if table[start : start + GATEWAY] == row:
                end = self.count * ROW
                table[start : end - ROW] = table[start + ROW : end]
                self.count -= 1
                self.changed()
                return True
        return False

    def match(self, destination):
        """The length of the longest prefix that `destination` (4 bytes) has; -1: no route."""
        table = self.table
        for start in range(0, self.count * ROW, ROW):
            net = bytes(table[start + MASK : start + GATEWAY])
            if apply(destination, net) == table[start : start + MASK]:
                return length_of(net)
        return -1

    def items(self):
        """Pairs of "10.0.0.0/24" and gateway or "on-link", in the order they are tried."""
        rows = [bytes(self.table[i * ROW : i * ROW + ROW]) for i in range(self.count)]
        return [
            (
                text(row[:4]) + "/" + str(sum([bin(byte).count("1") for byte in row[4:8]])),
                "on-link" if row[8:] == ON_LINK else text(row[8:]),
            )
            for row in rows
        ]

    @micropython.viper
    def find(self, packet) -> bool:
        """Write NEXT_HOP for DESTINATION; False: there is no route."""
        head = ptr32(packet.buffer)
        destination = head[DESTINATION >> 2]
        table = ptr32(self.table)
        last = int(self.count) * 3
        row = 0
        while row < last:
            if destination & table[row + 1] == table[row]:
                hop = table[row + 2]
                head[NEXT_HOP >> 2] = hop if hop else destination
                return True
            row += 3
        return False
