"""Deadlines: what is due, and when the next is, also where the clock begins again."""

import pytest

from net.deadlines import TURN, arm, due, nearest


class One:
    def __init__(self, deadline):
        self.deadline = deadline & TURN


class Timer:
    started = None

    def start(self, ms):
        self.started = ms

    def stop(self):
        self.started = "stopped"


@pytest.mark.parametrize("now", [5_000, 0, TURN - 50, TURN])
def test_due_and_nearest(now):
    past, exact, soon, later = [One(now + ms) for ms in (-100, 0, 70, 900)]
    waiting = [later, past, soon, exact]
    assert due(waiting, now & TURN) == [past, exact]
    assert nearest(waiting, now & TURN) == 0
    assert nearest([later, soon], now & TURN) == 70
    assert nearest([later, soon], now & TURN, 30) == 30
    assert nearest([later, soon], now & TURN, 0) == 0
    assert nearest([], now & TURN) == -1
    assert nearest([], now & TURN, 12) == 12


def test_a_timer_without_a_deadline_is_stopped():
    timer = Timer()
    arm(timer, 0)
    assert timer.started == 0
    arm(timer, -1)
    assert timer.started == "stopped"
