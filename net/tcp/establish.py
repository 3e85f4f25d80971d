"""Passive connections come to be: RFC 9293 3.5, 3.10.7.2, and .4 for SYN-RECEIVED.

A SYN for a listener becomes a row (halfopen.py), and its SYN-ACK; the third segment makes an object
of it.  When there is no room for rows, or a listener has its share of them, SYN-ACKs are cookies
(baker.py).
Neighbours: stranger.py hands over the segments; active.py is the other end.
"""

import micropython
from micropython import const

from net.config import TCP_WINDOW, TCP_WINDOW_SHIFT
from net.tcp import congestion, halfopen, options, recovery, rtt
from net.tcp.segment import pseudo
from net.tcp.voice import identity
from net.tcp.words import told, word

# The packet's head (see net/packet.py).
END = const(8)
OUT_SEGMENT = const(200)

# The header (see header.py).
SYN = const(0x02)
ACK = const(0x10)
ECE = const(0x40)
CWR = const(0x80)

# The block (see block.py).
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
SND_SCALE = const(26)
RCV_SCALE = const(27)
PEER_MSS = const(29)
MAX_WND = const(30)
TS_RECENT = const(33)
TS_RECENT_AT = const(34)
TS_OFFSET = const(35)
LAST_ACK = const(36)
RTX_AT = const(37)
HEARD_AT = const(85)
SND_SML = const(102)
ESTABLISHED = const(4)
IS_IP6 = const(0x1)
TIMESTAMPS = const(0x2)
SACK_OK = const(0x4)
SCALED = const(0x8)
ECN = const(0x10)
ACCEPTED = const(0x8)

# Shared words (see turn.py).
_ACCEPTED = const(5)
_RESETS_RECEIVED = const(13)
_NO_ACK = const(30)
_BAD_ACK = const(31)
_NO_PACKET = const(33)
_NO_CONNECTION = const(34)
_NO_HALF_OPEN = const(35)
_PAWS = const(29)
NOW = const(64)
FRESH = const(65)
SEG_SEQ = const(72)
SEG_ACK = const(73)
SEG_LEN = const(74)
SEG_WND = const(75)
SEG_FLAGS = const(76)
SEG_OPTIONS = const(77)
SEG_HASH = const(80)
HAS_MSS = const(1)
HAS_SCALE = const(2)
HAS_SACK_PERMITTED = const(4)
HAS_TIMESTAMPS = const(8)
OUT_MSS = const(0)
OUT_SCALE = const(1)
OUT_TS_VALUE = const(2)

# Words of a listener's cells (see connection.py); what halfopen.judge says.
WAITING = const(0)
BACKLOG = const(1)
H_NOTHING = const(0)
H_ESTABLISH = const(5)
SMALLEST_MSS = const(64)


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


class Establish:
    """Slot: bake(block)."""

    def __init__(self, tcp, voice):
        self.tcp = tcp
        self.state = tcp.turn.state
        self.count = tcp.turn.count
        self.begin = tcp.turn.begin
        self.mark = tcp.turn.mark
        self.options = tcp.arrive.options
        self.listener = tcp.listeners.get
        self.half = tcp.half
        self.segments = tcp.segments
        self.voice = voice
        self.out = bytearray(8)
        self.ours = TIMESTAMPS | SACK_OK | SCALED
        self.bake = None
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
        self.of_block = tcp.isn.of_block
        self.half_begin = tcp.half.begin
        self.listen = self.listen
        self.answer = self.answer
        self.send_syn = self.send_syn
        self.half_open = self.half_open
        self.accept = self.accept
        self.welcome = self.welcome
        self.forget = self.forget

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
        self.of_block(block_, state[NOW], self.out)
        self.number(block_, self.out)
        cells = ptr32(listener.cells)
        row = 0
        if cells[WAITING] < cells[BACKLOG]:
            row = int(self.half_begin(block_, state[SEG_HASH], listener.port))
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
            self.voice.refuse(packet)
        elif what == halfopen.NO_ACK:
            self.count(_NO_ACK)
        elif what == halfopen.OLD:
            self.count(_PAWS)

    @micropython.viper
    def forget(self, row: int):
        listener = self.listener(self.half.listener(row))
        if listener is not None:
            cells = ptr32(listener.cells)
            cells[WAITING] -= 1
        self.half.remove(row)

    def resend(self, row):
        block = self.voice.block
        self.half.revive(row, block)
        if not word(self.state, FRESH):
            self.begin()
        self.answer(block)

    @micropython.viper
    def accept(self, packet, row: int):
        """The third segment: from now on it is an object."""
        tcp = self.tcp
        half = self.half
        listener = self.listener(half.listener(row))
        if listener is None:
            half.remove(row)
            self.voice.refuse(packet)
            return
        connection = tcp.make(listener.on_connection)
        if connection is None:
            return
        block = connection.block
        half.revive(row, block)
        if ptr32(block)[B_FLAGS] & SCALED:
            ptr32(block)[RCV_SCALE] = int(TCP_WINDOW_SHIFT)
        lost = int(half.tries(row))
        # As `forget` does.
        cells = ptr32(listener.cells)
        cells[WAITING] -= 1
        half.remove(row)
        self.welcome(packet, connection, lost)

    @micropython.viper
    def welcome(self, packet, connection, lost: int):
        tcp = self.tcp
        block_ = connection.block
        block = ptr32(block_)
        state = ptr32(self.state)
        if not tcp.enter(connection):
            state[_NO_CONNECTION] += 1
            self.voice.refuse(packet)
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
