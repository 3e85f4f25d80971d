"""Words of a block, for code in plain Python: small steps that must not see a sequence number.

MicroPython's small integers have 31 bits: what may be larger stays in viper.
"""

import micropython
from micropython import const

from net.config import TCP_USER_TIMEOUT_MS
from net.tcp import block as layout

# The block (see block.py).
STATE = const(10)
B_FLAGS = const(11)
SND_UNA = const(13)
SND_NXT = const(14)
SND_MAX = const(15)
ISS = const(19)
RCV_NXT = const(20)
RCV_ADV = const(21)
RCV_SPACE = const(24)
TS_OFFSET = const(35)
RTX_AT = const(37)
RTO = const(43)
HEARD_AT = const(85)
BEGAN_AT = const(86)
SCRATCH = const(92)
SND_SML = const(102)
ESTABLISHED = const(4)
FIN_WAIT_1 = const(5)
CLOSE_WAIT = const(7)
LAST_ACK_STATE = const(9)

LARGEST_FIELD = const(65535)
MASK = const(0x3FFFFFFF)


@micropython.viper
def word(block: ptr32, index: int) -> int:
    return block[index]


@micropython.viper
def put(block: ptr32, index: int, value: int):
    block[index] = value


@micropython.viper
def flag(block: ptr32, bits: int, on: int):
    if on:
        block[B_FLAGS] |= bits
    else:
        block[B_FLAGS] &= ~bits


@micropython.viper
def flight(block: ptr32) -> int:
    """Sequence numbers that are sent and not acknowledged."""
    block[SCRATCH] = block[SND_MAX] - block[SND_UNA]
    return block[SCRATCH]


@micropython.viper
def told(block: ptr32):
    """The window field of a SYN was not scaled."""
    window = block[RCV_SPACE]
    if window > LARGEST_FIELD:
        window = int(LARGEST_FIELD)
    block[RCV_ADV] = block[RCV_NXT] + window


@micropython.viper
def syn_sent(block: ptr32, now: int):
    """Our SYN is out: it is the first in the sequence."""
    if block[SND_MAX] == block[ISS]:
        block[SND_MAX] = block[ISS] + 1
        block[SND_NXT] = block[SND_MAX]
        block[BEGAN_AT] = now
    block[RTX_AT] = (now + block[RTO]) & MASK


@micropython.viper
def syn_acknowledged(block: ptr32):
    block[SND_UNA] = block[ISS] + 1
    block[SND_NXT] = block[SND_UNA]
    block[SND_MAX] = block[SND_UNA]
    block[SND_SML] = block[SND_UNA]


@micropython.viper
def fin_sent(block: ptr32):
    if block[STATE] == ESTABLISHED:
        block[STATE] = FIN_WAIT_1
    elif block[STATE] == CLOSE_WAIT:
        block[STATE] = LAST_ACK_STATE


@micropython.viper
def later_stamps(block: ptr32):
    """The machine's milliseconds have begun again."""
    block[TS_OFFSET] += 0x20000000
    block[TS_OFFSET] += 0x20000000


@micropython.viper
def quoted(block: ptr32, data: ptr8, at: int) -> int:
    """RFC 5927 4.1: is the sequence number of a quoted header under way?"""
    block[SCRATCH] = data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
    block[SCRATCH] = block[SCRATCH] - block[SND_UNA]
    block[SCRATCH + 1] = block[SND_MAX] - block[SND_UNA]
    if block[SCRATCH] < 0 or block[SCRATCH] >= block[SCRATCH + 1]:
        return 0
    return 1


@micropython.viper
def waited_too_long(block: ptr32, now: int, limit: int) -> int:
    """Has what is under way been unanswered for `limit` ms?"""
    if limit >= 0 and (now - block[BEGAN_AT]) & MASK >= limit:
        return 1
    return 0


@micropython.viper
def silence(block: ptr32, now: int) -> int:
    return (now - block[HEARD_AT]) & MASK


def template(window):
    """What every block begins as."""
    words = bytearray(layout.SIZE)
    put(words, layout.RCV_SPACE, window)
    put(words, layout.MSS, 536)
    for index in (layout.RTX_AT, layout.ACK_AT, layout.KEEP_AT, layout.GONE_AT, layout.RTT_AT):
        put(words, index, -1)
    put(words, layout.USER_TIMEOUT, TCP_USER_TIMEOUT_MS)
    # RFC 9293 3.8.4: two hours unless the service says otherwise.
    put(words, layout.KEEP_IDLE, 7_200_000)
    put(words, layout.KEEP_INTERVAL, 75_000)
    put(words, layout.KEEP_COUNT, 9)
    return words
