"""The name server with its heap watched: what a million queries allocate is counted, not guessed.

The collector is switched off, so every byte that is ever allocated stays counted. Ten times a
second the number goes into a buffer made at the start. In the end they are printed, and all
counters: `heap N N ...`, `counters {...}`.
"""

import gc

from services import dns

NEEDS = {
    "zone": {
        "file": "../../services/zones/bench.zone",
        "compiler": "tools.zone.compile:compile_zone",
    }
}
PORTS = ("udp:53",)
EVERY_MS = 100
ROOM = 600


class Meter:
    def __init__(self, machine):
        self.machine = machine
        self.readings = bytearray(4 * ROOM)
        self.count = 0
        self.timer = machine.timers.timer(self.read)
        self.timer.start(EVERY_MS)

    def read(self):
        at = 4 * (self.count % ROOM)
        number = gc.mem_alloc()
        for shift in range(4):
            self.readings[at + shift] = number >> 8 * shift & 0xFF
        self.count += 1
        self.timer.start(EVERY_MS)

    def show(self):
        readings = self.readings
        first = max(0, self.count - ROOM)
        numbers = [
            int.from_bytes(readings[4 * i : 4 * i + 4], "little")
            for i in [n % ROOM for n in range(first, self.count)]
        ]
        print("heap", *numbers)
        print("counters", {name: n for name, n in self.machine.counters().items() if n})


meter = None


def start(machine):
    global meter
    dns.start(machine)
    machine.loop.tidy = gc.mem_alloc  # something that does nothing
    gc.collect()
    gc.disable()
    meter = Meter(machine)


def stop():
    meter.show()
