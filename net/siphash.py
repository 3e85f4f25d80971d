"""SipHash-2-4 and HalfSipHash-1-3: hashes with a key that peers cannot compute.

Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012).  SipHash makes what must not be
guessed: TCP's initial sequence numbers (tcp/isn.py), cookies (tcp/cookies.py), offsets of
timestamps; IPv6's interface identifiers (ip6/opaque.py).
HalfSipHash, with words of 32 bits, costs a fifth of it and spreads connections over the buckets of
a table, where a peer gains nothing but time by guessing it.

    start = schedule(key)           16 random bytes -> the state every hash begins with, 48 bytes
    siphash(start, state, message, length)      the result is state[0:8], of 32 bytes
    half = half_siphash(start, message, words)  30 bits, of so many words of 4 bytes

A message is zero behind its `length`, up to a multiple of 8.
A 64-bit number is two words, the low one first, as in memory.  Sums of 32 bits are written so that
they are right whether or not the interpreter wraps: only bits 0 to 31 are looked at.
"""

import micropython
from micropython import const

HALF = const(32)  # where HalfSipHash's start lies


def schedule(key):
    """The states of both hashes before the first word, from 16 bytes nobody else knows."""
    if len(key) != 16:
        raise ValueError(f"a key has 16 bytes, not {len(key)}")
    start = bytearray(b"uespemosmodnarodarenegylsetybdet\0\0\0\0\0\0\0\0egylbdet")
    _mask(start, key)
    return start


@micropython.viper
def _mask(start: ptr32, key: ptr32):
    i = 0
    while i < 4:
        start[i] ^= key[i]
        start[4 + i] ^= key[i]
        start[(HALF >> 2) + i] ^= key[i & 1] ^ key[2 + (i & 1)]
        i += 1


@micropython.viper
def _rounds(v: ptr32, count: int):
    """`count` SipRounds."""
    while count:
        count -= 1
        # v0 += v1; v1 <<<= 13; v1 ^= v0; v0 <<<= 32
        a = v[0]
        ah = v[1]
        b = v[2]
        bh = v[3]
        s = a + b
        ah += bh + (((a & b) | ((a | b) & ~s)) >> 31 & 1)
        v[1] = s
        v[0] = ah
        v[2] = (b << 13 | bh >> 19 & 0x1FFF) ^ s
        v[3] = (bh << 13 | b >> 19 & 0x1FFF) ^ ah
        # v2 += v3; v3 <<<= 16; v3 ^= v2
        a = v[4]
        ah = v[5]
        b = v[6]
        bh = v[7]
        s = a + b
        ah += bh + (((a & b) | ((a | b) & ~s)) >> 31 & 1)
        v[4] = s
        v[5] = ah
        v[6] = (b << 16 | bh >> 16 & 0xFFFF) ^ s
        v[7] = (bh << 16 | b >> 16 & 0xFFFF) ^ ah
        # v0 += v3; v3 <<<= 21; v3 ^= v0
        a = v[0]
        ah = v[1]
        b = v[6]
        bh = v[7]
        s = a + b
        ah += bh + (((a & b) | ((a | b) & ~s)) >> 31 & 1)
        v[0] = s
        v[1] = ah
        v[6] = (b << 21 | bh >> 11 & 0x1FFFFF) ^ s
        v[7] = (bh << 21 | b >> 11 & 0x1FFFFF) ^ ah
        # v2 += v1; v1 <<<= 17; v1 ^= v2; v2 <<<= 32
        a = v[4]
        ah = v[5]
        b = v[2]
        bh = v[3]
        s = a + b
        ah += bh + (((a & b) | ((a | b) & ~s)) >> 31 & 1)
        v[5] = s
        v[4] = ah
        v[2] = (b << 17 | bh >> 15 & 0x1FFFF) ^ s
        v[3] = (bh << 17 | b >> 15 & 0x1FFFF) ^ ah


@micropython.viper
def siphash(start: ptr32, v: ptr32, message: ptr32, length: int):
    """Leave the 64 bits of SipHash-2-4 in the first two words of `v`, which has eight."""
    i = 0
    while i < 8:
        v[i] = start[i]
        i += 1
    blocks = length >> 3
    i = 0
    while i <= blocks:
        low = 0
        high = 0
        if i < blocks or length & 7:
            low = message[i << 1]
        if i < blocks or length & 7 > 4:
            high = message[(i << 1) + 1]
        if i == blocks:
            high |= length << 24
        v[6] ^= low
        v[7] ^= high
        _rounds(v, 2)
        v[0] ^= low
        v[1] ^= high
        i += 1
    v[4] ^= 0xFF
    _rounds(v, 4)
    v[0] ^= v[2] ^ v[4] ^ v[6]
    v[1] ^= v[3] ^ v[5] ^ v[7]


@micropython.viper
def half_siphash(start: ptr32, message: ptr32, words: int) -> int:
    """30 bits of HalfSipHash-1-3 of `words` words: what a table is indexed with."""
    a = start[HALF >> 2]
    b = start[(HALF >> 2) + 1]
    c = start[(HALF >> 2) + 2]
    d = start[(HALF >> 2) + 3]
    i = 0
    while i < words + 4:
        m = 0
        if i < words:
            m = message[i]
        elif i == words:
            m = words << 26
        else:
            if i == words + 1:
                c ^= 0xFF
        d ^= m
        a += b
        b = (b << 5 | b >> 27 & 0x1F) ^ a
        a = a << 16 | a >> 16 & 0xFFFF
        c += d
        d = (d << 8 | d >> 24 & 0xFF) ^ c
        a += d
        d = (d << 7 | d >> 25 & 0x7F) ^ a
        c += b
        b = (b << 13 | b >> 19 & 0x1FFF) ^ c
        c = c << 16 | c >> 16 & 0xFFFF
        a ^= m
        i += 1
    return (b ^ d) & 0x3FFFFFFF
