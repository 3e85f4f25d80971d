"""The time of day: a clock that is set once and then steered, so that it never jumps back.

    clock = clock_of(machine)     the one of the machine (machine.clock), made at the first call
    clock.now_us(), .seconds()    microseconds and seconds since 1970, UTC
    clock.synchronised            whether somebody (net/ntp) has set it; before, it is the RTC's
    clock.slew(us)                be right in a while: run faster or slower, by SLEW_PPM at most
    clock.step(us)                be right at once
    clock.set_rate(ppb)           how much too slowly the oscillator runs, in parts of 10^9

Law: between two steps time only grows, and a second takes 0.999 to 1.001 s.
Integers of more than 31 bits are objects on the heap, so nothing on the way of a packet asks.
Left out: leap seconds, which servers smear or repeat; time zones; writing the RTC.
"""

from micropython import const

MILLION = const(1_000_000)
BILLION = const(1_000_000_000)
SLEW_PPM = const(500)
RATE_PPB = const(500_000)  # no oscillator is that bad
WRAP = const(0x3FFFFFFF)
HALF = const(0x20000000)


class Uptime:
    """Microseconds since some start, for ever, of `uptime_ms()` and `ticks_us()` modulo 2^30."""

    def __init__(self, uptime_ms, ticks_us):
        self.uptime_ms = uptime_ms
        self.ticks_us = ticks_us
        self.bias = (ticks_us() - uptime_ms() * 1000) & WRAP

    def __call__(self):
        coarse = self.uptime_ms() * 1000
        fine = (self.ticks_us() - coarse - self.bias + HALF) & WRAP
        return coarse + fine - HALF


class Clock:
    """`uptime_us()`: runs evenly; `wall_us`: microseconds since 1970 at this moment."""

    def __init__(self, uptime_us, wall_us):
        self.uptime_us = uptime_us
        self.base = uptime_us()
        self.wall = wall_us  # at `base`
        self.rate = 0
        self.left = 0  # still to be slewed at `base`
        self.synchronised = False

    def slewed(self, elapsed):
        """How much of what is left is corrected after so many microseconds."""
        most = elapsed * SLEW_PPM // MILLION
        return max(min(self.left, most), -most)

    def now_us(self):
        elapsed = self.uptime_us() - self.base
        return self.wall + elapsed + elapsed * self.rate // BILLION + self.slewed(elapsed)

    def seconds(self):
        return self.now_us() // MILLION

    def settle(self):
        """Begin anew from now, as the clock shows it; returns what is left to be slewed."""
        now = self.uptime_us()
        elapsed = now - self.base
        slewed = self.slewed(elapsed)
        self.wall += elapsed + elapsed * self.rate // BILLION + slewed
        self.left -= slewed
        self.base = now
        return self.left

    def slew(self, us):
        """Be `us` later than now, in a while; what was left to be slewed is forgotten."""
        self.settle()
        self.left = us

    def step(self, us):
        self.settle()
        self.left = 0
        self.wall += us

    def set_rate(self, ppb):
        self.settle()
        self.rate = max(min(ppb, RATE_PPB), -RATE_PPB)


def clock_of(machine):
    """The clock of a machine, made for the first who asks."""
    if machine.clock is None:
        machine.clock = Clock(*sources())
    return machine.clock


try:
    import metal

    def sources():
        return Uptime(metal.uptime_ms, metal.ticks_us), metal.time() * MILLION

except ImportError:
    # A process on Linux: its clock is as good as what we could ask for.  Where the library's time
    # is ours (it asks this page), the interpreter's own has an underscore.
    try:
        from _time import time_ns
    except ImportError:
        from time import time_ns

    def sources():
        start = time_ns()

        def uptime_us():
            return (time_ns() - start) // 1000

        return uptime_us, start // 1000
