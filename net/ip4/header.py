"""IPv4: datagrams in, checked and handed up; packets out, with a header and a way to go.

     0               2               4               6               8
     +-------+-------+---------------+---------------+---------------+
     | v ihl |  tos  |    length     |identification |flags   offset |
     +-------+-------+---------------+---------------+---------------+
     |  ttl  | proto |   checksum    |            source             |
     +-------+-------+---------------+-------------------------------+
     |          destination          |
     +-------------------------------+

RFC 791; RFC 1122 section 3 (a host, not a router); RFC 1812 5.3.7 (martians); RFC 6864
(identification means something in fragments only: where there cannot be any it is 0, so that nobody
counts what we send).

A path is where the frames to a destination go: link header, MTU.  `send` looks in a small table,
indexed by the last bits of the destination; only if that fails are route and neighbour looked up.

     0               4       6       8                      22      24      28      32
     +---------------+-------+-------+-----------------------+-------+-------+-------+
     |  destination  |  mtu  |       |     link header       |       |next hop       |
     +---------------+-------+-------+-----------------------+-------+-------+-------+

Above: icmp, igmp, udp, tcp, each a slot; what is left is refused.  Below: `transmit`, `resolve`.
Sideways: fragments come and go through `reassemble` and `fragment`, errors through `refuse`.
What is sent to ourselves goes to `loop` (net/loopback.py, if used).
Left out: forwarding, and so source routes and record route: options are skipped.
"""

import micropython
from micropython import const

from net.address import apply, mask
from net.config import PATHS
from net.path_mtu import PathMtu
from runtime.counters import Counters

VERSION = const(0)
TOS = const(1)
LENGTH = const(2)
IDENTIFICATION = const(4)
FLAGS_OFFSET = const(6)
TTL = const(8)
PROTO = const(9)
CHECKSUM = const(10)
FROM = const(12)
TO = const(16)
SIZE = const(20)

# Of the flags and offset word, as it lies in the packet (a little-endian load).
DONT_FRAGMENT = const(0x0040)
MORE_FRAGMENTS = const(0x0020)
FRAGMENTED = const(0xFF3F)  # more fragments, or an offset
LATER = const(0xFF1F)  # an offset

ICMP = const(1)
IGMP = const(2)
TCP = const(6)
UDP = const(17)

DEFAULT_TTL = const(64)
SMALLEST_MTU = const(68)  # RFC 791 section 3.2
BELIEVABLE_MTU = const(552)  # a smaller one in an ICMP message is an attack (RFC 5927 section 7)
PROTOCOL_UNREACHABLE = const(2)
NOWHERE = b"\x00\x00\x00\x00"
EVERYBODY = b"\xff\xff\xff\xff"

COUNTS = ("fragmented", "paths")
DROPS = (
    "short",
    "version",
    "header_length",
    "checksum",
    "length",
    "source",
    "destination",
    "protocol",
    "fragments",
    "too_big",
    "no_route",
    "loopback",
)
_FRAGMENTED = const(0)
_PATHS_MADE = const(1)
_SHORT = const(2)
_VERSION = const(3)
_HEADER_LENGTH = const(4)
_CHECKSUM = const(5)
_LENGTH = const(6)
_SOURCE = const(7)
_DESTINATION = const(8)
_PROTOCOL = const(9)
_FRAGMENTS = const(10)
_TOO_BIG = const(11)
_NO_ROUTE = const(12)
_LOOPBACK = const(13)

# State behind the counters: our address, the broadcast addresses of our prefix (all ones, and the
# old all zeros), the identification of the last datagram, the number of paths less one, the MTU of
# the link, how many path MTUs are known, how many groups; then the groups we are in, and the paths.
_ADDRESS = const(64)
_ONES = const(68)
_ZEROS = const(72)
_IDENTIFICATION = const(76)
_LAST_PATH = const(80)
_LINK_MTU = const(82)
_PATH_MTUS = const(84)
_GROUP_COUNT = const(88)
_GROUPS = const(96)
_TABLE = const(160)
_ROW = const(32)
_MTU = const(4)
_LINK_HEADER = const(8)
_HOP = const(24)

# The packet's head (see packet.py).
LINK = const(0)
PSEUDO = const(2)
TRANSPORT = const(4)
END = const(8)
FLAGS = const(10)
PROTOCOL = const(12)
FRAGMENT = const(14)
SOURCE = const(16)
DESTINATION = const(32)
NEXT_HOP = const(48)
TAIL = const(64)
MSS = const(68)
HOPS = const(72)
DATAGRAM = const(96)
OUT_FRAME = const(166)
OUT_DATAGRAM = const(180)
NET_BROADCAST = const(0x08)
ANY_BROADCAST = const(0x03)  # of the link: broadcast or multicast
CONGESTION = const(0x40)
CONGESTION_MARK = const(0x0300)  # of the version and traffic class word, as it lies in the packet


