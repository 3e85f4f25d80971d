"""What the peer has selectively acknowledged: ranges in the block.  RFC 2018, 6675.

    new = update(block, out)        take in the ranges that options.parse found; bytes that are new
    lost = trim(block)              snd_una has advanced; 1: the peer has dropped data it had
    clear(block)
    set_pipe(block)                 RFC 6675 SetPipe: what is still under way, into PIPE
    first_lost(block)               1: IsLost(snd_una)
    hole_at(block, start)           the next gap below a range, for RFC 6675 NextSeg
    beyond(block, start)            the next gap of all, after a timeout

At most SACKS ranges are kept, the lowest: those are repaired first, and a range that was forgotten
counts as not yet acknowledged, which is safe.  Ranges are [start, end), ascending, apart, and lie
between snd_una and snd_max: whatever else a peer says is not believed (RFC 2018 5; a D-SACK, RFC
2883, lies below snd_una and falls away by the same rule).

A gap between ranges is lost (IsLost) if three ranges, or more than two segments' worth of bytes,
lie above it: so all bytes of a gap are or none is.
"""

import micropython
from micropython import const

DUP_THRESH = const(3)

# options.parse's result.
OUT_SACKS = const(4)
OUT_RANGES = const(5)

# The block (see block.py).
FLAGS = const(11)
SND_UNA = const(13)
SND_NXT = const(14)
SND_MAX = const(15)
MSS = const(28)
RECOVER = const(50)
HIGH_RXT = const(51)
PIPE = const(52)
SACKED = const(63)
SACK = const(64)
SACKS = const(8)
HOLE = const(89)
HOLE_LENGTH = const(90)
SCRATCH = const(92)
RECOVERING = const(0x800)
TIMED_OUT = const(0x1000)


@micropython.viper
def clear(block_):
    block = ptr32(block_)
    block[SACKED] = 0


@micropython.viper
def update(block_, out: ptr32) -> int:
    block = ptr32(block_)
    una = block[SND_UNA]
    block[SCRATCH] = block[SND_MAX] - una
    flight = block[SCRATCH]
    given = out[OUT_SACKS]
    fresh = 0
    k = OUT_RANGES
    while given:
        given -= 1
        # Work with distances from snd_una: positive, and smaller than 2^30.
        block[SCRATCH] = out[k] - una
        block[SCRATCH + 1] = out[k + 1] - una
        k += 2
        start = block[SCRATCH]
        end = block[SCRATCH + 1]
        if start <= 0 or end <= start or end > flight:
            continue
        # Places `first` up to `last` (not included) are those it touches or joins.
        count = block[SACKED]
        first = 0
        while first < count:
            block[SCRATCH] = block[SACK + 1 + (first << 1)] - una
            if block[SCRATCH] >= start:
                break
            first += 1
        last = first
        fresh += end - start
        while last < count:
            at = SACK + (last << 1)
            block[SCRATCH] = block[at] - una
            block[SCRATCH + 1] = block[at + 1] - una
            low = block[SCRATCH]
            high = block[SCRATCH + 1]
            if low > end:
                break
            # What both have is not new; the union takes the place of the old one.
            both = (high if high < end else end) - (low if low > start else start)
            fresh -= both
            if low < start:
                start = low
            if high > end:
                end = high
            last += 1
        if first == last:
            # It stands alone.
            if count == SACKS:
                if first == count:
                    fresh -= end - start
                    continue
                count -= 1  # the highest one is forgotten
            i = count
            while i > first:
                at = SACK + (i << 1)
                block[at] = block[at - 2]
                block[at + 1] = block[at - 1]
                i -= 1
            block[SACKED] = count + 1
        else:
            gone = last - first - 1
            i = last
            while gone and i < count:
                at = SACK + (i << 1)
                to = at - (gone << 1)
                block[to] = block[at]
                block[to + 1] = block[at + 1]
                i += 1
            block[SACKED] = count - gone
        at = SACK + (first << 1)
        block[at] = una + start
        block[at + 1] = una + end
    return fresh


@micropython.viper
def trim(block_) -> int:
    """Forget what lies below snd_una.

    An acknowledgement that ends inside a range, or at its beginning, is that of a receiver that has
    thrown data away (RFC 2018 8): then nothing it said counts any more.
    """
    block = ptr32(block_)
    count = block[SACKED]
    una = block[SND_UNA]
    gone = 0
    while gone < count:
        at = SACK + (gone << 1)
        block[SCRATCH] = block[at + 1] - una
        if block[SCRATCH] > 0:
            block[SCRATCH] = block[at] - una
            if block[SCRATCH] <= 0:
                block[SACKED] = 0
                return 1
            break
        gone += 1
    if gone:
        count -= gone
        block[SACKED] = count
        i = SACK
        end = SACK + (count << 1)
        while i < end:
            block[i] = block[i + (gone << 1)]
            i += 1
    return 0


