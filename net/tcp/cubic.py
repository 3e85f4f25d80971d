"""CUBIC: the congestion window as a cubic function of the time since the last loss.  RFC 9438.

    reset(block)                       a new connection, or no history worth keeping
    reduced(block)                     a congestion event: remember where the window was
    grow(block, acked, now)            congestion avoidance, for each acknowledgement
    idle(block, ms)                    nothing was sent for so long: that time does not count

The window around t = K, where it reaches what it was before the loss:

    W_cubic(t) = C (t - K)^3 + W_max          C = 0.4 segments/s^3, t in ms here

Everything is in bytes and 31 bits: `cube` scales its argument down by powers of two until its third
power fits, and K is found by bisection with the same function, so both agree exactly.  The cubic is
evaluated once per millisecond at most; between, an acknowledgement costs a comparison.
Left out: the increase factor of slow start is congestion.py's, spurious reductions are not undone.
"""

import micropython
from micropython import const

LARGEST = const(0x1FFFFFFF)
LONGEST = const(0x1FFFF)  # ms: 131 s from the plateau is enough for any window
SLOWEST = const(100)  # near the plateau: one segment for so many at least

# The block (see block.py).
SRTT = const(41)
MSS = const(28)
CWND = const(48)
W_MAX = const(54)  # CUBIC and the words behind it
K = const(55)
EPOCH = const(56)  # when this stage of congestion avoidance began, -1: it has not
ORIGIN = const(57)  # the window at the plateau
TARGET = const(58)  # W_cubic one round trip from TARGET_AT
TARGET_AT = const(59)
W_EST = const(60)  # what Reno would have by now
EST_ACKED = const(61)
ACKED = const(62)
PRIOR_CWND = const(101)
MASK = const(0x3FFFFFFF)


@micropython.viper
def reset(block_):
    block = ptr32(block_)
    block[W_MAX] = 0
    block[EPOCH] = -1
    block[TARGET_AT] = -1
    block[PRIOR_CWND] = 0


@micropython.viper
def reduced(block_) -> int:
    """RFC 9438 4.6 and 4.7; the new slow start threshold: 0.7 of the window."""
    block = ptr32(block_)
    cwnd = block[CWND]
    block[PRIOR_CWND] = cwnd
    # 4.7 fast convergence: a flow that gets less than last time makes room for others.
    if cwnd < block[W_MAX]:
        block[W_MAX] = cwnd - cwnd // 20 * 3
    else:
        block[W_MAX] = cwnd
    block[EPOCH] = -1
    block[ACKED] = 0
    return cwnd - cwnd // 10 * 3


@micropython.viper
def idle(block_, ms: int):
    """RFC 9438 5.8: time in which nothing was sent does not let the window grow."""
    block = ptr32(block_)
    if block[EPOCH] >= 0:
        block[EPOCH] = (block[EPOCH] + ms) & MASK


@micropython.viper
def cube(ms: int, mss: int) -> int:
    """C ms^3 in bytes, for ms >= 0."""
    if ms > LONGEST:
        ms = LONGEST
    if mss > 0x3FFF:
        mss = 0x3FFF  # so that the product below fits
    shift = 0
    while ms >= 1024:
        ms >>= 1
        shift += 3
    # 0.4 / 10^9 = 1 / (152588 * 2^14)
    value = ((ms * ms * ms) >> 14) * mss
    rest = value % 152588
    value = value // 152588
    if value >= LARGEST >> shift:
        return LARGEST
    if shift > 12:
        return (value << shift) + ((rest << 12) // 152588 << (shift - 12))
    return (value << shift) + (rest << shift) // 152588


@micropython.viper
def begin(block_, now: int):
    """The first acknowledgement of a stage of congestion avoidance (RFC 9438 4.2)."""
    block = ptr32(block_)
    cwnd = block[CWND]
    mss = block[MSS]
    block[EPOCH] = now
    block[ACKED] = 0
    block[EST_ACKED] = 0
    block[W_EST] = cwnd
    if block[W_MAX] <= cwnd:
        block[K] = 0
        block[ORIGIN] = cwnd
        return
    block[ORIGIN] = block[W_MAX]
    missing = block[W_MAX] - cwnd
    low = 0
    high = int(LONGEST)
    while low < high:
        middle = (low + high) >> 1
        if int(cube(middle, mss)) < missing:
            low = middle + 1
        else:
            high = middle
    block[K] = low


@micropython.viper
def aim(block_, now: int):
    """TARGET: the cubic one round trip ahead, between cwnd and 1.5 cwnd (RFC 9438 4.2)."""
    block = ptr32(block_)
    cwnd = block[CWND]
    away = ((now - block[EPOCH]) & MASK) + (block[SRTT] >> 3) - block[K]
    if away < 0:
        target = block[ORIGIN] - int(cube(0 - away, block[MSS]))
    else:
        target = int(cube(away, block[MSS]))
        if target > LARGEST - block[ORIGIN]:
            target = LARGEST
        else:
            target += block[ORIGIN]
    if target < cwnd:
        target = cwnd
    if target > cwnd + (cwnd >> 1):
        target = cwnd + (cwnd >> 1)
    block[TARGET] = target
    block[TARGET_AT] = now


@micropython.viper
def grow(block_, acked: int, now: int):
    block = ptr32(block_)
    mss = block[MSS]
    if block[EPOCH] < 0:
        begin(block_, now)
        block[TARGET_AT] = -1
    if block[TARGET_AT] != now:
        aim(block_, now)
    cwnd = block[CWND]

    # 4.3: the Reno-friendly region.  Alpha is 9/17, and 1 once the old window is reached again.
    block[EST_ACKED] += acked
    step = cwnd
    if block[W_EST] < block[PRIOR_CWND]:
        step = cwnd // 9 * 17
    while block[EST_ACKED] >= step:
        block[EST_ACKED] -= step
        block[W_EST] += mss

    # 4.4 and 4.5: (target - cwnd) / cwnd of a segment for each segment acknowledged, in whole
    # segments: one for each `step` bytes, which are cwnd / (target - cwnd) segments.
    more = block[TARGET] - cwnd
    if more > 0:
        if cwnd // more >= SLOWEST:
            step = SLOWEST * mss
        else:
            whole = cwnd
            while whole > 0x7FFFFF:
                whole >>= 1
                more >>= 1
            step = ((whole << 6) // more * mss) >> 6
        block[ACKED] += acked
        while block[ACKED] >= step:
            block[ACKED] -= step
            cwnd += mss
    if cwnd < block[W_EST]:
        cwnd = block[W_EST]
    if cwnd > LARGEST:
        cwnd = LARGEST
    block[CWND] = cwnd
