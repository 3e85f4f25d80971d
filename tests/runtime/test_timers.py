"""Timers under a virtual clock."""

import random

import pytest

from runtime.timers import LONGEST, MASK, Timers


class Clock:
    def __init__(self, now=0):
        self.now = now

    def __call__(self):
        return self.now & MASK


@pytest.fixture(params=[0, MASK - 500, MASK >> 1])
def clock(request):
    return Clock(request.param)


@pytest.fixture
def timers(clock):
    return Timers(clock)


def run_until(timers, clock, end):
    """Sleep from deadline to deadline as the loop does; returns how often it was woken."""
    wakes = 0
    while timers.next() >= 0:
        ahead = (timers.next() - clock.now) & MASK
        if ahead > LONGEST:
            ahead = 0  # a deadline in the past
        if clock.now + ahead > end:
            break
        clock.now += ahead
        timers.run(clock())
        wakes += 1
    clock.now = end
    return wakes


def test_fires_once_at_its_time(timers, clock):
    fired = []
    t = timers.timer(lambda: fired.append(clock.now))
    start = clock.now
    t.start(250)
    assert t.active
    assert timers.next() == (start + 250) & MASK
    run_until(timers, clock, start + 1000)
    assert fired == [start + 250]
    assert not t.active
    assert timers.next() == -1


def test_not_before_its_time(timers, clock):
    fired = []
    timers.timer(lambda: fired.append(1)).start(10)
    clock.now += 9
    timers.run(clock())
    assert not fired


def test_stopped_does_not_fire(timers, clock):
    fired = []
    t = timers.timer(lambda: fired.append(1))
    t.start(10)
    t.stop()
    assert run_until(timers, clock, clock.now + 100) <= 1
    assert not fired
    assert timers.next() == -1


def test_started_again_later_fires_once_and_earlier_too(timers, clock):
    fired = []
    start = clock.now
    t = timers.timer(lambda: fired.append(clock.now - start))
    t.start(10)
    t.start(50)
    t.start(30)
    run_until(timers, clock, start + 100)
    assert fired == [30]
    t.start(100)
    t.start(10)
    run_until(timers, clock, start + 1000)
    assert fired == [30, 110]


def test_a_timer_that_restarts_itself_does_not_starve_the_rest(timers, clock):
    calls = []
    t = timers.timer(lambda: (calls.append("again"), t.start(0)))
    u = timers.timer(lambda: calls.append("other"))
    t.start(0)
    u.start(0)
    timers.run(clock())
    assert sorted(calls) == ["again", "other"]


def test_longer_than_half_a_turn(timers, clock):
    fired = []
    start = clock.now
    timers.timer(lambda: fired.append(clock.now - start)).start(3 * LONGEST + 17)
    run_until(timers, clock, start + 4 * LONGEST)
    assert fired == [3 * LONGEST + 17]


def test_a_past_start_fires_at_once(timers, clock):
    fired = []
    timers.timer(lambda: fired.append(1)).start(-5)
    timers.run(clock())
    assert fired == [1]


@pytest.mark.parametrize("seed", range(20))
def test_equals_a_sorted_list(timers, clock, seed):
    rng = random.Random(seed)
    fired, expected = [], {}
    ts = []
    for i in range(20):
        ts.append(timers.timer(lambda i=i: (fired.append((clock.now, i)), expected.pop(i))))
    for _ in range(500):
        i = rng.randrange(20)
        if rng.random() < 0.7:
            ms = rng.randrange(200)
            ts[i].start(ms)
            expected[i] = clock.now + ms
        else:
            ts[i].stop()
            expected.pop(i, None)
        if rng.random() < 0.05:
            timers.drop(ts[i])
            expected.pop(i, None)
            ts[i] = timers.timer(ts[i].callback)
            assert len(timers.heap) == 20 and timers.heap.count(None) == 20 - timers.count
        if rng.random() < 0.3:
            before = dict(expected)
            end = clock.now + rng.randrange(100)
            fired.clear()
            run_until(timers, clock, end)
            assert sorted(fired) == sorted((t, i) for i, t in before.items() if t <= end)
        assert all(t.active == (i in expected) for i, t in enumerate(ts))


def test_stopped_timers_wake_the_machine_at_most_once_each(timers, clock):
    t = timers.timer(lambda: None)
    for _ in range(1000):
        t.start(50)
        clock.now += 1
        timers.run(clock())
        t.stop()
    assert run_until(timers, clock, clock.now + 1000) <= 1


def test_what_is_dropped_leaves_no_room_behind(timers):
    """A client made one for each request."""
    kept = timers.timer(lambda: None)
    for started in (False, True):
        timer = timers.timer(lambda: None)
        if started:
            timer.start(5)
        timers.drop(timer)
    assert (len(timers.heap), timers.count, timers.first) == (1, 0, -1)
    kept.start(7)
    assert timers.first >= 0
