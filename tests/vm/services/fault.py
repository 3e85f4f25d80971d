"""A service that executes what is no instruction: #UD, an exception of the processor."""

import micropython
from micropython import const

CODE = const(3)  # the word of a viper function object that points to its machine code


@micropython.viper
def victim():
    pass


@micropython.viper
def spoil(function: int):
    code = ptr8(ptr32(function)[CODE])
    code[0] = 0x0F
    code[1] = 0x0B  # ud2


def start(machine):
    spoil(id(victim))
    victim()
