"""A service that fills the heap, frees it, and prints how much there was and what that costs."""

import gc

import metal

PIECE = 256 * 1024


def fill():
    """Hold all the memory there is; returns how many pieces that was."""
    pieces = []
    try:
        while True:
            pieces.append(bytearray(PIECE))
    except MemoryError:
        return len(pieces)


def collect():
    before = metal.ticks_us()
    gc.collect()
    return (metal.ticks_us() - before) & 0x3FFFFFFF


def start(machine):
    gc.collect()
    print("before", gc.mem_alloc() + gc.mem_free())
    print("pieces", fill(), fill())
    print("collecting", collect())
    table = {n: str(n) for n in range(10000)}
    print("beside a table", collect(), len(table))
    print("after", gc.mem_alloc() < 2 << 20)
    machine.stop()
