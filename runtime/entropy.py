"""Random numbers for transaction ids and jitter: what nobody has to keep secret.

xorshift32 (Marsaglia 2003) over a state that is stirred with the jitter of the cycle counter.
Left out: cryptographic strength; nothing here may become a key or a sequence number: those come
from csprng.py.
"""

import micropython
from micropython import const

SAMPLES = const(64)


class Random:
    """`seed`: bytes, such as the MAC and the time; `cycles()`: a counter that runs fast."""

    def __init__(self, seed=b"", cycles=None):
        self.state = bytearray(b"impO")
        for byte in seed:
            self.stir(byte)
        if cycles:
            for _ in range(SAMPLES):
                self.stir(cycles())

    @micropython.viper
    def stir(self, value: int) -> int:
        state = ptr32(self.state)
        x = state[0] ^ value
        if x == 0:
            x = 1  # the only value that xorshift never leaves
        state[0] = x
        # Stores keep 32 bits; shifts to the right are masked to be without sign.
        state[0] = state[0] ^ (state[0] << 13)
        state[0] = state[0] ^ ((state[0] >> 17) & 0x7FFF)
        state[0] = state[0] ^ (state[0] << 5)
        return state[0] & 0x3FFFFFFF

    def bits(self, count):
        """A number of `count` random bits, at most 30."""
        return self.stir(0) >> (30 - count)
