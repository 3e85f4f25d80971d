"""TCP options: read what a segment brings, write what ours carry.

RFC 9293 3.1 and 3.2 (MSS), RFC 7323 2 and 3 (window scale, timestamps), RFC 2018 (SACK).

    flags = parse(buffer, start, end, out)      which options there are; their values are in `out`

     0               4               8               12              16
     +---------------+---------------+---------------+---------------+
     |    out mss    |   out scale   |  out ts value |  out ts echo  |
     +---------------+---------------+---------------+---------------+
     |   out sacks   |  out ranges: start and end of each of four ...
     +---------------+---------------+---------------+---------------+

    length = write_syn(block, buffer, at, now, mss)       MSS, SACK permitted, timestamps, scale
    length = write(block, buffer, at, now, sacks)         NOP NOP timestamps, NOP NOP SACK

The order is that of Linux, so that middleboxes that know only that one are content, and the
expected segment can be recognized by its first option word (NOP NOP timestamps).
Left out: options of other kinds are skipped (RFC 9293 MUST-6): TCP-AO, MD5, Fast Open, MPTCP.
"""

import micropython
from micropython import const

# Kinds and lengths, RFC 9293 3.1; 7323; 2018.
END_OF_LIST = const(0)
NOP = const(1)
MSS_KIND = const(2)
SCALE_KIND = const(3)
SACK_PERMITTED_KIND = const(4)
SACK_KIND = const(5)
TIMESTAMPS_KIND = const(8)

# What `parse` returns, added up.
HAS_MSS = const(1)
HAS_SCALE = const(2)
HAS_SACK_PERMITTED = const(4)
HAS_TIMESTAMPS = const(8)
HAS_SACK = const(16)
MALFORMED = const(32)  # a length that cannot be: what follows was not looked at (RFC 9293 MUST-7)

# Words of `out`.
OUT_MSS = const(0)
OUT_SCALE = const(1)
OUT_TS_VALUE = const(2)
OUT_TS_ECHO = const(3)
OUT_SACKS = const(4)
OUT_RANGES = const(5)
OUT_SIZE = const(52)

LARGEST_SCALE = const(14)  # RFC 7323 2.3: more is taken for 14

# NOP NOP timestamps, as a word in memory: how the expected segment's options begin.
TIMESTAMPS_WORD = const(0x0A080101)

# The block (see block.py).
FLAGS = const(11)
RCV_SCALE = const(27)
TS_RECENT = const(33)
TS_OFFSET = const(35)
TIMESTAMPS = const(0x2)
SACK_OK = const(0x4)
SCALED = const(0x8)


@micropython.viper
def parse(b: ptr8, start: int, end: int, out: ptr32) -> int:
    """Read the options in b[start:end]; nothing behind `end` is touched."""
    found = 0
    i = start
    while i < end:
        kind = int(b[i])
        if kind == END_OF_LIST:
            break
        if kind == NOP:
            i += 1
            continue
        if i + 2 > end:
            return found | MALFORMED
        length = int(b[i + 1])
        if length < 2 or i + length > end:
            return found | MALFORMED
        if kind == TIMESTAMPS_KIND:
            if length == 10:
                out[OUT_TS_VALUE] = b[i + 2] << 24 | b[i + 3] << 16 | b[i + 4] << 8 | b[i + 5]
                out[OUT_TS_ECHO] = b[i + 6] << 24 | b[i + 7] << 16 | b[i + 8] << 8 | b[i + 9]
                found |= HAS_TIMESTAMPS
        elif kind == SACK_KIND:
            # RFC 2018 3: eight bytes each, at most four.
            if length >= 10 and length <= 34 and (length - 2) & 7 == 0:
                count = (length - 2) >> 3
                out[OUT_SACKS] = count
                at = i + 2
                k = OUT_RANGES
                while count:
                    out[k] = b[at] << 24 | b[at + 1] << 16 | b[at + 2] << 8 | b[at + 3]
                    out[k + 1] = b[at + 4] << 24 | b[at + 5] << 16 | b[at + 6] << 8 | b[at + 7]
                    k += 2
                    at += 8
                    count -= 1
                found |= HAS_SACK
        elif kind == MSS_KIND:
            if length == 4:
                out[OUT_MSS] = b[i + 2] << 8 | b[i + 3]
                found |= HAS_MSS
        elif kind == SCALE_KIND:
            if length == 3:
                scale = int(b[i + 2])
                if scale > LARGEST_SCALE:
                    scale = LARGEST_SCALE
                out[OUT_SCALE] = scale
                found |= HAS_SCALE
        elif kind == SACK_PERMITTED_KIND and length == 2:
            found |= HAS_SACK_PERMITTED
        i += length
    return found


