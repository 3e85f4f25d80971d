"""Round-trip time and the retransmission timeout: RFC 6298, RFC 7323 section 4, Karn's rule.

    start(block)                    before the SYN: one second
    sent(block, now)                new data was sent, up to snd_max
    measured = acknowledged(block, now, echoed)   snd_una has advanced; ms, or -1
    resent(block)                   a retransmission: what is being timed is worthless (Karn)
    paused(block)                   the machine stood still: so is all that is under way
    backoff(block)                  a timeout: twice as long next time (RFC 6298 5.5)
    handshake_lost(block)           the SYN was sent again: begin data with 3 s (RFC 6298 5.7)

`echoed` is now less the echoed timestamp, in ms, or -1 without timestamps.  Milliseconds count
modulo 2^30; when they wrap, whoever owns the clock adds 2^30 to the TS_OFFSET of each connection,
so that the peer sees 32 bits that never go back.

The filter takes one sample per round trip, for which its gains 1/8 and 1/4 are meant (RFC 7323
4.2), and the first one after a timeout; a timestamp only lets the sample be taken in spite of a
retransmission.  SRTT is kept in 1/8 ms and RTTVAR in 1/4 ms, so the arithmetic is that of the RFC
without a division.

RFC 6298 (2.4) wants at least a second.  Like Linux we put a floor of RTO_MIN_MS under the variance
instead: then a delayed acknowledgement (200 ms and less in every system that matters) does not
fire the timer, and a lost tail on a fast network costs 0.2 s and not 1.
"""

import micropython
from micropython import const

from net.config import TCP_RTO_MAX_MS, TCP_RTO_MIN_MS

RTO_MIN = const(200)  # repeated from net/config.py
RTO_MAX = const(60_000)
assert (RTO_MIN, RTO_MAX) == (TCP_RTO_MIN_MS, TCP_RTO_MAX_MS)
RTO_FIRST = const(1000)  # RFC 6298 2.1
RTO_AFTER_LOST_SYN = const(3000)  # RFC 6298 5.7
BELIEVABLE = const(0x100000)  # 17 minutes: an echo older than that is not ours
DEAF_MS = const(1000)  # so late, and no timeout yet: the machine stood still (timers.py)

# The block (see block.py).
SND_UNA = const(13)
SND_MAX = const(15)
RTX_AT = const(37)
SRTT = const(41)
RTTVAR = const(42)
RTO = const(43)
BACKOFF = const(44)
RTT_SEQ = const(45)
RTT_AT = const(46)
SCRATCH = const(92)
MASK = const(0x3FFFFFFF)
HALF = const(0x20000000)


@micropython.viper
def start(block_):
    block = ptr32(block_)
    block[SRTT] = 0
    block[RTTVAR] = 0
    block[RTO] = RTO_FIRST
    block[BACKOFF] = 0
    block[RTT_AT] = -1
    block[RTT_SEQ] = block[SND_UNA]


@micropython.viper
def sample(block_, ms: int):
    """RFC 6298 (2.2) and (2.3): one measurement; it ends a backoff, too."""
    block = ptr32(block_)
    if ms < 1:
        ms = 1  # the granularity of the clock
    srtt = block[SRTT]
    if srtt == 0:
        block[SRTT] = ms << 3
        variance = ms << 1
    else:
        error = ms - (srtt >> 3)
        srtt += error
        if srtt < 8:
            srtt = 8
        block[SRTT] = srtt
        if error < 0:
            error = 0 - error
        variance = block[RTTVAR]
        variance += error - (variance >> 2)
    block[RTTVAR] = variance
    if variance < RTO_MIN:
        variance = int(RTO_MIN)
    rto = (block[SRTT] >> 3) + variance
    if rto > RTO_MAX:
        rto = int(RTO_MAX)
    block[RTO] = rto
    block[BACKOFF] = 0


@micropython.viper
def sent(block_, now: int):
    """New data went out and ends at snd_max; with timestamps there is nothing to do."""
    block = ptr32(block_)
    if block[RTT_AT] < 0:
        block[RTT_AT] = now
        block[RTT_SEQ] = block[SND_MAX]


@micropython.viper
def acknowledged(block_, now: int, echoed: int) -> int:
    """What the acknowledgement says about the round trip: milliseconds, or -1."""
    block = ptr32(block_)
    block[SCRATCH] = block[SND_UNA] - block[RTT_SEQ]
    measured = -1
    if echoed >= 0:
        if echoed > BELIEVABLE:
            return -1
        measured = echoed
        if block[SCRATCH] < 0 and block[SRTT] and block[BACKOFF] == 0:
            return measured
        # The next sample is that of the first segment sent from now on.
        block[RTT_SEQ] = block[SND_MAX]
        block[RTT_AT] = -1
    else:
        if block[RTT_AT] < 0 or block[SCRATCH] < 0:
            return -1
        measured = (now - block[RTT_AT]) & MASK
        block[RTT_AT] = -1
        if measured > BELIEVABLE:
            return -1
    if measured > block[RTO] and block[RTX_AT] >= 0:
        late = (now - block[RTX_AT]) & MASK
        if late >= DEAF_MS and late < HALF:
            return -1
    sample(block_, measured)
    return measured


@micropython.viper
def resent(block_):
    """Karn: whether the first or the second copy is acknowledged nobody can tell."""
    block = ptr32(block_)
    block[RTT_AT] = -1


@micropython.viper
def paused(block_):
    """The clock has jumped: what is under way tells no round trip."""
    block = ptr32(block_)
    block[RTT_AT] = -1
    block[RTT_SEQ] = block[SND_MAX] + 1


@micropython.viper
def backoff(block_):
    block = ptr32(block_)
    rto = block[RTO] << 1
    if rto > RTO_MAX:
        rto = int(RTO_MAX)
    block[RTO] = rto
    block[BACKOFF] += 1
    block[RTT_AT] = -1


@micropython.viper
def handshake_lost(block_):
    block = ptr32(block_)
    if block[RTO] < RTO_AFTER_LOST_SYN:
        block[RTO] = RTO_AFTER_LOST_SYN
