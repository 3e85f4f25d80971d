"""The congestion window: how much may be under way.  RFC 5681, 6928, 3465; CUBIC by RFC 9438.

    start(block, lost)              the handshake is done: the initial window
    on_ack(block, acked, now, ms)   `acked` new bytes arrived, outside recovery: the window may grow
    on_loss(block)                  fast retransmit: threshold and window come down
    on_timeout(block)               the timer fired: one segment
    on_ecn(block)                   the peer has heard of congestion: as a loss, without one
    before_sending(block, now)      new data after silence: the window may be out of date

Recovery (recovery.py) decides when each is called; TCP itself calls start and before_sending.
Flag RENO: congestion avoidance by RFC 5681; else CUBIC (cubic.py), with HyStart++ (hystart.py).
Windows are in bytes; what grows them is the number of bytes acknowledged, not of acknowledgements
(RFC 3465), so a peer gains nothing by dividing them.
"""

import micropython
from micropython import const

from net.tcp import cubic, hystart

INFINITE = const(0x1FFFFFFF)
INITIAL_SEGMENTS = const(10)  # RFC 6928 2
INITIAL_BYTES = const(14600)

# The block (see block.py).
FLAGS = const(11)
SND_UNA = const(13)
SND_MAX = const(15)
MSS = const(28)
RTO = const(43)
BACKOFF = const(44)
CWND = const(48)
SSTHRESH = const(49)
ACKED = const(62)
CWR_SEQ = const(87)
SENT_AT = const(91)
SCRATCH = const(92)
PRIOR_CWND = const(101)
CWR_DUE = const(0x40)
RECOVERING = const(0x800)
TIMED_OUT = const(0x1000)
CWND_LIMITED = const(0x2000000)
RENO = const(0x4000000)
MASK = const(0x3FFFFFFF)


@micropython.viper
def initial_window(mss: int) -> int:
    """RFC 6928 2: min(10 MSS, max(2 MSS, 14600))."""
    window = INITIAL_SEGMENTS * mss
    limit = mss << 1
    if limit < INITIAL_BYTES:
        limit = int(INITIAL_BYTES)
    if window > limit:
        window = limit
    return window


@micropython.viper
def start(block_, lost: int):
    """`lost`: our SYN or SYN-ACK had to be sent again, which RFC 5681 3.1 takes for congestion."""
    block = ptr32(block_)
    mss = block[MSS]
    block[CWND] = mss if lost else int(initial_window(mss))
    block[SSTHRESH] = INFINITE
    block[ACKED] = 0
    block[CWR_SEQ] = block[SND_UNA]
    cubic.reset(block_)
    hystart.reset(block_)


@micropython.viper
def on_ack(block_, acked: int, now: int, ms: int):
    """`acked` bytes are new, snd_una is behind them; `ms`: their round trip, or -1."""
    block = ptr32(block_)
    cwnd = block[CWND]
    flags = block[FLAGS]
    block[SCRATCH] = block[SND_MAX] - block[SND_UNA]
    flight = block[SCRATCH] + acked
    if cwnd < block[SSTHRESH]:
        # A window that is not used must not grow (RFC 7661 3); in slow start twice the flight is.
        if flight << 1 <= cwnd:
            return
        mss = block[MSS]
        limit = mss << 3  # RFC 9406 4.2: L = 8
        divisor = 1
        if flags & TIMED_OUT:
            limit = mss  # RFC 3465 2.3
        elif flags & RENO:
            limit = mss << 1
        elif block[SSTHRESH] == INFINITE:
            divisor = int(hystart.on_ack(block_, ms))
            if divisor == 0:
                block[SSTHRESH] = cwnd
                return
        if acked > limit:
            acked = limit
        cwnd += acked if divisor == 1 else acked >> 2
        if cwnd > INFINITE:
            cwnd = int(INFINITE)
        block[CWND] = cwnd
        return
    if flags & CWND_LIMITED == 0:
        return
    if flags & RENO:
        # RFC 3465 2.1: one segment for each window.
        block[ACKED] += acked
        if block[ACKED] >= cwnd:
            block[ACKED] -= cwnd
            if cwnd < INFINITE:
                block[CWND] = cwnd + block[MSS]
        return
    cubic.grow(block_, acked, now)


@micropython.viper
def _reduce(block_):
    """The new threshold.  RFC 5681 (4): half of what is under way; RFC 9438 4.6: 0.7."""
    block = ptr32(block_)
    mss = block[MSS]
    if block[FLAGS] & RENO:
        block[PRIOR_CWND] = block[CWND]
        block[SCRATCH] = block[SND_MAX] - block[SND_UNA]
        threshold = block[SCRATCH] >> 1
        block[ACKED] = 0
    else:
        threshold = int(cubic.reduced(block_))
    if threshold < mss << 1:
        threshold = mss << 1
    block[SSTHRESH] = threshold


@micropython.viper
def on_loss(block_):
    """RFC 5681 3.2 (2), 6675 5 (4.2): threshold and window come down together."""
    block = ptr32(block_)
    _reduce(block_)
    block[CWND] = block[SSTHRESH]


@micropython.viper
def on_timeout(block_):
    """RFC 5681 3.1: one segment.  A second timeout of the same data says nothing new."""
    block = ptr32(block_)
    if block[BACKOFF] == 0 or block[FLAGS] & TIMED_OUT == 0:
        _reduce(block_)
    block[CWND] = block[MSS]
    block[ACKED] = 0


@micropython.viper
def on_ecn(block_):
    """RFC 3168 6.1.2: an ECE.  Once per window of data, and not in addition to a loss."""
    block = ptr32(block_)
    block[SCRATCH] = block[SND_UNA] - block[CWR_SEQ]
    if block[SCRATCH] < 0 or block[FLAGS] & (RECOVERING | TIMED_OUT):
        return
    _reduce(block_)
    block[CWND] = block[SSTHRESH]
    block[CWR_SEQ] = block[SND_MAX]
    block[FLAGS] |= CWR_DUE


@micropython.viper
def before_sending(block_, now: int):
    """RFC 5681 4.1: a connection that sent nothing for an RTO begins with the initial window."""
    block = ptr32(block_)
    if block[SND_UNA] == block[SND_MAX]:
        silence = (now - block[SENT_AT]) & MASK
        if silence > block[RTO]:
            window = int(initial_window(block[MSS]))
            if block[CWND] > window:
                block[CWND] = window
            cubic.idle(block_, silence)
    block[SENT_AT] = now
