"""SYN cookies in the life of a listener: RFC 4987 section 3.6.

When there are too many half-open connections the SYN-ACK is made so that it can be forgotten
(cookies.py); the third segment brings back what is needed.  It is looked at this way only if a
cookie was sent lately.
"""

import micropython
from micropython import const

from net.config import TCP_WINDOW_SHIFT
from net.tcp import cookies
from net.tcp.establish import number
from net.tcp.segment import pseudo
from net.tcp.voice import identity
from net.tcp.words import flag, put, stamp, word

# The header (see header.py).
SYN = const(0x02)
ACK = const(0x10)

# The block (see block.py).
B_FLAGS = const(11)
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
IS_IP6 = const(0x1)
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

# Words of a listener's cells (see connection.py); what halfopen.judge says.
MASK = const(0x3FFFFFFF)


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


def address(block, at):
    return block[at : at + (16 if word(block, B_FLAGS) & IS_IP6 else 4)]


class Baker:
    """Slot: welcome(packet, connection, lost)."""

    def __init__(self, tcp, voice):
        self.tcp = tcp
        self.state = tcp.turn.state
        self.count = tcp.turn.count
        self.options = tcp.arrive.options
        self.isn = tcp.isn
        self.cookies = tcp.cookies
        self.voice = voice
        self.out = bytearray(8)
        self.peer = bytearray(4)
        self.cookie = bytearray(4)
        self.baked_at = -1
        self.welcome = None

    def bake(self, block):
        """Make the SYN-ACK one that can be forgotten."""
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
