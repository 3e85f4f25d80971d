"""A machine that is a Linux process: the service, the stack and the event loop as they are, over an
inherited TAP descriptor.

    python3 tests/support/process.py DESCRIPTOR SERVICE [WORD ...]
    micropython tests/support/process.py DESCRIPTOR SERVICE [WORD ...]

from the root folder; CPython needs tools/cpython and tests/support/cpython on PYTHONPATH.
SERVICE is a module, WORDs are the machine's command line: address=10.0.0.2/24. What differs from
the image is this page: `wait` polls instead of halting, and frames are read and written instead of
queued. Left out: DMA arena, interrupts, power.
"""

import gc
import sys

sys.path.insert(0, ".")

import select
import time

import tapio

from net.packet import FRAME, PIECE_COUNT, Pool
from runtime.counters import Registry
from runtime.entropy import Random
from runtime.log import Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers

LINE = 11
HEADER = 14
MTU = 1500
PACKETS = 64


def ticks_ms():
    if hasattr(time, "ticks_ms"):
        return time.ticks_ms() & 0x3FFFFFFF
    return int(time.monotonic() * 1000) & 0x3FFFFFFF


class Metal:
    """As much of the module `metal` as the event loop asks for."""

    def __init__(self, descriptor):
        self.interrupts = bytearray(256)
        self.ticks_ms = ticks_ms
        self.poll = select.poll()
        self.poll.register(descriptor, select.POLLIN)

    def unmask(self, line):
        pass

    def count(self, line):
        self.interrupts[4 * line] = (self.interrupts[4 * line] + 1) & 0xFF

    def wait(self, seen, deadline):
        left = -1
        if deadline >= 0:
            left = (deadline - ticks_ms() + 0x20000000 & 0x3FFFFFFF) - 0x20000000
            left = max(left, 0)
        if self.poll.poll(left):
            self.count(LINE)
        else:
            self.count(16)


class TapNic:
    """A TAP device as a network interface (runtime's `nic`)."""

    name = "eth0"
    line = LINE
    mtu = MTU
    link = True

    def __init__(self, descriptor, mac):
        self.mac = mac
        self.descriptor = descriptor
        self.receive = None
        self.on_link = None
        self.offloads = 0
        self.urgent_receive = None
        self.pool = Pool("tap.transmit", PACKETS, gathers=True)
        self.packet = Pool("tap.receive", 1).allocate()
        self.room = memoryview(self.packet.buffer)[FRAME : FRAME + HEADER + MTU]
        self.no_packet = 0

    def service(self, budget):
        """Read up to `budget` frames; the descriptor does not block."""
        packet = self.packet
        buffer = packet.buffer
        while budget:
            length = tapio.read(self.descriptor, self.room)
            if length == 0:
                return False
            packet.reset()
            buffer[0:2] = FRAME.to_bytes(2, "little")
            buffer[8:10] = (FRAME + length).to_bytes(2, "little")
            buffer[10:12] = bytes(2)
            self.receive(packet)
            budget -= 1
        return True

    def flush(self):
        pass

    def allocate(self):
        packet = self.pool.allocate()
        if packet is None:
            self.no_packet += 1
        return packet

    def transmit(self, packet):
        buffer = packet.buffer
        if buffer[PIECE_COUNT]:
            frame = packet.gather()
            tapio.write(self.descriptor, frame, 0, len(frame))
        else:
            start, end = buffer[0] | buffer[1] << 8, buffer[8] | buffer[9] << 8
            tapio.write(self.descriptor, buffer, start, end)
        packet.release()


def make(descriptor, mac, command_line):
    """The machine; its loop still has to run."""
    metal = Metal(descriptor)
    start = time.time()
    log = Log(sys.stdout.write, lambda: int((time.time() - start) * 1000))
    timers = Timers(ticks_ms)
    loop = Loop(metal, timers, gc.collect)
    seed = bytes([ticks_ms() >> shift & 0xFF for shift in (0, 8, 16)])
    machine = Machine(log, Settings(command_line), Registry(), timers, loop, Random(seed), ticks_ms)
    nic = TapNic(descriptor, mac)
    machine.nics.append(nic)
    loop.add(nic)
    return machine


def main(descriptor, service, *words):
    module = __import__(service)
    for name in service.split(".")[1:]:
        module = getattr(module, name)
    machine = make(int(descriptor), b"\x52\x54\0\0\0\2", " ".join(words))
    module.start(machine)
    print("ready")
    machine.loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
