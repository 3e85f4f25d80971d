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
        self.hops = []  # whom each of them is for

    def hop(self, packet):
        return bytes(packet.buffer[NEXT_HOP : NEXT_HOP + self.size])

    def add(self, packet):
        packets = self.packets
        hops = self.hops
        hop = self.hop(packet)
        if len(packets) == WAITING:
            victim = hop  # the latest is the one worth keeping
            mine = hops.count(hop)
            if 2 * mine < WAITING:  # perhaps it is another who has most
                most = max(hops, key=hops.count)
                if mine < hops.count(most) - 1:
                    victim = most
                elif mine == 0:
                    self.count(self.crowded)
                    packet.release()
                    return
            self.count(self.superseded)
            at = hops.index(victim)
            hops.pop(at)
            packets.pop(at).release()
        packets.append(packet)
        hops.append(hop)

    def take(self, hop):
        """Those for this neighbour, in order; they wait no more."""
        hops = self.hops
        mine = [packet for i, packet in enumerate(self.packets) if hops[i] == hop]
        self.packets = [packet for i, packet in enumerate(self.packets) if hops[i] != hop]
        self.hops = [other for other in hops if other != hop]
        return mine

    def drop(self, hop, why):
        for packet in self.take(hop):
            self.count(why)
            packet.release()
