"""The event loop on a machine made of Python objects."""

import pytest

from runtime.loop import BUDGET, Loop
from runtime.timers import Timers
from tests.support.metal import Asleep, Machine, metal


class Device:
    def __init__(self, line, work=0):
        self.line, self.work = line, work
        self.calls = self.flushes = 0

    def service(self, budget):
        assert budget == BUDGET
        self.calls += 1
        self.work -= min(self.work, budget)
        return self.work > 0

    def flush(self):
        self.flushes += 1


@pytest.fixture
def hardware():
    return Machine()


@pytest.fixture
def loop(hardware):
    hardware.tidied = 0

    def tidy():
        hardware.tidied += 1

    return Loop(metal, Timers(metal.ticks_ms), tidy)


def sleep(loop):
    with pytest.raises(Asleep):
        loop.run()


def test_a_new_device_is_looked_at_once(hardware, loop):
    device = Device(11)
    loop.add(device)
    sleep(loop)
    assert device.calls == 1
    assert hardware.unmasked == {11}
    assert hardware.halts == 1


def test_only_the_line_that_moved_is_serviced(hardware, loop):
    one, other = Device(10), Device(11)
    loop.add(one)
    loop.add(other)
    sleep(loop)
    hardware.interrupt(11)
    sleep(loop)
    assert (one.calls, other.calls) == (1, 2)


def test_a_shared_line_wakes_all_its_devices(hardware, loop):
    devices = [Device(11) for _ in range(3)]
    for device in devices:
        loop.add(device)
    sleep(loop)
    hardware.interrupt(11)
    sleep(loop)
    assert [device.calls for device in devices] == [2, 2, 2]


class Rare(Device):
    rare = True


def test_a_rare_device_is_looked_at_once_and_when_its_line_moves(hardware, loop):
    often, rare = Device(10), Rare(11)
    loop.add(rare)
    loop.add(often)
    sleep(loop)
    assert (often.calls, rare.calls) == (1, 1)
    for line, calls in ((10, (2, 1)), (11, (2, 2)), (10, (3, 2))):
        hardware.interrupt(line)
        sleep(loop)
        assert (often.calls, rare.calls) == calls


def test_a_flood_starves_no_rare_device(hardware, loop):
    flood, rare = Device(10, work=10 * BUDGET), Rare(11)
    loop.add(flood)
    loop.add(rare)
    loop.soon(lambda: hardware.interrupt(11))
    rare.service = None  # the loop has taken what it needs
    sleep(loop)
    assert rare.calls == 2


@pytest.mark.parametrize("rare_first", [True, False])
def test_a_rare_device_that_holds_the_line_of_another_is_serviced(hardware, loop, rare_first):
    """The line is level-triggered: it interrupts at every halt until its device is serviced."""
    often, rare = Device(9), Rare(9)
    for device in (rare, often) if rare_first else (often, rare):
        loop.add(device)
    sleep(loop)
    calls = rare.calls

    def halted():
        if rare.calls == calls:
            hardware.interrupt(9)
            return True
        return False

    hardware.halted = halted
    sleep(loop)
    assert rare.calls == calls + 1
    assert often.calls < 40


def test_there_is_room_for_many_devices_of_both_kinds(loop):
    for line in range(16):
        loop.add(Device(line))
        loop.add(Rare(line))
    for kind in (Device, Rare):
        with pytest.raises(ValueError, match="32 devices"):
            loop.add(kind(1))


def test_an_interrupt_during_the_turn_is_not_lost(hardware, loop):
    class Busy(Device):
        def service(self, budget):
            if self.calls < 5:
                hardware.interrupt(self.line)
            return super().service(budget)

    shared, device = Busy(11), Device(11)
    loop.add(device)
    loop.add(shared)
    sleep(loop)
    assert device.calls == shared.calls == 6
    assert hardware.halts == 1


def test_work_left_is_done_before_sleep_and_starves_nobody(hardware, loop):
    flood, other = Device(10, work=10 * BUDGET), Device(11)
    loop.add(flood)
    loop.add(other)
    order = []
    timer = loop.timers.timer(lambda: order.append(flood.work))
    timer.start(0)
    loop.soon(lambda: order.append("soon"))
    sleep(loop)
    assert flood.work == 0
    assert flood.calls == 10
    assert order == [9 * BUDGET, "soon"]
    assert flood.flushes == other.flushes == 10
    assert hardware.halts == 1


@pytest.mark.parametrize("nth", range(1, 200))
def test_an_interrupt_at_any_look_at_the_counters_is_not_lost(hardware, loop, nth):
    # The interrupt comes just before the loop loads a counter for the nth time.  (It was lost when
    # it came in a turn that the timer had caused.)
    class Counters:
        looks = 0

        def load(self, offset, size):
            self.looks += 1
            if self.looks == nth:
                hardware.interrupt(11)
            return int.from_bytes(hardware.interrupts[offset : offset + size], "little")

        def store(self, offset, size, value):
            assert offset == 4 * 63

    hardware.add_registers(0x1000, Counters())
    loop.interrupts = 0x1000
    device = Device(11)
    loop.add(device)
    loop.timers.timer(lambda: None).start(10)
    sleep(loop)
    # The first look comes before the device is serviced for the first time.
    assert device.calls == (2 if 1 < nth <= hardware.registers[0][2].looks else 1)


def test_a_stray_interrupt_does_not_keep_the_machine_awake(hardware, loop):
    loop.add(Device(11))
    sleep(loop)
    hardware.interrupt(7)
    sleep(loop)
    assert hardware.halts == 2


