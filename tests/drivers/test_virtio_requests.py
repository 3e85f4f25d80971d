"""Queues of requests: any order, many at a time, and a device that is not believed."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.virtio import device, requests, virtqueue
from drivers.virtio.requests import WRITE, Channel, Requests
from drivers.virtio.transport import find
from runtime import pci
from runtime.dma import Arena
from runtime.loop import Loop
from runtime.timers import Timers
from tests.support.metal import Asleep, metal
from tests.support.metal import Machine as Hardware
from tests.support.virtio_block import INDIRECT, Chains

VARIANTS = [
    {"modern": modern, "event_idx": event_idx, "indirect": indirect}
    for modern in (True, False)
    for event_idx in (True, False)
    for indirect in (True, False)
]


class Upside(Chains):
    """A device that answers a word with its bits turned over, when the test says so."""

    NUMBERS = (0x1042, 0x1001, 0x0100)
    QUEUES = 1

    def __init__(self, machine, **options):
        self.pending = []
        super().__init__(machine, **options)

    def doorbell(self, queue):
        self.doorbells[queue] += 1
        while (taken := self.take(self.queues[0])) is not None:
            self.pending.append(taken)
        self.want(self.queues[0], True)

    def serve(self, n=0):
        head, ((question, four, _), (answer, _, flags)) = self.pending.pop(n)
        assert four == 4 and flags & 2
        self.put(answer, self.word(question, 4) ^ 0xFFFFFFFF, 4)
        self.give_back(self.queues[0], head, 4)
        self.signal(self.queues[0])


class Bench:
    def __init__(self, slots=8, pieces=2, attach=True, **options):
        self.hardware = Hardware()
        self.hardware.add_ram(0x200000, 1 << 18)
        self.device = Upside(self.hardware, **options)
        self.loop = Loop(metal, Timers(metal.ticks_ms), lambda: None)
        self.arena = Arena(*metal.arena())
        transport = find(pci.scan()[0], "")
        wanted = 1 << INDIRECT | 1 << device.EVENT_IDX | 1 << device.VERSION_1
        features = device.initialise(transport, lambda offered: offered & wanted)
        self.queue = Requests(transport, 0, slots, pieces, features, self.arena)
        self.transport = transport
        if attach:
            self.attach()
        self.changes = []
        self.channel = Channel(transport, 11, lambda: self.changes.append(1), self.queue)
        self.loop.add(self.channel)
        self.answers = []
        self.memory = self.arena.take(8 * 64)

    def attach(self):
        self.queue.attach(self.transport)
        device.ready(self.transport)

    def ask(self, number):
        slot = self.queue.take()
        if slot < 0:
            return False
        at = self.memory + 8 * slot
        metal.memory(at, 8)[:] = struct.pack("<II", number, 0)
        self.queue.piece(slot, 0, at, 4, 0)
        self.queue.piece(slot, 1, at + 4, 4, WRITE)
        self.queue.send(slot, 2, self.answered)
        return True

    def answered(self, slot, length):
        question, answer = struct.unpack("<II", metal.memory(self.memory + 8 * slot, 8))
        self.queue.release(slot)
        self.answers.append((question, answer ^ 0xFFFFFFFF, length))

    def run(self):
        with pytest.raises(Asleep):
            self.loop.run()


@pytest.mark.parametrize("options", VARIANTS, ids=lambda v: "-".join(k for k in v if v[k]))
@given(steps=st.lists(st.integers(-3, 9), max_size=60))
@settings(max_examples=100, deadline=None)
def test_every_question_gets_its_answer_in_any_order(options, steps):
    """-3 to -1: ask, ask, let the machine run; others: the device answers one of those it has."""
    bench = Bench(**options)
    asked = 0
    for step in steps:
        if step < -1:
            taken = bench.ask(asked)
            assert taken == (asked - len(bench.answers) < 8)
            asked += taken
        elif step < 0:
            bench.run()
        elif step < len(bench.device.pending):
            bench.device.serve(step)
    bench.run()
    while bench.device.pending:
        bench.device.serve()
    bench.run()
    assert sorted(bench.answers) == [(n, n, 4) for n in range(asked)]
    assert bench.queue.free() == 8
    assert bench.queue.counters.drops() == []


@pytest.mark.parametrize("options", VARIANTS, ids=lambda v: "-".join(k for k in v if v[k]))
def test_an_answer_that_cannot_be_is_counted_and_ignored(options):
    bench = Bench(**options)
    assert bench.ask(1)
    bench.run()
    device, ring = bench.device, bench.device.queues[0]
    head = device.pending[0][0]
    for id in (0xFFFFFFFF, 0x80000000, ring.size, head + (1 if options["indirect"] else 2), 4096):
        device.give_back(ring, id, 4)
        device.raise_interrupt(1)
        bench.run()
    assert bench.answers == []
    device.serve()
    device.give_back(ring, head, 4)  # twice
    device.raise_interrupt(1)
    bench.run()
    assert bench.answers == [(1, 1, 4)]
    assert bench.queue.counters["bad_id"] == 6
    assert bench.queue.free() == 8


@pytest.mark.parametrize("length", [5, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_is_never_more_than_the_room(length):
    bench = Bench()
    bench.ask(1)
    bench.run()
    bench.device.give_back(bench.device.queues[0], bench.device.pending[0][0], length)
    bench.device.raise_interrupt(1)
    bench.run()
    assert bench.answers[0][2] == 4


def test_a_used_index_gone_mad_takes_a_budget_each_turn_and_ends():
    bench = Bench()
    bench.ask(7)
    bench.run()
    ring = bench.device.queues[0]
    bench.device.put(ring.used + 2, 0x8000)
    bench.device.raise_interrupt(1)
    with pytest.MonkeyPatch.context() as patch:
        budgets = []
        patch.setattr(
            bench.loop, "services", [lambda n: budgets.append(n) or bench.channel.service(n)]
        )
        bench.run()
    assert len(budgets) == 0x8000 // 64 + 1
    assert bench.queue.counters["bad_id"] == 0x8000 - len(bench.answers)


def test_what_is_under_way_is_lost_with_a_reset_and_the_queue_goes_on():
    bench = Bench()
    for number in range(3):
        bench.ask(number)
    bench.run()
    accepted = bench.device.accepted
    device.initialise(bench.transport, lambda offered: accepted)
    bench.device.pending = []
    bench.queue.attach(bench.transport)
    device.ready(bench.transport)
    bench.queue.lost()
    assert [length for _, _, length in bench.answers] == [-1] * 3
    bench.answers = []
    for number in range(8):
        assert bench.ask(number)
    bench.run()
    while bench.device.pending:
        bench.device.serve()
    bench.run()
    assert len(bench.answers) == 8


def test_what_is_sent_when_others_are_lost_is_not_lost():
    bench = Bench()
    ask, more = bench.ask, [10, 11]

    def again(slot, length):
        bench.queue.release(slot)
        while more:
            assert ask(more.pop())

    slots = [bench.queue.take() for _ in range(3)]
    bench.queue.release(slots[1])
    for slot in (slots[0], slots[2]):
        bench.queue.piece(slot, 0, bench.memory, 4, 0)
        bench.queue.piece(slot, 1, bench.memory + 4, 4, WRITE)
        bench.queue.send(slot, 2, again)
    bench.run()
    bench.device.pending = []
    accepted = bench.device.accepted
    device.initialise(bench.transport, lambda offered: accepted)
    bench.queue.attach(bench.transport)
    device.ready(bench.transport)
    bench.queue.lost()
    assert bench.answers == []
    bench.run()
    while bench.device.pending:
        bench.device.serve()
    bench.run()
    assert sorted(number for number, _, _ in bench.answers) == [10, 11]


@pytest.mark.parametrize("options", VARIANTS, ids=lambda v: "-".join(k for k in v if v[k]))
def test_descriptors_may_be_written_before_the_queue_is_attached(options):
    """Found with chains that led into a neighbour's."""
    bench = Bench(attach=False, **options)
    slots = [bench.queue.take() for _ in range(3)]
    for slot in slots:
        bench.queue.piece(slot, 0, bench.memory + 8 * slot, 4, 0)
        bench.queue.piece(slot, 1, bench.memory + 8 * slot + 4, 4, WRITE)
        metal.memory(bench.memory + 8 * slot, 4)[:] = struct.pack("<I", slot)
    bench.attach()
    for slot in slots:
        bench.queue.send(slot, 2, bench.answered)
    bench.run()
    while bench.device.pending:
        bench.device.serve()
    bench.run()
    assert sorted(bench.answers) == [(0, 0, 4), (1, 1, 4), (2, 2, 4)]


