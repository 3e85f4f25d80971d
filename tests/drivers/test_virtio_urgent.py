"""Frames that are looked at while a callback computes: what is handled and what waits, in order."""

import random

import pytest

from tests.drivers.test_virtio_net import Bench, frame
from tests.drivers.test_virtio_offload import RAM, RECEIVING, SENDING

URGENT = b"\xff" * 60


@pytest.fixture(params=[(True, True), (True, False), (False, True), (False, False)])
def bench(request):
    modern, event_idx = request.param
    made = Bench(ram=RAM, modern=modern, event_idx=event_idx, features=SENDING + RECEIVING)
    made.handled = []

    def handle(packet):
        head = memoryview(packet.buffer).cast("H")
        data = bytes(packet.buffer[head[0] : head[4]])
        if data != URGENT:
            return False
        made.handled.append(data)
        made.send(data)
        return True

    made.nic.urgent_receive = handle
    made.run()
    return made


def busy(bench, function):
    """A callback in whose midst `function` runs."""
    bench.machine.loop.soon(function)
    bench.run()


def test_urgent_frames_are_answered_at_once_and_the_others_wait_in_order(bench):
    def callback():
        for number in range(40):
            assert bench.device.deliver(frame(number))
            assert bench.device.deliver(URGENT)
            assert bench.nic.urgent(64) == 0
            assert len(bench.device.sent) == number + 1  # the doorbell has been rung
        assert bench.received == []

    busy(bench, callback)
    assert bench.received == [frame(n) for n in range(40)]
    assert bench.device.sent == [URGENT] * 40
    assert bench.count("received") == 80
    assert bench.drops() == {}


def test_thousands_of_urgent_frames_pass_while_some_wait(bench):
    def callback():
        for number in range(5):
            bench.device.deliver(frame(number))
        for _ in range(2000):
            assert bench.device.deliver(URGENT)
            bench.nic.urgent(64)
        assert len(bench.device.sent) == 2000

    busy(bench, callback)
    assert bench.received == [frame(n) for n in range(5)]


def test_an_urgent_look_interrupts_again(bench):
    def callback():
        before = bytes(bench.hardware.interrupts)
        bench.nic.urgent(64)
        assert bench.device.deliver(URGENT)
        assert bytes(bench.hardware.interrupts) != before

    busy(bench, callback)
    assert bench.received == [URGENT]


def test_what_is_kept_is_delivered_though_the_line_was_masked(bench):
    # Its interrupt has been acknowledged by the look, and was never counted.
    def callback():
        bench.device.deliver(frame(1), signal=False)
        bench.nic.urgent(64)

    busy(bench, callback)
    assert bench.received == [frame(1)]


def test_a_budget_is_kept_and_said(bench):
    def callback():
        for _ in range(100):
            bench.device.deliver(URGENT)
        assert bench.nic.urgent(40) == 1
        assert len(bench.handled) == 40
        # A quarter of the packets is not for answers.
        assert bench.nic.urgent(64) == 1
        assert len(bench.handled) == 40 + 48
        assert bench.nic.urgent(64) == 0
        assert len(bench.handled) == 100

    busy(bench, callback)


def test_kept_buffers_leave_a_quarter(bench):
    def callback():
        accepted = 0
        while bench.device.deliver(frame(accepted)):
            accepted += 1
            bench.nic.urgent(64)
            if accepted > 300:
                break
        assert bench.nic.cells[4 * 25] == 192
        bench.accepted = accepted

    busy(bench, callback)
    assert bench.accepted == 256
    assert bench.received == [frame(n) for n in range(256)]
    for number in range(600):
        assert bench.device.deliver(frame(number))
        bench.run()


def test_large_frames_are_kept_whole(bench):
    data = [random.Random(n).randbytes(n) for n in (20000, 60, 60000, 3000)]

    def callback():
        for one in data:
            assert bench.device.deliver(one)
            assert bench.device.deliver(URGENT)
            bench.nic.urgent(64)
        assert len(bench.handled) == 4

    for _ in range(30):
        bench.received.clear()
        bench.handled.clear()
        busy(bench, callback)
        assert bench.received == data
    assert bench.drops() == {}


def test_a_frame_kept_while_another_is_being_delivered_comes_after_it(bench):
    order = []

    def receive(packet):
        head = memoryview(packet.buffer).cast("H")
        data = bytes(packet.buffer[head[0] : head[4]])
        order.append(data)
        if data == frame(1):
            # A callback that computes for long, with frames behind it in the ring.
            bench.device.deliver(frame(3))
            bench.device.deliver(URGENT)
            bench.nic.urgent(64)
            assert bench.handled == [URGENT]
            bench.device.deliver(frame(4))

    bench.nic.receive = receive
    bench.device.deliver(frame(1))
    bench.device.deliver(frame(2))
    bench.run()
    assert order == [frame(n) for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("id", [999, 0xFFFFFFFF])
def test_ids_are_not_believed(bench, id):
    def callback():
        bench.device.give_back(bench.device.queues[0], id, 100)
        bench.nic.urgent(64)

    busy(bench, callback)
    assert bench.drops() == {"eth0.bad_id": 1}


def test_lengths_are_judged_when_their_turn_comes(bench):
    def callback():
        head, _ = bench.device.take(bench.device.queues[0])
        bench.device.give_back(bench.device.queues[0], head, 13)
        bench.nic.urgent(64)

    busy(bench, callback)
    assert bench.drops() == {"eth0.bad_length": 1}


def test_a_reset_forgets_what_was_kept(bench):
    def callback():
        bench.device.deliver(frame(1))
        bench.nic.urgent(64)
        bench.device.device_status |= 64
        bench.device.raise_interrupt(2)
        bench.nic.urgent(64)

    busy(bench, callback)
    assert bench.nic.link
    bench.received.clear()
    for number in range(600):
        assert bench.device.deliver(frame(number))
        bench.run()
    assert bench.received == [frame(n) for n in range(600)]


def test_the_link_is_not_told_in_the_midst_of_a_callback(bench):
    told = []
    bench.nic.on_link = told.append

    def callback():
        bench.device.set_link(False)
        bench.nic.urgent(64)
        assert told == []

    busy(bench, callback)
    assert told == [False]
