"""A service that sends each byte it is typed back, and sleeps without a deadline in between."""

import metal


def start(machine):
    seen = bytearray(256)
    metal.write(b"ready")
    while True:
        seen[:] = metal.interrupts
        byte = metal.read()
        while byte >= 0:
            metal.write(bytes((byte,)))
            byte = metal.read()
        metal.wait(seen, -1)
