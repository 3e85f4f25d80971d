"""A service that executes the machine code it is given on the command line: code=0f0b."""

import metal
import micropython
from micropython import const

POINTER = const(3)  # the word of a viper function object that points to its machine code
ROOM = const(64)


@micropython.viper
def victim() -> int:
    a = 0
    i = 0
    while i < 10:  # room for the code
        a += i * 3
        a ^= a << 2
        i += 1
    return a


@micropython.viper
def write(function: int, code, length: int):
    to = ptr8(ptr32(function)[POINTER])
    source = ptr8(code)
    i = 0
    while i < length:
        to[i] = source[i]
        i += 1


def start(machine):
    code = bytes.fromhex(machine.settings.get("code", "")) + b"\xc3"  # ret
    assert len(code) < ROOM
    write(id(victim), code, len(code))
    print("result", victim())
    metal.wait(b"\xff" * 256, -1)  # it returns at once, but looks at the stack first
    machine.stop()
