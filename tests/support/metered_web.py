"""The web server with its heap watched, as metered.py watches the name server's."""

import gc

from services import http

NEEDS = {
    "site": {
        "folder": "../../services/site",
        "compiler": "tools.site.compile:compile_site",
    },
}
PORTS = ("tcp:80",)
TYPE = 82 + 12  # where a received frame has its type (net/packet.py, net/ethernet.py)

meter = None


class Meter:
    """In front of the stack, as in metered.py, which would bring the name server along."""

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


def start(machine):
    global meter
    http.start(machine)
    machine.loop.tidy = gc.mem_alloc  # something that does nothing
    meter = Meter(machine)
    gc.collect()
    gc.disable()


def stop():
    print("counters", {name: n for name, n in meter.counters().items() if n})
