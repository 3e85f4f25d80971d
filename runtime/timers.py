"""Timers: callbacks at a time, without allocating when they are started, stopped or fire.

    t = timers.timer(callback)      once, at start-up
    t.start(250)                    in 250 ms; starting an active timer moves it
    t.stop()

Times are milliseconds modulo 2^30, as `time.ticks_ms` counts them; of two times the later one is
less than half a turn ahead.

The started timers form a binary heap by `key`.  A timer that is stopped, or started again for
later, stays where it is (most retransmission timers never fire): the heap puts it right when its
old time comes, which may wake the machine once for nothing.  So `start` is cheap in the common
case, and `first`, the deadline of the whole, changes only when the head changes.

Law: no clock of its own; the loop passes the time in.
"""

from micropython import const

MASK = const(0x3FFFFFFF)
HALF = const(0x20000000)
LONGEST = const(0x1FFFFFFF)  # six days; a longer wait is made of several


class Timer:
    def __init__(self, timers, callback):
        self.timers = timers
        self.callback = callback
        self.active = False
        self.deadline = 0  # when to call
        self.key = 0  # the time the heap sorts by, not later than the deadline
        self.slot = -1  # place in the heap, -1: not in it
        self.rest = 0  # what remains to be waited for after the deadline

    def start(self, ms):
        self.rest = 0
        if ms > LONGEST:
            self.rest = ms - LONGEST
            ms = LONGEST
        elif ms < 0:
            ms = 0
        timers = self.timers
        deadline = (timers.clock() + ms) & MASK
        self.deadline = deadline
        self.active = True
        if self.slot < 0:
            timers.insert(self)
        elif (deadline - self.key) & MASK >= HALF:
            self.key = deadline
            timers.up(self.slot)

    def stop(self):
        self.active = False


class Timers:
    """`clock()`: milliseconds modulo 2^30."""

    def __init__(self, clock):
        self.clock = clock
        self.heap = []  # room for every timer there is; the first `count` are in use
        self.count = 0
        self.first = -1  # when `run` has to be called next, -1: not at all

    def now(self):
        return self.clock()

    def timer(self, callback):
        self.heap.append(None)
        return Timer(self, callback)

    def next(self):
        """When `run` has to be called next, or -1."""
        return self.first

    def run(self, now):
        """Call whoever is due at `now`.  A timer started meanwhile waits for the next call."""
        due = self.count  # no more, so that start(0) in a callback does not hold us here
        while due and self.count:
            timer = self.heap[0]
            if (now - timer.key) & MASK >= HALF:
                break
            due -= 1
            if timer.active and timer.key != timer.deadline:
                # Started again meanwhile, for later.
                timer.key = timer.deadline
                self.down(0)
                continue
            self.remove(0)
            if timer.active:
                timer.active = False
                if timer.rest:
                    timer.start(timer.rest)
                else:
                    timer.callback()

    def drop(self, timer):
        """It is not needed any more, and its room is another's."""
        timer.active = False
        if timer.slot >= 0:
            self.remove(timer.slot)
        self.heap.pop()  # as long as the timers are many: the last place is free

    # The heap.

    def insert(self, timer):
        slot = self.count
        self.count = slot + 1
        self.heap[slot] = timer
        timer.key = timer.deadline
        timer.slot = slot
        self.up(slot)

    def remove(self, slot):
        heap = self.heap
        heap[slot].slot = -1
        last = self.count - 1
        self.count = last
        timer = heap[last]
        heap[last] = None
        if slot < last:
            heap[slot] = timer
            timer.slot = slot
            if slot:
                self.up(slot)
            self.down(timer.slot)
        elif slot == 0:
            self.first = -1

    def up(self, slot):
        """The timer in `slot` became earlier."""
        heap = self.heap
        timer = heap[slot]
        key = timer.key
        while slot:
            parent = (slot - 1) >> 1
            above = heap[parent]
            if (key - above.key) & MASK < HALF:
                break
            heap[slot] = above
            above.slot = slot
            slot = parent
        heap[slot] = timer
        timer.slot = slot
        self.first = heap[0].key

    def down(self, slot):
        """The timer in `slot` became later."""
        heap = self.heap
        count = self.count
        timer = heap[slot]
        key = timer.key
        while True:
            child = 2 * slot + 1
            if child >= count:
                break
            right = child + 1
            if right < count and (heap[right].key - heap[child].key) & MASK >= HALF:
                child = right
            below = heap[child]
            if (below.key - key) & MASK < HALF:
                break
            heap[slot] = below
            below.slot = slot
            slot = child
        heap[slot] = timer
        timer.slot = slot
        self.first = heap[0].key
