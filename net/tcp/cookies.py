"""SYN cookies: a handshake that is remembered by its peer.  RFC 4987 section 3.6.

    cookies = Cookies(key)                     16 random bytes of their own
    cookies.make(ends, block, now)             let ISS of a block be one
    mss = cookies.check(ends, block, now)      the MSS that ISS stands for, or 0: it is none of
                                               ours, or too old
    stamp(block, options, now)                 let the low six bits of TSval be the options
    options = unstamp(echo)                    scale (15: none) | WITH_SACK | WITH_ECN

`ends` is what isn.py has made of addresses and ports with its own key, 64 bits, so a cookie costs
two blocks of SipHash more than a number.  The block has IRS, and for `make` PEER_MSS.  A cookie is

    slot modulo 32 (5 bits)  |  index of the MSS (3 bits)  |  24 bits of SipHash of all that

A slot takes 65.5 s; a cookie is good in its own and the next one.  A blind peer guesses one in 2^20
at best, and only while the table of a listener is full: else nothing is looked at this way.

Linux's way of keeping the options: whoever offers timestamps gets them back, with six bits of ours.
Without timestamps there is neither scaling nor SACK on such a connection.
"""

import micropython
from micropython import const

from net.siphash import schedule, siphash

# RFC 9293's default, its IPv6 counterpart, what tunnels leave, Ethernet's, jumbo frames.
SIZES = (536, 1220, 1300, 1360, 1400, 1440, 1460, 8940)

# The block (see block.py).
ISS = const(19)
IRS = const(22)
PEER_MSS = const(29)
TS_OFFSET = const(35)

LARGEST = const(7)  # index of the last of SIZES
SLOT_SHIFT = const(16)
LIFETIME = const(1)  # slots that may have passed
LENGTH = const(13)  # of what is hashed

# `stamp`: the low six bits of a timestamp.
SCALE_BITS = const(15)  # 15: no window scaling
WITH_SACK = const(16)
WITH_ECN = const(32)
LOW_BITS = const(63)


@micropython.viper
def stamp(block: ptr32, options: int, now: int):
    """Let our clock be the last one before now + TS_OFFSET whose low bits are `options`."""
    clock = now + block[TS_OFFSET]
    block[TS_OFFSET] -= (clock - options) & LOW_BITS


@micropython.viper
def unstamp(echo: ptr32) -> int:
    """The options in a timestamp that came back, as our offset left them."""
    return echo[0] & LOW_BITS


class Cookies:
    def __init__(self, key):
        self.start = schedule(key)
        self.message = bytearray(16)
        self.state = bytearray(32)
        self.hash = siphash
        self.bake = self.bake

    @micropython.viper
    def bake(self, ends: ptr32, block: ptr32, top: int, right: ptr32):
        """right[0]: the cookie; `top`: slot and index, eight bits."""
        message = ptr32(self.message)
        message[0] = ends[0]
        message[1] = ends[1]
        message[2] = block[IRS]
        message[3] = top
        self.hash(self.start, self.state, self.message, LENGTH)
        right[0] = top << 24 | ptr32(self.state)[0] & 0xFFFFFF

    @micropython.viper
    def make(self, ends, block, now: int):
        sizes = SIZES
        words = ptr32(block)
        index = int(LARGEST)
        while index != 0 and int(sizes[index]) > words[PEER_MSS]:
            index -= 1
        top = (now >> SLOT_SHIFT & 31) << 3 | index
        self.bake(ends, block, top, self.message)
        words[ISS] = ptr32(self.message)[0]

    @micropython.viper
    def check(self, ends, block, now: int) -> int:
        words = ptr32(block)
        top = words[ISS] >> 24 & 0xFF
        if ((now >> SLOT_SHIFT) - (top >> 3)) & 31 > LIFETIME:
            return 0
        self.bake(ends, block, top, self.message)
        if ptr32(self.message)[0] != words[ISS]:
            return 0
        return int(SIZES[top & 7])
