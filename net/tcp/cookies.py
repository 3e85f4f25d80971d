"""SYN cookies: a handshake that is remembered by its peer.  RFC 4987 section 3.6.

    cookies = Cookies(key)                     16 random bytes of their own
    cookies.make(local, port, remote, remote_port, peer, mss, now, out)
                        out[0]: the initial sequence number of our SYN-ACK (32 bits, host order)
    mss = cookies.check(local, port, remote, remote_port, peer, number, now)
                        the MSS that the cookie stands for, or 0: it is none of ours, or too old
    stamp(now, offset, options, out)           out[0]: TSval whose low six bits are the options
    options = unstamp(echo)                    scale (15: none) | WITH_SACK | WITH_ECN

`peer` and `number` are buffers of 4 bytes, host order: the peer's initial sequence number, and the
number that it acknowledges less one.  A cookie is

    slot modulo 32 (5 bits)  |  index of the MSS (3 bits)  |  24 bits of SipHash of all that

A slot takes 65.5 s; a cookie is good in its own and the next one.  A blind peer guesses one in 2^20
at best, and only while the table of a listener is full: else nothing is looked at this way.

Linux's way of keeping the options: whoever offers timestamps gets them back, with six bits of ours.
Without timestamps there is neither scaling nor SACK on such a connection.
"""

import micropython
from micropython import const

from net.tcp.siphash import schedule, siphash

# RFC 9293's default, its IPv6 counterpart, what tunnels leave, Ethernet's, jumbo frames.
SIZES = (536, 1220, 1300, 1360, 1400, 1440, 1460, 8940)

SLOT_SHIFT = const(16)
LIFETIME = const(1)  # slots that may have passed
MESSAGE = const(48)
NOTHING = bytes(MESSAGE)

# `stamp`: the low six bits of a timestamp.
SCALE_BITS = const(15)  # 15: no window scaling
WITH_SACK = const(16)
WITH_ECN = const(32)
LOW_BITS = const(63)


@micropython.viper
def _seal(state: ptr32, top: int, out: ptr32):
    """`top`: slot and index, eight bits."""
    out[0] = top << 24 | state[0] & 0xFFFFFF


@micropython.viper
def _equal(a: ptr32, b: ptr32) -> int:
    if a[0] == b[0]:
        return 1
    return 0


@micropython.viper
def stamp(now: int, offset: ptr32, options: int, out: ptr32):
    """The timestamp before `now` + offset whose low bits are `options`."""
    out[0] = now + offset[0]
    value = out[0] & ~LOW_BITS | options
    out[1] = out[0] - value
    if out[1] < 0:
        value -= LOW_BITS + 1
    out[0] = value


@micropython.viper
def unstamp(echo: ptr32) -> int:
    """The options in a timestamp that came back, as our offset left them."""
    return echo[0] & LOW_BITS


class Cookies:
    def __init__(self, key):
        self.start = schedule(key)
        self.message = bytearray(MESSAGE)
        self.state = bytearray(32)
        self.right = bytearray(4)

    def hash(self, local, port, remote, remote_port, peer, top):
        message = self.message
        message[:] = NOTHING
        message[0 : len(local)] = local
        message[16 : 16 + len(remote)] = remote
        message[32] = port >> 8
        message[33] = port & 0xFF
        message[34] = remote_port >> 8
        message[35] = remote_port & 0xFF
        message[36:40] = peer
        message[40] = top
        siphash(self.start, self.state, message, 44)

    def make(self, local, port, remote, remote_port, peer, mss, now, out):
        index = len(SIZES) - 1
        while index and SIZES[index] > mss:
            index -= 1
        top = (now >> SLOT_SHIFT & 31) << 3 | index
        self.hash(local, port, remote, remote_port, peer, top)
        _seal(self.state, top, out)

    def check(self, local, port, remote, remote_port, peer, number, now):
        top = number[3]
        if ((now >> SLOT_SHIFT) - (top >> 3)) & 31 > LIFETIME:
            return 0
        self.hash(local, port, remote, remote_port, peer, top)
        _seal(self.state, top, self.right)
        if not _equal(self.right, number):
            return 0
        return SIZES[top & 7]
