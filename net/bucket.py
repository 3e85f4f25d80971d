"""A bucket of tokens: so many a second, bursts of at most so many.  RFC 1812 4.3.2.8, 4443 2.4 (f).

bucket = Bucket(timers, 100, 20)
bucket.take() -> bool      False: not now
"""

from micropython import const

SECOND = const(1000)
TURN = const(0x3FFFFFFF)


class Bucket:
    def __init__(self, timers, rate, burst):
        self.timers = timers
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self.filled = timers.now()

    def take(self):
        now = self.timers.now()
        earned = min((now - self.filled) & TURN, SECOND) * self.rate // SECOND
        if earned:
            self.tokens = min(self.tokens + earned, self.burst)
            self.filled = now
        if not self.tokens:
            return False
        self.tokens -= 1
        return True
