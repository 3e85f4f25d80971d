"""What is sent when: loss recovery.  RFC 6675 with SACK, RFC 6582 (NewReno) without; RFC 3042.

For each acknowledgement TCP calls, in this order:

    new = scoreboard.update(block, out)       if it carries SACK
    acknowledged(block, acked, now, ms)       if snd_una has advanced, by `acked` (ms: rtt.py's)
    duplicate(block, new, now)                if it is a duplicate: RFC 5681 2, or `new` is not 0

and when there may be something to send:

    while next_hole(block):                   HOLE_LENGTH bytes, at HOLE bytes from snd_una, are to
        ...                                   be sent again
        resent(block, length)                 so much of them was
    allowed(block)                            then: bytes of new data that may go out

    timed_out(block, now)                     the retransmission timer fired, snd_una is unanswered

"Bytes" are sequence numbers: a FIN at the end of a hole counts for one.  After a timeout snd_nxt is
how far the repair has come; else it is snd_max.

Three states: all is well; RECOVERING, from a fast retransmit until RECOVER is acknowledged;
TIMED_OUT, from a timeout until then.  In the second, what SACK shows to be lost goes out within the
window that `pipe` leaves (RFC 6675); in the third, everything that no range covers goes out again
from snd_una upwards in slow start (RFC 6675 5.1).

Without SACK each duplicate stands for a segment that has left the network: the window is inflated
(RFC 6582 3.2), and one hole is repaired in a round trip.

FORCED marks the one segment that the window does not hold back: the first of a recovery.
Left out: rate reduction proportional to arrivals (RFC 9937), spurious timeouts (RFC 5682, 3522).
"""

import micropython
from micropython import const

from net.tcp import congestion, rtt, scoreboard

DUP_THRESH = const(3)
LOST = const(2)  # scoreboard.hole_at

# The block (see block.py).
FLAGS = const(11)
SND_UNA = const(13)
SND_NXT = const(14)
SND_MAX = const(15)
SND_WND = const(16)
ISS = const(19)
QUEUED = const(23)
MSS = const(28)
BACKOFF = const(44)
RETRANSMITS = const(47)
CWND = const(48)
SSTHRESH = const(49)
RECOVER = const(50)
HIGH_RXT = const(51)
DUPACKS = const(53)
SACKED = const(63)
SACK = const(64)
HOLE = const(89)
HOLE_LENGTH = const(90)
SCRATCH = const(92)
SACK_OK = const(0x4)
RECOVERING = const(0x800)
TIMED_OUT = const(0x1000)
FORCED = const(0x1000000)
CWND_LIMITED = const(0x2000000)
RESCUED = const(0x8000000)
ANY_STATE = const(0x9001800)  # RECOVERING | TIMED_OUT | FORCED | RESCUED


@micropython.viper
def start(block_):
    """A new connection, before its SYN: nothing is lost, nothing was ever repaired."""
    block = ptr32(block_)
    block[RECOVER] = block[ISS]
    block[HIGH_RXT] = block[ISS]
    block[DUPACKS] = 0
    block[SACKED] = 0
    block[FLAGS] &= ~ANY_STATE


