"""The balloon against a device made of Python: what is lent, what never is, what goes wrong."""

import importlib
import struct
import sys
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import pci
from runtime.counters import Registry
from runtime.dma import Arena
from runtime.log import DEBUG, Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers
from tests.support.metal import Machine as Hardware
from tests.support.metal import metal
from tests.support.virtio_block import Chains

MB = 1 << 20
START, TOP = 16 * MB, 272 * MB
STATISTICS, REPORTING = 1, 5


class Heap(types.ModuleType):
    """In place of port/micropython/modlending.c."""

    def __init__(self):
        super().__init__("lending")
        self.end, self.live, self.limited, self.shrinks = START + MB, 0, False, 0

    def bounds(self):
        return START, self.end, TOP, self.live

    def limit(self, limited):
        self.limited = limited

    def shrink(self):
        self.shrinks += 1
        self.end = START + MB


class BalloonDevice(Chains):
    NUMBERS = (0x1045, 0x1002, 0x0500)

    def __init__(self, machine, heap, features=(STATISTICS,), dead=False, **options):
        self.QUEUES = 2 + len(features)
        self.heap, self.dead = heap, dead
        self.pages, self.reported, self.figures, self.waits = set(), [], None, None
        super().__init__(machine, indirect=False, features=features, **options)
        self.doorbells = [0] * self.QUEUES

    def wish(self, megabytes):
        self.config[:4] = struct.pack("<I", megabytes * MB >> 12)
        self.raise_interrupt(2)

    @property
    def actual(self):
        return struct.unpack_from("<I", self.config, 4)[0] << 12

    def store_modern(self, offset, size, value):
        if offset & 0xF000 == 0x2000:
            assert (offset & 0xFFF, size) == (4, 4)
            self.config[4:8] = struct.pack("<I", value)
        else:
            super().store_modern(offset, size, value)

    def doorbell(self, index):
        self.doorbells[index] += 1
        queue = self.queues[index]
        while not self.dead and (taken := self.take(queue)):
            head, ((address, length, _),) = taken
            if index == 2 and STATISTICS in self.offered_bits():
                data = bytes(self.machine.physical(address, 1)[:length])
                self.figures = dict(struct.iter_unpack("<HQ", data))
                self.waits = head
                continue
            if index < 2:
                data = bytes(self.machine.physical(address, 1)[:length])
                self.change(index, {page for (page,) in struct.iter_unpack("<I", data)})
            else:
                assert self.heap.limited, "the heap could grow into it"
                self.reported.append((address, length))
            self.give_back(queue, head, 0)
            self.signal(queue)
        self.want(queue, True)

    def offered_bits(self):
        return [bit for bit in range(32) if self.offered >> bit & 1]

    def take(self, queue):
        # Reported memory is far above what this machine of the test has.
        if queue is not self.queues[-1] or REPORTING not in self.offered_bits():
            return super().take(queue)
        index = self.word(queue.available + 2)
        if index == queue.taken:
            return None
        head = self.word(queue.available + 4 + 2 * (queue.taken % queue.size))
        queue.taken = (queue.taken + 1) & 0xFFFF
        base = queue.descriptors + 16 * head
        return head, [(self.word(base, 8), self.word(base + 8, 4), 2)]

    def change(self, index, pages):
        if index == 0:
            assert not pages & self.pages, "lent twice"
            assert self.heap.limited, "the heap could grow into it"
            assert min(pages) << 12 >= self.heap.end, "a page of the heap"
            assert max(pages) << 12 < TOP
            self.pages |= pages
        else:
            assert pages <= self.pages, "back what was not lent"
            self.pages -= pages

    def ask(self):
        """The host wants new figures."""
        self.give_back(self.queues[2], self.waits, 0)
        self.signal(self.queues[2])


