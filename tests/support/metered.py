"""The name server with its heap watched: what a million queries allocate is read, not guessed.

The collector is off, so every byte that is ever allocated stays counted.  A frame of the type for
local experiments (IEEE 802, 0x88b5) makes it print what is in use, `heap N`, through a delegate in
front of the stack; at the end it prints all `counters {...}`.
"""

import gc

from services import dns

NEEDS = {
    "zone": {
        "file": "../../services/zones/bench.zone",
        "compiler": "tools.zone.compile:compile_zone",
    },
    "protocols": "all",
}
PORTS = ("udp:53",)
TYPE = 82 + 12  # where a received frame has its type (net/packet.py, net/ethernet.py)


class Meter:
    def __init__(self, machine):
        self.counters = machine.counters
        self.above = machine.nic.receive
        machine.nic.receive = self.receive

    def receive(self, packet):
        buffer = packet.buffer
        if buffer[TYPE] == 0x88 and buffer[TYPE + 1] == 0xB5:
            print("heap", gc.mem_alloc())
        else:
            self.above(packet)


meter = None


def start(machine):
    global meter
    dns.start(machine)
    machine.loop.tidy = gc.mem_alloc  # something that does nothing
    meter = Meter(machine)
    gc.collect()
    gc.disable()


def stop():
    print("counters", {name: n for name, n in meter.counters().items() if n})