@micropython.viper
def write_syn(block: ptr32, b: ptr8, at: int, now: int, mss: int) -> int:
    """The options of a SYN with all that the flags SACK_OK, TIMESTAMPS and SCALED allow.

    A SYN-ACK carries only what the SYN brought: its sender clears the other flags before.
    `mss` is what we can receive (RFC 9293 3.7.1); `now` are milliseconds.
    """
    flags = block[FLAGS]
    start = at
    b[at] = MSS_KIND
    b[at + 1] = 4
    b[at + 2] = mss >> 8
    b[at + 3] = mss
    at += 4
    if flags & TIMESTAMPS:
        # Its two bytes of padding are SACK permitted, if that is sent at all.
        b[at] = SACK_PERMITTED_KIND if flags & SACK_OK else NOP
        b[at + 1] = 2 if flags & SACK_OK else NOP
        b[at + 2] = TIMESTAMPS_KIND
        b[at + 3] = 10
        value = now + block[TS_OFFSET]
        b[at + 4] = value >> 24
        b[at + 5] = value >> 16
        b[at + 6] = value >> 8
        b[at + 7] = value
        value = block[TS_RECENT]
        b[at + 8] = value >> 24
        b[at + 9] = value >> 16
        b[at + 10] = value >> 8
        b[at + 11] = value
        at += 12
    elif flags & SACK_OK:
        b[at] = NOP
        b[at + 1] = NOP
        b[at + 2] = SACK_PERMITTED_KIND
        b[at + 3] = 2
        at += 4
    if flags & SCALED:
        b[at] = NOP
        b[at + 1] = SCALE_KIND
        b[at + 2] = 3
        b[at + 3] = block[RCV_SCALE]
        at += 4
    return at - start


@micropython.viper
def write(block: ptr32, b: ptr8, at: int, now: int, sacks: ptr32) -> int:
    """The options of every other segment: timestamps, and the ranges in `sacks`.

    sacks[0] says how many, then start and end of each, the one that arrived last first (RFC 2018
    4); as many as fit are sent: three beside timestamps, else four.
    """
    start = at
    flags = block[FLAGS]
    room = 4
    if flags & TIMESTAMPS:
        b[at] = NOP
        b[at + 1] = NOP
        b[at + 2] = TIMESTAMPS_KIND
        b[at + 3] = 10
        value = now + block[TS_OFFSET]
        b[at + 4] = value >> 24
        b[at + 5] = value >> 16
        b[at + 6] = value >> 8
        b[at + 7] = value
        value = block[TS_RECENT]
        b[at + 8] = value >> 24
        b[at + 9] = value >> 16
        b[at + 10] = value >> 8
        b[at + 11] = value
        at += 12
        room = 3
    count = sacks[0]
    if count and flags & SACK_OK:
        if count > room:
            count = room
        b[at] = NOP
        b[at + 1] = NOP
        b[at + 2] = SACK_KIND
        b[at + 3] = 2 + (count << 3)
        at += 4
        i = 1
        while i <= count << 1:
            value = sacks[i]
            b[at] = value >> 24
            b[at + 1] = value >> 16
            b[at + 2] = value >> 8
            b[at + 3] = value
            at += 4
            i += 1
    return at - start
