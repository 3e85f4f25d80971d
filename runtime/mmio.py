"""Device registers in memory: each is loaded and stored at its own width, in one access.

For set-up.  A hot path keeps the address of its register and uses ptr8, ptr16 or ptr32 itself.
Addresses and values may need all 32 bits, so they are not always small integers here.
"""

import micropython


@micropython.viper
def _load8(address: int, word: ptr32):
    word[0] = ptr8(address)[0]


@micropython.viper
def _load16(address: int, word: ptr32):
    word[0] = ptr16(address)[0]


@micropython.viper
def _load32(address: int, word: ptr32):
    word[0] = ptr32(address)[0]


@micropython.viper
def store8(address: int, value: int):
    ptr8(address)[0] = value


@micropython.viper
def store16(address: int, value: int):
    ptr16(address)[0] = value


@micropython.viper
def store32(address: int, value: int):
    ptr32(address)[0] = value


_word = bytearray(4)


def load8(address):
    _load8(address, _word)
    return _word[0]


def load16(address):
    _load16(address, _word)
    return _word[0] | _word[1] << 8


def load32(address):
    _load32(address, _word)
    return int.from_bytes(_word, "little")
