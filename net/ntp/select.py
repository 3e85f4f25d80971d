"""Which of several servers are right, and what time it is then.

RFC 5905 section 10 (the best of the last samples of a server), section 11.2.1 (truechimers and
falsetickers: the smallest interval in which most servers agree), section 11.2.3 (the weighted
average).

A sample is kept against the time since start, which nothing steers: what our clock did meanwhile
does not matter to it.  All is in microseconds.

Law: pure.  Above: net/ntp.  Left out: the cluster algorithm; a preferred peer.
"""

from micropython import const

SAMPLES = const(8)
DRIFT_PPM = const(15)  # how much the dispersion of a sample grows
PRECISION_US = const(1_000)  # of our reading of the clock, generously
FARTHEST_US = const(1_500_000)  # MAXDIST
MILLION = const(1_000_000)


class Sample:
    """At `at` the server's time minus ours since start was `base`, give or take delay / 2."""

    def __init__(self, base, delay, at):
        self.base = base
        self.delay = delay
        self.at = at

    def distance(self, now):
        return (self.delay >> 1) + PRECISION_US + (now - self.at) * DRIFT_PPM // MILLION


class Filter:
    """The last samples of a server."""

    def __init__(self):
        self.samples = []

    def add(self, sample):
        self.samples.append(sample)
        if len(self.samples) > SAMPLES:
            self.samples.pop(0)

    def best(self, now):
        """The one with the least distance: what was delayed least was disturbed least."""
        best = None
        for sample in self.samples:
            if best is None or sample.distance(now) < best.distance(now):
                best = sample
        return best


def intersect(candidates):
    """Those of (offset, distance) that are right, if most agree; else none.

    Marzullo's algorithm as RFC 5905 has it: the smallest interval that contains points of more
    than half of the intervals; who has his middle in it is a truechimer.
    """
    count = len(candidates)
    edges = []
    for offset, distance in candidates:
        edges.append((offset - distance, -1))
        edges.append((offset, 0))
        edges.append((offset + distance, 1))
    edges.sort()
    allowed = 0
    while 2 * allowed < count:
        low = reach(edges, -1, count - allowed)
        high = reach(list(reversed(edges)), 1, count - allowed)
        if low is not None and high is not None and low <= high:
            inside = [one for one in candidates if low <= one[0] <= high]
            if count - len(inside) <= allowed:
                return inside
        allowed += 1
    return []


def reach(edges, opening, wanted):
    """The first edge at which `wanted` intervals are open."""
    open_now = 0
    for value, kind in edges:
        if kind == opening:
            open_now += 1
        elif kind == -opening:
            open_now -= 1
        if open_now >= wanted:
            return value
    return None


def combine(survivors):
    """The average of the offsets, weighted with the inverse of their distances."""
    total = weights = 0
    for offset, distance in survivors:
        weight = 1_000_000_000 // max(distance, 1) + 1
        total += weight * offset
        weights += weight
    return total // weights