@micropython.viper
def first_lost(block_) -> int:
    block = ptr32(block_)
    count = block[SACKED]
    if count >= DUP_THRESH:
        return 1
    total = 0
    while count:
        count -= 1
        at = SACK + (count << 1)
        block[SCRATCH] = block[at + 1] - block[at]
        total += block[SCRATCH]
    if total > block[MSS] << 1:
        return 1
    return 0


@micropython.viper
def set_pipe(block_) -> int:
    """RFC 6675 4, SetPipe: bytes believed to be in the network."""
    block = ptr32(block_)
    una = block[SND_UNA]
    i = block[SACKED]
    flags = block[FLAGS]
    if flags & TIMED_OUT:
        # Between snd_nxt and RECOVER all is lost or has arrived.  What was sent again lies below,
        # what was sent since then for the first time above; ranges have arrived.
        block[SCRATCH] = block[SND_NXT] - una
        sent = block[SCRATCH]
        block[SCRATCH] = block[RECOVER] - una
        recover = block[SCRATCH]
        block[SCRATCH] = block[SND_MAX] - una
        pipe = block[SCRATCH]
        if sent < recover:
            pipe -= recover - sent
        else:
            sent = recover
        while i:
            i -= 1
            at = SACK + (i << 1)
            block[SCRATCH] = block[at] - una
            block[SCRATCH + 1] = block[at + 1] - una
            low = block[SCRATCH]
            high = block[SCRATCH + 1]
            if low < sent:
                pipe -= (high if high < sent else sent) - low
            if high > recover:
                pipe -= high - (low if low > recover else recover)
        block[PIPE] = pipe
        return pipe
    block[SCRATCH] = block[SND_MAX] - una
    top = block[SCRATCH]
    resent = 0
    if flags & RECOVERING:
        block[SCRATCH] = block[HIGH_RXT] - una
        resent = block[SCRATCH]
    much = block[MSS] << 1
    ranges = 0
    above = 0
    pipe = 0
    while True:
        # The gap below `top`, from the end of the range before it.
        low = 0
        if i:
            block[SCRATCH] = block[SACK - 1 + (i << 1)] - una
            low = block[SCRATCH]
        if ranges < DUP_THRESH and above <= much:
            pipe += top - low
        if resent > low:
            pipe += (resent if resent < top else top) - low
        if i == 0:
            break
        i -= 1
        block[SCRATCH] = block[SACK + (i << 1)] - una
        top = block[SCRATCH]
        above += low - top
        ranges += 1
    block[PIPE] = pipe
    return pipe


@micropython.viper
def hole_at(block_, start: int) -> int:
    """The first gap below a range at or above distance `start`: into HOLE and HOLE_LENGTH.

    -> 0: there is none; 1: there is; 2: there is, and it is lost.
    """
    block = ptr32(block_)
    una = block[SND_UNA]
    count = block[SACKED]
    i = 0
    while i < count:
        at = SACK + (i << 1)
        block[SCRATCH] = block[at] - una
        low = block[SCRATCH]
        if start < low:
            length = low - start
            block[HOLE] = start
            block[HOLE_LENGTH] = length if length < block[MSS] else block[MSS]
            if count - i >= DUP_THRESH:
                return 2
            above = 0
            while i < count:
                at = SACK + (i << 1)
                block[SCRATCH] = block[at + 1] - block[at]
                above += block[SCRATCH]
                i += 1
            if above > block[MSS] << 1:
                return 2
            return 1
        block[SCRATCH] = block[at + 1] - una
        if start < block[SCRATCH]:
            start = block[SCRATCH]
        i += 1
    return 0


@micropython.viper
def beyond(block_, start: int) -> int:
    """The first distance at or above `start` that no range covers, and the room up to the next one
    or to RECOVER, at most one segment, into HOLE and HOLE_LENGTH.  0: nothing is left."""
    block = ptr32(block_)
    una = block[SND_UNA]
    block[SCRATCH] = block[RECOVER] - una
    end = block[SCRATCH]
    count = block[SACKED]
    i = 0
    while i < count:
        at = SACK + (i << 1)
        block[SCRATCH] = block[at] - una
        block[SCRATCH + 1] = block[at + 1] - una
        if start < block[SCRATCH]:
            if block[SCRATCH] < end:
                end = block[SCRATCH]
            break
        if start < block[SCRATCH + 1]:
            start = block[SCRATCH + 1]
        i += 1
    length = end - start
    if length < 0:
        length = 0
    block[HOLE] = start
    if length > block[MSS]:
        length = block[MSS]
    block[HOLE_LENGTH] = length
    return length
