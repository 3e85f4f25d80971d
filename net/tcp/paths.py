"""Path MTUs and bad news: how long segments may be, and what ICMP says about them; good news, too.

RFC 1191, 8201; RFC 8899 4.3 (what ICMP does not say); RFC 6691 (options count); RFC 5927 (what to
believe); RFC 1122 4.2.3.9; RFC 4861 7.3.1 (what arrives).
"""

import micropython
from micropython import const

from net.tcp.words import flight, put, quoted, word

# The packet's head (see net/packet.py).
PAYLOAD = const(6)
FLAGS = const(10)
SOURCE = const(16)
DESTINATION = const(32)
HEAD = const(64)
IP6 = const(0x20)

# The block (see block.py).
REMOTE = const(4)
STATE = const(10)
B_FLAGS = const(11)
SND_NXT = const(14)
SND_MAX = const(15)
SND_UNA = const(13)
MSS = const(28)
PEER_MSS = const(29)
RECOVER = const(50)
REASON = const(103)
SYN_SENT = const(2)
ESTABLISHED = const(4)
IS_IP6 = const(0x1)
TIMESTAMPS = const(0x2)
TIMED_OUT = const(0x1000)
OUTPUT = const(0x4)

# Shared words (see turn.py).
_PATH_MTU = const(21)
_UNREACHABLE_QUOTE = const(41)

# Path MTUs that were asked for lately: rows of five words, MTU and address; then stack.changes.
MTUS = const(32)
_MTUS_OF = const(160)
SMALLEST_MSS = const(64)
ECONNREFUSED = const(111)
EHOSTUNREACH = const(113)

# ICMP's type << 8 | code of what says that nobody is there: IPv4's protocol and port, IPv6's port.
HARD = (0x302, 0x303, 0x104)
TOO_BIG = (0x304, 0x200)


@micropython.viper
def again(block: ptr32):
    """What is under way was lost, and not by congestion."""
    block[SND_NXT] = block[SND_UNA]
    block[RECOVER] = block[SND_MAX]
    block[B_FLAGS] |= TIMED_OUT


class Paths:
    def __init__(self, tcp):
        self.stack = tcp.stack
        self.count = tcp.turn.count
        self.table = tcp.table
        self.question = tcp.question
        self.over = tcp.over
        self.event = tcp.event
        self.mtus = bytearray(4 * _MTUS_OF + 4)

    @micropython.viper
    def arrives(self, connection):
        """RFC 4861 7.3.1: neighbour discovery need not ask whether the way to the peer works."""
        block = ptr32(connection.block)
        if block[B_FLAGS] & IS_IP6:
            self.stack.families[-1].confirm(connection.remote)

    @micropython.viper
    def size(self, connection):
        """The MSS of what we send: RFC 9293 3.7.1, RFC 6691, path MTU."""
        block = ptr32(connection.block)
        mtus = ptr32(self.mtus)
        flags = block[B_FLAGS]
        if int(self.stack.changes) != mtus[_MTUS_OF]:
            self.forget_mtus()
        at = int(REMOTE)
        if flags & IS_IP6:
            at = int(REMOTE + 3)
        row = ((block[at] >> 24) & (MTUS - 1)) * 5
        if (
            mtus[row] == 0
            or mtus[row + 1] != block[REMOTE]
            or mtus[row + 2] != block[REMOTE + 1]
            or mtus[row + 3] != block[REMOTE + 2]
            or mtus[row + 4] != block[REMOTE + 3]
        ):
            mtus[row] = int(self.stack.path_mtu(connection.remote))
            i = 0
            while i < 4:
                mtus[row + 1 + i] = block[REMOTE + i]
                i += 1
        mss = mtus[row] - (60 if flags & IS_IP6 else 40)
        if mss > block[PEER_MSS]:
            mss = block[PEER_MSS]
        if mss < SMALLEST_MSS:
            mss = int(SMALLEST_MSS)
        if flags & TIMESTAMPS:
            mss -= 12
        block[MSS] = mss

    def narrow(self, connection):
        """RFC 8899 4.3: after timeouts in a row, perhaps what is long gets lost and nobody says so.

        What every path of IPv6 carries is tried, then what every host of IPv4 takes.
        """
        block = connection.block
        for most in (1220,) if word(block, B_FLAGS) & IS_IP6 else (1220, 536):
            if min(word(block, MSS), flight(block)) > most:
                put(block, PEER_MSS, most)
                self.size(connection)
                self.count(_PATH_MTU)
                return

    def forget_mtus(self):
        """Path MTUs are asked for again when a route or an address has changed."""
        for i in range(4 * _MTUS_OF):
            self.mtus[i] = 0
        put(self.mtus, _MTUS_OF, self.stack.changes)

    def unreachable(self, packet, kind):
        """An ICMP error; PAYLOAD is where the quoted header begins, DESTINATION whose it was.

        False: nothing of the kind is under way (RFC 5927 4.1), so it is not to be believed.
        """
        connection = self.quoted(packet)
        if connection is None:
            self.count(_UNREACHABLE_QUOTE)
            return False
        if kind in TOO_BIG:
            return True
        block = connection.block
        # RFC 5927 5.2: established connections survive; RFC 1122 4.2.3.9 for the others.
        reason = ECONNREFUSED if kind in HARD else EHOSTUNREACH
        put(block, REASON, reason)
        if word(block, STATE) == SYN_SENT and kind in HARD:
            self.over(connection, reason)
        return True

    def quoted(self, packet):
        """The connection of a quoted header, if its sequence number is under way; or None."""
        buffer = packet.buffer
        at = packet.payload
        remote = packet.destination
        local = self.stack.source_for(remote)
        if not local:
            return None
        question = self.question
        asked = question.buffer
        asked[FLAGS] = IP6 if len(remote) == 16 else 0
        asked[SOURCE : SOURCE + len(remote)] = remote
        asked[DESTINATION : DESTINATION + len(local)] = local
        asked[HEAD : HEAD + 2] = buffer[at + 2 : at + 4]
        asked[HEAD + 2 : HEAD + 4] = buffer[at : at + 2]
        index = self.table.find(question)
        connection = self.table.connections[index]
        if index and quoted(connection.block, buffer, at + 4):
            return connection
        return None

    def path_mtu_changed(self, destination):
        """RFC 1191 6.5: smaller segments, and what was too long once more, without a penalty."""
        self.forget_mtus()
        for connection in self.table.connections:
            if connection is None or connection.remote != destination:
                continue
            block = connection.block
            if word(block, STATE) < ESTABLISHED:
                continue
            before = word(block, MSS)
            self.size(connection)
            if word(block, MSS) < before:
                self.count(_PATH_MTU)
                if flight(block):
                    again(block)
                    self.event(connection, OUTPUT)
