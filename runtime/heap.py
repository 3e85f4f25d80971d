"""When to collect garbage: while the machine has nothing else to do, and only if it is worth it.

A collection costs in proportion to what is live, and gains what was allocated since the last one.
So it is worth it once as much was allocated as half of what is live.  The steady state of the
network allocates nothing: then this never collects.
"""

import gc

import metal
from micropython import const

LEAST = const(32768)  # bytes: below that the heap has room enough


def tidy():
    """Called by the loop before it sleeps, now and then."""
    if metal.allocated() >= max(LEAST, metal.live() >> 1):
        gc.collect()
