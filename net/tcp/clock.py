"""Clock: whose deadline is next, for all connections with one timer of the machine.

A connection has several deadlines in its block, and one place here, by the earliest of them.  A
deadline that moves to a later time costs nothing: the old one comes, the connection is looked at,
and comes back with what is due next (most retransmission timers never fire).  The law is that of
runtime/timers.py; the heap is one of indices in a buffer, so that an idle connection costs 8 bytes.

    word 0    entries
    word 1    places
    then      keys, 4 bytes per index; the heap, 2 bytes per entry; where an index is, 2 bytes each

`due(index)` is called for every connection whose time has come.
"""

import micropython
from micropython import const

MASK = const(0x3FFFFFFF)
HALF = const(0x20000000)

_COUNT = const(0)
_PLACES = const(1)
_KEYS = const(2)


class Clock:
    def __init__(self, timers, places):
        self.timers = timers
        self.timer = timers.timer(self.run)
        self.due = None
        self.state = None
        self.arm = self.arm
        self.room(places)

    def room(self, places):
        """Indices up to `places` may be used."""
        old = self.state
        state = bytearray(8 * (places + 3))
        state[4:8] = places.to_bytes(4, "little")
        self.state = state
        if old:
            before = int.from_bytes(old[4:8], "little") + 1
            state[0:4] = old[0:4]
            for size, base in ((4, 0), (2, 4), (2, 6)):
                start, begin = 8 + base * before, 8 + base * (places + 1)
                state[begin : begin + size * before] = old[start : start + size * before]

    @micropython.viper
    def at(self, index: int, deadline: int):
        """Call due(index) at `deadline` or before."""
        words = ptr32(self.state)
        halves = ptr16(words)
        places = words[_PLACES] + 1
        where = 4 + 3 * places
        heap = 4 + 2 * places
        slot = int(halves[where + index])
        if slot:
            if (deadline - words[_KEYS + index]) & MASK < HALF:
                return
        else:
            slot = words[_COUNT] + 1
            words[_COUNT] = slot
        words[_KEYS + index] = deadline
        while slot > 1:
            above = int(halves[heap + (slot >> 1)])
            if (deadline - words[_KEYS + above]) & MASK < HALF:
                break
            halves[heap + slot] = above
            halves[where + above] = slot
            slot >>= 1
        halves[heap + slot] = index
        halves[where + index] = slot
        if slot == 1:
            self.arm()

    @micropython.viper
    def first(self) -> int:
        """The index whose deadline is next, or 0."""
        words = ptr32(self.state)
        if words[_COUNT] == 0:
            return 0
        return int(ptr16(words)[4 + 2 * (words[_PLACES] + 1) + 1])

    @micropython.viper
    def entries(self) -> int:
        return ptr32(self.state)[_COUNT]

    @micropython.viper
    def deadline(self, index: int) -> int:
        return ptr32(self.state)[_KEYS + index]

    def arm(self):
        """Have the machine's timer fire when the first deadline is there."""
        index = self.first()
        if index:
            left = (self.deadline(index) - self.timers.now()) & MASK
            self.timer.start(left if left < HALF else 0)

    def run(self):
        now = self.timers.now()
        # Each once: `due` has the time of the turn, which may have begun a moment before this one,
        # and what is not due for it comes back with a deadline that is past for us.
        left = self.entries()
        while left:
            left -= 1
            index = self.first()
            if not index or (now - self.deadline(index)) & MASK >= HALF:
                break
            self.remove_first()
            self.due(index)
        if self.first() and not self.timer.active:
            self.arm()

    @micropython.viper
    def remove_first(self):
        words = ptr32(self.state)
        halves = ptr16(words)
        places = words[_PLACES] + 1
        where = 4 + 3 * places
        heap = 4 + 2 * places
        count = words[_COUNT] - 1
        words[_COUNT] = count
        halves[where + int(halves[heap + 1])] = 0
        if count == 0:
            return
        index = int(halves[heap + count + 1])
        key = words[_KEYS + index]
        slot = 1
        while True:
            child = slot << 1
            if child > count:
                break
            below = int(halves[heap + child])
            if child < count:
                right = int(halves[heap + child + 1])
                if (words[_KEYS + right] - words[_KEYS + below]) & MASK >= HALF:
                    child += 1
                    below = right
            if (words[_KEYS + below] - key) & MASK < HALF:
                break
            halves[heap + slot] = below
            halves[where + below] = slot
            slot = child
        halves[heap + slot] = index
        halves[where + index] = slot
