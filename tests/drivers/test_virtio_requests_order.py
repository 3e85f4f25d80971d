"""Requests lose no wake-up and no doorbell: the device of test_virtio_order.py, with two queues of
chains that share one ISR register.

Bursts of requests are asked for in each queue, which has 4 slots; who is answered asks for the next
of the burst, at once or later.  A machine that sleeps before all are answered has lost something.
"""

import pytest

from drivers.virtio import device as virtio
from drivers.virtio.requests import Channel, Requests
from drivers.virtio.transport import find
from runtime import pci
from runtime.dma import Arena
from runtime.loop import Loop
from runtime.timers import Timers
from tests.drivers.test_virtio_order import Device, Hardware
from tests.support import metal as support

BURST = 10


class Worker(Device):
    """It answers what it is asked, each queue in a thread of its own."""

    NUMBERS = (0x1042, 0x1001, 0x0100)

    def live(self):
        self.threads = [self.worker(0), self.worker(1)]

    def worker(self, number):
        queue = self.queues[number]
        while True:
            while not self.rung[number]:
                yield False
            self.rung[number] = False
            more = True
            while more:
                self.want(queue, False)
                while (taken := self.take(queue)) is not None:
                    yield True
                    yield from self.used(queue, taken[0], 0)
                more = yield from self.enable(queue, number)


def bursts(seed, count, true_barriers=True, apart=False, **options):
    """How many bursts were answered whole; `apart`: each queue has a channel of its own."""
    hardware = Hardware(seed, true_barriers)
    worker = Worker(hardware, **options)
    loop = Loop(support.metal, Timers(support.metal.ticks_ms), lambda: None)
    arena = Arena(hardware.base, 64 << 10)
    transport = find(pci.scan()[0], "")
    wanted = 1 << virtio.EVENT_IDX | 1 << virtio.VERSION_1 | 1 << virtio.ANY_LAYOUT
    features = virtio.initialise(transport, lambda offered: offered & wanted)
    queues = [Requests(transport, i, 4, 1, features, arena) for i in range(2)]
    for queue in queues:
        queue.attach(transport)
    virtio.ready(transport)
    for group in [[queue] for queue in queues] if apart else [queues]:
        loop.add(Channel(transport, worker.line, lambda: None, *group))
    hardware.rings_end = arena.address
    buffer = arena.take(64)
    left, answered = [0, 0], [0]

    def ask(i):
        while left[i]:
            slot = queues[i].take()
            if slot < 0:
                return
            left[i] -= 1
            queues[i].piece(slot, 0, buffer, 16, 0)
            queues[i].send(slot, 1, answers[i])

    def answer(i):
        def done(slot, length):
            queues[i].release(slot)
            answered[0] += 1
            # Some of the next are asked for after the driver has had its turn.
            if hardware.rng.random() < 0.7:
                ask(i)
            else:
                loop.soon(lambda: ask(i))

        return done

    answers = [answer(0), answer(1)]
    worker.live()
    hardware.device = worker
    for done in range(count):
        left[:] = [BURST, BURST]
        for i in range(2):
            loop.soon(lambda i=i: ask(i))
        loop.soon(lambda: None)
        with pytest.raises(support.Asleep):
            loop.run()
        if answered[0] != 2 * BURST * (done + 1):
            return done
    return count


@pytest.mark.parametrize("event_idx", [True, False])
@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_no_wake_up_and_no_doorbell_is_lost(seed, modern, event_idx):
    assert bursts(seed, 40, modern=modern, event_idx=event_idx) == 40


@pytest.mark.parametrize("event_idx", [True, False])
def test_the_test_finds_what_it_looks_for(event_idx):
    assert any(bursts(seed, 40, False, event_idx=event_idx) < 40 for seed in range(10))


def test_queues_that_do_not_share_a_channel_lose_wake_ups():
    assert any(bursts(seed, 40, apart=True) < 40 for seed in range(10))
