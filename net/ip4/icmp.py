"""ICMPv4: answer echoes, and tell senders why their packet died.

     0               2               4               6               8
     +-------+-------+---------------+---------------+---------------+
     | type  | code  |   checksum    |  identifier   |   sequence    |
     +-------+-------+---------------+---------------+---------------+

RFC 792; RFC 1122 section 3.2.2 (when not to answer); RFC 1191 (the MTU in "fragmentation needed" is
where an echo has its sequence number); RFC 1812 4.3.2.8 (errors are limited in rate); RFC 6633
(source quench is dead).
Above: whoever asked to be told (`told`, by protocol); ip4 of path MTUs.  Below: ip4.send.
Left out: redirects are ignored, timestamps and masks never answered, broadcast echoes neither.
"""

import micropython
from micropython import const

from net.bucket import Bucket
from net.checksum import changed
from net.config import ICMP_ERRORS_BURST, ICMP_ERRORS_PER_SECOND
from runtime.counters import Counters

TYPE = const(0)
CODE = const(1)
CHECKSUM = const(2)
IDENTIFIER = const(4)
SEQUENCE = const(6)
SIZE = const(8)

ECHO_REPLY = const(0)
UNREACHABLE = const(3)
ECHO = const(8)
TIME_EXCEEDED = const(11)
PARAMETER_PROBLEM = const(12)

# Codes of UNREACHABLE and TIME_EXCEEDED.
PROTOCOL_UNREACHABLE = const(2)
PORT_UNREACHABLE = const(3)
FRAGMENTATION_NEEDED = const(4)
REASSEMBLY = const(1)

ICMP = const(1)
INSIDE = const(127)
IP_SIZE = const(20)
IP_LENGTH = const(2)
IP_OFFSET = const(6)
IP_PROTOCOL = const(9)
IP_FROM = const(12)
IP_TO = const(16)
QUOTED = const(548)  # the original datagram in an error: 576 bytes in all (RFC 1812 4.3.2.3)

COUNTS = ("echoes", "errors_sent", "errors_received")
DROPS = (
    "short",
    "checksum",
    "type",
    "broadcast",
    "quote",
    "no_buffer",
    "unasked",
    "unanswered",
    "limited",
)
_ECHOES = const(0)
_ERRORS_SENT = const(1)
_ERRORS_RECEIVED = const(2)
_SHORT = const(3)
_CHECKSUM = const(4)
_TYPE = const(5)
_BROADCAST = const(6)
_QUOTE = const(7)
_NO_BUFFER = const(8)
_UNASKED = const(9)
_UNANSWERED = const(10)  # a datagram to which no error may be sent
_LIMITED = const(11)
_COUNTERS = const(12)

TRANSPORT = const(4)
PAYLOAD = const(6)
END = const(8)
FLAGS = const(10)
PROTOCOL = const(12)
SOURCE = const(16)
DESTINATION = const(32)
DATAGRAM = const(96)
OUT_SEGMENT = const(200)
BODY = const(208)
NOT_FOR_US_ALONE = const(0x0B)  # BROADCAST | MULTICAST | NET_BROADCAST
ROOM = const(1848)  # from OUT_SEGMENT to the end of the buffer


# RFC 1191 section 7.1: MTUs that there are.
PLATEAUS = (32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296)


def plateau(length):
    """The largest MTU that there is below the length of a datagram that did not fit."""
    for mtu in PLATEAUS:
        if mtu < length:
            return mtu
    return PLATEAUS[-1]


