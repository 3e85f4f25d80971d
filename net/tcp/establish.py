"""Connections come to be: RFC 9293 3.5 and 3.10.7.1 to .3; and what belongs to no connection.

A SYN for a listener becomes a row (halfopen.py), and its SYN-ACK; the third segment makes an object
of it.  When there is no room for rows, or a listener has its share of them, SYN-ACKs are cookies
(RFC 4987; cookies.py), and the third segment brings back all that was forgotten.

`connect` makes the object at once: SYN-SENT, and, should the peer do the same, SYN-RECEIVED.
"""

import micropython
from micropython import const

from net.config import TCP_WINDOW, TCP_WINDOW_SHIFT
from net.tcp import congestion, cookies, halfopen, options, recovery, rtt, timewait
from net.tcp.segment import pseudo
from net.tcp.words import flag, flight, put, stamp, syn_acknowledged, syn_sent, told, word

# The packet's head (see net/packet.py).
TRANSPORT = const(4)
FLAGS = const(10)
SOURCE = const(16)
DESTINATION = const(32)
IP6 = const(0x20)
END = const(8)
OUT_SEGMENT = const(200)

# The header (see header.py).
FIN = const(0x01)
SYN = const(0x02)
RST = const(0x04)
ACK = const(0x10)
ECE = const(0x40)
CWR = const(0x80)

# The block (see block.py).
LOCAL = const(0)
REMOTE = const(4)
PORTS = const(8)
STATE = const(10)
B_FLAGS = const(11)
EVENTS = const(12)
SND_UNA = const(13)
SND_NXT = const(14)
SND_MAX = const(15)
SND_WND = const(16)
SND_WL1 = const(17)
SND_WL2 = const(18)
ISS = const(19)
RCV_NXT = const(20)
RCV_ADV = const(21)
IRS = const(22)
RCV_SPACE = const(24)
SND_SCALE = const(26)
RCV_SCALE = const(27)
MSS = const(28)
PEER_MSS = const(29)
MAX_WND = const(30)
TS_RECENT = const(33)
TS_RECENT_AT = const(34)
TS_OFFSET = const(35)
LAST_ACK = const(36)
RTX_AT = const(37)
RETRANSMITS = const(47)
RTO = const(43)
BACKOFF = const(44)
SCRATCH = const(92)
HEARD_AT = const(85)
BEGAN_AT = const(86)
SND_SML = const(102)
CLOSED = const(0)
SYN_SENT = const(2)
SYN_RECEIVED = const(3)
ESTABLISHED = const(4)
IS_IP6 = const(0x1)
TIMESTAMPS = const(0x2)
SACK_OK = const(0x4)
SCALED = const(0x8)
ECN = const(0x10)
WANT_ECN = const(0x100000)
ACK_NOW = const(0x2)
OUTPUT = const(0x4)
ACCEPTED = const(0x8)
CONNECTED = const(0x10)

# Shared words (see turn.py).
_CONNECTED = const(4)
_ACCEPTED = const(5)
_RESETS_SENT = const(12)
_RESETS_RECEIVED = const(13)
_COOKIES_SENT = const(16)
_COOKIES_ACCEPTED = const(17)
_TIME_WAITS_REUSED = const(19)
_PORT = const(28)
_NO_ACK = const(31)
_BAD_ACK = const(32)
_NO_PACKET = const(35)
_NO_CONNECTION = const(36)
_NO_HALF_OPEN = const(37)
_PAWS = const(30)
_COOKIE = const(41)
NOW = const(64)
FRESH = const(65)
SEG_SEQ = const(72)
SEG_ACK = const(73)
SEG_LEN = const(74)
SEG_WND = const(75)
SEG_FLAGS = const(76)
SEG_OPTIONS = const(77)
SEG_OFFSET = const(78)
SEG_ACKED = const(79)
SEG_HASH = const(80)
S_SCRATCH = const(84)
HAS_MSS = const(1)
HAS_SCALE = const(2)
HAS_SACK_PERMITTED = const(4)
HAS_TIMESTAMPS = const(8)
OUT_MSS = const(0)
OUT_SCALE = const(1)
OUT_TS_VALUE = const(2)
OUT_TS_ECHO = const(3)