class Ip4:
    def __init__(self, mtu, routes, timers, random, registry):
        self.state = bytearray(_TABLE + PATHS * _ROW)
        self.state[_LAST_PATH] = PATHS - 1
        self.count = registry.add(Counters("ip4", COUNTS, DROPS, self.state)).count
        identification = random.bits(16)
        self.state[_IDENTIFICATION] = identification & 0xFF
        self.state[_IDENTIFICATION + 1] = identification >> 8
        self.address = memoryview(self.state)[_ADDRESS : _ADDRESS + 4]
        self.find_route = routes.find
        self.path_mtus = PathMtu(timers)
        self.configure(NOWHERE, 0, mtu)
        # Slots: up, out, sideways.
        self.icmp = self.igmp = self.udp = self.tcp = self.unknown
        self.resolve = None
        self.transmit = None
        self.reassemble = self.no_fragments
        self.fragment = self.too_big
        self.loop = self.no_loop
        self.refuse = self.ignore
        self.path_mtu_changed = self.ignore_destination

    def ignore_destination(self, destination):
        pass

    def ignore(self, packet, code):
        pass

    def configure(self, address, length, mtu):
        """The address of this host, `length` bits of which are the prefix of its link."""
        state = self.state
        state[_ADDRESS : _ADDRESS + 4] = address
        # RFC 3021: a prefix of 31 bits, and one of 32, has no broadcast address.
        net = mask(length) if 0 < length < 31 else EVERYBODY
        ones = bytes([address[i] | (net[i] ^ 0xFF) for i in range(4)])
        zeros = apply(address, net)
        plain = net == EVERYBODY
        state[_ONES : _ONES + 4] = EVERYBODY if plain else ones
        state[_ZEROS : _ZEROS + 4] = EVERYBODY if plain else zeros
        self.mtu = mtu
        state[_LINK_MTU] = mtu & 0xFF
        state[_LINK_MTU + 1] = mtu >> 8
        self.path_mtus.known.clear()
        state[_PATH_MTUS] = 0
        self.forget(NOWHERE)

    # Received.

    @micropython.viper
    def receive(self, packet):
        """A datagram lies between DATAGRAM and END, perhaps with padding behind it."""
        head = ptr16(packet.buffer)
        words = ptr32(head)
        state = ptr32(self.state)
        there = int(head[END >> 1]) - DATAGRAM
        # RFC 1122 3.2.1.1, 3.2.1.2: silently discard what is not version 4 or has a bad checksum.
        if there < SIZE:
            state[_SHORT] += 1
            return
        size = SIZE
        first = int(head[DATAGRAM >> 1])
        pseudo = (
            head[(DATAGRAM >> 1) + 6]
            + head[(DATAGRAM >> 1) + 7]
            + head[(DATAGRAM >> 1) + 8]
            + head[(DATAGRAM >> 1) + 9]
        )
        total = (
            first
            + head[(DATAGRAM >> 1) + 1]
            + head[(DATAGRAM >> 1) + 2]
            + head[(DATAGRAM >> 1) + 3]
            + head[(DATAGRAM >> 1) + 4]
            + head[(DATAGRAM >> 1) + 5]
            + pseudo
        )
        if first & CONGESTION_MARK == CONGESTION_MARK:
            # RFC 3168 section 5: a router has marked it instead of dropping it.
            head[FLAGS >> 1] |= CONGESTION
        first &= 0xFF
        if first != 0x45:
            if first >> 4 != 4:
                state[_VERSION] += 1
                return
            size = (first & 15) << 2
            if size < SIZE or size > there:
                state[_HEADER_LENGTH] += 1
                return
            i = (DATAGRAM + SIZE) >> 1
            last = (DATAGRAM + size) >> 1
            while i < last:
                total += head[i]
                i += 1
        if (total & 0xFFFF) + (total >> 16) != 0xFFFF:
            state[_CHECKSUM] += 1
            return
        length = int(head[(DATAGRAM + LENGTH) >> 1])
        length = (length & 0xFF) << 8 | length >> 8
        if length < size or length > there:
            state[_LENGTH] += 1
            return
        head[END >> 1] = DATAGRAM + length
        head[TRANSPORT >> 1] = DATAGRAM + size
        protocol = int(head[(DATAGRAM + TTL) >> 1]) >> 8
        head[PROTOCOL >> 1] = protocol
        pseudo += protocol << 8
        pseudo = (pseudo & 0xFFFF) + (pseudo >> 16)
        head[PSEUDO >> 1] = pseudo + (pseudo >> 16)
        source = words[(DATAGRAM + FROM) >> 2]
        destination = words[(DATAGRAM + TO) >> 2]
        words[SOURCE >> 2] = source
        words[DESTINATION >> 2] = destination
        address = state[_ADDRESS >> 2]
        # RFC 1122 3.2.1.3: no datagram comes from a group, from "this network", from inside a
        # host, or from ourselves.
        high = source & 0xFF
        if (
            high == 0
            or high == 127
            or high >= 224
            or source == address
            or (source == state[_ONES >> 2])
            or (source == state[_ZEROS >> 2])
        ):
            state[_SOURCE] += 1
            return
        if destination != address or address == 0:
            if address == 0:
                # DHCP offers may be sent to the address that they offer (RFC 2131 4.1).
                if protocol != UDP or (destination & 0xFF >= 224 and destination + 1):
                    state[_DESTINATION] += 1
                    return
            elif (
                destination + 1
                and destination != state[_ONES >> 2]
                and destination != state[_ZEROS >> 2]
            ):
                i = state[_GROUP_COUNT >> 2]
                while i and state[(_GROUPS >> 2) + i - 1] != destination:
                    i -= 1
                if i == 0:
                    state[_DESTINATION] += 1
                    return
            if address or destination + 1 == 0:
                head[FLAGS >> 1] |= NET_BROADCAST
        elif head[FLAGS >> 1] & ANY_BROADCAST:
            # RFC 1122 3.3.6: a link-layer broadcast for one host is a mistake or an attack.
            state[_DESTINATION] += 1
            return
        if head[(DATAGRAM + FLAGS_OFFSET) >> 1] & FRAGMENTED:
            self.reassemble(packet)
        elif protocol == UDP:
            self.udp(packet)
        elif protocol == ICMP:
            self.icmp(packet)
        elif protocol == TCP:
            self.tcp(packet)
        elif protocol == IGMP:
            self.igmp(packet)
        else:
            self.unknown(packet)

    def unknown(self, packet):
        """RFC 1122 3.2.2.1: a protocol that nobody speaks here is unreachable."""
        self.count(_PROTOCOL)
        self.refuse(packet, PROTOCOL_UNREACHABLE)

    def no_fragments(self, packet):
        self.count(_FRAGMENTS)

    # To be sent.

    @micropython.viper
    def send(self, packet):
        """Send what lies between OUT_SEGMENT and END, and the tail.

        SOURCE, DESTINATION, PROTOCOL, FRAGMENT, TRAFFIC, HOPS and MSS of the packet's head are the
        sender's.
        """
        head = ptr16(packet.buffer)
        words = ptr32(head)
        state = ptr16(self.state)
        table = ptr32(state)
        length = int(head[END >> 1]) - OUT_DATAGRAM + words[TAIL >> 2]
        # MSS is the low half of its word, TRAFFIC the high half.
        cut = words[MSS >> 2]
        first = 0x45 | (cut >> 8) & 0xFF00
        hops = int(head[HOPS >> 1])
        if hops == 0:
            hops = DEFAULT_TTL
        hops |= head[PROTOCOL >> 1] << 8
        fragment = int(head[FRAGMENT >> 1])
        head[FRAGMENT >> 1] = 0
        identification = 0
        if fragment & DONT_FRAGMENT == 0:
            if fragment & LATER == 0:
                # A later fragment belongs to the datagram sent just before.
                state[_IDENTIFICATION >> 1] += 1
            identification = int(state[_IDENTIFICATION >> 1])
        source = words[SOURCE >> 2]
        destination = words[DESTINATION >> 2]
        head[OUT_DATAGRAM >> 1] = first
        head[(OUT_DATAGRAM >> 1) + 1] = (length & 0xFF) << 8 | length >> 8
        head[(OUT_DATAGRAM >> 1) + 2] = identification
        head[(OUT_DATAGRAM >> 1) + 3] = fragment
        head[(OUT_DATAGRAM >> 1) + 4] = hops
        words[(OUT_DATAGRAM + FROM) >> 2] = source
        words[(OUT_DATAGRAM + TO) >> 2] = destination
        total = (
            head[(OUT_DATAGRAM >> 1) + 1]
            + head[(OUT_DATAGRAM >> 1) + 2]
            + head[(OUT_DATAGRAM >> 1) + 6]
            + head[(OUT_DATAGRAM >> 1) + 7]
            + head[(OUT_DATAGRAM >> 1) + 8]
            + head[(OUT_DATAGRAM >> 1) + 9]
            + fragment
            + first
            + hops
        )
        total = (total & 0xFFFF) + (total >> 16)
        head[(OUT_DATAGRAM >> 1) + 5] = (total + (total >> 16)) ^ 0xFFFF
        row = _TABLE + ((ptr8(head)[DESTINATION + 3] & state[_LAST_PATH >> 1]) << 5)
        if table[row >> 2] != destination or (
            length > int(state[(row + _MTU) >> 1]) and cut & 0xFFFF == 0
        ):
            self.find_path(packet, row, length)
            return
        # Copy the link header.
        row = (row + _LINK_HEADER) >> 1
        head[LINK >> 1] = OUT_FRAME
        head[OUT_FRAME >> 1] = state[row]
        head[(OUT_FRAME >> 1) + 1] = state[row + 1]
        head[(OUT_FRAME >> 1) + 2] = state[row + 2]
        head[(OUT_FRAME >> 1) + 3] = state[row + 3]
        head[(OUT_FRAME >> 1) + 4] = state[row + 4]
        head[(OUT_FRAME >> 1) + 5] = state[row + 5]
        head[(OUT_FRAME >> 1) + 6] = state[row + 6]
        self.transmit(packet)

    @micropython.viper
    def find_path(self, packet, row: int, length: int):
        """The destination is not in the table, or the packet does not fit its path."""
        head = ptr16(packet.buffer)
        words = ptr32(head)
        state = ptr16(self.state)
        table = ptr32(state)
        destination = words[DESTINATION >> 2]
        high = destination & 0xFF
        if destination + 1 == 0 or destination == table[_ONES >> 2]:
            words[NEXT_HOP >> 2] = -1
        elif high == 127 or destination == table[_ADDRESS >> 2]:
            self.loop(packet)
            return
        elif high >= 224:
            # A group is on the link, whatever the routes say.
            words[NEXT_HOP >> 2] = destination
        elif high == 0 or not self.find_route(packet):
            table[_NO_ROUTE] += 1
            packet.release()
            return
        mtu = int(state[_LINK_MTU >> 1])
        if state[_PATH_MTUS >> 1]:
            mtu = int(self.path_mtu_of(packet))
        if length > mtu and head[MSS >> 1] == 0:
            if head[(OUT_DATAGRAM + FLAGS_OFFSET) >> 1] & DONT_FRAGMENT:
                self.too_big(packet, mtu)
            else:
                table[_FRAGMENTED] += 1
                self.fragment(packet, mtu)
            return
        if not self.resolve(packet):
            return
        table[_PATHS_MADE] += 1
        table[row >> 2] = destination
        table[(row + _HOP) >> 2] = words[NEXT_HOP >> 2]
        state[(row + _MTU) >> 1] = mtu
        i = 0
        while i < 7:
            state[((row + _LINK_HEADER) >> 1) + i] = head[(OUT_FRAME >> 1) + i]
            i += 1
        self.transmit(packet)

    def no_loop(self, packet):
        self.count(_LOOPBACK)
        packet.release()

    def too_big(self, packet, mtu):
        self.count(_TOO_BIG)
        packet.release()

    def set_groups(self, groups):
        """Hear what is sent to these multicast groups, and to no others."""
        state = self.state
        state[_GROUP_COUNT] = len(groups)
        at = _GROUPS
        for group in groups:
            state[at : at + 4] = group
            at += 4

    def forget(self, hop):
        """Paths through this neighbour are to be found anew; 0.0.0.0: all of them."""
        state = self.state
        if hop == NOWHERE:
            state[_TABLE:] = bytes(PATHS * _ROW)
            return
        for row in range(_TABLE, _TABLE + PATHS * _ROW, _ROW):
            if state[row + _HOP : row + _HOP + 4] == hop:
                state[row : row + 4] = NOWHERE

    # Path MTU, RFC 1191.

    def path_mtu_of(self, packet):
        return self.path_mtu(bytes(packet.buffer[DESTINATION : DESTINATION + 4]))

    def path_mtu(self, destination):
        mtu = self.path_mtus.of(destination, self.mtu)
        self.state[_PATH_MTUS] = len(self.path_mtus.known)
        return mtu

    def fragmentation_needed(self, destination, mtu):
        """A router says what fits."""
        mtu = max(mtu, BELIEVABLE_MTU)
        if mtu >= self.path_mtu(destination):
            return
        self.path_mtus.learn(destination, mtu)
        self.state[_PATH_MTUS] = len(self.path_mtus.known)
        row = _TABLE + (destination[3] & (PATHS - 1)) * _ROW
        if self.state[row : row + 4] == destination:
            self.state[row : row + 4] = NOWHERE
        self.path_mtu_changed(destination)