def test_waiting_polls_and_has_an_end():
    bench = Bench()
    bench.ask(1)
    slot = 0
    looks = []

    def uptime():
        looks.append(1)
        return len(looks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.metal, "uptime_ms", uptime, raising=False)
        assert not bench.queue.wait(slot, 10)
        bench.device.serve()
        assert bench.queue.wait(slot, 10)
    assert bench.answers == [(1, 1, 4)]


def test_a_change_of_the_configuration_is_told():
    bench = Bench()
    bench.run()
    bench.device.raise_interrupt(2)
    bench.run()
    assert bench.changes == [1]


def test_a_small_ring_has_few_slots_and_none_is_an_error():
    assert Bench(size=4, indirect=False).queue.count == 2
    assert Bench(size=4, indirect=True).queue.count == 4
    with pytest.raises(device.DeviceError, match="no room for 3 pieces"):
        Bench(size=2, indirect=False, pieces=3)
    with pytest.raises(device.DeviceError, match="queue 0 has size 0"):
        Bench(size=0)


def test_the_constants_are_those_of_their_owner():
    names = """INDEX SEEN KICKED FENCED MASK DESCRIPTORS AVAILABLE USED USED_EVENT
        AVAILABLE_EVENT NOTIFY NUMBER SHIFT NEXT WRITE NO_INTERRUPT NO_NOTIFY"""
    for name in names.split():
        assert getattr(requests, "_" + name) == getattr(virtqueue, name), name
    assert requests._CONFIG_INTERRUPT == device.CONFIG_INTERRUPT
