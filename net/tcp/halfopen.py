"""Passive connections between SYN and the acknowledgement of our SYN: rows, not objects.

RFC 9293 3.10.7.2 and .4 for SYN-RECEIVED; RFC 6298 5.7 for what happens if nothing comes back.
A row is an identity (rows.py), and

    12  iss          16  snd_wnd                20  port of the listener (as a number)
    13  irs          17  ts_recent              21  times that our SYN was sent again
    14  peer's mss   18  ts_offset
    15  its shift    19  when to send again

A flood of SYNs costs these rows and nothing else; when there is no room left cookies take over
(establish.py).
"""

import micropython
from micropython import const

from net.config import TCP_HALF_OPEN
from net.tcp.rows import Rows

WORDS = const(24)
PLACES = const(256)
_ISS = const(12)
_IRS = const(13)
_MSS = const(14)
_SHIFT = const(15)
_WINDOW = const(16)
_TS_RECENT = const(17)
_TS_OFFSET = const(18)
_AGAIN_AT = const(19)
_LISTENER = const(20)
_TRIES = const(21)

# The block (see block.py).
STATE = const(10)
B_FLAGS = const(11)
SND_UNA = const(13)
SND_NXT = const(14)
SND_MAX = const(15)
SND_WND = const(16)
ISS = const(19)
RCV_NXT = const(20)
RCV_ADV = const(21)
IRS = const(22)
SND_SCALE = const(26)
PEER_MSS = const(29)
MAX_WND = const(30)
TS_RECENT = const(33)
TS_OFFSET = const(35)
LAST_ACK = const(36)
SYN_RECEIVED = const(3)

# The header (see header.py).
SYN = const(0x02)
RST = const(0x04)
ACK = const(0x10)

# Shared words (see turn.py).
NOW = const(64)
SEG_SEQ = const(72)
SEG_ACK = const(73)
SEG_FLAGS = const(76)
SEG_OPTIONS = const(77)
SCRATCH = const(84)
HAS_TIMESTAMPS = const(8)
OUT_TS_VALUE = const(2)
TIMESTAMPS = const(0x2)
MASK = const(0x3FFFFFFF)
HALF = const(0x20000000)

FIRST_MS = const(1000)
MOST_TRIES = const(5)
SCAN_MS = const(500)

# What `judge` says of a segment.
NOTHING = const(0)
ANSWER = const(1)  # with an acknowledgement
AGAIN = const(2)  # our SYN
FORGET = const(3)
RESET = const(4)
ESTABLISH = const(5)
NO_ACK = const(6)
OLD = const(7)  # by its timestamp (PAWS)


