"""HyStart++: leave slow start before the queue overflows, when the round trip grows.  RFC 9406.

    reset(block)                      the first slow start begins
    divisor = on_ack(block, ms)       the round trip of this acknowledgement, in ms, or -1
                                      -> 1: slow start; 4: conservative slow start, a quarter as
                                      fast; 0: now congestion avoidance, ssthresh is cwnd

Only for the slow start of a new connection: later ones know their threshold.  It needs the round
trip of eight acknowledgements in a round, so without timestamps it never intervenes.
"""

import micropython
from micropython import const

MIN_THRESHOLD = const(4)  # ms, RFC 9406 4.3
MAX_THRESHOLD = const(16)
SAMPLES = const(8)
GROWTH_DIVISOR = const(4)
ROUNDS = const(5)
INFINITE = const(0x1FFFFFFF)

# The block (see block.py).
SND_UNA = const(13)
SND_MAX = const(15)
SCRATCH = const(92)
ROUND_END = const(96)  # HYSTART and the words behind it
ROUND_MIN = const(97)
LAST_MIN = const(98)
BASELINE = const(99)  # of conservative slow start; 0: not in it
COUNTS = const(100)  # samples in this round, and 0x100 for each conservative round


@micropython.viper
def reset(block_):
    block = ptr32(block_)
    block[ROUND_END] = block[SND_MAX]
    block[ROUND_MIN] = INFINITE
    block[LAST_MIN] = INFINITE
    block[BASELINE] = 0
    block[COUNTS] = 0


@micropython.viper
def on_ack(block_, ms: int) -> int:
    block = ptr32(block_)
    block[SCRATCH] = block[SND_UNA] - block[ROUND_END]
    if block[SCRATCH] >= 0:
        # A round has passed (4.2): everything that was under way at its beginning has arrived.
        block[ROUND_END] = block[SND_MAX]
        block[LAST_MIN] = block[ROUND_MIN]
        block[ROUND_MIN] = INFINITE
        rounds = block[COUNTS] >> 8
        if block[BASELINE]:
            rounds += 1
            if rounds > ROUNDS:
                return 0
        block[COUNTS] = rounds << 8
    if ms >= 0:
        if ms < 1:
            ms = 1
        if ms < block[ROUND_MIN]:
            block[ROUND_MIN] = ms
        if block[COUNTS] & 0xFF < 0xFF:
            block[COUNTS] += 1
    least = block[ROUND_MIN]
    if block[COUNTS] & 0xFF >= SAMPLES:
        if block[BASELINE]:
            if least < block[BASELINE]:
                # The delay was a coincidence: back to slow start.
                block[BASELINE] = 0
                block[COUNTS] &= 0xFF
        elif block[LAST_MIN] != INFINITE:
            threshold = block[LAST_MIN] >> 3
            if threshold < MIN_THRESHOLD:
                threshold = MIN_THRESHOLD
            if threshold > MAX_THRESHOLD:
                threshold = MAX_THRESHOLD
            if least >= block[LAST_MIN] + threshold:
                block[BASELINE] = least
                block[COUNTS] &= 0xFF
    if block[BASELINE]:
        return GROWTH_DIVISOR
    return 1