class Icmp:
    def __init__(self, address, timers, registry):
        self.address = address  # ip4's
        self.state = bytearray(4 * _COUNTERS)
        self.count = registry.add(Counters("icmp", COUNTS, DROPS, self.state)).count
        # RFC 1812 4.3.2.8.
        self.permitted = Bucket(timers, ICMP_ERRORS_PER_SECOND, ICMP_ERRORS_BURST).take
        # Slots: out; sideways, told[protocol](packet, kind) with kind = type << 8 | code, which
        # returns False if nothing of the kind was sent.
        self.allocate = None
        self.send = None
        self.send_long = self.too_long
        self.fragmentation_needed = None
        self.told = {}
        self.on_reply = self.unasked

    def too_long(self, protocol, source, destination, buffer, start, end):
        self.count(_NO_BUFFER)

    def unasked(self, packet):
        self.count(_UNASKED)

    @micropython.viper
    def receive(self, packet):
        head = ptr16(packet.buffer)
        start = int(head[TRANSPORT >> 1])
        end = int(head[END >> 1])
        if end - start < SIZE:
            ptr32(self.state)[_SHORT] += 1
            return
        i = start >> 1
        last = end >> 1
        total = 0
        while i + 4 <= last:
            total += head[i] + head[i + 1] + head[i + 2] + head[i + 3]
            i += 4
        while i < last:
            total += head[i]
            i += 1
        if end & 1:
            total += ptr8(head)[end - 1]
        total = (total & 0xFFFF) + (total >> 16)
        if (total & 0xFFFF) + (total >> 16) != 0xFFFF:
            ptr32(self.state)[_CHECKSUM] += 1
            return
        if int(head[start >> 1]) & 0xFF != ECHO:
            self.other(packet)
            return
        # RFC 1122 3.2.2.6: an echo to a broadcast address may be discarded.
        if head[FLAGS >> 1] & NOT_FOR_US_ALONE:
            ptr32(self.state)[_BROADCAST] += 1
            return
        length = end - start
        if length > ROOM:
            self.echo_long(packet)
            return
        reply = self.allocate()
        if reply is None:
            ptr32(self.state)[_NO_BUFFER] += 1
            return
        out = ptr16(reply.buffer)
        out[END >> 1] = OUT_SEGMENT + length
        out[PROTOCOL >> 1] = ICMP
        words = ptr32(head)
        ptr32(out)[SOURCE >> 2] = words[DESTINATION >> 2]
        ptr32(out)[DESTINATION >> 2] = words[SOURCE >> 2]
        # The same message with type 0 (ECHO_REPLY): its checksum grows by the 8 that is gone.
        i = start >> 1
        out[OUT_SEGMENT >> 1] = head[i] & 0xFF00
        total = head[i + 1] + ECHO
        out[(OUT_SEGMENT >> 1) + 1] = total + (total >> 16)
        i = start >> 2
        last = (end + 3 - start) >> 2
        j = 1
        to = ptr32(out)
        while j < last:
            to[(OUT_SEGMENT >> 2) + j] = words[i + j]
            j += 1
        ptr32(self.state)[_ECHOES] += 1
        self.send(reply)

    def echo_long(self, packet):
        """Answer a reassembled echo where it lies: send its buffer again, in fragments."""
        buffer = packet.buffer
        start = buffer[TRANSPORT] | buffer[TRANSPORT + 1] << 8
        buffer[start] = ECHO_REPLY
        checksum = buffer[start + 2] | buffer[start + 3] << 8
        total = changed(checksum, ECHO, ECHO_REPLY)  # the code is the same in both words
        buffer[start + 2] = total & 0xFF
        buffer[start + 3] = total >> 8
        self.count(_ECHOES)
        self.send_long(ICMP, packet.destination, packet.source, buffer, start, packet.end)

    def other(self, packet):
        """Whatever is not an echo; its checksum is right."""
        buffer = packet.buffer
        start = buffer[TRANSPORT] | buffer[TRANSPORT + 1] << 8
        kind = buffer[start]
        if kind == ECHO_REPLY:
            self.on_reply(packet)
        elif kind in (UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM):
            self.error(packet, start, kind << 8 | buffer[start + 1])
        else:
            self.count(_TYPE)

    def error(self, packet, start, kind):
        """Tell the protocol whose datagram is quoted; PAYLOAD is where its header begins."""
        buffer = packet.buffer
        quote = start + SIZE
        there = packet.end - quote
        size = (buffer[quote] & 15) << 2 if there >= IP_SIZE else 0
        # RFC 1122 3.2.2: the quote holds the header and at least 8 bytes more, those with the
        # ports, so of no later fragment.  It must be of a datagram of ours (RFC 5927 section 4: so
        # much can be checked against forgeries; more is up to the transport).
        if (
            size < IP_SIZE
            or buffer[quote] >> 4 != 4
            or there < size + 8
            or buffer[quote + IP_OFFSET] & 0x1F
            or buffer[quote + IP_OFFSET + 1]
            or (
                buffer[quote + IP_FROM : quote + IP_FROM + 4] != self.address
                # From inside this host (net/loopback.py), and about it.
                and not buffer[SOURCE] == INSIDE == buffer[quote + IP_FROM]
            )
        ):
            self.count(_QUOTE)
            return
        told = self.told.get(buffer[quote + IP_PROTOCOL])
        if not told:
            self.count(_UNASKED)
            return
        self.count(_ERRORS_RECEIVED)
        # What a protocol needs: where its header is, and the destination as the quote has it.
        header = quote + size
        buffer[PAYLOAD] = header & 0xFF
        buffer[PAYLOAD + 1] = header >> 8
        buffer[DESTINATION : DESTINATION + 4] = buffer[quote + IP_TO : quote + IP_TO + 4]
        believed = told(packet, kind) is not False
        if believed and kind == UNREACHABLE << 8 | FRAGMENTATION_NEEDED:
            mtu = buffer[start + SEQUENCE] << 8 | buffer[start + SEQUENCE + 1]
            if mtu == 0:
                # A router older than RFC 1191 does not say what fits.
                mtu = plateau(buffer[quote + IP_LENGTH] << 8 | buffer[quote + IP_LENGTH + 1])
            destination = bytes(buffer[quote + IP_TO : quote + IP_TO + 4])
            self.fragmentation_needed(destination, mtu)

    # Errors of ours.

    def unreachable(self, packet, code):
        self.complain(packet, UNREACHABLE, code)

    def port_unreachable(self, packet):
        self.complain(packet, UNREACHABLE, PORT_UNREACHABLE)

    def reassembly_time_exceeded(self, packet):
        self.complain(packet, TIME_EXCEEDED, REASSEMBLY)

    def complain(self, packet, kind, code):
        """Send an error about a received datagram, if it may be answered.

        RFC 1122 3.2.2: never about an ICMP error (nobody calls this for ICMP), a broadcast of
        either layer, a later fragment (reassembly calls this for the first only), or a source
        that is not one host (ip4 lets none in).
        """
        buffer = packet.buffer
        if buffer[FLAGS] & NOT_FOR_US_ALONE:
            self.count(_UNANSWERED)
            return
        if not self.permitted():
            self.count(_LIMITED)
            return
        reply = self.allocate()
        if not reply:
            self.count(_NO_BUFFER)
            return
        length = min(packet.end - DATAGRAM, QUOTED)
        out = reply.buffer
        out[BODY : BODY + length] = buffer[DATAGRAM : DATAGRAM + length]
        out[SOURCE : SOURCE + 4] = buffer[DESTINATION : DESTINATION + 4]
        out[DESTINATION : DESTINATION + 4] = buffer[SOURCE : SOURCE + 4]
        self.finish(reply, kind, code, length)
        self.count(_ERRORS_SENT)
        self.send(reply)

    @micropython.viper
    def finish(self, packet, kind: int, code: int, length: int):
        """Write the ICMP header in front of `length` bytes at BODY."""
        out = ptr16(packet.buffer)
        end = BODY + length
        out[END >> 1] = end
        out[PROTOCOL >> 1] = ICMP
        first = OUT_SEGMENT >> 1
        out[first] = kind | code << 8
        out[first + 1] = 0
        out[first + 2] = 0
        out[first + 3] = 0
        total = 0
        i = first
        while i < end >> 1:
            total += out[i]
            i += 1
        if end & 1:
            total += ptr8(out)[end - 1]
        total = (total & 0xFFFF) + (total >> 16)
        out[first + 1] = (total + (total >> 16)) ^ 0xFFFF
