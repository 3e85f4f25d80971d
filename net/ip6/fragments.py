"""Fragments of IPv6 datagrams, made and put together.  RFC 8200 section 4.5; RFC 7739.

     0       1       2               4               6               8
     +-------+-------+---------------+---------------+---------------+
     | next  |       |    offset     |        identification         |
     +-------+-------+---------------+---------------+---------------+

How a fragment header speaks; the rest is in net/fragmentation.py and net/reassembly.py.  What came
in front of the fragment header was processed and is not kept: the whole has a plain IPv6 header.
Identifications are random, so that nobody can guess the next (RFC 7739 section 5.1).
"""

from micropython import const

from net.fragmentation import Fragmentation
from net.reassembly import Reassembly

NEXT = const(0)
OFFSET = const(2)
IDENTIFICATION = const(4)
SIZE = const(8)
MORE_FRAGMENTS = const(1)
FRAGMENT_HEADER = const(44)

# Of the IPv6 header.
IP_LENGTH = const(4)
IP_NEXT = const(6)
IP_SIZE = const(40)
BAD_FIELD = const(0)
LONGEST = const(65535)

PROTOCOL = const(12)
SOURCE = const(16)
DATAGRAM = const(96)
DATA = const(136)
OUT_SEGMENT = const(200)
IP6 = const(0x20)


class Fragmentation6(Fragmentation):
    name = "fragmentation6"
    flags = IP6
    size = 16
    header = IP_SIZE + SIZE
    space = SIZE

    def __init__(self, random, registry):
        Fragmentation.__init__(self, registry)
        self.random = random
        self.start = b""

    def begin(self, protocol):
        number = self.random.bits(16), self.random.bits(16)
        self.start = bytes([protocol, 0])
        self.end = bytes([number[0] >> 8, number[0] & 0xFF, number[1] >> 8, number[1] & 0xFF])

    def mark(self, buffer, offset, more):
        place = bytes([offset >> 8, offset & 0xF8 | (MORE_FRAGMENTS if more else 0)])
        buffer[OUT_SEGMENT : OUT_SEGMENT + SIZE] = self.start + place + self.end
        buffer[PROTOCOL] = FRAGMENT_HEADER


class Reassembly6(Reassembly):
    name = "reassembly6"
    data = DATA

    def __init__(self, timers, registry):
        Reassembly.__init__(self, timers, registry)
        # Slot: problem(packet, code, pointer).
        self.problem = None

    def receive(self, packet, at):
        """A fragment whose fragment header is at `at`."""
        buffer = packet.buffer
        more = buffer[at + 3] & MORE_FRAGMENTS
        start = buffer[at + 2] << 8 | buffer[at + 3] & 0xF8
        length = packet.end - at - SIZE
        if more and length & 7:
            self.problem(packet, BAD_FIELD, IP_LENGTH)
        elif start + length > LONGEST:
            self.problem(packet, BAD_FIELD, at + OFFSET - DATAGRAM)
        # RFC 8200: source, destination and identification; the next header is the first one's.
        key = bytes(buffer[SOURCE : SOURCE + 32]) + bytes(
            buffer[at + IDENTIFICATION : at + IDENTIFICATION + 4]
        )
        self.next = buffer[at]
        self.add(packet, key, at + SIZE, start, more)

    def lead(self, datagram, packet):
        data = datagram.packet.buffer
        data[DATAGRAM:DATA] = packet.buffer[DATAGRAM:DATA]
        data[DATAGRAM + IP_NEXT] = self.next

    def whole(self, datagram, end):
        data = datagram.packet.buffer
        length = end - DATA
        data[DATAGRAM + IP_LENGTH] = length >> 8
        data[DATAGRAM + IP_LENGTH + 1] = length & 0xFF

    def first(self, buffer):
        buffer[SOURCE : SOURCE + 32] = buffer[DATAGRAM + 8 : DATAGRAM + IP_SIZE]
        buffer[PROTOCOL] = buffer[DATAGRAM + IP_NEXT]
