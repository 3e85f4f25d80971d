"""The clock: it goes right in the end, and never backwards but by a step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import RATE_PPB, Clock, Uptime

START = 1_767_225_600_000_000


class Oscillator:
    def __init__(self):
        self.us = 0

    def __call__(self):
        return self.us


def made():
    oscillator = Oscillator()
    return oscillator, Clock(oscillator, START)


def test_it_runs_as_the_oscillator_does():
    oscillator, clock = made()
    oscillator.us = 12_345_678
    assert clock.now_us() == START + 12_345_678
    assert clock.seconds() == START // 1_000_000 + 12
    assert not clock.synchronised


@pytest.mark.parametrize("offset", [100_000, -100_000])
def test_a_slew_of_500_ppm_takes_2000_times_as_long(offset):
    oscillator, clock = made()
    clock.slew(offset)
    assert clock.now_us() == START
    oscillator.us = 100_000_000
    assert clock.now_us() == START + 100_000_000 + offset // 2
    oscillator.us = 200_000_000
    assert clock.now_us() == START + 200_000_000 + offset
    oscillator.us = 300_000_000
    assert clock.now_us() == START + 300_000_000 + offset
    assert clock.settle() == 0


def test_a_new_slew_replaces_what_was_left():
    oscillator, clock = made()
    clock.slew(100_000)
    oscillator.us = 100_000_000
    assert clock.settle() == 50_000
    clock.slew(0)
    oscillator.us = 200_000_000
    assert clock.now_us() == START + 200_000_000 + 50_000


def test_a_step_is_at_once():
    _, clock = made()
    clock.step(-5_000_000)
    assert clock.now_us() == START - 5_000_000


def test_the_rate_is_bounded():
    oscillator, clock = made()
    clock.set_rate(10 * RATE_PPB)
    oscillator.us = 1_000_000_000
    assert clock.now_us() == START + 1_000_000_000 + 500_000


STEERING = st.lists(
    st.tuples(
        st.integers(0, 10_000_000_000),
        st.sampled_from(["slew", "set_rate", "settle"]),
        st.integers(-(10**9), 10**9),
    )
)


@given(STEERING)
def test_time_never_runs_backwards_and_a_second_is_nearly_one(steering):
    oscillator, clock = made()
    for passed, what, value in steering:
        before = clock.now_us()
        if what == "settle":
            clock.settle()
        else:
            getattr(clock, what)(value)
        assert abs(clock.now_us() - before) <= 2
        oscillator.us += passed
        gone = clock.now_us() - before
        assert abs(gone - passed) <= passed // 1000 + 4


@given(st.integers(0, 1 << 30), st.lists(st.integers(0, 500_000), max_size=20))
def test_uptime_goes_on_where_its_parts_wrap(bias, steps):
    """ticks_us wraps every 18 minutes; the two are read one after the other."""
    now = 0
    uptime = Uptime(lambda: now // 1000, lambda: (now + bias) & 0x3FFFFFFF)
    for step in steps:
        now += 1000 * step
        assert abs(uptime() - now) <= 1000


class Paused:
    """A machine whose uptime stands still while its RTC goes on."""

    def __init__(self):
        self.up = 5_000_000
        self.world = 1_700_000_000_400_000

    def clock(self):
        return Clock(lambda: self.up, self.world, lambda: self.world // 1_000_000)

    def run(self, us, drift=0):
        self.up += us
        self.world += us + drift

    def pause(self, us):
        self.world += us


@pytest.mark.parametrize("pause", [4_000_000, 3_600_000_000, 86_400_000_000 * 400])
def test_after_a_pause_the_clock_is_right_once_somebody_asks(pause):
    machine = Paused()
    clock = machine.clock()
    machine.run(10_000_000)
    assert clock.now_us() == machine.world
    machine.pause(pause)
    machine.run(1_000_000)
    assert abs(clock.now_us() - machine.world) <= 1_000_000
    assert clock.jumps == 1
    machine.run(60_000_000)
    assert abs(clock.now_us() - machine.world) <= 1_000_000
    assert clock.jumps == 1


def test_a_step_after_a_pause_is_a_step_to_the_right_time():
    """What an agent does that is told the time after a migration."""
    machine = Paused()
    clock = machine.clock()
    machine.pause(30_000_000)
    machine.run(1_000_000)
    clock.step(machine.world - clock.now_us())
    machine.run(5_000_000)
    assert clock.now_us() == machine.world


def test_drift_is_no_jump_and_a_clock_that_was_set_stays_set():
    machine = Paused()
    clock = machine.clock()
    clock.step(7_200_000_000)
    for _ in range(1000):
        machine.run(60_000_000, drift=12_000)
        assert abs(clock.now_us() - 7_200_000_000 - machine.world) <= 12_000_000
    assert clock.jumps == 0
