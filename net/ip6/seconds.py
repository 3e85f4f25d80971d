"""Seconds since the start: lifetimes are longer than a turn of the millisecond clock (12 days).

seconds.now()           has to be called once in six days while something depends on it
seconds.end(lifetime)   when a lifetime that begins now is over
seconds.wait(lifetime)  how long a timer should wait for that: a day at most, then ask again
FOREVER                 a lifetime that does not end: all ones on the wire, or over 34 years
"""

from micropython import const

FOREVER = const(0x3FFFFFFF)
TURN = const(0x3FFFFFFF)
DAY = const(86_400)


def lifetime(data):
    """Seconds from four bytes of a message."""
    if data[0] & 0xC0:
        return FOREVER
    return int.from_bytes(data, "big")


class Seconds:
    def __init__(self, timers):
        self.timers = timers
        self.last = timers.now()
        self.ms = 0
        self.seconds = 0

    def now(self):
        now = self.timers.now()
        passed = ((now - self.last) & TURN) + self.ms
        self.last = now
        self.seconds += passed // 1000
        self.ms = passed % 1000
        return self.seconds

    def away(self, seconds):
        """So many have passed that the clock has not counted."""
        self.seconds += seconds

    def end(self, lifetime):
        return min(self.now() + lifetime, FOREVER)

    def wait(self, lifetime):
        return lifetime * 1000 if lifetime < DAY else DAY * 1000
