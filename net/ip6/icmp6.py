"""ICMPv6: answer echoes, tell senders why their packet died, and hand up what neighbours say.

     0               2               4               6               8
     +-------+-------+---------------+---------------+---------------+
     | type  | code  |   checksum    |  identifier   |   sequence    |
     +-------+-------+---------------+---------------+---------------+

RFC 4443; RFC 8201 (packet too big); RFC 5927 section 4 (what is quoted has to be ours).
Above: whoever asked to be told (`told`, by protocol), neighbour discovery and MLD (`on`, by type).
Below: ip6.send.
Left out: node information queries, router renumbering, inverse discovery.
"""

import micropython
from micropython import const

from net.bucket import Bucket
from net.checksum import partial
from net.config import ICMP_ERRORS_BURST, ICMP_ERRORS_PER_SECOND
from runtime.counters import Counters

TYPE = const(0)
CODE = const(1)
CHECKSUM = const(2)
IDENTIFIER = const(4)
SEQUENCE = const(6)
SIZE = const(8)

UNREACHABLE = const(1)
PACKET_TOO_BIG = const(2)
TIME_EXCEEDED = const(3)
PARAMETER_PROBLEM = const(4)
ECHO = const(128)
ECHO_REPLY = const(129)
REDIRECT = const(137)

# Codes of UNREACHABLE and TIME_EXCEEDED.
NO_ROUTE = const(0)
ADDRESS_UNREACHABLE = const(3)
PORT_UNREACHABLE = const(4)
REASSEMBLY = const(1)

ICMP6 = const(58)
HOP_BY_HOP = const(0)
ROUTING = const(43)
FRAGMENT_HEADER = const(44)
DESTINATION_OPTIONS = const(60)
IP_SIZE = const(40)
IP_NEXT = const(6)
IP_FROM = const(8)
IP_TO = const(24)
QUOTED = const(1232)  # the original datagram in an error: 1280 bytes in all (RFC 4443 section 2.4)

COUNTS = ("echoes", "errors_sent", "errors_received")
DROPS = (
    "short",
    "checksum",
    "type",
    "quote",
    "no_buffer",
    "unasked",
    "unanswered",
    "limited",
    "no_source",
)
_ECHOES = const(0)
_ERRORS_SENT = const(1)
_ERRORS_RECEIVED = const(2)
_SHORT = const(3)
_CHECKSUM = const(4)
_TYPE = const(5)
_QUOTE = const(6)
_NO_BUFFER = const(7)
_UNASKED = const(8)
_UNANSWERED = const(9)
_LIMITED = const(10)
_NO_SOURCE = const(11)

PSEUDO = const(2)
TRANSPORT = const(4)
PAYLOAD = const(6)
END = const(8)
FLAGS = const(10)
PROTOCOL = const(12)
SOURCE = const(16)
DESTINATION = const(32)
HOPS = const(72)
DATAGRAM = const(96)
OUT_SEGMENT = const(200)
BODY = const(208)
IP6 = const(0x20)
NET_BROADCAST = const(0x08)
NOT_FOR_US_ALONE = const(0x0B)  # BROADCAST | MULTICAST | NET_BROADCAST
ROOM = const(1848)  # from OUT_SEGMENT to the end of the buffer
NOWHERE = bytes(16)


