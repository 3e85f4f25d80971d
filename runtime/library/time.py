"""`time`: MicroPython's clocks, and sleeps in which the machine goes on.

Left out: `monotonic` and `strftime`, as in MicroPython; there are ticks_ms and ticks_diff.
"""

from _time import *
from _time import sleep_us as _spin
from _time import time as _rtc
from _time import time_ns as _rtc_ns

from runtime import machine as _machine
from runtime.waiting import pause


def _clock():
    """The clock that somebody steers (net/ntp), or None."""
    machine = _machine.current
    return machine.clock if machine else None


def time():
    clock = _clock()
    return clock.seconds() if clock else _rtc()


def time_ns():
    clock = _clock()
    return 1000 * clock.now_us() if clock else _rtc_ns()


def sleep(seconds):
    pause(int(seconds * 1000))


def sleep_ms(ms):
    pause(ms)


def sleep_us(us):
    """Shorter than a millisecond: spins."""
    pause(us // 1000)
    _spin(us % 1000)