class HalfOpen(Rows):
    """Slot: resend(row)."""

    def __init__(self, turn, timers):
        Rows.__init__(self, WORDS, TCP_HALF_OPEN, PLACES)
        self.shared = turn.state
        self.timers = timers
        self.timer = timers.timer(self.scan)
        self.judge = self.judge
        self.revive = self.revive
        self.begin = self.begin
        self.fill = self.fill
        self.listener = self.listener
        self.tries = self.tries
        self.resend = None
        self.expired = None

    @micropython.viper
    def begin(self, block, place: int, port: int) -> int:
        row = int(self.add(block, place))
        if row:
            self.fill(row, block, port)
            if not self.timer.active:
                self.timer.start(SCAN_MS)
        return row

    @micropython.viper
    def fill(self, row: int, block_, port: int):
        block = ptr32(block_)
        rows = ptr32(self.rows)
        state = ptr32(self.shared)
        at = row * WORDS
        rows[at + _ISS] = block[ISS]
        rows[at + _IRS] = block[IRS]
        rows[at + _MSS] = block[PEER_MSS]
        rows[at + _SHIFT] = block[SND_SCALE]
        rows[at + _WINDOW] = block[SND_WND]
        rows[at + _TS_RECENT] = block[TS_RECENT]
        rows[at + _TS_OFFSET] = block[TS_OFFSET]
        rows[at + _AGAIN_AT] = (state[NOW] + FIRST_MS) & MASK
        rows[at + _LISTENER] = port
        rows[at + _TRIES] = 0

    @micropython.viper
    def revive(self, row: int, block_):
        """Fill a block from a row."""
        self.identify(row, block_)
        block = ptr32(block_)
        rows = ptr32(self.rows)
        at = row * WORDS
        block[STATE] = SYN_RECEIVED
        block[ISS] = rows[at + _ISS]
        block[SND_UNA] = rows[at + _ISS]
        block[SND_NXT] = rows[at + _ISS] + 1
        block[SND_MAX] = rows[at + _ISS] + 1
        block[IRS] = rows[at + _IRS]
        block[RCV_NXT] = rows[at + _IRS] + 1
        block[RCV_ADV] = block[RCV_NXT]
        block[LAST_ACK] = block[RCV_NXT]
        block[PEER_MSS] = rows[at + _MSS]
        block[SND_SCALE] = rows[at + _SHIFT]
        block[SND_WND] = rows[at + _WINDOW]
        block[MAX_WND] = rows[at + _WINDOW]
        block[TS_RECENT] = rows[at + _TS_RECENT]
        block[TS_OFFSET] = rows[at + _TS_OFFSET]

    @micropython.viper
    def listener(self, row: int) -> int:
        return ptr32(self.rows)[row * WORDS + _LISTENER]

    @micropython.viper
    def tries(self, row: int) -> int:
        return ptr32(self.rows)[row * WORDS + _TRIES]

    @micropython.viper
    def judge(self, row: int, options, window: int) -> int:
        """RFC 9293 3.10.7.4 in its order, for SYN-RECEIVED; `window`: what we offered."""
        state = ptr32(self.shared)
        rows = ptr32(self.rows)
        at = row * WORDS
        flags = state[SEG_FLAGS]
        state[SCRATCH] = state[SEG_SEQ] - rows[at + _IRS] - 1
        offset = state[SCRATCH]
        if flags & (SYN | ACK | RST) == SYN and offset == -1:
            return AGAIN
        if rows[at + B_FLAGS] & TIMESTAMPS and flags & RST == 0:
            # RFC 7323 5.3 R1.
            if state[SEG_OPTIONS] & HAS_TIMESTAMPS == 0:
                return OLD
            state[SCRATCH] = ptr32(options)[OUT_TS_VALUE] - rows[at + _TS_RECENT]
            if state[SCRATCH] < 0:
                return OLD
            if offset <= 0 and flags & SYN == 0:
                rows[at + _TS_RECENT] = ptr32(options)[OUT_TS_VALUE]
        if offset < 0 or offset >= window:
            return NOTHING if flags & RST else ANSWER
        if flags & RST:
            # RFC 5961 3.2.
            return FORGET if offset == 0 else ANSWER
        if flags & SYN:
            return ANSWER
        if flags & ACK == 0:
            return NO_ACK
        state[SCRATCH] = state[SEG_ACK] - rows[at + _ISS] - 1
        if state[SCRATCH]:
            return RESET
        return ESTABLISH

    def scan(self):
        """Send again what is due, forget what has been sent often enough."""
        now = self.timers.now()
        row = self.first()
        while row:
            after = self.after(row)
            if self.due(row, now):
                if self.tries(row) > MOST_TRIES:
                    self.expired(row)
                else:
                    self.resend(row)
            row = after
        if self.count:
            self.timer.start(SCAN_MS)

    @micropython.viper
    def due(self, row: int, now: int) -> bool:
        rows = ptr32(self.rows)
        at = row * WORDS
        if (now - rows[at + _AGAIN_AT]) & MASK >= HALF:
            return False
        rows[at + _TRIES] += 1
        rows[at + _AGAIN_AT] = (now + (FIRST_MS << rows[at + _TRIES])) & MASK
        return True
