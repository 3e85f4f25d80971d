"""Packets that wait for a neighbour to tell its address; both families.  RFC 1122 2.3.2.2.

In the order they came; whom for, their heads say (NEXT_HOP).  So many in all as config.py says, as
they are missing from the transmit pool: of too many, the neighbour that has most loses its oldest,
and a neighbour that has none displaces nobody who has one.
Above: arp, ip6/neighbours.
"""

from micropython import const

from net.config import WAITING

NEXT_HOP = const(48)


class Waiting:
    """`size`: bytes of an address; `count`: of the owner, who counts `superseded` and `crowded`."""

    def __init__(self, size, count, superseded, crowded):
        self.size = size
        self.count = count
        self.superseded = superseded
        self.crowded = crowded
        self.packets = []

    def hop(self, packet):
        return bytes(packet.buffer[NEXT_HOP : NEXT_HOP + self.size])

    def add(self, packet):
        packets = self.packets
        if len(packets) == WAITING:
            hop = self.hop(packet)
            hops = [self.hop(other) for other in packets]
            mine = hops.count(hop)
            most = max([hops.count(other) for other in hops])
            if mine < most - 1:
                victim = max(hops, key=hops.count)
            elif mine:
                victim = hop  # the latest is the one worth keeping
            else:
                self.count(self.crowded)
                packet.release()
                return
            self.count(self.superseded)
            packets.pop(hops.index(victim)).release()
        packets.append(packet)

    def take(self, hop):
        """Those for this neighbour, in order; they wait no more."""
        mine = [packet for packet in self.packets if self.hop(packet) == hop]
        if mine:
            self.packets = [packet for packet in self.packets if self.hop(packet) != hop]
        return mine

    def drop(self, hop, why):
        for packet in self.take(hop):
            self.count(why)
            packet.release()
