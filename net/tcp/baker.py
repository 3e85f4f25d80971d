"""SYN cookies in the life of a listener: RFC 4987 section 3.6.

When there are too many half-open connections the SYN-ACK is made so that it can be forgotten
(cookies.py); the third segment brings back what is needed.  It is looked at this way only if a
cookie was sent lately.
"""

import micropython
from micropython import const

from net.config import TCP_WINDOW_SHIFT
from net.tcp import cookies
from net.tcp.segment import pseudo
from net.tcp.voice import identity
from net.tcp.words import flag, put, word

# The block (see block.py).
B_FLAGS = const(11)
SND_UNA = const(13)
SND_NXT = const(14)
SND_MAX = const(15)
ISS = const(19)
RCV_NXT = const(20)
RCV_ADV = const(21)
IRS = const(22)
SND_SCALE = const(26)
RCV_SCALE = const(27)
PEER_MSS = const(29)
TS_RECENT = const(33)
TS_OFFSET = const(35)
LAST_ACK = const(36)
TIMESTAMPS = const(0x2)
SACK_OK = const(0x4)
SCALED = const(0x8)
ECN = const(0x10)

# Shared words (see turn.py).
_COOKIES_SENT = const(16)
_COOKIES_ACCEPTED = const(17)
_COOKIE = const(39)
NOW = const(64)
SEG_SEQ = const(72)
SEG_ACK = const(73)
SEG_OPTIONS = const(77)
HAS_TIMESTAMPS = const(8)
OUT_TS_ECHO = const(3)

# Of a stamp (see cookies.py).
SCALE_BITS = const(15)
WITH_SACK = const(16)
WITH_ECN = const(32)

MASK = const(0x3FFFFFFF)


@micropython.viper
def forgotten(block: ptr32, state: ptr32):
    """What a cookie's third segment says about its first two."""
    block[IRS] = state[SEG_SEQ] - 1
    block[RCV_NXT] = state[SEG_SEQ]
    block[RCV_ADV] = state[SEG_SEQ]
    block[LAST_ACK] = state[SEG_SEQ]
    block[ISS] = state[SEG_ACK] - 1


class Baker:
    """Slot: welcome(packet, connection, lost)."""

    def __init__(self, tcp, voice):
        self.tcp = tcp
        self.state = tcp.turn.state
        self.count = tcp.turn.count
        self.options = tcp.arrive.options
        self.isn = tcp.isn
        self.ends = tcp.isn.state
        self.cookies = tcp.cookies
        self.voice = voice
        self.out = bytearray(8)
        self.baked_at = -1
        self.welcome = None
        # Functions and methods as slots: a call from viper finds them at once.
        self.make = self.cookies.make
        self.stamp = cookies.stamp

    @micropython.viper
    def bake(self, block_):
        """Make the SYN-ACK one that can be forgotten; isn.py has just hashed its ends."""
        block = ptr32(block_)
        state = ptr32(self.state)
        now = state[NOW]
        self.make(self.ends, block_, now)
        block[SND_UNA] = block[ISS]
        block[SND_NXT] = block[ISS]
        block[SND_MAX] = block[ISS]
        flags = block[B_FLAGS]
        if flags & TIMESTAMPS:
            kept = int(SCALE_BITS)
            if flags & SCALED:
                kept = block[SND_SCALE]
            if flags & SACK_OK:
                kept |= WITH_SACK
            if flags & ECN:
                kept |= WITH_ECN
            self.stamp(block_, kept, now)
        else:
            block[B_FLAGS] = flags & ~(SCALED | SACK_OK | ECN)
        state[_COOKIES_SENT] += 1
        self.baked_at = now

    def cookies_out(self):
        """Was a cookie sent lately that may come back?"""
        return self.baked_at >= 0 and (word(self.state, NOW) - self.baked_at) & MASK < 140_000

    def cookie_back(self, packet, listener):
        tcp = self.tcp
        if not self.cookies_out():
            return False
        block = self.voice.block
        identity(block, packet.buffer)
        forgotten(block, self.state)
        now = word(self.state, NOW)
        self.isn.of_block(block, now, self.out)
        mss = self.cookies.check(self.ends, block, now)
        if not mss:
            self.count(_COOKIE)
            return False
        connection = tcp.make(listener.on_connection)
        if connection is None:
            return True
        block = connection.block
        identity(block, packet.buffer)
        forgotten(block, self.state)
        pseudo(block)
        put(block, PEER_MSS, mss)
        if word(self.state, SEG_OPTIONS) & HAS_TIMESTAMPS:
            # The offset depends on addresses and ports only: isn.py has said it again.
            block[4 * TS_OFFSET : 4 * TS_OFFSET + 4] = self.out[4:8]
            kept = cookies.unstamp(self.options[4 * OUT_TS_ECHO : 4 * OUT_TS_ECHO + 4])
            flag(block, TIMESTAMPS, 1)
            block[4 * TS_RECENT : 4 * TS_RECENT + 4] = self.options[8:12]
            if kept & SCALE_BITS != SCALE_BITS:
                flag(block, SCALED, 1)
                put(block, SND_SCALE, kept & SCALE_BITS)
                put(block, RCV_SCALE, TCP_WINDOW_SHIFT)
            if kept & WITH_SACK:
                flag(block, SACK_OK, 1)
            if kept & WITH_ECN:
                flag(block, ECN, 1)
        self.count(_COOKIES_ACCEPTED)
        self.welcome(packet, connection, 0)
        return True
