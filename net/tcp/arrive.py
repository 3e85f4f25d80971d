"""Segment arrives: what is not expected (fast.py), in the order of RFC 9293 3.10.7.4.

    1. sequence number        PAWS (RFC 7323 5.3) comes before it
    2. RST                    only exactly in order; else a challenge (RFC 5961 3.2)
    3. security               (left out: nobody has compartments)
    4. SYN                    a challenge (RFC 5961 4.2)
    5. ACK                    and the window that comes with it
    6. to 8. URG, text and FIN  are text.py's

Segments of nobody are stranger.py's (3.10.7.1, .2), those for SYN-SENT active.py's (.3).
"""

import micropython
from micropython import const

from net.config import TCP_CHALLENGES_PER_SECOND
from net.tcp import ecn, options

# The packet's head (see net/packet.py).
TRANSPORT = const(4)
PAYLOAD = const(6)
END = const(8)
FLAGS = const(10)
CONGESTION = const(0x40)

# The header (see header.py).
SIZE = const(20)
FIN = const(0x01)
SYN = const(0x02)
RST = const(0x04)
ACK = const(0x10)

# The block (see block.py).
STATE = const(10)
B_FLAGS = const(11)
EVENTS = const(12)
SND_UNA = const(13)
SND_MAX = const(15)
SND_WND = const(16)
SND_WL1 = const(17)
SND_WL2 = const(18)
RCV_NXT = const(20)
RCV_ADV = const(21)
IRS = const(22)
SND_SCALE = const(26)
MAX_WND = const(30)
TS_RECENT = const(33)
TS_RECENT_AT = const(34)
TS_OFFSET = const(35)
LAST_ACK = const(36)
KEEP_SENT = const(84)
HEARD_AT = const(85)
BEGAN_AT = const(86)
SYN_SENT = const(2)
SYN_RECEIVED = const(3)
FIN_WAIT_1 = const(5)
FIN_WAIT_2 = const(6)
CLOSING = const(8)
LAST_ACK_STATE = const(9)
TIMESTAMPS = const(0x2)
ECN = const(0x10)
FIN_SENT = const(0x200)
PERSIST = const(0x2000)
ACK_NOW = const(0x2)

# Shared words (see turn.py).
_CHALLENGES = const(11)
_RESETS_RECEIVED = const(13)
_DUPLICATES = const(15)
_ECN_MARKS = const(20)
_WINDOW = const(28)
_PAWS = const(29)
_NO_ACK = const(30)
_BAD_ACK = const(31)
_CHALLENGE_LIMIT = const(32)
_SYN_SHARE = const(43)
NOW = const(64)
SYNS = const(69)
SEG_SEQ = const(72)
SEG_ACK = const(73)
SEG_LEN = const(74)
SEG_WND = const(75)
SEG_FLAGS = const(76)
SEG_OPTIONS = const(77)
SEG_OFFSET = const(78)
SEG_ACKED = const(79)
SEG_ECHO = const(82)
BUDGET = const(88)
BUDGET_AT = const(89)
S_SCRATCH = const(84)
HAS_TIMESTAMPS = const(8)
HAS_SACK = const(16)
OUT_TS_VALUE = const(2)
OUT_TS_ECHO = const(3)
MASK = const(0x3FFFFFFF)

TOO_OLD = const(518400000)  # RFC 7323 5.5: 24 days; the clock of 2^30 ms knows 6
ECONNREFUSED = const(111)
ECONNRESET = const(104)


