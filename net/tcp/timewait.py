"""TIME-WAIT: connections that are over, as long as their segments may still be under way.

RFC 9293 3.6.1, 3.10.7.4; RFC 1337 (a reset does not end it); RFC 6191 (a new SYN does, if its
timestamp or its number shows that it is new).

A row is an identity (rows.py), and

    12  snd_nxt      16  until when
    13  rcv_nxt      17  window, shifts
    14  ts_recent
    15  ts_offset

All wait equally long, so the rows are in the order of their deadlines.  When there is no room the
oldest gives way (counter no_time_wait).
"""

import micropython
from micropython import const

from net.config import TCP_TIME_WAIT_MS, TCP_TIME_WAITS
from net.tcp.rows import Rows

WORDS = const(20)
PLACES = const(1024)
_SND_NXT = const(12)
_RCV_NXT = const(13)
_TS_RECENT = const(14)
_TS_OFFSET = const(15)
_UNTIL = const(16)

# The block (see block.py).
SND_UNA = const(13)
SND_MAX = const(15)
RCV_NXT = const(20)
RCV_ADV = const(21)
B_FLAGS = const(11)
STATE = const(10)
TS_RECENT = const(33)
TS_OFFSET = const(35)
OUT_OF_ORDER = const(0x8000)
TIME_WAIT = const(10)

# The header (see header.py).
FIN = const(0x01)
SYN = const(0x02)
RST = const(0x04)
ACK = const(0x10)
HAS_TIMESTAMPS = const(8)
OUT_TS_VALUE = const(2)

# Shared words (see turn.py).
_NO_TIME_WAIT = const(36)
_TIME_WAITS = const(18)
NOW = const(64)
SEG_SEQ = const(72)
SEG_LEN = const(74)
SEG_FLAGS = const(76)
SEG_OPTIONS = const(77)
SCRATCH = const(84)
MASK = const(0x3FFFFFFF)
HALF = const(0x20000000)

# What `judge` says of a segment.
NOTHING = const(0)
ANSWER = const(1)
AGAIN = const(2)  # the peer's FIN once more: answer, and wait anew
NEW = const(3)  # a SYN that may begin the next connection


class TimeWait(Rows):
    def __init__(self, turn, timers):
        Rows.__init__(self, WORDS, TCP_TIME_WAITS, PLACES)
        self.counters = turn.state
        self.counted = turn.count
        self.timers = timers
        self.timer = timers.timer(self.expire)
        # Methods as slots: a call from viper finds them at once.
        self.fill = self.fill

    @micropython.viper
    def begin(self, block, place: int):
        """A connection is over on both sides."""
        state = ptr32(self.counters)
        row = int(self.add(block, place))
        if row == 0:
            state[_NO_TIME_WAIT] += 1
            if int(self.first()) == 0:
                return
            self.remove(self.first())
            row = int(self.add(block, place))
        self.fill(row, block)
        state[_TIME_WAITS] += 1
        if not self.timer.active:
            self.timer.start(TCP_TIME_WAIT_MS)

    @micropython.viper
    def fill(self, row: int, block_):
        block = ptr32(block_)
        state = ptr32(self.counters)
        at = row * WORDS
        rows = ptr32(self.rows)
        rows[at + _SND_NXT] = block[SND_MAX]
        rows[at + _RCV_NXT] = block[RCV_NXT]
        rows[at + _TS_RECENT] = block[TS_RECENT]
        rows[at + _TS_OFFSET] = block[TS_OFFSET]
        rows[at + _UNTIL] = (state[NOW] + int(TCP_TIME_WAIT_MS)) & MASK

    @micropython.viper
    def left(self, row: int, now: int) -> int:
        """Milliseconds that a row still has to wait, 0: none."""
        ms = (ptr32(self.rows)[row * WORDS + _UNTIL] - now) & MASK
        if ms >= HALF:
            return 0
        return ms

    def expire(self):
        now = self.timers.now()
        while True:
            row = self.first()
            if not row:
                return
            left = self.left(row, now)
            if left:
                self.timer.start(left)
                return
            self.remove(row)

    @micropython.viper
    def judge(self, row: int, options) -> int:
        state = ptr32(self.counters)
        rows = ptr32(self.rows)
        at = row * WORDS
        flags = state[SEG_FLAGS]
        state[SCRATCH] = state[SEG_SEQ] - rows[at + _RCV_NXT]
        offset = state[SCRATCH]
        if flags & RST:
            # RFC 1337 section 3, F1.
            return NOTHING
        newer = 0
        if state[SEG_OPTIONS] & HAS_TIMESTAMPS:
            state[SCRATCH] = ptr32(options)[OUT_TS_VALUE] - rows[at + _TS_RECENT]
            newer = state[SCRATCH]
        if flags & SYN:
            # RFC 6191 section 2; RFC 9293 3.10.7.4, fourth step.
            if flags & ACK == 0 and (newer > 0 or (newer == 0 and offset > 0)):
                return NEW
            return ANSWER
        if flags & FIN and offset + state[SEG_LEN] == 0:
            rows[at + _UNTIL] = (state[NOW] + int(TCP_TIME_WAIT_MS)) & MASK
            return AGAIN
        if offset or state[SEG_LEN]:
            return ANSWER
        return NOTHING

    @micropython.viper
    def revive(self, row: int, block_):
        """Make a block that can speak for a row."""
        self.identify(row, block_)
        block = ptr32(block_)
        rows = ptr32(self.rows)
        at = row * WORDS
        block[STATE] = TIME_WAIT
        block[B_FLAGS] &= ~OUT_OF_ORDER
        block[SND_UNA] = rows[at + _SND_NXT]
        block[SND_MAX] = rows[at + _SND_NXT]
        block[RCV_NXT] = rows[at + _RCV_NXT]
        block[RCV_ADV] = rows[at + _RCV_NXT]
        block[TS_RECENT] = rows[at + _TS_RECENT]
        block[TS_OFFSET] = rows[at + _TS_OFFSET]
