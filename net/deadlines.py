"""Deadlines: of several things that wait, each with a `deadline`, which are due, and when to look.

For parts that have one timer for all: mdns, ntp, resolver.  Times are milliseconds modulo 2^30, as
in runtime/timers.py; of two, the later one is less than half a turn ahead.
Left out: order; whoever has many wants a heap.
"""

from micropython import const

TURN = const(0x3FFFFFFF)
HALF = const(0x20000000)


def due(waiting, now):
    """Those whose deadline has come."""
    return [one for one in waiting if (now - one.deadline) & TURN < HALF]


def nearest(waiting, now, wait=-1):
    """Milliseconds to the first deadline, 0 if it has come, -1 without any; `wait` is one more."""
    for one in waiting:
        left = (one.deadline - now) & TURN
        left = 0 if left >= HALF else left
        wait = left if wait < 0 else min(wait, left)
    return wait


def arm(timer, wait):
    """Let the timer fire after `wait` ms, or not at all if that is -1."""
    if wait < 0:
        timer.stop()
    else:
        timer.start(wait)