class Arrive:
    """Slots: stranger(packet), syn_sent(connection, packet), and what tcp.py puts in."""

    def __init__(self, turn, table, acknowledge, text):
        self.state = turn.state
        self.count = turn.count
        self.mark = turn.mark
        self.table = table
        self.options = bytearray(options.OUT_SIZE)
        self.parse_options = options.parse
        self.advance = acknowledge.advance
        self.sacked = acknowledge.sacked
        self.duplicate = acknowledge.duplicate
        self.opened = acknowledge.opened
        self.congested = ecn.received
        self.text = text.text
        # Methods as slots: a call from viper finds them at once.
        self.parse = self.parse
        self.acceptable = self.acceptable
        self.acknowledgement = self.acknowledgement
        self.finished = self.finished
        self.stranger = None
        self.syn_sent = None
        self.established = None
        self.refuse = None
        self.over = None
        self.time_wait = None

    @micropython.viper
    def receive(self, packet, index: int):
        state = ptr32(self.state)
        if index == 0:
            head = ptr16(packet.buffer)
            flags = ptr8(head)[head[TRANSPORT >> 1] + 13]
            if flags & (SYN | RST | ACK) == SYN:
                if state[SYNS] <= 0:
                    state[_SYN_SHARE] += 1
                    return
                state[SYNS] -= 1
            self.parse(packet)
            self.stranger(packet)
            return
        self.parse(packet)
        connection = self.table.connections[index]
        block = ptr32(connection.block)
        if block[STATE] == SYN_SENT:
            self.syn_sent(connection, packet)
            return
        both = SYN | ACK
        if (
            block[STATE] == SYN_RECEIVED
            and state[SEG_FLAGS] & both == both
            and state[SEG_SEQ] == block[IRS]
        ):
            # Both have opened: the peer's SYN-ACK repeats its SYN (RFC 9293 3.5, figure 8).
            state[SEG_FLAGS] &= ~SYN
            state[SEG_SEQ] += 1
            state[SEG_LEN] -= 1
        if not self.acceptable(connection):
            return
        flags = state[SEG_FLAGS]
        if flags & RST:
            self.reset(connection)
            return
        if flags & SYN:
            self.challenge(connection)
            return
        if flags & ACK == 0:
            state[_NO_ACK] += 1
            return
        if block[B_FLAGS] & ECN:
            marked = int(ptr16(packet.buffer)[FLAGS >> 1]) & CONGESTION
            if marked:
                state[_ECN_MARKS] += 1
                block[EVENTS] |= ACK_NOW
            self.congested(connection.block, flags, marked, state[SEG_LEN])
        if not self.acknowledgement(connection):
            return
        if state[SEG_LEN]:
            self.text(connection, packet)
        else:
            self.mark(connection)

    @micropython.viper
    def parse(self, packet):
        """Note what the steps look at."""
        head = ptr16(packet.buffer)
        data = ptr8(head)
        state = ptr32(self.state)
        start = int(head[TRANSPORT >> 1])
        i = start + 4
        state[SEG_SEQ] = data[i] << 24 | data[i + 1] << 16 | data[i + 2] << 8 | data[i + 3]
        state[SEG_ACK] = data[i + 4] << 24 | data[i + 5] << 16 | data[i + 6] << 8 | data[i + 7]
        flags = int(data[start + 13])
        state[SEG_FLAGS] = flags
        state[SEG_WND] = data[start + 14] << 8 | data[start + 15]
        payload = int(head[PAYLOAD >> 1])
        length = int(head[END >> 1]) - payload
        if flags & SYN:
            length += 1
        if flags & FIN:
            length += 1
        state[SEG_LEN] = length
        state[SEG_OPTIONS] = 0
        if payload > start + SIZE:
            state[SEG_OPTIONS] = int(
                self.parse_options(packet.buffer, start + SIZE, payload, self.options)
            )

    @micropython.viper
    def acceptable(self, connection) -> bool:
        """First: is (a part of) the segment in the window?"""
        block = ptr32(connection.block)
        state = ptr32(self.state)
        flags = state[SEG_FLAGS]
        state[SEG_OFFSET] = state[SEG_SEQ] - block[RCV_NXT]
        offset = state[SEG_OFFSET]
        length = state[SEG_LEN]
        state[S_SCRATCH] = block[RCV_ADV] - block[RCV_NXT]
        window = state[S_SCRATCH]
        stamped = 0
        value = 0
        if block[B_FLAGS] & TIMESTAMPS and flags & RST == 0:
            if state[SEG_OPTIONS] & HAS_TIMESTAMPS == 0:
                # RFC 7323 3.2: such a segment is not the peer's.
                state[_PAWS] += 1
                return False
            value = ptr32(self.options)[OUT_TS_VALUE]
            state[S_SCRATCH] = value - block[TS_RECENT]
            age = (state[NOW] - block[TS_RECENT_AT]) & MASK
            if state[S_SCRATCH] < 0 and age < TOO_OLD:
                # RFC 7323 5.3 R1; 5.5: not if ours is too old to be compared.
                state[_PAWS] += 1
                block[EVENTS] |= ACK_NOW
                self.mark(connection)
                return False
            stamped = 1
        good = 0
        if length == 0:
            if window <= 0:
                if offset == 0:
                    good = 1
            elif offset >= 0 and offset < window:
                good = 1
            elif offset == window:
                # An acknowledgement of a peer that has filled the window is welcome.
                good = 1
        elif window > 0:
            if offset < window and offset + length > 0:
                good = 1
        elif offset == 0 and flags & ACK:
            # RFC 9293 3.10.7.4: with a window of zero, valid ACKs are to be accepted; not the text.
            state[SEG_LEN] = 0
            state[SEG_FLAGS] = flags & ~FIN
            block[EVENTS] |= ACK_NOW
            good = 1
        if good == 0:
            if flags & RST == 0:
                state[_DUPLICATES] += 1
                block[EVENTS] |= ACK_NOW
                self.mark(connection)
            else:
                state[_WINDOW] += 1
            return False
        block[HEARD_AT] = state[NOW]
        block[KEEP_SENT] = 0
        if stamped:
            state[S_SCRATCH] = state[SEG_SEQ] - block[LAST_ACK]
            if state[S_SCRATCH] <= 0:
                block[TS_RECENT] = value
                block[TS_RECENT_AT] = state[NOW]
        return True

    @micropython.viper
    def reset(self, connection):
        """Second: RST.  RFC 5961 3.2: exactly the next byte, or a challenge."""
        block = ptr32(connection.block)
        state = ptr32(self.state)
        if state[SEG_OFFSET]:
            self.challenge(connection)
            return
        state[_RESETS_RECEIVED] += 1
        self.over(connection, ECONNREFUSED if block[STATE] == SYN_RECEIVED else ECONNRESET)

    @micropython.viper
    def challenge(self, connection):
        """An acknowledgement that only the true peer can answer; so many a second (RFC 5961 10)."""
        if self.may_challenge():
            block = ptr32(connection.block)
            block[EVENTS] |= ACK_NOW
            self.mark(connection)

    @micropython.viper
    def may_challenge(self) -> bool:
        state = ptr32(self.state)
        if (state[NOW] - state[BUDGET_AT]) & MASK >= 1000:
            state[BUDGET_AT] = state[NOW]
            state[BUDGET] = int(TCP_CHALLENGES_PER_SECOND)
        if state[BUDGET] == 0:
            state[_CHALLENGE_LIMIT] += 1
            return False
        state[BUDGET] -= 1
        state[_CHALLENGES] += 1
        return True

    @micropython.viper
    def acknowledgement(self, connection) -> bool:
        """Fifth: ACK."""
        block = ptr32(connection.block)
        state = ptr32(self.state)
        state[SEG_ACKED] = state[SEG_ACK] - block[SND_UNA]
        acked = state[SEG_ACKED]
        state[S_SCRATCH] = block[SND_MAX] - block[SND_UNA]
        flight = state[S_SCRATCH]
        if block[STATE] == SYN_RECEIVED:
            if acked <= 0 or acked > flight:
                state[_BAD_ACK] += 1
                self.refuse(connection)
                return False
            self.established(connection)
            acked = 0
            flight = 0
        if acked > flight:
            # It acknowledges what was never sent.
            state[_BAD_ACK] += 1
            block[EVENTS] |= ACK_NOW
            self.mark(connection)
            return False
        if acked < 0:
            if acked < 0 - block[MAX_WND]:
                # RFC 5961 5.2.
                state[_BAD_ACK] += 1
                self.challenge(connection)
                return False
            # Old, but its text may be new.
            return True
        window = state[SEG_WND] << block[SND_SCALE]
        same = 0
        if window == block[SND_WND]:
            same = 1
        state[S_SCRATCH] = state[SEG_SEQ] - block[SND_WL1]
        newer = state[S_SCRATCH]
        state[S_SCRATCH] = state[SEG_ACK] - block[SND_WL2]
        if newer > 0 or (newer == 0 and state[S_SCRATCH] >= 0):
            block[SND_WND] = window
            block[SND_WL1] = state[SEG_SEQ]
            block[SND_WL2] = state[SEG_ACK]
            if window > block[MAX_WND]:
                block[MAX_WND] = window
        new = 0
        if state[SEG_OPTIONS] & HAS_SACK and flight != 0:
            new = int(self.sacked(connection, self.options))
        if acked:
            state[SEG_ECHO] = -1
            if state[SEG_OPTIONS] & HAS_TIMESTAMPS and block[B_FLAGS] & TIMESTAMPS:
                echo = ptr32(self.options)[OUT_TS_ECHO]
                state[SEG_ECHO] = state[NOW] + block[TS_OFFSET]
                state[SEG_ECHO] = state[SEG_ECHO] - echo
            self.advance(connection, acked)
            if block[B_FLAGS] & FIN_SENT and block[SND_UNA] == block[SND_MAX]:
                return bool(self.finished(connection))
        elif (
            flight != 0
            and block[B_FLAGS] & PERSIST == 0
            and (new != 0 or (same != 0 and state[SEG_LEN] == 0))
        ):
            # RFC 5681 2: a duplicate has no text, no news of the window, and data is outstanding.
            self.duplicate(connection, new)
        if block[B_FLAGS] & PERSIST:
            # Whoever answers probes is there (RFC 1122 4.2.2.17).
            block[BEGAN_AT] = state[NOW]
            if block[SND_WND]:
                self.opened(connection)
        return True

    @micropython.viper
    def finished(self, connection) -> bool:
        """Our FIN is acknowledged; False: the connection is no more."""
        block = ptr32(connection.block)
        if block[STATE] == FIN_WAIT_1:
            block[STATE] = FIN_WAIT_2
            self.wait_for_fin(connection)
        elif block[STATE] == CLOSING:
            self.time_wait(connection)
            return False
        elif block[STATE] == LAST_ACK_STATE:
            self.over(connection, 0)
            return False
        return True