@micropython.viper
def acknowledged(block_, acked: int, now: int, ms: int):
    block = ptr32(block_)
    flags = block[FLAGS]
    if block[SACKED]:
        scoreboard.trim(block_)
    if flags & (RECOVERING | TIMED_OUT) == 0:
        block[DUPACKS] = 0
        congestion.on_ack(block_, acked, now, ms)
        return
    block[SCRATCH] = block[SND_UNA] - block[RECOVER]
    done = 0
    if block[SCRATCH] >= 0:
        done = 1
    if flags & TIMED_OUT:
        block[DUPACKS] = 0
        block[SCRATCH] = block[SND_NXT] - block[SND_UNA]
        if block[SCRATCH] < 0:
            block[SND_NXT] = block[SND_UNA]
        congestion.on_ack(block_, acked, now, ms)
        if done:
            block[FLAGS] &= ~ANY_STATE
            block[SND_NXT] = block[SND_MAX]
        return
    mss = block[MSS]
    if done:
        block[FLAGS] = flags & ~ANY_STATE
        block[DUPACKS] = 0
        if flags & SACK_OK == 0:
            # RFC 6582 3.2 (3), full: min(ssthresh, max(flight, SMSS) + SMSS) avoids a burst.
            block[SCRATCH] = block[SND_MAX] - block[SND_UNA]
            window = block[SCRATCH]
            if window < mss:
                window = mss
            window += mss
            if window > block[SSTHRESH]:
                window = block[SSTHRESH]
            block[CWND] = window
        return
    if flags & SACK_OK:
        block[SCRATCH] = block[HIGH_RXT] - block[SND_UNA]
        if block[SCRATCH] < 0:
            block[HIGH_RXT] = block[SND_UNA]
        return
    # RFC 6582 3.2 (3), partial: repair the next hole, deflate by what has left.
    window = block[CWND] - acked
    if acked >= mss:
        window += mss
    if window < mss:
        window = mss
    block[CWND] = window
    block[FLAGS] = flags | FORCED


@micropython.viper
def duplicate(block_, new: int, now: int):
    """`new`: bytes that SACK has newly covered."""
    block = ptr32(block_)
    flags = block[FLAGS]
    if flags & TIMED_OUT:
        return
    if flags & RECOVERING:
        if flags & SACK_OK == 0:
            # RFC 6582 3.2 (4).
            block[CWND] += block[MSS]
        return
    count = block[DUPACKS] + 1
    block[DUPACKS] = count
    if count < DUP_THRESH:
        # RFC 6675 5 (2): three segments' worth may have come together.
        if flags & SACK_OK == 0 or block[SACKED] == 0:
            return
        if int(scoreboard.first_lost(block_)) == 0:
            return
    # RFC 6582 3.2 (2): not again for what was lost before (a timeout has set RECOVER, too).
    block[SCRATCH] = block[SND_UNA] - block[RECOVER]
    if block[SCRATCH] < 0:
        return
    if block[SCRATCH] == 0 and block[RECOVER] != block[ISS] and flags & SACK_OK == 0:
        # Without SACK duplicates may be those of what was sent twice: wait for one beyond it.
        return
    congestion.on_loss(block_)
    block[RECOVER] = block[SND_MAX]
    block[HIGH_RXT] = block[SND_UNA]
    if flags & SACK_OK == 0:
        # RFC 6582 3.2 (2), 5681 3.2 (3): three segments have left.
        block[CWND] += DUP_THRESH * block[MSS]
    block[FLAGS] = (block[FLAGS] | RECOVERING | FORCED) & ~RESCUED


@micropython.viper
def allowed(block_) -> int:
    """Bytes that congestion control lets out now; and a note whether that is what holds us back.

    To be asked when there is something to be sent.
    """
    block = ptr32(block_)
    flags = block[FLAGS]
    window = block[CWND]
    if flags & SACK_OK == 0 and flags & TIMED_OUT == 0:
        block[SCRATCH] = block[SND_MAX] - block[SND_UNA]
        pipe = block[SCRATCH]
        if flags & RECOVERING == 0:
            # RFC 3042: each of the first two duplicates lets one new segment out.
            count = block[DUPACKS]
            if count:
                if count > 2:
                    count = 2
                window += count * block[MSS]
    elif flags & (RECOVERING | TIMED_OUT) == 0 and block[SACKED] == 0:
        # As in most cases: everything sent is under way.
        block[SCRATCH] = block[SND_MAX] - block[SND_UNA]
        pipe = block[SCRATCH]
    else:
        pipe = int(scoreboard.set_pipe(block_))
    if window - pipe >= block[MSS]:
        block[FLAGS] = flags & ~CWND_LIMITED
        return window - pipe
    block[FLAGS] = flags | CWND_LIMITED
    if pipe >= window:
        return 0
    return window - pipe


