"""Tally: bytes, counted without allocating: numbers beyond 2^30 would be objects."""

import micropython
from micropython import const

LOW = const(0xFFFFFF)


class Tally:
    def __init__(self):
        self.words = bytearray(8)

    @micropython.viper
    def add(self, count: int):
        words = ptr32(self.words)
        low = words[0] + count
        words[0] = low & LOW
        words[1] += low >> 24

    @property
    def total(self):
        low, high = self.words[:4], self.words[4:]
        return int.from_bytes(low, "little") + (int.from_bytes(high, "little") << 24)