# Words of a listener's cells (see connection.py); what halfopen.judge says.
WAITING = const(0)
BACKLOG = const(1)
H_NOTHING = const(0)
H_ESTABLISH = const(5)

MASK = const(0x3FFFFFFF)
SMALLEST_MSS = const(64)
ECONNREFUSED = const(111)
ETIMEDOUT = const(110)


@micropython.viper
def identity(block: ptr32, packet: ptr16):
    """Who the sender of a received segment is, and who we are."""
    words = ptr32(packet)
    i = 0
    while i < 8:
        block[i] = 0
        i += 1
    block[REMOTE] = words[SOURCE >> 2]
    block[LOCAL] = words[DESTINATION >> 2]
    block[B_FLAGS] = 0
    if packet[FLAGS >> 1] & IP6:
        block[B_FLAGS] = IS_IP6
        i = 1
        while i < 4:
            block[REMOTE + i] = words[(SOURCE >> 2) + i]
            block[LOCAL + i] = words[(DESTINATION >> 2) + i]
            i += 1
    block[PORTS] = words[int(packet[TRANSPORT >> 1]) >> 2]


@micropython.viper
def offered(block: ptr32, state: ptr32, out: ptr32, ours: int):
    """What the peer's SYN says; `ours`: the flags of what we can do."""
    found = state[SEG_OPTIONS]
    flags = block[B_FLAGS]
    block[PEER_MSS] = 1220 if flags & IS_IP6 else 536
    if found & HAS_MSS:
        block[PEER_MSS] = out[OUT_MSS]
        if out[OUT_MSS] < SMALLEST_MSS:
            block[PEER_MSS] = SMALLEST_MSS
    block[SND_SCALE] = 0
    block[RCV_SCALE] = 0
    if found & HAS_SCALE and ours & SCALED:
        flags |= SCALED
        block[SND_SCALE] = out[OUT_SCALE]
        block[RCV_SCALE] = int(TCP_WINDOW_SHIFT)
    if found & HAS_TIMESTAMPS and ours & TIMESTAMPS:
        flags |= TIMESTAMPS
        block[TS_RECENT] = out[OUT_TS_VALUE]
        block[TS_RECENT_AT] = state[NOW]
    if found & HAS_SACK_PERMITTED and ours & SACK_OK:
        flags |= SACK_OK
    block[B_FLAGS] = flags
    block[IRS] = state[SEG_SEQ]
    block[RCV_NXT] = state[SEG_SEQ] + 1
    block[RCV_ADV] = block[RCV_NXT]
    block[LAST_ACK] = block[RCV_NXT]
    # The window of a SYN is never scaled (RFC 7323 2.2).
    block[SND_WND] = state[SEG_WND]
    block[MAX_WND] = state[SEG_WND]
    block[SND_WL1] = state[SEG_SEQ]
    block[SND_WL2] = state[SEG_ACK]


@micropython.viper
def number(block: ptr32, out: ptr32):
    """Begin at an initial sequence number."""
    block[ISS] = out[0]
    block[TS_OFFSET] = out[1]
    block[SND_UNA] = out[0]
    block[SND_NXT] = out[0]
    block[SND_MAX] = out[0]


@micropython.viper
def answer_for(block: ptr32, state: ptr32):
    """How RST answers a segment (RFC 9293 3.10.7.1); the flags are emit's."""
    flags = state[SEG_FLAGS]
    block[RCV_NXT] = state[SEG_SEQ] + state[SEG_LEN]
    block[SND_UNA] = 0
    if flags & ACK:
        block[SND_UNA] = state[SEG_ACK]
    block[SND_MAX] = block[SND_UNA]


@micropython.viper
def first_segment(block: ptr32, state: ptr32):
    """The third segment of the handshake: what the connection begins with."""
    block[STATE] = ESTABLISHED
    block[SND_UNA] = block[ISS] + 1
    block[SND_NXT] = block[SND_UNA]
    block[SND_MAX] = block[SND_UNA]
    block[SND_SML] = block[SND_UNA]
    block[SND_WND] = state[SEG_WND] << block[SND_SCALE]
    if block[SND_WND] > block[MAX_WND]:
        block[MAX_WND] = block[SND_WND]
    block[SND_WL1] = state[SEG_SEQ]
    block[SND_WL2] = state[SEG_ACK]
    block[HEARD_AT] = state[NOW]
    block[RTX_AT] = -1