@micropython.viper
def next_hole(block_) -> int:
    """What is to be sent again, into HOLE and HOLE_LENGTH; 0: nothing, or not now."""
    block = ptr32(block_)
    flags = block[FLAGS]
    if flags & (RECOVERING | TIMED_OUT) == 0:
        return 0
    if flags & FORCED:
        # The segment at snd_una, whatever the window.
        return int(scoreboard.beyond(block_, 0))
    if flags & (SACK_OK | TIMED_OUT) == 0 or int(allowed(block_)) < block[MSS]:
        return 0
    una = block[SND_UNA]
    if flags & TIMED_OUT:
        block[SCRATCH] = block[SND_NXT] - una
        length = int(scoreboard.beyond(block_, block[SCRATCH]))
        if length == 0:
            block[SND_NXT] = block[SND_MAX]
        return length
    # RFC 6675 4, NextSeg.
    block[SCRATCH] = block[HIGH_RXT] - una
    hole = int(scoreboard.hole_at(block_, block[SCRATCH]))
    if hole == LOST:
        return block[HOLE_LENGTH]  # (1)
    block[SCRATCH] = block[SND_MAX] - una
    flight = block[SCRATCH]
    if block[QUEUED] > flight and block[SND_WND] > flight:
        return 0  # (2): new data goes first
    if hole:
        return block[HOLE_LENGTH]  # (3)
    if flags & RESCUED:
        return 0
    # (4): once, the last segment that is not known to have arrived.
    low = int(highest_range(block_))
    if flight <= low:
        return 0
    if flight - low > block[MSS]:
        low = flight - block[MSS]
    block[HOLE] = low
    block[HOLE_LENGTH] = flight - low
    return block[HOLE_LENGTH]


@micropython.viper
def highest_range(block_) -> int:
    """Where the highest range ends, or what was sent again, whichever is higher; from snd_una."""
    block = ptr32(block_)
    block[SCRATCH] = block[HIGH_RXT] - block[SND_UNA]
    high = block[SCRATCH]
    count = block[SACKED]
    if count:
        block[SCRATCH] = block[SACK - 1 + (count << 1)] - block[SND_UNA]
        if block[SCRATCH] > high:
            high = block[SCRATCH]
    return high


@micropython.viper
def resent(block_, length: int):
    """So much was sent again of the hole."""
    block = ptr32(block_)
    flags = block[FLAGS]
    block[RETRANSMITS] += 1
    rtt.resent(block_)
    end = block[SND_UNA] + block[HOLE] + length
    if flags & TIMED_OUT:
        block[SND_NXT] = end
    elif flags & RECOVERING:
        if flags & FORCED == 0 and block[HOLE] >= int(highest_range(block_)):
            # That was the rescue: HighRxt stays (RFC 6675 4).
            block[FLAGS] = flags | RESCUED
            return
        block[HIGH_RXT] = end
    block[FLAGS] = flags & ~FORCED


@micropython.viper
def timed_out(block_, now: int):
    """RFC 5681 3.1, 6298 5.4 to 5.6: begin again at snd_una, with one segment."""
    block = ptr32(block_)
    congestion.on_timeout(block_)
    # RFC 2018 8: a receiver may drop what it has acknowledged selectively; after the second
    # timeout in a row, or where it shows at once, nothing it said counts any more.
    if block[BACKOFF]:
        block[SACKED] = 0
    scoreboard.trim(block_)
    rtt.backoff(block_)
    block[RECOVER] = block[SND_MAX]
    block[SND_NXT] = block[SND_UNA]
    block[DUPACKS] = 0
    block[FLAGS] = (block[FLAGS] & ~ANY_STATE) | TIMED_OUT
