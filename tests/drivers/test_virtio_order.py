"""Lost wake-ups and lost doorbells: the driver against a device with store buffers on both sides.

A processor and a device that runs in another thread see each other's stores late: each store waits
in a buffer of its owner, who sees it at once, and drains in order, some time.  Only a barrier
drains it for certain.  Under TCG with one processor the guest has none, except that an access to a
device register is one, and the local APIC is such a device.  The device has true barriers, where
the specification asks for them.

Bursts of 20 frames are sent back by the driver, which has 8 buffers for each direction; the next
burst comes when all have returned, or were counted as dropped.  A machine that sleeps before that
has lost a wake-up or a doorbell.
"""

import random

import pytest

from drivers.virtio import mmio, net
from runtime import pci
from runtime.counters import Registry
from runtime.dma import Arena
from runtime.entropy import Random
from runtime.log import ERROR, Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers
from tests.support import metal as support
from tests.support.virtio import RX, TX, NetDevice
from tests.support.virtio_transports import IoApic, Messages, Mmio

BURST = 20
FRAME = bytes(60)


class Agent:
    """One side's view of memory through its store buffer."""

    def __init__(self, memory, base, rng):
        self.memory, self.base, self.rng = memory, base, rng
        self.waiting = []

    def load(self, address, width):
        data = bytearray(self.memory[address - self.base : address - self.base + width])
        for at, stored in self.waiting:
            for i, byte in enumerate(stored):
                if address <= at + i < address + width:
                    data[at + i - address] = byte
        return int.from_bytes(data, "little")

    def store(self, address, width, value):
        self.waiting.append((address, (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")))
        if self.rng.random() < 0.3:
            self.drain(self.rng.randrange(len(self.waiting) + 1))

    def drain(self, count=None):
        """Without a count: a barrier."""
        for at, stored in self.waiting[:count]:
            self.memory[at - self.base : at - self.base + len(stored)] = stored
        del self.waiting[:count]


class Pointer:
    """ptr8/16/32 of the guest to memory that the device also sees."""

    def __init__(self, hardware, address, width):
        self.hardware, self.address, self.width = hardware, address, width

    def __getitem__(self, index):
        self.hardware.meanwhile()
        value = self.hardware.guest.load(self.address + index * self.width, self.width)
        return value - (1 << 32) if self.width == 4 and value >> 31 else value

    def __setitem__(self, index, value):
        self.hardware.guest.store(self.address + index * self.width, self.width, value)
        self.hardware.meanwhile()


class Hardware(support.Machine):
    """A machine whose device runs whenever the guest touches shared memory, or sleeps."""

    def __init__(self, seed, true_barriers, ram=64 << 10):
        super().__init__()
        self.rng = random.Random(seed)
        self.true_barriers = true_barriers
        self.base = 0x200000
        memory = self.add_ram(self.base, ram)
        self.guest = Agent(memory, self.base, self.rng)
        self.other = Agent(memory, self.base, self.rng)
        self.rings_end = 0
        self.device = None
        self.masked = False

    def physical(self, address, width):
        if self.base <= address < self.rings_end:
            return Pointer(self, address, width)
        return super().physical(address, width)

    # The line is level-triggered, and masked from its interrupt until the machine is about to halt
    # or the urgent poll has looked (port/cpu/interrupts.c).  Lines from 17 on are edges.

    def interrupt(self, line):
        if line > 16:
            super().interrupt(line)
        elif not self.masked:
            self.masked = True
            super().interrupt(line)

    def unmask_served(self):
        self.masked = False
        if self.device and self.device.isr and not self.device.edges:
            self.interrupt(self.device.line)

    def wait(self, seen, deadline):
        if bytes(seen) == bytes(self.interrupts):
            self.unmask_served()
        super().wait(seen, deadline)

    def meanwhile(self):
        if self.device and self.rng.random() < 0.5:
            for _ in range(self.rng.randrange(1, 8)):
                self.device.step()
        if self.rng.random() < 0.1:
            self.guest.drain(1)

    def halted(self):
        # The processor has stopped: its store buffer empties; the device runs until it is idle.
        before = bytes(self.interrupts)
        idle = 0
        self.guest.drain()
        while idle < 20:
            progress = self.device.step()
            idle = 0 if progress else idle + 1
            if bytes(self.interrupts) != before:
                return True
        return False


class LocalApic:
    """Registers that are emulated are as good a barrier as the device's.

    A processor that virtualises the APIC reads the others itself (Intel SDM 3).
    """

    EMULATED = (0x90, 0xA0, 0xC0, 0x390)

    def __init__(self, hardware):
        self.hardware = hardware
        hardware.add_registers(0xFEE00000, self, 0x1000)

    def load(self, offset, size):
        if offset in self.EMULATED:
            self.hardware.known.barrier()
        return 0


class Device(NetDevice):
    """The same device, but it runs by itself, one access to memory at a time."""

    edges = False

    def __init__(self, machine, **options):
        self.wire = 0  # frames that wait to be received
        self.answered = 0
        self.rung = [False, False]
        self.agent = machine.other
        super().__init__(machine, **options)

    def live(self):
        self.threads = [self.receiver(), self.sender()]

    def step(self):
        return next(self.machine.rng.choice(self.threads))

    def load_modern(self, offset, size):
        self.barrier()
        return super().load_modern(offset, size)

    def load(self, offset, size):
        self.barrier()
        return super().load(offset, size)

    def doorbell(self, queue):
        self.barrier()
        self.doorbells[queue] += 1
        self.rung[queue] = True

    def barrier(self):
        """The guest touches a register; the device goes on until the access has its turn."""
        self.machine.meanwhile()
        if self.machine.true_barriers:
            self.machine.guest.drain()

    def word(self, address, size=2):
        if address < self.machine.rings_end:
            return self.agent.load(address, size)
        return super().word(address, size)

    def put(self, address, value, size=2):
        self.agent.store(address, size, value)

    # The two threads yield after each access; True: they did something.

    def used(self, queue, head, length):
        self.give_back(queue, head, length)
        yield True
        self.agent.drain()
        # 2.7.7.2
        if self.has_event_idx:
            event = self.word(queue.available + 4 + 2 * queue.size)
            crossed = (queue.index - event - 1) & 0xFFFF < (queue.index - queue.signalled) & 0xFFFF
            queue.signalled = queue.index
        else:
            crossed = not self.word(queue.available) & 1
        yield True
        if crossed:
            self.raise_interrupt(1)

    def enable(self, queue, number):
        """Ask for a doorbell and look again; True: there is something."""
        self.want(queue, True)
        yield True
        self.agent.drain()
        yield True
        return self.word(queue.available + 2) != queue.taken

    def receiver(self):
        queue = self.queues[RX]
        self.want(queue, False)
        while True:
            if not self.wire:
                yield False
                continue
            taken = self.take(queue)
            yield True
            if taken is None:
                self.rung[RX] = False
                if not (yield from self.enable(queue, RX)):
                    while not self.rung[RX]:
                        yield False
                self.want(queue, False)
                continue
            head, _ = taken
            self.wire -= 1
            yield from self.used(queue, head, self.header + len(FRAME))

    def sender(self):
        queue = self.queues[TX]
        while True:
            while not self.rung[TX]:
                yield False
            self.rung[TX] = False
            more = True
            while more:
                self.want(queue, False)
                while (taken := self.take(queue)) is not None:
                    yield True
                    yield from self.used(queue, taken[0], 0)
                    self.answered += 1
                more = yield from self.enable(queue, TX)


class MessageDevice(Messages, Device):
    edges = True


class SlotDevice(Mmio, Device):
    edges = True

    def load(self, offset, size):
        self.barrier()
        return super().load(offset, size)

    def store(self, offset, size, value):
        self.barrier()
        super().store(offset, size, value)


KINDS = {
    "modern": lambda hardware, **options: Device(hardware, modern=True, **options),
    "legacy": lambda hardware, **options: Device(hardware, modern=False, **options),
    "messages": MessageDevice,
    "mmio": lambda hardware, **options: SlotDevice(
        hardware, IoApic(hardware, 0xFEC00000), **options
    ),
}


def bursts(seed, count, true_barriers=True, urgent=False, kind="modern", **options):
    """Run `count` bursts; returns how many came back whole before the machine fell asleep.

    `urgent`: callbacks compute so long that the driver is asked to look meanwhile.
    """
    hardware = Hardware(seed, true_barriers)
    LocalApic(hardware)
    device = hardware.known = KINDS[kind](hardware, **options)
    timers = Timers(support.metal.ticks_ms)
    loop = Loop(support.metal, timers, lambda: None)
    log = Log(support.metal.write, support.metal.uptime_ms, ERROR)
    settings = Settings("buffers=8")
    machine = Machine(
        log, settings, Registry(), timers, loop, Random(b"1"), support.metal.uptime_ms
    )
    (function,) = pci.scan() or mmio.slots(machine, [])
    nic = net.probe(machine, function, Arena(hardware.base, 64 << 10))
    loop.add(nic)

    def echo():
        out = nic.allocate()
        if out is None:
            return  # counted
        head = memoryview(out.buffer).cast("H")
        head[0], head[4] = 166, 166 + len(FRAME)
        nic.transmit(out)

    def compute():
        for _ in range(hardware.rng.randrange(4)):
            if not nic.urgent(hardware.rng.randrange(1, 8)):
                hardware.unmask_served()

    def handle(packet):
        if hardware.rng.random() < 0.5:
            return False
        echo()
        return True

    nic.urgent_receive = handle

    def receive(packet):
        if urgent:
            loop.soon(compute)
            compute()
        # Some answers are sent after the driver has had its turn.
        if hardware.rng.random() < 0.8:
            echo()
        else:
            loop.soon(echo)

    nic.receive = receive
    hardware.rings_end = nic.receive_pool.address
    device.live()
    hardware.device = device
    for done in range(count):
        device.wire += BURST
        with pytest.raises(support.Asleep):
            loop.run()
        if device.answered + nic.counters["no_buffer"] != BURST * (done + 1):
            return done
    return count


@pytest.mark.parametrize("event_idx", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_no_wake_up_and_no_doorbell_is_lost(seed, kind, event_idx):
    assert bursts(seed, 60, kind=kind, event_idx=event_idx) == 60


@pytest.mark.parametrize("event_idx", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_none_is_lost_where_a_callback_is_interrupted(seed, kind, event_idx):
    assert bursts(seed, 50, urgent=True, kind=kind, event_idx=event_idx) == 50


@pytest.mark.parametrize("event_idx", [True, False])
@pytest.mark.parametrize("kind", ["modern", "messages", "mmio"])
def test_the_test_finds_what_it_looks_for(kind, event_idx):
    # If a register access were no barrier, as a fence is none, the machine would stall.
    assert any(bursts(seed, 60, False, kind=kind, event_idx=event_idx) < 60 for seed in range(100))