def test_callbacks_run_in_order_and_new_ones_in_the_next_turn(hardware, loop):
    turns = []

    def again(n):
        turns.append(n)
        if n < 3:
            loop.soon(lambda: again(n + 1))

    for i in range(100):
        loop.soon(lambda i=i: turns.append(i))
    loop.soon(lambda: again(0))
    sleep(loop)
    assert turns == [*range(100), 0, 1, 2, 3]
    assert hardware.halts == 1


def test_the_ring_of_callbacks_grows_where_it_wraps(hardware, loop):
    seen = []
    for size in (10, 15, 40, 3, 100):
        for i in range(size):
            loop.soon(lambda i=i: seen.append(i))
        sleep(loop)
        assert seen == list(range(size))
        seen.clear()


def test_timers_fire_from_sleep(hardware, loop):
    fired = []
    timer = loop.timers.timer(lambda: fired.append(hardware.ms))
    timer.start(100)
    sleep(loop)
    assert fired == [100]
    assert hardware.halts == 2


def test_stop_before_and_during_run(hardware, loop):
    device = Device(11)
    loop.add(device)
    loop.soon(loop.stop)
    loop.run()
    assert device.flushes == 1
    loop.run()
    assert device.flushes == 1


def test_an_exception_of_a_callback_leaves_the_loop(hardware, loop):
    def fails():
        raise KeyError("bug")

    loop.soon(fails)
    with pytest.raises(KeyError):
        loop.run()


def test_garbage_is_looked_at_now_and_then(hardware, loop):
    device = Device(11)
    loop.add(device)
    for _ in range(200):
        hardware.interrupt(11)
        sleep(loop)
    assert hardware.tidied == 3


def test_too_many_devices_are_refused(loop):
    for _ in range(32):
        loop.add(Device(11))
    with pytest.raises(ValueError, match="32 devices"):
        loop.add(Device(11))


def test_block_runs_turns_until_it_is_woken(hardware, loop):
    order = []

    def reader():
        order.append("waits")
        loop.block()
        order.append("woken")
        loop.stop()

    loop.soon(reader)
    loop.soon(lambda: order.append("another callback"))
    loop.timers.timer(lambda: (order.append("timer"), loop.wake())).start(50)
    loop.run()
    assert order == ["waits", "another callback", "timer", "woken"]
    assert hardware.ms == 50


def test_block_ends_with_its_time(hardware, loop):
    ended = []

    def sleeper():
        for ms in (100, 0, 20):
            loop.block(ms)
            ended.append(hardware.ms)

    loop.soon(sleeper)
    sleep(loop)
    assert ended == [100, 100, 120]


def test_a_block_within_a_block_returns_first_and_no_wake_up_is_lost(hardware, loop):
    order = []
    ready = set()

    def wait(name):
        while name not in ready:
            loop.block()
        order.append(name)

    def make(name):
        ready.add(name)
        loop.wake()

    loop.soon(lambda: wait("outer"))
    loop.timers.timer(lambda: wait("inner")).start(10)
    loop.timers.timer(lambda: make("outer")).start(20)
    loop.timers.timer(lambda: make("inner")).start(30)
    sleep(loop)
    assert order == ["inner", "outer"]


def test_a_wake_up_before_sleep_is_not_slept_over(hardware, loop):
    woken = []

    def waiter():
        loop.soon(loop.wake)
        loop.block()
        woken.append(hardware.halts)

    loop.soon(waiter)
    sleep(loop)
    assert woken == [0]


def test_callbacks_of_a_turn_that_blocks_are_called_once(hardware, loop):
    order = []

    def blocks():
        order.append("blocks")
        loop.block(5)

    loop.soon(blocks)
    for name in "abc":
        loop.soon(lambda name=name: order.append(name))
    sleep(loop)
    assert order == ["blocks", "a", "b", "c"]


def test_an_interrupt_during_a_block_wakes_the_turn_that_blocked(hardware, loop):
    # The nested turn copies the counters and ends before the device has had its turn.
    device, other = Device(10), Device(11)
    loop.add(device)
    loop.add(other)
    sleep(loop)
    first = []

    def blocks(budget):
        if not first:
            first.append(1)
            loop.timers.timer(lambda: (hardware.interrupt(11), loop.wake())).start(5)
            loop.block()
        return False

    loop.services[0] = blocks
    hardware.interrupt(10)
    sleep(loop)
    assert other.calls == 2


def test_stop_unwinds_who_is_blocked(hardware, loop):
    unwound = []

    def blocked():
        try:
            loop.block()
        finally:
            unwound.append(1)

    loop.soon(blocked)
    loop.timers.timer(loop.stop).start(10)
    with pytest.raises(SystemExit):
        loop.run()
    assert unwound == [1]
    assert loop.failure is None


def test_a_bug_elsewhere_is_not_caught_by_who_is_blocked(hardware, loop):
    def blocked():
        with pytest.raises(KeyError):
            loop.block()

    def fails():
        raise KeyError("bug")

    loop.soon(blocked)
    loop.soon(fails)
    with pytest.raises(SystemExit):
        loop.run()
    assert isinstance(loop.failure, KeyError)


def test_a_device_is_revisited_without_an_interrupt(hardware, loop):
    one, other = Device(10), Device(11)
    loop.add(one)
    loop.add(other)
    sleep(loop)
    loop.soon(lambda: [loop.revisit(11) for _ in range(100)])
    sleep(loop)
    assert (one.calls, other.calls) == (1, 2)
    assert len(loop.callbacks) == 16


def test_ctrl_c_reaches_who_is_blocked_and_the_loop_goes_on(hardware, loop):
    def interrupt():
        raise KeyboardInterrupt

    loop.soon(interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.block(1000)
    assert loop.failure is None and loop.depth == 0 and not loop.stopped()
    loop.soon(loop.wake)
    loop.block(1000)
