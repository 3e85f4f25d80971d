"""IPv6: datagrams in, checked and handed up; packets out, with a header and a way to go.

     0               2               4               6               8
     +-------+-------+---------------+---------------+-------+-------+
     |version|    class and flow     |    length     | next  | limit |
     +-------+-------+---------------+---------------+-------+-------+
     |                        source (16 bytes)                      |
     +---------------------------------------------------------------+
     |                     destination (16 bytes)                    |
     +---------------------------------------------------------------+

RFC 8200; RFC 6437 (flow labels, from a keyed hash of addresses and ports); RFC 6085 (a group may
come in a frame for us alone).

`locals` are the addresses that are ours and the groups we are in; each row has the sum of its
address ready for the pseudo-header.  `_HOT` is the row that matched last.

     0                                                              16      18      20
     +---------------------------------------------------------------+-------+-------+
     |                       local address                           |  sum  | kind  |
     +---------------------------------------------------------------+-------+-------+

How a way is found that is not in the table of paths: paths.py.

Above: icmp6, udp, tcp, each a slot; any other next header goes to `extensions`.  Below: `transmit`,
`resolve`.  Sideways: `next_hop` (routes), `fragment`, `loop` (what is sent to ourselves).
Left out: forwarding; jumbograms (RFC 2675).
"""

import micropython
from micropython import const

from net.checksum import partial
from net.config import LOCALS6, PATHS6
from net.ip6.paths import Paths
from net.path_mtu import PathMtu
from runtime.counters import Counters

VERSION = const(0)
CLASS_AND_FLOW = const(1)
LENGTH = const(4)
NEXT = const(6)
LIMIT = const(7)
FROM = const(8)
TO = const(24)
SIZE = const(40)

TCP = const(6)
UDP = const(17)
ICMP6 = const(58)

DEFAULT_LIMIT = const(64)
NOWHERE = bytes(16)
ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"

ADDRESS = const(1)
GROUP = const(2)

COUNTS = ("fragmented", "paths")
DROPS = (
    "short",
    "version",
    "length",
    "source",
    "destination",
    "extensions",
    "too_big",
    "no_route",
    "loopback",
    "path_mtu",
)
_FRAGMENTED = const(0)
_PATHS = const(1)
_SHORT = const(2)
_VERSION = const(3)
_LENGTH = const(4)
_SOURCE = const(5)
_DESTINATION = const(6)
_EXTENSIONS = const(7)
_TOO_BIG = const(8)
_NO_ROUTE = const(9)
_LOOPBACK = const(10)
_PATH_MTU = const(11)

# State behind the counters: the number of paths less one, the MTU of the link, the hop limit of
# what is sent, the row of `locals` that matched last and the end of them (both in words), the key
# of flow labels; then the tables.
_LAST = const(64)
_LINK_MTU = const(66)
_LIMIT = const(68)
_HOT = const(70)
_LOCALS_END = const(72)
_KEY = const(76)
_LOCALS = const(80)
_LOCAL_ROW = const(20)
_LOCAL_WORDS = const(5)
_LOCAL_ADDRESS = const(0)
_SUM = const(16)
_KIND = const(18)
_TABLE = const(720)
_ROW = const(48)
_LINK_HEADER = const(16)
_MTU = const(30)

# The packet's head (see packet.py).
LINK = const(0)
PSEUDO = const(2)
TRANSPORT = const(4)
END = const(8)
FLAGS = const(10)
PROTOCOL = const(12)
SOURCE = const(16)
DESTINATION = const(32)
TAIL = const(64)
MSS = const(68)
TRAFFIC = const(70)
HOPS = const(72)
DATAGRAM = const(96)
OUT_FRAME6 = const(146)
OUT_DATAGRAM6 = const(160)
OUT_SEGMENT = const(200)
NET_BROADCAST = const(0x08)
IP6 = const(0x20)
CONGESTION = const(0x40)
ANY_BROADCAST = const(0x03)  # of the link: broadcast or multicast


