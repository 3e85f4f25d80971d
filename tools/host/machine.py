"""The machine that is a Linux process: what runtime/boot.py makes of a PC, made of a process.

    machine = make("address=10.0.0.2/24 log=debug", {"zone": ...})
    machine.loop.add(device)        a device with `descriptor` is polled for what it can read
    machine.loop.run()

What differs from the image is this page: `wait` polls instead of halting, entropy is the kernel's,
and there is no DMA arena, no interrupt, no power.
"""

import gc
import os
import select
import sys
import time

from runtime.counters import Registry
from runtime.entropy import Random
from runtime.log import LEVELS, Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers

LINE = 11  # of everything that is polled
TIMER = 16
MASK = 0x3FFFFFFF
HALF = 0x20000000


def ticks_ms():
    if hasattr(time, "ticks_ms"):
        return time.ticks_ms() & MASK
    return int(time.monotonic() * 1000) & MASK


class Metal:
    """As much of the module `metal` as the event loop asks for."""

    def __init__(self):
        self.interrupts = bytearray(256)
        self.ticks_ms = ticks_ms
        self.poll = select.poll()

    def unmask(self, line):
        pass

    def count(self, line):
        self.interrupts[4 * line] = (self.interrupts[4 * line] + 1) & 0xFF

    def wait(self, seen, deadline):
        left = -1
        if deadline >= 0:
            left = (deadline - ticks_ms() + HALF & MASK) - HALF
            if left <= 0:
                # Timers run in turns that no device caused.
                self.count(TIMER)
                return
        self.count(LINE if self.poll.poll(left) else TIMER)


class Entropy:
    """The kernel's random numbers, as runtime/entropy.py gives those of the machine."""

    seeded = True

    def bytes(self, count):
        return os.urandom(count)


def make(command_line="", compiled=None):
    """The machine; its loop still has to run.  `machine.metal.poll` is what it sleeps on."""
    metal = Metal()
    start = time.time()
    log = Log(sys.stdout.write, lambda: int((time.time() - start) * 1000))
    settings = Settings(command_line, compiled)
    level = settings.get("log", "info")
    if level in LEVELS:
        log.set_level(level)
    else:
        log.warning("log=%s is not one of %s", level, ", ".join(LEVELS))
    timers = Timers(ticks_ms)
    loop = Loop(metal, timers, gc.collect)
    random = Random(os.urandom(8))
    machine = Machine(log, settings, Registry(), timers, loop, random, ticks_ms)
    machine.metal = metal
    machine.entropy = Entropy()
    return machine
