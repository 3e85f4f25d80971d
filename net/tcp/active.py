"""Active connections come to be: SYN-SENT, and SYN-RECEIVED when both ends open at once.

RFC 9293 3.5 (figures 6 and 8), 3.10.7.3.
Neighbours: tcp.connect makes the connection, output.py calls `handshake`, arrive.py `greeted`.
"""

import micropython
from micropython import const

from net.tcp import congestion, rtt
from net.tcp.establish import offered
from net.tcp.words import flag, put, syn_acknowledged, syn_sent, told, word

# The header (see header.py).
SYN = const(0x02)
RST = const(0x04)
ACK = const(0x10)
ECE = const(0x40)
CWR = const(0x80)

# The block (see block.py).
STATE = const(10)
B_FLAGS = const(11)
EVENTS = const(12)
SND_MAX = const(15)
ISS = const(19)
RTX_AT = const(37)
BACKOFF = const(44)
HEARD_AT = const(85)
SYN_RECEIVED = const(3)
ESTABLISHED = const(4)
TIMESTAMPS = const(0x2)
SACK_OK = const(0x4)
SCALED = const(0x8)
ECN = const(0x10)
WANT_ECN = const(0x100000)
ACK_NOW = const(0x2)
OUTPUT = const(0x4)
CONNECTED = const(0x10)

# Shared words (see turn.py).
_CONNECTED = const(4)
_RESETS_RECEIVED = const(13)
_BAD_ACK = const(31)
NOW = const(64)
SEG_SEQ = const(72)
SEG_ACK = const(73)
SEG_LEN = const(74)
SEG_FLAGS = const(76)
S_SCRATCH = const(84)

# Words of a listener's cells (see connection.py); what halfopen.judge says.
ECONNREFUSED = const(111)


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


class Active:
    def __init__(self, tcp, voice, send_syn):
        self.tcp = tcp
        self.state = tcp.turn.state
        self.count = tcp.turn.count
        self.options = tcp.arrive.options
        self.over = tcp.over
        self.segments = tcp.segments
        self.refuse_for = voice.refuse_for
        self.send_syn = send_syn

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
                tcp.text.text(connection, packet)
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
        put(block, HEARD_AT, word(self.state, NOW))
        if lost:
            rtt.handshake_lost(block)
        tcp.size(connection)
        congestion.start(block, lost)
        self.count(_CONNECTED)
        tcp.event(connection, CONNECTED)
