"""Paths: where the frames to a destination go, found once and kept.

A table of rows, indexed by a hash of the destination; header.send looks there first.

     0               16                      30      32              48
     +---------------+-----------------------+-------+---------------+
     |  destination  |      link header      |  mtu  |   next hop    |
     +---------------+-----------------------+-------+---------------+

RFC 4861 section 5.2 (the next hop, then its neighbour); RFC 8201 (path MTU: no message makes it
smaller than 1280 bytes, and none makes it grow).

Above: header.send.  Sideways: `next_hop` (routes), `resolve` (neighbours), `fragment`, `loop`.
"""

import micropython
from micropython import const

SMALLEST_MTU = const(1280)
NOWHERE = bytes(16)

# Of the state of header.py.
_FRAGMENTED = const(0)
_PATHS = const(1)
_TOO_BIG = const(8)
_NO_ROUTE = const(9)
_LOOPBACK = const(10)
_PATH_MTU = const(11)
_LAST = const(64)
_TABLE = const(720)
_ROW = const(48)
_LINK_HEADER = const(16)
_MTU = const(30)
_HOP = const(32)

# The packet's head (see packet.py).
DESTINATION = const(32)
NEXT_HOP = const(48)
MSS = const(68)
OUT_FRAME6 = const(146)


class Paths:
    """What Ip6 does when a destination is not in the table."""

    def find_path(self, packet, row, length):
        """The destination is not in the table, or the packet does not fit its path."""
        buffer = packet.buffer
        destination = self.wanted
        special = self.look(packet, destination)
        if destination[0] == 0xFF:
            hop = destination
        elif special or self.is_local(destination):
            self.loop(packet)
            return
        else:
            hop = self.next_hop(destination)
            if hop is None:
                self.count(_NO_ROUTE)
                packet.release()
                return
        buffer[NEXT_HOP : NEXT_HOP + 16] = hop
        mtu = self.path_mtu(destination)
        if length > mtu and not (buffer[MSS] or buffer[MSS + 1]):
            self.count(_FRAGMENTED)
            self.fragment(packet, mtu)
            return
        if not self.resolve(packet):
            return
        self.count(_PATHS)
        self.keep_path(packet, row, mtu)
        self.transmit(packet)

    @micropython.viper
    def look(self, packet, wanted) -> bool:
        """Copy the destination to `wanted`; is it within ::/96, where nobody is to be sent to?"""
        words = ptr32(packet.buffer)
        to = ptr32(wanted)
        i = 0
        while i < 4:
            to[i] = words[(DESTINATION >> 2) + i]
            i += 1
        return to[0] | to[1] | to[2] == 0

    @micropython.viper
    def keep_path(self, packet, row: int, mtu: int):
        head = ptr16(packet.buffer)
        words = ptr32(head)
        state = ptr16(self.state)
        table = ptr32(state)
        i = 0
        while i < 4:
            table[(row >> 2) + i] = words[(DESTINATION >> 2) + i]
            table[((row + _HOP) >> 2) + i] = words[(NEXT_HOP >> 2) + i]
            i += 1
        i = 0
        while i < 7:
            state[((row + _LINK_HEADER) >> 1) + i] = head[(OUT_FRAME6 >> 1) + i]
            i += 1
        state[(row + _MTU) >> 1] = mtu

    def no_loop(self, packet):
        self.count(_LOOPBACK)
        packet.release()

    def too_big(self, packet, mtu):
        self.count(_TOO_BIG)
        packet.release()

    @micropython.viper
    def forget(self, hop):
        """Paths through this neighbour are to be found anew; `::`: all of them."""
        wanted = ptr32(hop)
        state = self.state
        table = ptr32(state)
        h0 = wanted[0]
        h1 = wanted[1]
        h2 = wanted[2]
        h3 = wanted[3]
        every = h0 | h1 | h2 | h3
        at = _TABLE >> 2
        last = at + (int(ptr16(state)[_LAST >> 1]) + 1) * (_ROW >> 2)
        while at < last:
            i = at + (_HOP >> 2)
            if every == 0 or (
                table[i] == h0 and table[i + 1] == h1 and table[i + 2] == h2 and table[i + 3] == h3
            ):
                table[at] = 0
                table[at + 1] = 0
                table[at + 2] = 0
                table[at + 3] = 0
            at += _ROW >> 2

    # Path MTU, RFC 8201.

    def path_mtu(self, destination):
        return self.path_mtus.of(destination, self.mtu)

    def packet_too_big(self, destination, mtu):
        """A router says what fits."""
        if mtu < SMALLEST_MTU:
            # RFC 8201 section 4: it must be discarded.
            self.count(_PATH_MTU)
            return
        if mtu < self.path_mtu(destination):
            self.path_mtus.learn(destination, mtu)
            self.forget(NOWHERE)
            self.path_mtu_changed(destination)
