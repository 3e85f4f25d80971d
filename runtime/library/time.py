"""`time`: MicroPython's clocks, and sleeps in which the machine goes on.

Left out: `monotonic` and `strftime`, as in MicroPython; there are ticks_ms and ticks_diff.
"""

from _time import *
from _time import sleep_us as _spin

from runtime.waiting import pause


def sleep(seconds):
    pause(int(seconds * 1000))


def sleep_ms(ms):
    pause(ms)


def sleep_us(us):
    """Shorter than a millisecond: spins."""
    pause(us // 1000)
    _spin(us % 1000)