@micropython.viper
def forgotten(block: ptr32, state: ptr32, peer: ptr32, cookie: ptr32):
    """What a cookie's third segment says about its first two."""
    block[IRS] = state[SEG_SEQ] - 1
    block[RCV_NXT] = state[SEG_SEQ]
    block[RCV_ADV] = state[SEG_SEQ]
    block[LAST_ACK] = state[SEG_SEQ]
    block[ISS] = state[SEG_ACK] - 1
    peer[0] = block[IRS]
    cookie[0] = block[ISS]


@micropython.viper
def difference(out: ptr32, value: ptr32, index: int, block: ptr32):
    """out[0]: an echoed timestamp as our clock has it."""
    out[0] = value[index] - block[TS_OFFSET]


@micropython.viper
def opened(block: ptr32, state: ptr32) -> int:
    """SYN-SENT, RFC 9293 3.10.7.3: 0: the acknowledgement is wrong, 1: right, 2: there is none."""
    if state[SEG_FLAGS] & ACK == 0:
        return 2
    state[S_SCRATCH] = state[SEG_ACK] - block[ISS]
    acked = state[S_SCRATCH]
    state[S_SCRATCH] = block[SND_MAX] - block[ISS]
    if acked <= 0 or acked > state[S_SCRATCH]:
        return 0
    return 1


@micropython.viper
def without_syn(state: ptr32):
    """What follows the SYN of a segment."""
    state[SEG_SEQ] += 1
    state[SEG_LEN] -= 1
    state[SEG_FLAGS] &= ~SYN


def address(block, at):
    return block[at : at + (16 if word(block, B_FLAGS) & IS_IP6 else 4)]


class Voice:
    """Speaks for whoever has no connection: as much of one as segment.py looks at."""

    def __init__(self, block):
        self.block = block
        self.index = 0


