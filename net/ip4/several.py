"""Several4: from the second interface on, a datagram leaves by the one that has its source.

The strong model of net/ip4/internet.py, for every packet; in images in which somebody calls
`attach` (tools/image/closure.py, PARTS).
Above: what Internet4 gives to transports.  Below: ip4, fragments and icmp of each interface.
"""

import micropython
from micropython import const

from net.config import INTERFACES
from runtime.counters import Counters

DROPS = ("source", "no_route")
_SOURCE = const(0)
_NO_ROUTE = const(1)

# State behind the counters: how many interfaces, their addresses.
_COUNT = const(8)
_ADDRESSES = const(12)

SOURCE = const(16)
INSIDE = const(127)
NOWHERE = b"\x00\x00\x00\x00"


class Several4:
    def __init__(self, internet):
        self.internet = internet
        self.state = bytearray(_ADDRESSES + 4 * INTERFACES)
        registry = internet.stack.registry
        self.count = registry.add(Counters("ip4", (), DROPS, self.state)).count

    def rewire(self):
        """There is one more interface."""
        internet = self.internet
        self.senders = [interface.ip4.send for interface in internet.interfaces]
        internet.output = self.send
        internet.send_long = self.send_long
        internet.refuse = self.refuse
        internet.readdressed()

    def readdressed(self):
        state = self.state
        state[_COUNT] = len(self.internet.interfaces)
        at = _ADDRESSES
        for interface in self.internet.interfaces:
            state[at : at + 4] = interface.address or NOWHERE
            at += 4

    @micropython.viper
    def send(self, packet):
        """By the interface whose address is the source."""
        source = ptr32(packet.buffer)[SOURCE >> 2]
        state = ptr32(self.state)
        i = 0
        while i < state[_COUNT >> 2]:
            if state[(_ADDRESSES >> 2) + i] == source and source != 0:
                self.senders[i](packet)
                return
            i += 1
        self.drop(packet)

    def drop(self, packet):
        # No source: none was found for this destination.
        source = packet.buffer[SOURCE : SOURCE + 4]
        if source[0] == INSIDE:
            self.internet.interfaces[0].ip4.send(packet)
            return
        self.count(_NO_ROUTE if source == NOWHERE else _SOURCE)
        packet.release()

    def send_long(self, protocol, source, destination, buffer, start, end, mark=0):
        internet = self.internet
        interface = internet.interfaces[0] if source[0] == INSIDE else internet.owner(source)
        if not interface:
            self.count(_NO_ROUTE if source == NOWHERE else _SOURCE)
            return False
        send = interface.fragmentation.send
        return send(protocol, source, destination, buffer, start, end, mark)

    def refuse(self, packet):
        interface = self.internet.owner(packet.destination)
        if interface:
            interface.icmp.port_unreachable(packet)
