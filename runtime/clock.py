"""The time of day: a clock that is set once and then steered, so that it never jumps back.

    clock = clock_of(machine)     the one of the machine (machine.clock), made at the first call
    clock.now_us(), .seconds()    microseconds and seconds since 1970, UTC
    clock.synchronised            whether somebody (net/ntp) has set it; before, it is the RTC's
    clock.slew(us)                be right in a while: run faster or slower, by SLEW_PPM at most
    clock.step(us)                be right at once
    clock.set_rate(ppb)           how much too slowly the oscillator runs, in parts of 10^9
    clock.jumps                   how often it has jumped, because the machine had stood still

Law: between two steps and jumps time only grows, and a second takes 0.999 to 1.001 s.
A machine that is paused, saved or moved does not count the time: `rtc()` tells, which is asked when
somebody asks the clock, and the clock jumps by as much.
Integers of more than 31 bits are objects on the heap, so nothing on the way of a packet asks.
Left out: leap seconds, which servers smear or repeat; time zones; writing the RTC.
"""

from micropython import const

MILLION = const(1_000_000)
BILLION = const(1_000_000_000)
SLEW_PPM = const(500)
JUMP_US = const(2_500_000)
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
    """`uptime_us()`: runs evenly; `wall_us`: microseconds since 1970 at this moment.

    `rtc()`: seconds since 1970 by a clock that goes on while the machine stands still, or None.
    """

    def __init__(self, uptime_us, wall_us, rtc=None):
        self.uptime_us = uptime_us
        self.base = uptime_us()
        self.wall = wall_us  # at `base`
        self.rate = 0
        self.left = 0  # still to be slewed at `base`
        self.synchronised = False
        self.jumps = 0
        self.rtc = rtc
        self.looked = self.base
        self.ahead = rtc() * MILLION - self.base if rtc else 0

    def slewed(self, elapsed):
        """How much of what is left is corrected after so many microseconds."""
        most = elapsed * SLEW_PPM // MILLION
        return max(min(self.left, most), -most)

    def look(self, now):
        """Has the RTC gone on without us?  It may drift, and counts seconds."""
        ahead = self.rtc() * MILLION - now
        if abs(ahead - self.ahead) > JUMP_US + (now - self.looked >> 10):
            self.wall += ahead - self.ahead
            self.jumps += 1
        self.ahead = ahead
        self.looked = now

    def now_us(self):
        now = self.uptime_us()
        if self.rtc and now - self.looked >= MILLION:
            self.look(now)
        elapsed = now - self.base
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
        return Uptime(metal.uptime_ms, metal.ticks_us), metal.time() * MILLION, metal.time

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