class Ip6(Paths):
    def __init__(self, mtu, timers, random, registry):
        self.state = bytearray(_TABLE + PATHS6 * _ROW)
        self.state[_LAST] = PATHS6 - 1
        for i in range(4):
            self.state[_KEY + i] = random.bits(8)
        self.count = registry.add(Counters("ip6", COUNTS, DROPS, self.state)).count
        self.path_mtus = PathMtu(timers)
        self.wanted = bytearray(16)  # the destination that find_path looks for
        self.locals = []  # of (address, kind)
        self.add_local(ALL_NODES, GROUP)
        self.set_mtu(mtu)
        self.set_limit(DEFAULT_LIMIT)
        # Slots: up, out, sideways.
        self.icmp6 = self.udp = self.tcp = self.unknown
        self.extensions = self.unknown
        self.next_hop = None
        self.resolve = None
        self.transmit = None
        self.fragment = self.too_big
        self.loop = self.no_loop
        self.path_mtu_changed = self.ignore

    def ignore(self, about):
        pass

    # What we are.

    def add_local(self, address, kind):
        """Receive what is sent to an address; False: there are as many as LOCALS6 allows."""
        if len(self.locals) == LOCALS6:
            return False
        if (address, kind) not in self.locals:
            self.locals.append((address, kind))
            self.write_locals()
        return True

    def remove_local(self, address):
        self.locals = [local for local in self.locals if local[0] != address]
        self.write_locals()
        self.forget(NOWHERE)

    def write_locals(self):
        state = self.state
        at = _LOCALS
        for address, kind in self.locals:
            state[at : at + 16] = address
            total = partial(state, at, at + 16, 0)
            state[at + _SUM] = total & 0xFF
            state[at + _SUM + 1] = total >> 8
            state[at + _KIND] = kind
            at += _LOCAL_ROW
        for offset, value in ((_HOT, _LOCALS >> 2), (_LOCALS_END, at >> 2)):
            state[offset] = value & 0xFF
            state[offset + 1] = value >> 8

    def is_local(self, address):
        """Is it an address of ours?  (A group is none.)"""
        return self.is_local_at(address, 0)

    @micropython.viper
    def is_local_at(self, buffer, offset: int) -> bool:
        """The same of 16 bytes in a buffer; `offset` is a multiple of 4."""
        words = ptr32(buffer)
        i = offset >> 2
        state = ptr32(self.state)
        row = _LOCALS >> 2
        last = int(ptr16(state)[_LOCALS_END >> 1])
        while row < last:
            if (
                state[row + 3] == words[i + 3]
                and state[row + 2] == words[i + 2]
                and state[row + 1] == words[i + 1]
                and state[row] == words[i]
            ):
                return int(ptr16(state)[(row << 1) + (_KIND >> 1)]) == ADDRESS
            row += _LOCAL_WORDS
        return False

    def set_mtu(self, mtu):
        """The MTU of the link; a router may say less than the device."""
        self.mtu = mtu
        self.state[_LINK_MTU] = mtu & 0xFF
        self.state[_LINK_MTU + 1] = mtu >> 8
        self.forget(NOWHERE)

    def set_limit(self, limit):
        self.state[_LIMIT] = limit

    # Received.

    @micropython.viper
    def receive(self, packet):
        """A datagram lies between DATAGRAM and END, perhaps with padding behind it."""
        head = ptr16(packet.buffer)
        words = ptr32(head)
        state = ptr32(self.state)
        there = int(head[END >> 1]) - DATAGRAM
        if there < SIZE:
            state[_SHORT] += 1
            return
        first = int(head[DATAGRAM >> 1])
        if first & 0xF0 != 0x60:
            state[_VERSION] += 1
            return
        length = int(head[(DATAGRAM + LENGTH) >> 1])
        length = ((length & 0xFF) << 8 | length >> 8) + SIZE
        if length > there:
            state[_LENGTH] += 1
            return
        head[END >> 1] = DATAGRAM + length
        head[TRANSPORT >> 1] = DATAGRAM + SIZE
        protocol = int(head[(DATAGRAM + NEXT) >> 1]) & 0xFF
        head[PROTOCOL >> 1] = protocol
        s0 = words[(DATAGRAM + FROM) >> 2]
        s1 = words[((DATAGRAM + FROM) >> 2) + 1]
        s2 = words[((DATAGRAM + FROM) >> 2) + 2]
        s3 = words[((DATAGRAM + FROM) >> 2) + 3]
        d0 = words[(DATAGRAM + TO) >> 2]
        d1 = words[((DATAGRAM + TO) >> 2) + 1]
        d2 = words[((DATAGRAM + TO) >> 2) + 2]
        d3 = words[((DATAGRAM + TO) >> 2) + 3]
        words[SOURCE >> 2] = s0
        words[(SOURCE >> 2) + 1] = s1
        words[(SOURCE >> 2) + 2] = s2
        words[(SOURCE >> 2) + 3] = s3
        words[DESTINATION >> 2] = d0
        words[(DESTINATION >> 2) + 1] = d1
        words[(DESTINATION >> 2) + 2] = d2
        words[(DESTINATION >> 2) + 3] = d3
        row = int(ptr16(state)[_HOT >> 1])
        if state[row + 3] != d3 or state[row + 2] != d2 or state[row + 1] != d1 or state[row] != d0:
            row = _LOCALS >> 2
            last = int(ptr16(state)[_LOCALS_END >> 1])
            while row < last and (
                state[row + 3] != d3
                or state[row + 2] != d2
                or state[row + 1] != d1
                or state[row] != d0
            ):
                row += _LOCAL_WORDS
            if row >= last:
                state[_DESTINATION] += 1
                return
            ptr16(state)[_HOT >> 1] = row
        flags = int(head[FLAGS >> 1])
        if ptr16(state)[(row << 1) + (_KIND >> 1)] == GROUP:
            flags |= NET_BROADCAST
        elif flags & ANY_BROADCAST:
            # One host's datagram in a frame for many is a mistake or an attack.
            state[_DESTINATION] += 1
            return
        if first & 0x3000 == 0x3000:
            flags |= CONGESTION
        head[FLAGS >> 1] = flags | IP6
        # RFC 4291 section 2: no datagram comes from a group, from inside a host, or from ourselves.
        if (
            s0 & 0xFF == 0xFF
            or (s0 | s1 == 0 and not bool(self.special(packet)))
            or (s3 == d3 and s2 == d2 and s1 == d1 and s0 == d0)
        ):
            state[_SOURCE] += 1
            return
        total = (
            head[(DATAGRAM + FROM) >> 1]
            + head[((DATAGRAM + FROM) >> 1) + 1]
            + head[((DATAGRAM + FROM) >> 1) + 2]
            + head[((DATAGRAM + FROM) >> 1) + 3]
            + head[((DATAGRAM + FROM) >> 1) + 4]
            + head[((DATAGRAM + FROM) >> 1) + 5]
            + head[((DATAGRAM + FROM) >> 1) + 6]
            + head[((DATAGRAM + FROM) >> 1) + 7]
            + ptr16(state)[(row << 1) + (_SUM >> 1)]
            + (protocol << 8)
        )
        total = (total & 0xFFFF) + (total >> 16)
        head[PSEUDO >> 1] = total + (total >> 16)
        if protocol == UDP:
            self.udp(packet)
        elif protocol == TCP:
            self.tcp(packet)
        elif protocol == ICMP6:
            self.icmp6(packet)
        else:
            self.extensions(packet)

    def special(self, packet):
        """Of ::/64 only the unspecified address, and only for ICMPv6 (RFC 4862, 3810)."""
        buffer = packet.buffer
        return buffer[SOURCE : SOURCE + 16] == NOWHERE and buffer[PROTOCOL] in (ICMP6, 0)

    def unknown(self, packet):
        self.count(_EXTENSIONS)

    # To be sent.

    @micropython.viper
    def send(self, packet):
        """Send what lies between OUT_SEGMENT and END, and the tail.

        SOURCE, DESTINATION and PROTOCOL of the packet's head are the sender's.
        """
        head = ptr16(packet.buffer)
        words = ptr32(head)
        state = ptr16(self.state)
        table = ptr32(state)
        length = int(head[END >> 1]) + words[TAIL >> 2] - OUT_SEGMENT
        protocol = int(head[PROTOCOL >> 1])
        s0 = words[SOURCE >> 2]
        s1 = words[(SOURCE >> 2) + 1]
        s2 = words[(SOURCE >> 2) + 2]
        s3 = words[(SOURCE >> 2) + 3]
        d0 = words[DESTINATION >> 2]
        d1 = words[(DESTINATION >> 2) + 1]
        d2 = words[(DESTINATION >> 2) + 2]
        d3 = words[(DESTINATION >> 2) + 3]
        place = d0 ^ d1 ^ d2 ^ d3
        # RFC 6437 section 3: the label is a hash of the flow, the high half of a keyed product.
        label = place ^ s3 ^ table[_KEY >> 2]
        if protocol == TCP or protocol == UDP:  # noqa: SIM109 (viper has no tuples)
            label ^= words[OUT_SEGMENT >> 2]
        label = (label * 0x2545F491) >> 12
        traffic = int(head[TRAFFIC >> 1])
        limit = int(head[HOPS >> 1])
        if limit == 0:
            limit = int(state[_LIMIT >> 1])
        head[OUT_DATAGRAM6 >> 1] = (
            0x60 | traffic >> 4 | (traffic & 15) << 12 | (label >> 8 & 0x0F00)
        )
        head[(OUT_DATAGRAM6 >> 1) + 1] = label
        head[(OUT_DATAGRAM6 >> 1) + 2] = (length & 0xFF) << 8 | length >> 8
        head[(OUT_DATAGRAM6 >> 1) + 3] = protocol | limit << 8
        words[(OUT_DATAGRAM6 + FROM) >> 2] = s0
        words[((OUT_DATAGRAM6 + FROM) >> 2) + 1] = s1
        words[((OUT_DATAGRAM6 + FROM) >> 2) + 2] = s2
        words[((OUT_DATAGRAM6 + FROM) >> 2) + 3] = s3
        words[(OUT_DATAGRAM6 + TO) >> 2] = d0
        words[((OUT_DATAGRAM6 + TO) >> 2) + 1] = d1
        words[((OUT_DATAGRAM6 + TO) >> 2) + 2] = d2
        words[((OUT_DATAGRAM6 + TO) >> 2) + 3] = d3
        place ^= place >> 16
        place ^= place >> 8
        row = _TABLE + (place & int(state[_LAST >> 1])) * _ROW
        at = row >> 2
        if (
            table[at + 3] != d3
            or table[at + 2] != d2
            or table[at + 1] != d1
            or table[at] != d0
            or (length + SIZE > int(state[(row + _MTU) >> 1]) and head[MSS >> 1] == 0)
        ):
            self.find_path(packet, row, length + SIZE)
            return
        # Copy the link header.
        row = (row + _LINK_HEADER) >> 1
        head[LINK >> 1] = OUT_FRAME6
        head[OUT_FRAME6 >> 1] = state[row]
        head[(OUT_FRAME6 >> 1) + 1] = state[row + 1]
        head[(OUT_FRAME6 >> 1) + 2] = state[row + 2]
        head[(OUT_FRAME6 >> 1) + 3] = state[row + 3]
        head[(OUT_FRAME6 >> 1) + 4] = state[row + 4]
        head[(OUT_FRAME6 >> 1) + 5] = state[row + 5]
        head[(OUT_FRAME6 >> 1) + 6] = state[row + 6]
        self.transmit(packet)
