"""Fragments of IPv4 datagrams, made and put together.  RFC 791 section 3.2; RFC 6864.

How an IPv4 header speaks of fragments; the rest is in net/fragmentation.py and net/reassembly.py.
Pieces share the identification of the first, which ip4.send gives them.
"""

from micropython import const

from net.checksum import partial
from net.fragmentation import Fragmentation
from net.reassembly import Reassembly

LENGTH = const(2)
IDENTIFICATION = const(4)
FLAGS_OFFSET = const(6)
PROTO = const(9)
CHECKSUM = const(10)
FROM = const(12)
TO = const(16)
SIZE = const(20)
MORE_FRAGMENTS = const(0x20)
OFFSET = const(0x1F)

TRANSPORT = const(4)
FRAGMENT = const(14)
SOURCE = const(16)
DESTINATION = const(32)
DATAGRAM = const(96)
DATA = const(116)  # behind a header without options


class Fragmentation4(Fragmentation):
    name = "fragmentation"
    flags = 0
    size = 4
    header = SIZE
    space = 0

    def begin(self, protocol):
        pass

    def mark(self, buffer, offset, more):
        buffer[FRAGMENT] = offset >> 11 | (MORE_FRAGMENTS if more else 0)
        buffer[FRAGMENT + 1] = offset >> 3 & 0xFF


class Reassembly4(Reassembly):
    name = "reassembly"
    data = DATA

    def receive(self, packet):
        """A fragment; its header has been checked by ip4."""
        buffer = packet.buffer
        flags = buffer[DATAGRAM + FLAGS_OFFSET]
        start = ((flags & OFFSET) << 8 | buffer[DATAGRAM + FLAGS_OFFSET + 1]) << 3
        # RFC 791: source, destination, identification and protocol tell datagrams apart.
        key = (
            bytes(buffer[DATAGRAM + FROM : DATAGRAM + TO + 4])
            + bytes(buffer[DATAGRAM + IDENTIFICATION : DATAGRAM + IDENTIFICATION + 2])
            + bytes(buffer[DATAGRAM + PROTO : DATAGRAM + PROTO + 1])
        )
        transport = buffer[TRANSPORT] | buffer[TRANSPORT + 1] << 8
        self.add(packet, key, transport, start, flags & MORE_FRAGMENTS)

    def lead(self, datagram, packet):
        """The header of the first fragment is the datagram's (RFC 791), without its options."""
        data = datagram.packet.buffer
        data[DATAGRAM:DATA] = packet.buffer[DATAGRAM:DATA]
        data[DATAGRAM] = 0x45

    def whole(self, datagram, end):
        data = datagram.packet.buffer
        length = end - DATAGRAM
        data[DATAGRAM + LENGTH] = length >> 8
        data[DATAGRAM + LENGTH + 1] = length & 0xFF
        data[DATAGRAM + FLAGS_OFFSET] = 0
        data[DATAGRAM + FLAGS_OFFSET + 1] = 0
        data[DATAGRAM + CHECKSUM] = 0
        data[DATAGRAM + CHECKSUM + 1] = 0
        total = partial(data, DATAGRAM, DATA, 0) ^ 0xFFFF
        data[DATAGRAM + CHECKSUM] = total & 0xFF
        data[DATAGRAM + CHECKSUM + 1] = total >> 8

    def first(self, buffer):
        buffer[SOURCE : SOURCE + 4] = buffer[DATAGRAM + FROM : DATAGRAM + TO]
        buffer[DESTINATION : DESTINATION + 4] = buffer[DATAGRAM + TO : DATAGRAM + SIZE]