class Bench:
    def __init__(self, **options):
        sys.modules["lending"] = self.heap = Heap()
        sys.modules.pop("drivers.virtio.balloon", None)
        balloon = importlib.import_module("drivers.virtio.balloon")
        self.hardware = Hardware()
        self.hardware.memory_map = ((0, 640 << 10, 1), (MB, 271 * MB, 1), (TOP, MB, 2))
        type(metal).memory_map = property(lambda self: self.machine.memory_map)
        self.hardware.add_ram(0x200000, 1 << 16)
        self.device = BalloonDevice(self.hardware, self.heap, **options)
        timers = Timers(metal.ticks_ms)
        self.loop = Loop(metal, timers, lambda: None)
        log = Log(metal.write, metal.uptime_ms, DEBUG)
        self.machine = Machine(
            log, Settings(""), Registry(), timers, self.loop, None, metal.uptime_ms
        )
        self.channel = balloon.probe(self.machine, pci.scan()[0], Arena(*metal.arena()))
        self.loop.add(self.channel)
        self.run()

    def run(self, ms=3000):
        end = self.machine.timers.timer(self.loop.wake)
        end.start(ms)
        self.loop.turns(self.loop.wakes(), -1)

    @property
    def output(self):
        return "".join(self.hardware.output)


def test_pages_are_lent_from_the_top_and_come_back():
    bench = Bench()
    bench.device.wish(100)
    bench.run()
    assert bench.device.pages == set(range(TOP - 100 * MB >> 12, TOP >> 12))
    assert bench.device.actual == 100 * MB
    bench.device.wish(0)
    bench.run()
    assert bench.device.pages == set() and bench.device.actual == 0
    assert not bench.heap.limited


def test_what_stays_is_as_much_as_the_heap_has_and_four_megabytes():
    bench = Bench()
    bench.device.wish(4000)
    bench.run()
    assert TOP - bench.device.actual - bench.heap.end in range(4 * MB, 4 * MB + 8192)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=8))
def test_whatever_host_and_heap_do(steps):
    """The device asserts that no page of the heap is lent, and the host hears of all it gets."""
    bench = Bench()
    for wish, used in steps:
        bench.heap.end = START + MB + used * MB
        bench.device.wish(wish)
        bench.run()
        lent = bench.device.pages
        assert not lent or min(lent) << 12 >= bench.heap.end
        assert len(lent) << 12 == bench.device.actual <= max(wish * MB, 0)


def test_a_host_that_does_not_answer_is_lent_nothing_and_the_machine_goes_on(monkeypatch):
    bench = Bench()
    bench.device.dead = True
    monkeypatch.setattr(metal, "uptime_ms", lambda: tick(bench), raising=False)
    bench.device.wish(50)
    bench.run()
    assert "no answer, so nothing more is lent" in bench.output
    assert bench.heap.limited, "it may still throw pages away"
    assert bench.device.doorbells[0] == 1


def tick(bench):
    bench.hardware.ms += 1
    return bench.hardware.ms


def test_statistics_when_the_host_asks():
    bench = Bench()
    bench.heap.live = 100 * MB
    bench.device.ask()
    bench.run()
    assert bench.device.figures[5] == 271 * MB + (640 << 10)
    assert bench.device.figures[4] == bench.device.figures[6] == 156 * MB


def test_a_heap_that_became_small_gives_back_and_reports():
    bench = Bench(features=(STATISTICS, REPORTING))
    bench.heap.end = START + 200 * MB
    bench.heap.live = 60 * MB
    bench.device.ask()
    bench.run()
    assert bench.heap.shrinks == 0, "more than a quarter is live"
    bench.heap.live = 1 * MB
    bench.device.ask()
    bench.run()
    assert bench.heap.shrinks == 1
    assert sum(length for _, length in bench.device.reported) == 199 * MB
    assert bench.device.reported[0][0] == START + MB
    assert not bench.heap.limited


def test_the_heap_stays_where_it_is_while_a_lent_page_is_not_answered_for(monkeypatch):
    bench = Bench(features=(STATISTICS, REPORTING))
    bench.device.dead = True
    with monkeypatch.context() as patch:
        patch.setattr(metal, "uptime_ms", lambda: tick(bench), raising=False)
        bench.device.wish(50)
        bench.run()
    bench.heap.end, bench.heap.live = START + 100 * MB, MB
    bench.device.ask()
    bench.run()
    assert bench.heap.shrinks == 1 and bench.heap.limited


def test_a_device_that_fails_is_reset_and_left_alone():
    bench = Bench()
    bench.device.wish(50)
    bench.run()
    bench.device.device_status |= 64
    bench.device.raise_interrupt(2)
    bench.run()
    assert bench.device.device_status == 0
    assert "the device failed" in bench.output


@pytest.fixture(autouse=True)
def put_back():
    yield
    sys.modules.pop("lending", None)
    sys.modules.pop("drivers.virtio.balloon", None)
