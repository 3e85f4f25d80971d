"""A service that looks at the machine through `metal` and prints what it sees."""

import metal
import micropython

LINES = 64


@micropython.viper
def divide(a: int, b: int) -> int:
    return a // b


@micropython.viper
def same(number: int) -> int:
    return number


@micropython.viper
def first(data: ptr8) -> int:
    return data[0]


def convert():
    """Objects into native code and out of it: what is short has a short way, the rest another."""
    numbers = [0, -1, 0x3FFFFFFF, -0x40000000, 0x40000000, 0x7FFFFFFF, -0x80000000]
    print("numbers", [same(number) for number in numbers] == numbers)
    view = memoryview(bytearray(b"abcdef"))
    print("first bytes", [first(data) for data in (view, view[2:], view[4:5], b"g", "h")])
    for function in same, first:
        try:
            function(None)
        except TypeError as error:
            print("TypeError:", error)


def sleeps(milliseconds):
    """How long a wait with that deadline takes, in microseconds."""
    seen = bytearray(metal.interrupts)
    before = metal.ticks_us()
    deadline = (metal.ticks_ms() + milliseconds) & 0x3FFFFFFF
    while (deadline - metal.ticks_ms() + (1 << 29) & 0x3FFFFFFF) - (1 << 29) > 0:
        seen[:] = metal.interrupts
        metal.wait(seen, deadline)
    return (metal.ticks_us() - before) & 0x3FFFFFFF


def start(machine):
    for a, b in ((1, 0), (-7, 0)):
        try:
            divide(a, b)
        except ZeroDivisionError as error:
            print("ZeroDivisionError:", error)
    print("quotient", divide(7, 2))
    convert()
    print("booted by", metal.booted_by)
    print("command line", metal.command_line)
    print("arena", metal.arena())
    print("memory", sum(length for _, length, kind in metal.memory_map if kind == 1))
    print("khz", metal.tsc_khz)
    print("time", metal.time())
    print("slept", [sleeps(ms) for ms in (1, 10, 100, 1000)])
    seen = bytearray(metal.interrupts)
    before = metal.ticks_us()
    metal.wait(seen, (metal.ticks_ms() - 5) & 0x3FFFFFFF)
    seen[0] ^= 1
    metal.wait(seen, -1)
    print("at once", metal.ticks_us() - before)
    arena, length = metal.arena()
    memory = metal.memory(arena, length)
    memory[0] = memory[length - 1] = 0x5A
    print("written", memory[0] + memory[length - 1])
    machine.stop()
