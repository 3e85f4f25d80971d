"""What happens when a deadline of a connection has passed.

Retransmission (RFC 6298 5.4 to 5.7; RFC 9293 3.8.3: R2 is the user timeout), probes of a closed
window (3.8.6.1), delayed acknowledgements (3.8.6.3), keepalive (3.8.4), FIN-WAIT-2.
Neighbours: clock.py says whose time has come; recovery.py what a timeout means for the windows.
"""

import micropython
from micropython import const

from net.config import TCP_FIN_WAIT_2_MS, TCP_SYN_TIMEOUT_MS
from net.tcp import recovery, rtt
from net.tcp.words import flag, flight, put, silence, waited_too_long, word

# The block (see block.py).
STATE = const(10)
B_FLAGS = const(11)
EVENTS = const(12)
SND_WND = const(16)
QUEUED = const(23)
UNACKED = const(32)
RTX_AT = const(37)
ACK_AT = const(38)
KEEP_AT = const(39)
GONE_AT = const(40)
RTO = const(43)
BACKOFF = const(44)
EPOCH = const(56)
USER_TIMEOUT = const(80)
KEEP_IDLE = const(81)
KEEP_INTERVAL = const(82)
KEEP_COUNT = const(83)
KEEP_SENT = const(84)
HEARD_AT = const(85)
BEGAN_AT = const(86)
REASON = const(103)
ESTABLISHED = const(4)
FIN_WAIT_2 = const(6)
PERSIST = const(0x2000)
KEEPALIVE = const(0x4000)
ACK_NOW = const(0x2)
OUTPUT = const(0x4)

# The packet's head (see net/packet.py).
END = const(8)
OUT_SEGMENT = const(200)
ACK = const(0x10)
TIMESTAMPS = const(0x2)

# Shared words (see turn.py).
_TIMEOUTS = const(8)
_PROBES = const(9)
_KEEPALIVES = const(10)
_NO_PACKET = const(33)
_TIMEOUT = const(40)
NOW = const(64)
FRESH = const(65)

MASK = const(0x3FFFFFFF)
HALF = const(0x20000000)
DEAF_MS = const(1000)
BLACK_HOLE = const(3)  # timeouts in a row
ETIMEDOUT = const(110)


class Deadlines:
    def __init__(self, turn, table, clock, output, queues, over):
        self.state = turn.state
        self.count = turn.count
        self.begin = turn.begin
        self.mark = turn.mark
        self.table = table
        self.at = clock.at
        self.probe = output.probe
        self.give = queues.give
        self.segments = output.segments
        self.over = over
        self.none = None
        self.narrow = None
        clock.due = self.due

    @micropython.viper
    def due(self, index: int):
        """The time has come for one of the deadlines of a connection, or had come once."""
        connection = self.table.connections[index]
        if connection is None:
            return
        state = ptr32(self.state)
        if state[FRESH] == 0:
            self.begin()
        block = ptr32(connection.block)
        now = state[NOW]
        i = RTX_AT
        while i <= GONE_AT:
            if block[i] >= 0 and (now - block[i]) & MASK < HALF:
                late = (now - block[i]) & MASK
                block[i] = -1
                if late >= DEAF_MS and i != ACK_AT:
                    self.excuse(connection.block, late, now)
                    block[i] = (now + block[RTO]) & MASK
                elif i == ACK_AT:
                    if block[UNACKED]:
                        block[EVENTS] |= ACK_NOW
                    self.mark(connection)
                elif i == RTX_AT:
                    self.retransmit(connection)
                elif i == KEEP_AT:
                    self.keep(connection)
                else:
                    self.gone(connection)
            i += 1
        if block[STATE] == 0:
            return
        next_ = -1
        i = RTX_AT
        while i <= GONE_AT:
            if block[i] >= 0:
                left = (block[i] - now) & MASK
                if next_ < 0 or left < next_:
                    next_ = left
            i += 1
        if connection.queue is not self.none and block[QUEUED] == 0:
            # Nothing was written for a while.
            self.give(connection)
        if next_ >= 0:
            self.at(index, (now + next_) & MASK)

    def excuse(self, block, late, now):
        """Nobody listened for so long."""
        rtt.paused(block)
        put(block, KEEP_SENT, 0)
        for index in (HEARD_AT, BEGAN_AT, EPOCH):
            if word(block, index) >= 0:
                age = (now - word(block, index)) & MASK
                put(block, index, (now - max(age - late, 0)) & MASK)

    def retransmit(self, connection):
        block = connection.block
        now = word(self.state, NOW)
        if word(block, STATE) < ESTABLISHED:
            # RFC 9293 3.8.3: at least three minutes for a SYN.
            if waited_too_long(block, now, TCP_SYN_TIMEOUT_MS):
                self.give_up(connection)
                return
            rtt.backoff(block)
            put(block, EVENTS, word(block, EVENTS) | OUTPUT)
            self.mark(connection)
            return
        if flight(block) and waited_too_long(block, now, word(block, USER_TIMEOUT)):
            self.give_up(connection)
            return
        if word(block, B_FLAGS) & PERSIST:
            if word(block, SND_WND):
                # There is a window, a silly one (RFC 9293 3.8.6.2.1): use it.
                flag(block, PERSIST, 0)
            self.count(_PROBES)
            self.probe(connection)
            rtt.backoff(block)
        elif flight(block):
            self.count(_TIMEOUTS)
            recovery.timed_out(block, now)
            if word(block, BACKOFF) % BLACK_HOLE == 0:
                self.narrow(connection)
            self.mark(connection)
        else:
            return
        put(block, RTX_AT, (now + word(block, RTO)) & MASK)

    def give_up(self, connection):
        self.count(_TIMEOUT)
        self.over(connection, word(connection.block, REASON) or ETIMEDOUT)

    def keep(self, connection):
        """RFC 9293 3.8.4."""
        block = connection.block
        if not word(block, B_FLAGS) & KEEPALIVE or word(block, STATE) < ESTABLISHED:
            return
        now = word(self.state, NOW)
        idle = word(block, KEEP_IDLE)
        quiet = silence(block, now)
        sent = word(block, KEEP_SENT)
        if quiet <= word(block, KEEP_INTERVAL) if sent else quiet < idle:
            # Something was heard, perhaps the answer.
            put(block, KEEP_SENT, 0)
            left = max(idle - quiet, 1)
        elif sent >= word(block, KEEP_COUNT):
            self.give_up(connection)
            return
        else:
            put(block, KEEP_SENT, sent + 1)
            self.ask(connection)
            left = word(block, KEEP_INTERVAL)
        put(block, KEEP_AT, (now + left) & MASK)

    def ask(self, connection):
        """A segment that has to be answered: its number lies before the window."""
        packet = self.segments.allocate()
        if not packet:
            self.count(_NO_PACKET)
            return
        self.count(_KEEPALIVES)
        block = connection.block
        size = 12 if word(block, B_FLAGS) & TIMESTAMPS else 0
        packet.buffer[END] = OUT_SEGMENT + 20 + size
        self.segments.emit(block, packet, flight(block) - 1, ACK | size << 8)

    def gone(self, connection):
        """FIN-WAIT-2: the peer has been silent since its end was closed."""
        block = connection.block
        if word(block, STATE) != FIN_WAIT_2:
            return
        now = word(self.state, NOW)
        quiet = silence(block, now)
        if quiet < TCP_FIN_WAIT_2_MS:
            put(block, GONE_AT, (now + TCP_FIN_WAIT_2_MS - quiet) & MASK)
        else:
            self.count(_TIMEOUT)
            self.over(connection, ETIMEDOUT)
