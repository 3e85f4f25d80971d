"""What an acknowledgement means: bytes that need not be kept, time that was measured, a window.

RFC 9293 3.10.7.4, fifth step, for a segment whose acknowledgement is acceptable; RFC 5681 2 says
what a duplicate is; RFC 6298 (5.2), (5.3) what happens to the timer.
Neighbours: recovery.py decides what is lost, sendqueue.py forgets what has arrived.
"""

import micropython
from micropython import const

from net.tcp import congestion, recovery, rtt, scoreboard

# The block (see block.py).
B_FLAGS = const(11)
EVENTS = const(12)
SND_UNA = const(13)
SND_NXT = const(14)
SND_MAX = const(15)
QUEUED = const(23)
RTX_AT = const(37)
RTO = const(43)
BACKOFF = const(44)
RECOVER = const(50)
BEGAN_AT = const(86)
DUPACKS = const(53)
SACKED = const(63)
REPAIRING = const(0x1800)  # RECOVERING, TIMED_OUT
RECOVERING = const(0x800)
TIMED_OUT = const(0x1000)
PERSIST = const(0x2000)
STARVED = const(0x20000)
QUEUED_UP = const(0x1)
WRITABLE = const(0x40)

# Shared words (see turn.py).
_FAST_RETRANSMITS = const(22)
NOW = const(64)
SEG_ECHO = const(82)
HINTED_AT = const(90)
MASK = const(0x3FFFFFFF)

HALF_FULL = const(8)  # extents: then a service that had to wait may go on
HINT_MS = const(100)


class Acknowledge:
    def __init__(self, turn, clock):
        self.state = turn.state
        self.mark = turn.mark
        self.at = clock.at
        self.measured = rtt.acknowledged
        self.repaired = recovery.acknowledged
        self.arrived = congestion.on_ack
        self.note_duplicate = recovery.duplicate
        self.note_sacks = scoreboard.update
        self.arrives = None  # slot: what we send on this connection arrives, said now and then

    @micropython.viper
    def advance(self, connection, acked: int):
        """`acked` > 0 bytes have arrived; SEG_ECHO: the round trip by the echo, or -1."""
        block_ = connection.block
        block = ptr32(block_)
        state = ptr32(self.state)
        block[SND_UNA] += acked
        data = acked
        if data > block[QUEUED]:
            data = block[QUEUED]  # FIN, or SYN
        if data:
            connection.queue.drop(data)
            block[QUEUED] -= data
        ms = int(self.measured(block_, state[NOW], state[SEG_ECHO]))
        if ms >= 0 and (state[NOW] - state[HINTED_AT]) & MASK >= HINT_MS:
            state[HINTED_AT] = state[NOW]
            self.arrives(connection)
        if block[B_FLAGS] & REPAIRING | block[SACKED]:
            self.repaired(block_, acked, state[NOW], ms)
        else:
            # As that does when nothing is lost.
            block[DUPACKS] = 0
            self.arrived(block_, acked, state[NOW], ms)
        block[BACKOFF] = 0
        block[BEGAN_AT] = state[NOW]
        if block[SND_UNA] == block[SND_MAX]:
            block[RTX_AT] = -1
        else:
            block[RTX_AT] = (state[NOW] + block[RTO]) & MASK
            self.at(int(connection.index), block[RTX_AT])
        if block[B_FLAGS] & STARVED and (
            block[QUEUED] == 0 or int(connection.queue.count()) <= HALF_FULL
        ):
            block[EVENTS] |= WRITABLE
        if block[EVENTS] & QUEUED_UP == 0:
            self.mark(connection)

    @micropython.viper
    def sacked(self, connection, out) -> int:
        """The ranges of a segment; returns how many bytes are new."""
        return int(self.note_sacks(connection.block, out))

    @micropython.viper
    def duplicate(self, connection, new: int):
        block = ptr32(connection.block)
        state = ptr32(self.state)
        before = block[B_FLAGS] & RECOVERING
        self.note_duplicate(connection.block, new, state[NOW])
        if before == 0 and block[B_FLAGS] & RECOVERING:
            state[_FAST_RETRANSMITS] += 1
        self.mark(connection)

    @micropython.viper
    def opened(self, connection):
        """The window was closed and is open: what probed it may never have been accepted."""
        block = ptr32(connection.block)
        block[B_FLAGS] &= ~PERSIST
        block[BACKOFF] = 0
        block[RTX_AT] = -1
        if block[SND_UNA] != block[SND_MAX]:
            block[SND_NXT] = block[SND_UNA]
            block[RECOVER] = block[SND_MAX]
            block[B_FLAGS] |= TIMED_OUT
        self.mark(connection)