class Icmp6:
    def __init__(self, timers, registry):
        self.state = bytearray(4 * (len(COUNTS) + len(DROPS)))
        self.count = registry.add(Counters("icmp6", COUNTS, DROPS, self.state)).count
        # RFC 4443 2.4 (f).
        self.permitted = Bucket(timers, ICMP_ERRORS_PER_SECOND, ICMP_ERRORS_BURST).take
        # Slots: out; sideways, told[protocol](packet, kind) with kind = type << 8 | code, which
        # returns False if nothing of the kind was sent; up, on[type](packet, start) for a message
        # whose checksum is right.
        self.allocate = None
        self.send = None
        self.send_long = self.too_long
        self.packet_too_big = None
        self.source_for = None
        self.is_local = None
        self.told = {ICMP6: self.about_echo}
        self.on = {}

    def too_long(self, protocol, source, destination, buffer, start, end):
        self.count(_NO_BUFFER)

    @micropython.viper
    def receive(self, packet):
        head = ptr16(packet.buffer)
        start = int(head[TRANSPORT >> 1])
        end = int(head[END >> 1])
        length = end - start
        if length < SIZE:
            ptr32(self.state)[_SHORT] += 1
            return
        i = start >> 1
        last = end >> 1
        total = int(head[PSEUDO >> 1]) + ((length & 0xFF) << 8 | length >> 8)
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
        # An echo to one address of ours, the common case; all others in plain Python.
        if int(head[start >> 1]) & 0xFF != ECHO or head[FLAGS >> 1] & NOT_FOR_US_ALONE:
            self.other(packet)
            return
        words = ptr32(head)
        if length > ROOM or words[SOURCE >> 2] == 0:
            self.other(packet)
            return
        reply = self.allocate()
        if reply is None:
            ptr32(self.state)[_NO_BUFFER] += 1
            return
        out = ptr16(reply.buffer)
        to = ptr32(out)
        out[END >> 1] = OUT_SEGMENT + length
        out[PROTOCOL >> 1] = ICMP6
        out[FLAGS >> 1] = IP6
        i = 0
        while i < 4:
            to[(SOURCE >> 2) + i] = words[(DESTINATION >> 2) + i]
            to[(DESTINATION >> 2) + i] = words[(SOURCE >> 2) + i]
            i += 1
        # The same message with type 129 instead of 128: its checksum shrinks by the one that came.
        i = start >> 1
        out[OUT_SEGMENT >> 1] = (int(head[i]) & 0xFF00) | ECHO_REPLY
        total = int(head[i + 1]) + 0xFFFE
        out[(OUT_SEGMENT >> 1) + 1] = total + (total >> 16)
        i = start >> 2
        last = (end + 3 - start) >> 2
        j = 1
        while j < last:
            to[(OUT_SEGMENT >> 2) + j] = words[i + j]
            j += 1
        ptr32(self.state)[_ECHOES] += 1
        self.send(reply)

    def other(self, packet):
        """Whatever is not a plain echo; its checksum is right."""
        buffer = packet.buffer
        start = buffer[TRANSPORT] | buffer[TRANSPORT + 1] << 8
        kind = buffer[start]
        if kind in self.on:
            self.on[kind](packet, start)
        elif kind == ECHO:
            self.echo(packet, start)
        elif UNREACHABLE <= kind <= PARAMETER_PROBLEM:
            self.error(packet, start, kind << 8 | buffer[start + 1])
        else:
            # RFC 4443 2.4 (a), (b): unknown errors go up, and nobody above knows them either.
            self.count(_TYPE)

    def echo(self, packet, start):
        """An echo to a group (RFC 4443 section 4.2: it should be answered), or a long one."""
        buffer = packet.buffer
        source, destination = packet.source, packet.destination
        if source == NOWHERE:
            self.count(_UNANSWERED)
            return
        if buffer[FLAGS] & NOT_FOR_US_ALONE:
            # One frame makes many answer, so these are as limited as errors are.
            if not self.permitted():
                self.count(_LIMITED)
                return
            destination = self.source_for(source)
            if not destination:
                self.count(_NO_SOURCE)
                return
        end = packet.end
        buffer[start] = ECHO_REPLY
        total = self.sum(destination + source, buffer, start, end)
        buffer[start + CHECKSUM] = total & 0xFF
        buffer[start + CHECKSUM + 1] = total >> 8
        self.count(_ECHOES)
        self.send_long(ICMP6, destination, source, buffer, start, end)

    def sum(self, addresses, buffer, start, end):
        """The checksum of a message: RFC 4443 section 2.3."""
        buffer[start + CHECKSUM] = buffer[start + CHECKSUM + 1] = 0
        length = end - start
        total = ((length & 0xFF) << 8 | length >> 8) + (ICMP6 << 8)
        return partial(buffer, start, end, partial(addresses, 0, 32, total)) ^ 0xFFFF

    def error(self, packet, start, kind):
        """Tell the protocol whose datagram is quoted; PAYLOAD is where its header begins."""
        buffer = packet.buffer
        quote = start + SIZE
        end = packet.end
        if (
            end - quote < IP_SIZE + 8
            or buffer[quote] >> 4 != 6
            or not self.is_local(bytes(buffer[quote + IP_FROM : quote + IP_TO]))
        ):
            self.count(_QUOTE)
            return
        destination = bytes(buffer[quote + IP_TO : quote + IP_SIZE])
        protocol = buffer[quote + IP_NEXT]
        header = quote + IP_SIZE
        while protocol in (HOP_BY_HOP, ROUTING, FRAGMENT_HEADER, DESTINATION_OPTIONS):
            fragment = protocol == FRAGMENT_HEADER
            if header + 8 > end or (fragment and (buffer[header + 2] or buffer[header + 3] & 0xF8)):
                protocol = -1  # cut off, or a later fragment: whose it is cannot be seen
                break
            protocol = buffer[header]
            header += 8 if fragment else (buffer[header + 1] + 1) << 3
        told = self.told.get(protocol)
        if not told or header + 8 > end:
            self.count(_UNASKED)
            return
        self.count(_ERRORS_RECEIVED)
        buffer[PAYLOAD] = header & 0xFF
        buffer[PAYLOAD + 1] = header >> 8
        buffer[DESTINATION : DESTINATION + 16] = destination
        if told(packet, kind) is False:
            return  # nothing of the kind was sent (RFC 5927, RFC 8201 section 4)
        if kind >> 8 == PACKET_TOO_BIG and buffer[start + 4] == 0 and buffer[start + 5] == 0:
            # 32 bits, of which those above a frame's need not be told apart.
            self.packet_too_big(destination, int.from_bytes(buffer[start + 6 : start + 8], "big"))

    def about_echo(self, packet, kind):
        """An error about an answer of ours: only packet too big matters, and that is believed."""
        return packet.buffer[packet.payload] == ECHO_REPLY

    def undeliverable(self, packet):
        """A packet of ours cannot leave, as its neighbour does not answer."""
        told = self.told.get(packet.buffer[PROTOCOL])
        if told:
            packet.buffer[PAYLOAD] = OUT_SEGMENT
            packet.buffer[PAYLOAD + 1] = 0
            told(packet, UNREACHABLE << 8 | ADDRESS_UNREACHABLE)

    # Errors of ours.

    def refuse(self, packet, code=PORT_UNREACHABLE):
        """Nobody here wants it."""
        self.complain(packet, UNREACHABLE, code)

    def reassembly_time_exceeded(self, packet):
        self.complain(packet, TIME_EXCEEDED, REASSEMBLY)

    def parameter_problem(self, packet, code, pointer, group=False):
        """`pointer`: where in the datagram; `group`: even if it was sent to a group."""
        self.complain(packet, PARAMETER_PROBLEM, code, pointer, group)

    def complain(self, packet, kind, code, pointer=0, group=False):
        """Send an error about a received datagram, if it may be answered.

        RFC 4443 2.4 (e): never about an ICMPv6 error, a redirect, or what was sent to a group of
        either layer (but for two cases: `group`), nor to a source that is not one host.
        """
        buffer = packet.buffer
        source = packet.source
        if (
            (buffer[FLAGS] & NOT_FOR_US_ALONE and not group)
            or source == NOWHERE
            or self.is_error(packet)
        ):
            self.count(_UNANSWERED)
            return
        if not self.permitted():
            self.count(_LIMITED)
            return
        # RFC 4443 2.2: from the address that was meant, if that is ours.
        own = packet.destination
        if buffer[FLAGS] & NET_BROADCAST:
            own = self.source_for(source)
        if not own:
            self.count(_NO_SOURCE)
            return
        length = min(packet.end - DATAGRAM, QUOTED)
        rest = bytes([0, 0, pointer >> 8 & 0xFF, pointer & 0xFF])
        quote = buffer[DATAGRAM : DATAGRAM + length]
        if self.message(kind, code, own, source, rest, quote):
            self.count(_ERRORS_SENT)

    def is_error(self, packet):
        """Is the datagram itself an ICMPv6 error or a redirect?"""
        buffer = packet.buffer
        if buffer[PROTOCOL] != ICMP6:
            return False
        start = buffer[TRANSPORT] | buffer[TRANSPORT + 1] << 8
        return start < packet.end and (buffer[start] < ECHO or buffer[start] == REDIRECT)

    def message(self, kind, code, source, destination, rest, body=b"", hops=0):
        """Send a message: 4 bytes of `rest`, then `body`.  True: it was sent."""
        packet = self.allocate()
        if not packet:
            self.count(_NO_BUFFER)
            return False
        out = packet.buffer
        end = BODY + len(body)
        out[OUT_SEGMENT:BODY] = bytes([kind, code, 0, 0]) + rest
        out[BODY:end] = body
        total = self.sum(source + destination, out, OUT_SEGMENT, end)
        out[OUT_SEGMENT + CHECKSUM] = total & 0xFF
        out[OUT_SEGMENT + CHECKSUM + 1] = total >> 8
        out[SOURCE : SOURCE + 16] = source
        out[DESTINATION : DESTINATION + 16] = destination
        out[PROTOCOL] = ICMP6
        out[FLAGS] = IP6
        out[HOPS] = hops
        out[END] = end & 0xFF
        out[END + 1] = end >> 8
        self.send(packet)
        return True
