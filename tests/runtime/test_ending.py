"""The end in order, step by step, with a loop that only counts."""

import sys

import pytest

from runtime import ending
from tests.support.metal import Machine, PoweredOff
from tests.support.timer import Timer


class Guest:
    """A machine, its loop, its log and its timers."""

    def __init__(self, hardware):
        self.hardware = hardware
        self.loop = self.timers = self.log = self.counters = self
        self.inet, self.nics, self.ends, self.lines, self.failure = None, [], [], [], None
        self.halted = False
        self.timer = Timer
        self.blocks = 0

    def stop(self):
        self.halted = True

    def resume(self):
        self.halted = False

    def stopped(self):
        return self.halted

    def drops(self):
        return {"udp.full": 3}

    def info(self, text, *values):
        self.lines.append(text % values)

    warning = error = info

    def block(self, ms):
        self.blocks += 1
        self.hardware.ms += ms
        if self.blocks > 20:
            raise SystemExit


@pytest.fixture
def guest(monkeypatch):
    monkeypatch.setattr(sys, "print_exception", lambda error: None, raising=False)
    return Guest(Machine())


def test_steps_come_in_order_and_what_came_last_ends_first(guest):
    order = []
    guest.ends += [lambda: order.append("first"), lambda: order.append("last")]
    disk = type("Disk", (), {"stop": lambda self, ms: order.append("disk") or True})()
    guest.nics.append(type("Nic", (), {"stop": lambda self, ms: order.append("nic")})())
    it = ending.Ending(guest, ())
    it.run(lambda: order.append("service"), [disk])
    assert order == ["service", "last", "first", "disk", "nic"]
    assert guest.lines == ["dropped: udp.full 3"]
    assert it.failed == 0


def test_an_exception_is_told_and_the_next_step_comes(guest):
    order = []

    def bug():
        raise KeyError("bug")

    guest.ends.append(lambda: order.append("end"))
    it = ending.Ending(guest, ())
    it.run(bug, [])
    assert order == ["end"]
    assert it.failed == 1


def test_a_failure_of_another_callback_meanwhile_is_told(guest):
    it = ending.Ending(guest, ())
    it.run(lambda: setattr(guest, "failure", ValueError()), [])
    assert it.failed == 1 and guest.failure is None


def test_a_disk_that_did_not_flush_is_said(guest):
    disk = type("Disk", (), {"stop": lambda self, ms: False, "name": "disk0"})()
    ending.Ending(guest, ()).run(None, [disk])
    assert "disk0: not all is written" in guest.lines


def test_a_device_that_does_not_reset_does_not_keep_the_others_from_it(guest):
    class Broken:
        name = "disk0"

        def stop(self, ms):
            raise ValueError("it does not reset")

    stopped = []
    nic = type("Nic", (), {"stop": lambda self, ms: stopped.append(ms)})()
    guest.nics += [Broken(), nic]
    it = ending.Ending(guest, ())
    it.run(None, [Broken()])
    assert stopped and it.failed == 1
    assert "disk0: not all is written" in guest.lines


def test_slow_disks_are_not_cut_short_when_the_last_step_is_over(guest):
    it = ending.Ending(guest, ())
    stopped = []

    class Slow:
        name = "disk0"

        def stop(self, ms):
            guest.hardware.ms += ms
            assert it.urgent()
            stopped.append(self)
            return True

    guest.ends.append(lambda: None)
    it.run(None, [Slow(), Slow(), Slow()])
    assert len(stopped) == 3


def test_connections_have_a_moment(guest):
    class Connection:
        closed = False

        def close(self):
            self.closed = True

    connections = [Connection(), Connection()]

    class Tcp:
        asked = 0

        @property
        def connections(self):
            self.asked += 1
            return connections if self.asked < 5 else []

    guest.inet = type("Inet", (), {"tcp": Tcp(), "stop": lambda self: None})()
    ending.Ending(guest, ()).run(None, [])
    assert all(connection.closed for connection in connections)
    assert guest.blocks == 3


def test_the_midst_of_a_callback_is_left_alone_until_somebody_presses(guest):
    pressed = []

    class Button:
        def service(self, budget):
            if pressed:
                guest.stop()

    it = ending.Ending(guest, [Button()])
    assert it.urgent() is False
    pressed.append(1)
    assert it.urgent() is True, "look again soon"
    guest.hardware.ms += ending.STOP_MS - 1
    assert it.urgent() is True
    guest.hardware.ms += 1
    with pytest.raises(SystemExit):
        it.urgent()
    guest.hardware.ms += ending.DEADLINE_MS - ending.STOP_MS
    with pytest.raises(PoweredOff):
        it.urgent()


def test_all_budgets_together_are_within_the_deadline():
    """A callback that computes until it is interrupted, then each step of the end."""
    steps = ending.STOP_MS + ending.CLOSE_MS + 2 * ending.EACH_MS + ending.LAST_WORDS_MS
    assert steps < ending.DEADLINE_MS < 10_000
