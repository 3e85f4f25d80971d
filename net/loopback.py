"""Loopback: what is sent to ourselves comes back up, a turn of the loop later.

RFC 1122 section 3.2.1.3 (g), RFC 4291 section 2.5.3: 127.0.0.0/8, ::1, and each of our addresses.

    loopback.use(inet)        from now on; without it such packets are counted and dropped

The packet is copied to a buffer for reception, of which there are as many as LOOPED says, and
handed to the transport as if a device had verified its checksum: it has never left our memory.
Above: udp, tcp, icmp.  Below: find_path of ip4 and ip6, which have the slot `loop`.
Left out: groups and broadcasts do not come back.
"""

from micropython import const

from net.checksum import partial
from net.config import LOOPED
from net.packet import (
    CHECKED,
    DATAGRAM,
    DESTINATION,
    END,
    FLAGS,
    IP6,
    OUT_DATAGRAM,
    OUT_DATAGRAM6,
    OUT_SEGMENT,
    PROTOCOL,
    PSEUDO,
    SIZE,
    SOURCE,
    TRANSPORT,
    Packet,
)
from runtime.counters import Counters

COUNTS = ("looped",)
DROPS = ("full", "protocol")
_LOOPED = const(0)
_FULL = const(1)
_PROTOCOL = const(2)

INSIDE = const(127)  # first byte of the addresses inside a host
INSIDE6 = bytes(15) + b"\x01"
ICMP = const(1)
TCP = const(6)
UDP = const(17)
ICMP6 = const(58)


def use(inet):
    """Let packets to ourselves arrive; again does nothing."""
    if not inet.loopback:
        inet.loopback = Loopback(inet)
        inet.rewire()


class Loopback:
    def __init__(self, stack):
        self.stack = stack
        self.soon = stack.machine.loop.soon
        self.count = stack.registry.add(Counters("loopback", COUNTS, DROPS)).count
        self.waiting = []  # packets to be received in the next turn
        self.spare = []  # packets to receive with, free

    def wire(self):
        """Be in the slots of all interfaces."""
        for family in self.stack.families:
            for interface in family.interfaces:
                if family.size == 4:
                    interface.ip4.loop = self.take
                else:
                    interface.ip6.loop = self.take
                    interface.icmp6.is_local = self.stack.is_local  # ::1, too
                interface.fragmentation.whole = self.take_long

    def is_inside(self, address):
        """Is it an address that never leaves a host?"""
        return address[0] == INSIDE if len(address) == 4 else address == INSIDE6

    # From above.

    def take(self, packet):
        """A packet to ourselves; it has all of its headers."""
        if len(self.waiting) < LOOPED:
            self.wait(self.copy(packet))
        else:
            self.count(_FULL)
        packet.release()

    def wait(self, lent):
        self.waiting.append(lent)
        if len(self.waiting) == 1:
            self.soon(self.turn)

    def take_long(self, protocol, source, destination, buffer, start, end):
        """A datagram that would leave in fragments.  False: it is not for us."""
        if not self.stack.is_local(destination):
            return False
        if len(self.waiting) >= LOOPED:
            self.count(_FULL)
            return True
        lent = self.room(DATAGRAM + 40 + end - start)
        flags = 0 if len(destination) == 4 else IP6
        transport = DATAGRAM + (40 if flags else 20)
        lent.buffer[DATAGRAM:transport] = bytes(transport - DATAGRAM)
        lent.buffer[transport : transport + end - start] = buffer[start:end]
        self.label(lent, protocol, source, destination, flags, transport + end - start)
        self.wait(lent)
        return True

    # And up again.

    def turn(self):
        packets, self.waiting = self.waiting, []
        for lent in packets:
            self.rise(lent)

    def copy(self, packet):
        buffer = packet.buffer
        flags = buffer[FLAGS] & IP6
        size = 16 if flags else 4
        start = OUT_DATAGRAM6 if flags else OUT_DATAGRAM
        data = packet.gather(start)
        lent = self.room(DATAGRAM + len(data))
        lent.buffer[DATAGRAM : DATAGRAM + len(data)] = data
        source = bytes(buffer[SOURCE : SOURCE + size])
        destination = bytes(buffer[DESTINATION : DESTINATION + size])
        end = DATAGRAM + len(data)
        self.label(lent, buffer[PROTOCOL], source, destination, flags, end)
        return lent

    def room(self, size):
        """A packet to receive so many bytes with, head included."""
        if self.spare and size <= SIZE:
            return self.spare.pop()
        return Packet(None, 0, memoryview(bytearray(max(size, SIZE))), 0)

    def label(self, lent, protocol, source, destination, flags, end):
        """Write the head, as the network layer does for what it receives."""
        buffer = lent.buffer
        size = len(destination)
        buffer[SOURCE : SOURCE + size] = source
        buffer[DESTINATION : DESTINATION + size] = destination
        buffer[PROTOCOL] = protocol
        buffer[FLAGS] = flags | CHECKED
        buffer[TRANSPORT] = DATAGRAM + OUT_SEGMENT - (OUT_DATAGRAM6 if flags else OUT_DATAGRAM)
        total = partial(source + destination + bytes([0, protocol]), 0, 2 * size + 2, 0)
        for offset, value in ((END, end), (PSEUDO, total)):
            buffer[offset] = value & 0xFF
            buffer[offset + 1] = value >> 8

    def rise(self, lent):
        buffer = lent.buffer
        interface = self.owner(lent.destination)
        protocol = buffer[PROTOCOL]
        layer = interface.ip6 if buffer[FLAGS] & IP6 else interface.ip4
        self.count(_LOOPED)
        if protocol == UDP:
            layer.udp(lent)
        elif protocol == TCP:
            layer.tcp(lent)
        elif protocol == ICMP:
            layer.icmp(lent)
        elif protocol == ICMP6:
            layer.icmp6(lent)
        else:
            self.count(_PROTOCOL)
        if len(buffer) == SIZE and len(self.spare) < LOOPED:
            self.spare.append(lent)

    def owner(self, address):
        family = self.stack.family_of(address)
        return family.owner(address) or family.interfaces[0]
