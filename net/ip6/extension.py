"""Extension headers: from the IPv6 header to what it carries.

     0       1       2               4               6               8
     +-------+-------+-------+-------+---------------+---------------+
     | next  | size  | kind  | left  |    (options, or more of it)   |
     +-------+-------+-------+-------+---------------+---------------+

RFC 8200 section 4; RFC 5095 (a routing header with somewhere to go is refused); RFC 7112 (the first
fragment holds all headers); RFC 6946 (a fragment that is the whole is none); RFC 8504 section 5.3
(so many headers and options, and no more).

Below: header.receive, for every next header that is not a transport.  Above: the same slots, filled
by the wiring.  Sideways: `reassemble`, `problem` (icmp6).
Left out: AH and ESP are unknown next headers; mobility; options of use to routers are skipped.
"""

from micropython import const

from net.checksum import partial
from net.config import EXTENSION_HEADERS, EXTENSION_OPTIONS
from runtime.counters import Counters

NEXT = const(0)
SIZE = const(1)
KIND = const(2)
LEFT = const(3)

HOP_BY_HOP = const(0)
ROUTING = const(43)
FRAGMENT = const(44)
NO_NEXT = const(59)
DESTINATION_OPTIONS = const(60)
TCP = const(6)
UDP = const(17)
ICMP6 = const(58)
UNIT = const(8)

PAD1 = const(0)
# Codes of a parameter problem (RFC 4443 section 3.4, RFC 7112 section 5).
BAD_FIELD = const(0)
UNKNOWN_NEXT = const(1)
UNKNOWN_OPTION = const(2)
FIRST_FRAGMENT = const(3)

COUNTS = ("chains", "atomic")
DROPS = (
    "truncated",
    "too_many",
    "misplaced",
    "options",
    "option",
    "routing",
    "first_fragment",
    "no_next",
    "next",
)
_CHAINS = const(0)
_ATOMIC = const(1)
_TRUNCATED = const(2)
_TOO_MANY = const(3)
_MISPLACED = const(4)
_OPTIONS = const(5)
_OPTION = const(6)
_ROUTING = const(7)
_FIRST_FRAGMENT = const(8)
_NO_NEXT = const(9)
_NEXT = const(10)

PSEUDO = const(2)
TRANSPORT = const(4)
END = const(8)
FLAGS = const(10)
PROTOCOL = const(12)
SOURCE = const(16)
DATAGRAM = const(96)
IP_NEXT = const(6)
NET_BROADCAST = const(0x08)
LEAST = {TCP: 20, UDP: 8, ICMP6: 4}  # bytes of the header of a transport


def size_of(buffer, protocol, at):
    """Bytes of the extension header at `at`, 0 if this is no extension header."""
    if protocol == FRAGMENT:
        return UNIT
    if protocol in (HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS):
        return (buffer[at + SIZE] + 1) * UNIT
    return 0


def upper(buffer, protocol, at, end):
    """(protocol, where it begins) behind all extension headers; protocol -1: not all is here."""
    while protocol in (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS):
        if at + UNIT > end:
            return -1, at
        size = size_of(buffer, protocol, at)
        protocol = buffer[at]
        at += size
    return (protocol if at + LEAST.get(protocol, 0) <= end else -1), at


class Extensions:
    def __init__(self, registry):
        self.count = registry.add(Counters("extension", COUNTS, DROPS)).count
        # Slots: up, by protocol; sideways: reassemble(packet, at, more), problem(packet, code,
        # pointer, group).
        self.on = {}
        self.reassemble = None
        self.problem = None

    def receive(self, packet):
        """Follow the chain; every header is checked before it is looked into."""
        buffer = packet.buffer
        end = packet.end
        protocol = buffer[PROTOCOL]
        at = buffer[TRANSPORT] | buffer[TRANSPORT + 1] << 8
        named = DATAGRAM + IP_NEXT  # where `protocol` stands
        count = 0
        self.count(_CHAINS)
        while protocol in (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS):
            count += 1
            if count > EXTENSION_HEADERS:
                self.count(_TOO_MANY)
                return
            if at + UNIT > end or at + size_of(buffer, protocol, at) > end:
                self.count(_TRUNCATED)
                return
            size = size_of(buffer, protocol, at)
            if protocol == HOP_BY_HOP and count > 1:
                # RFC 8200 4.1: only directly behind the IPv6 header.
                self.count(_MISPLACED)
                self.complain(packet, UNKNOWN_NEXT, named, protocol, at)
                return
            if protocol == FRAGMENT:
                if buffer[at + 2] or buffer[at + 3] & 0xF9:
                    self.fragment(packet, at, end)
                    return
                self.count(_ATOMIC)
            elif protocol == ROUTING:
                if buffer[at + LEFT]:
                    self.count(_ROUTING)
                    self.complain(packet, BAD_FIELD, at + KIND, protocol, at)
                    return
            elif not self.options(packet, at + 2, at + size, protocol, at):
                return
            named = at
            protocol = buffer[at]
            at += size
        if protocol == NO_NEXT:
            self.count(_NO_NEXT)
            return
        buffer[TRANSPORT] = at & 0xFF
        buffer[TRANSPORT + 1] = at >> 8
        buffer[PROTOCOL] = protocol
        total = partial(buffer, SOURCE, SOURCE + 32, protocol << 8)
        buffer[PSEUDO] = total & 0xFF
        buffer[PSEUDO + 1] = total >> 8
        if protocol in self.on:
            self.on[protocol](packet)
        else:
            self.count(_NEXT)
            self.problem(packet, UNKNOWN_NEXT, named - DATAGRAM, False)

    def options(self, packet, at, end, protocol, header):
        """True: all options can be skipped."""
        buffer = packet.buffer
        count = 0
        while at < end:
            kind = buffer[at]
            if kind == PAD1:
                at += 1
            elif at + 2 > end or at + 2 + buffer[at + 1] > end:
                self.count(_OPTIONS)
                return False
            else:
                # RFC 8200 4.2: the two highest bits say what to do about an unknown one.
                action = kind >> 6
                if action:
                    self.count(_OPTION)
                    if action >= 2:
                        group = action == 2
                        self.complain(packet, UNKNOWN_OPTION, at, protocol, header, group)
                    return False
                at += 2 + buffer[at + 1]
            count += 1
            if count > EXTENSION_OPTIONS:
                self.count(_OPTIONS)
                return False
        return True

    def complain(self, packet, code, pointer, protocol, at, group=False):
        """A parameter problem, unless the packet is about one itself."""
        buffer = packet.buffer
        protocol, at = upper(buffer, protocol, at, packet.end)
        buffer[PROTOCOL] = max(protocol, 0)
        buffer[TRANSPORT] = at & 0xFF
        buffer[TRANSPORT + 1] = at >> 8
        self.problem(packet, code, pointer - DATAGRAM, group)

    def fragment(self, packet, at, end):
        buffer = packet.buffer
        first = buffer[at + 2] == 0 and buffer[at + 3] & 0xF8 == 0
        if first and upper(buffer, FRAGMENT, at, end)[0] < 0:
            self.count(_FIRST_FRAGMENT)
            self.complain(packet, FIRST_FRAGMENT, DATAGRAM, FRAGMENT, at)
            return
        self.reassemble(packet, at)