class Establish:
    def __init__(self, tcp):
        self.tcp = tcp
        self.state = tcp.turn.state
        self.count = tcp.turn.count
        self.mark = tcp.turn.mark
        self.options = tcp.arrive.options
        self.half = tcp.half
        self.over = tcp.over
        self.time = tcp.time
        self.isn = tcp.isn
        self.cookies = tcp.cookies
        self.segments = tcp.segments
        self.voice = Voice(bytearray(tcp.template))
        self.out = bytearray(8)
        self.peer = bytearray(4)
        self.cookie = bytearray(4)
        self.ours = TIMESTAMPS | SACK_OK | SCALED
        self.listeners = tcp.listeners
        # Functions and methods as slots: a call from viper finds them at once.
        self.identity = identity
        self.offered = offered
        self.pseudo = pseudo
        self.number = number
        self.first_segment = first_segment
        self.write_syn = options.write_syn
        self.start_rtt = rtt.start
        self.start_recovery = recovery.start
        self.start_congestion = congestion.start
        self.told = told
        self.listen = self.listen
        self.answer = self.answer
        self.send_syn = self.send_syn
        self.half_open = self.half_open
        self.accept = self.accept
        self.welcome = self.welcome
        self.forget = self.forget

    # Segments of nobody.

    @micropython.viper
    def stranger(self, packet):
        state = ptr32(self.state)
        place = state[SEG_HASH]
        row = int(self.half.find(packet, place))
        if row:
            self.half_open(packet, row)
            return
        row = int(self.time.find(packet, place))
        if row and not self.waiting(row):
            return
        flags = state[SEG_FLAGS]
        if flags & RST:
            return
        head = ptr16(packet.buffer)
        port = int(head[(int(head[TRANSPORT >> 1]) >> 1) + 1])
        listener = self.listeners.get((port & 0xFF) << 8 | port >> 8)
        if listener is not None:
            if flags & (SYN | ACK) == SYN:
                self.listen(packet, listener)
                return
            if flags & (SYN | ACK) == ACK and self.cookie_back(packet, listener):
                return
            if flags & ACK == 0:
                state[_NO_ACK] += 1
                return
        state[_PORT] += 1
        self.refuse(packet)

    def waiting(self, row):
        """A segment for TIME-WAIT; True: it begins the next connection."""
        what = self.time.judge(row, self.options)
        if what == timewait.NEW:
            self.count(_TIME_WAITS_REUSED)
            self.time.remove(row)
            return True
        if what != timewait.NOTHING and (
            what != timewait.ANSWER or self.tcp.arrive.may_challenge()
        ):
            self.time.revive(row, self.voice.block)
            self.segments.acknowledge(self.voice)
        return False

    def refuse(self, packet):
        """RST, RFC 9293 3.5.2 group 1."""
        block = self.voice.block
        identity(block, packet.buffer)
        answer_for(block, self.state)
        self.reset(RST if word(self.state, SEG_FLAGS) & ACK else RST | ACK)

    def reset(self, flags, connection=None):
        """An RST from the voice's block, or from a connection's."""
        packet = self.segments.allocate()
        if not packet:
            self.count(_NO_PACKET)
            return
        self.count(_RESETS_SENT)
        block = self.voice.block
        offset = 0
        if connection:
            block = connection.block
            offset = flight(block)
        pseudo(block)
        buffer = packet.buffer
        buffer[END] = OUT_SEGMENT + 20
        self.segments.emit(block, packet, offset, flags)

    def refuse_for(self, connection):
        """An unacceptable ACK in SYN-SENT or SYN-RECEIVED: RST from where it thinks we are."""
        block = self.voice.block
        block[0:48] = connection.block[0:48]
        answer_for(block, self.state)
        self.reset(RST)

    # Passive.

    @micropython.viper
    def listen(self, packet, listener):
        """RFC 9293 3.10.7.2, third: a SYN."""
        block_ = self.voice.block
        block = ptr32(block_)
        state = ptr32(self.state)
        self.identity(block_, packet.buffer)
        self.offered(block_, self.state, self.options, self.ours)
        if state[SEG_FLAGS] & (ECE | CWR) == ECE | CWR and self.tcp.ecn:
            block[B_FLAGS] |= ECN
        self.pseudo(block_)
        self.isn.of_block(block_, state[NOW], self.out)
        self.number(block_, self.out)
        cells = ptr32(listener.cells)
        row = 0
        if cells[WAITING] < cells[BACKLOG]:
            row = int(self.half.begin(block_, state[SEG_HASH], listener.port))
        if row:
            cells[WAITING] += 1
        else:
            state[_NO_HALF_OPEN] += 1
            self.bake(block_)
        self.answer(block_)

    @micropython.viper
    def answer(self, block_):
        """SYN-ACK from a row's block."""
        flags = int(SYN | ACK)
        if ptr32(block_)[B_FLAGS] & ECN:
            flags |= ECE
        self.send_syn(block_, flags)

    @micropython.viper
    def send_syn(self, block_, flags: int):
        block = ptr32(block_)
        state = ptr32(self.state)
        packet = self.segments.allocate()
        if packet is None:
            state[_NO_PACKET] += 1
            return
        # What a peer may send us in one segment: RFC 9293 3.7.1.
        mss = int(self.tcp.mtu) - (60 if block[B_FLAGS] & IS_IP6 else 40)
        size = int(self.write_syn(block_, packet.buffer, OUT_SEGMENT + 20, state[NOW], mss))
        ptr16(packet.buffer)[END >> 1] = OUT_SEGMENT + 20 + size
        self.segments.emit(block_, packet, 0, flags | size << 8 | 1 << 16)

    @micropython.viper
    def half_open(self, packet, row: int):
        half = self.half
        what = int(half.judge(row, self.options, int(TCP_WINDOW)))
        if what == H_ESTABLISH:
            self.accept(packet, row)
        elif what != H_NOTHING:
            self.half_answer(packet, row, what)

    def half_answer(self, packet, row, what):
        half = self.half
        block = self.voice.block
        if what == halfopen.AGAIN:
            half.revive(row, block)
            self.answer(block)
        elif what == halfopen.ANSWER:
            if self.tcp.arrive.may_challenge():
                half.revive(row, block)
                self.segments.acknowledge(self.voice)
        elif what == halfopen.FORGET:
            self.count(_RESETS_RECEIVED)
            self.forget(row)
        elif what == halfopen.RESET:
            self.count(_BAD_ACK)
            self.refuse(packet)
        elif what == halfopen.NO_ACK:
            self.count(_NO_ACK)
        elif what == halfopen.OLD:
            self.count(_PAWS)

    @micropython.viper
    def forget(self, row: int):
        listener = self.listeners.get(self.half.listener(row))
        if listener is not None:
            cells = ptr32(listener.cells)
            cells[WAITING] -= 1
        self.half.remove(row)

    def resend(self, row):
        block = self.voice.block
        self.half.revive(row, block)
        if not word(self.state, FRESH):
            self.tcp.turn.begin()
        self.answer(block)

    @micropython.viper
    def accept(self, packet, row: int):
        """The third segment: from now on it is an object."""
        tcp = self.tcp
        half = self.half
        listener = self.listeners.get(half.listener(row))
        if listener is None:
            half.remove(row)
            self.refuse(packet)
            return
        connection = tcp.make(listener.on_connection)
        if connection is None:
            return
        block = connection.block
        half.revive(row, block)
        if ptr32(block)[B_FLAGS] & SCALED:
            ptr32(block)[RCV_SCALE] = int(TCP_WINDOW_SHIFT)
        lost = int(half.tries(row))
        self.forget(row)
        self.welcome(packet, connection, lost)

    @micropython.viper
    def welcome(self, packet, connection, lost: int):
        tcp = self.tcp
        block_ = connection.block
        block = ptr32(block_)
        state = ptr32(self.state)
        if not tcp.enter(connection):
            state[_NO_CONNECTION] += 1
            self.refuse(packet)
            return
        # Our SYN-ACK has told a window (RFC 7323 2.2: not scaled).
        self.told(block_)
        self.start_rtt(block_)
        self.start_recovery(block_)
        self.first_segment(block_, self.state)
        tcp.size(connection)
        self.start_congestion(block_, lost)
        block[EVENTS] |= ACCEPTED
        self.mark(connection)
        state[_ACCEPTED] += 1
        if state[SEG_LEN]:
            tcp.arrive.receive(packet, int(connection.index))

    # Cookies.

    def bake(self, block):
        """Make the SYN-ACK one that can be forgotten."""
        tcp = self.tcp
        now = word(self.state, NOW)
        self.peer[:] = block[4 * IRS : 4 * IRS + 4]
        self.cookies.make(
            address(block, 0),
            block[34] << 8 | block[35],
            address(block, 16),
            block[32] << 8 | block[33],
            self.peer,
            word(block, PEER_MSS),
            now,
            self.out,
        )
        flags = word(block, B_FLAGS)
        self.out[4:8] = block[4 * TS_OFFSET : 4 * TS_OFFSET + 4]
        number(block, self.out)
        if flags & TIMESTAMPS:
            kept = cookies.SCALE_BITS
            if flags & SCALED:
                kept = word(block, SND_SCALE)
            if flags & SACK_OK:
                kept |= cookies.WITH_SACK
            if flags & ECN:
                kept |= cookies.WITH_ECN
            offset = block[4 * TS_OFFSET : 4 * TS_OFFSET + 4]
            cookies.stamp(now, offset, kept, self.out)
            stamp(block, self.out, now)
        else:
            flag(block, SCALED | SACK_OK | ECN, 0)
        self.count(_COOKIES_SENT)
        tcp.cookie_at = now

    def cookies_out(self):
        """Was a cookie sent lately that may come back?"""
        tcp = self.tcp
        return tcp.cookie_at >= 0 and (word(self.state, NOW) - tcp.cookie_at) & MASK < 140_000

    def cookie_back(self, packet, listener):
        tcp = self.tcp
        if not self.cookies_out():
            return False
        block = self.voice.block
        identity(block, packet.buffer)
        forgotten(block, self.state, self.peer, self.cookie)
        now = word(self.state, NOW)
        mss = self.cookies.check(
            address(block, 0),
            block[34] << 8 | block[35],
            address(block, 16),
            block[32] << 8 | block[33],
            self.peer,
            self.cookie,
            now,
        )
        if not mss:
            self.count(_COOKIE)
            return False
        connection = tcp.make(listener.on_connection)
        if connection is None:
            return True
        block = connection.block
        identity(block, packet.buffer)
        forgotten(block, self.state, self.peer, self.cookie)
        pseudo(block)
        put(block, PEER_MSS, mss)
        if word(self.state, SEG_OPTIONS) & HAS_TIMESTAMPS:
            # The offset depends on addresses and ports only, so it can be had again.
            self.isn.of_block(block, now, self.out)
            block[4 * TS_OFFSET : 4 * TS_OFFSET + 4] = self.out[4:8]
            kept = cookies.unstamp(self.options[4 * OUT_TS_ECHO : 4 * OUT_TS_ECHO + 4])
            flag(block, TIMESTAMPS, 1)
            block[4 * TS_RECENT : 4 * TS_RECENT + 4] = self.options[8:12]
            if kept & cookies.SCALE_BITS != cookies.SCALE_BITS:
                flag(block, SCALED, 1)
                put(block, SND_SCALE, kept & cookies.SCALE_BITS)
                put(block, RCV_SCALE, TCP_WINDOW_SHIFT)
            if kept & cookies.WITH_SACK:
                flag(block, SACK_OK, 1)
            if kept & cookies.WITH_ECN:
                flag(block, ECN, 1)
        self.count(_COOKIES_ACCEPTED)
        self.welcome(packet, connection, 0)
        return True

    # Active.

    def handshake(self, connection):
        """Send what SYN-SENT or SYN-RECEIVED has to say, if it is due."""
        block = connection.block
        events = word(block, EVENTS)
        tcp = self.tcp
        if events & OUTPUT:
            put(block, EVENTS, events & ~OUTPUT)
            flags = SYN
            if word(block, STATE) == SYN_RECEIVED:
                flags |= ACK
            if word(block, B_FLAGS) & WANT_ECN:
                flags |= ECE if flags & ACK else ECE | CWR
            self.send_syn(block, flags)
            syn_sent(block, word(self.state, NOW))
            tcp.clock.at(connection.index, word(block, RTX_AT))
        elif events & ACK_NOW and word(block, STATE) == SYN_RECEIVED:
            self.segments.acknowledge(connection)

    def greeted(self, connection, packet):
        """RFC 9293 3.10.7.3."""
        block = connection.block
        state = self.state
        flags = word(state, SEG_FLAGS)
        right = opened(block, state)
        if right == 0:
            self.count(_BAD_ACK)
            if not flags & RST:
                self.refuse_for(connection)
            return
        if flags & RST:
            if right == 1:
                self.count(_RESETS_RECEIVED)
                self.over(connection, ECONNREFUSED)
            return
        if not flags & SYN:
            return
        tcp = self.tcp
        ours = word(block, B_FLAGS)
        flag(block, TIMESTAMPS | SACK_OK | SCALED | ECN, 0)
        offered(block, state, self.options, ours)
        wanted = ours & WANT_ECN
        if right == 1:
            if wanted and flags & (ECE | CWR) == ECE:
                flag(block, ECN, 1)
            told(block)
            syn_acknowledged(block)
            self.established(connection)
            tcp.event(connection, ACK_NOW)
            if word(state, SEG_LEN) > 1:
                without_syn(self.state)
                tcp.arrive.acceptable(connection)
                tcp.arrive.text(connection, packet)
        else:
            # Both at once: 3.5, figure 8.
            flag(block, WANT_ECN, 0)
            put(block, STATE, SYN_RECEIVED)
            tcp.event(connection, OUTPUT)

    def established(self, connection):
        """The handshake of our own is done."""
        tcp = self.tcp
        block = connection.block
        lost = word(block, BACKOFF)
        syn_acknowledged(block)
        put(block, STATE, ESTABLISHED)
        put(block, RTX_AT, -1)
        put(block, BACKOFF, 0)
        if lost:
            rtt.handshake_lost(block)
        tcp.size(connection)
        congestion.start(block, lost)
        self.count(_CONNECTED)
        tcp.event(connection, CONNECTED)
