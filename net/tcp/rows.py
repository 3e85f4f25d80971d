"""Rows: connections that need no more than a few words, in one buffer instead of objects.

A row begins with the first twelve words of a block (who, and flags); what follows belongs to the
owner (halfopen.py, timewait.py); the last two words are links:

    chain (2 bytes)   the next row in the chain of its hash
    hash (2 bytes)
    next (2 bytes)    in order of time, the oldest first
    before (2 bytes)

Rows are numbered from 1.  The buffer grows by doubling up to `most` rows.
Neighbours: table.py gives the hash, and does the same for whole connections.
"""

import micropython
from micropython import const

FEWEST = const(16)

# Words of `state`.
_COUNT = const(0)
_FIRST = const(1)
_LAST = const(2)
_FREE = const(3)

# The packet's head (see net/packet.py); the block (see block.py).
TRANSPORT = const(4)
FLAGS = const(10)
SOURCE = const(16)
DESTINATION = const(32)
IP6 = const(0x20)
LOCAL = const(0)
REMOTE = const(4)
PORTS = const(8)
B_FLAGS = const(11)
IS_IP6 = const(0x1)
IDENTITY = const(12)


class Rows:
    """`words`: of a row, links included.  `places`: chains, a power of two."""

    def __init__(self, words, most, places):
        self.words = words
        self.most = most
        self.places = places
        self.heads = bytearray(2 * places)
        self.state = bytearray(32)
        self.rows = bytearray(4)
        # Methods as slots: a call from viper finds them at once.
        self.find = self.find
        self.add = self.add
        self.take = self.take
        self.enter = self.enter
        self.append = self.append
        self.unlink = self.unlink
        self.remove = self.remove
        self.free = self.free
        self.identify = self.identify

    @property
    def count(self):
        return int.from_bytes(self.state[0:4], "little")

    def grow(self):
        """Twice the rows; False: there are enough, or there is no memory."""
        before = int.from_bytes(self.state[16:20], "little")
        if before >= self.most:
            return False
        after = min(max(2 * before, FEWEST), self.most)
        try:
            rows = bytearray(4 * self.words * (after + 1))
        except MemoryError:
            return False
        rows[: len(self.rows)] = self.rows
        self.rows = rows
        self.state[16:20] = after.to_bytes(4, "little")
        for row in range(after, before, -1):
            self.free(row)
        return True

    @micropython.viper
    def free(self, row: int):
        state = ptr32(self.state)
        words = int(self.words)
        ptr32(self.rows)[row * words] = state[_FREE]
        state[_FREE] = row

    @micropython.viper
    def find(self, packet, place: int) -> int:
        """The row that a segment belongs to, or 0."""
        state = ptr32(self.state)
        if state[_COUNT] == 0:
            return 0
        head = ptr16(packet.buffer)
        words = ptr32(head)
        rows = ptr32(self.rows)
        halves = ptr16(rows)
        size = int(self.words)
        ports = words[int(head[TRANSPORT >> 1]) >> 2]
        six = int(head[FLAGS >> 1]) & IP6
        row = int(ptr16(self.heads)[place & (int(self.places) - 1)])
        while row:
            at = row * size
            if (
                rows[at + PORTS] == ports
                and rows[at + REMOTE] == words[SOURCE >> 2]
                and rows[at + LOCAL] == words[DESTINATION >> 2]
                and (rows[at + B_FLAGS] ^ (six >> 5)) & IS_IP6 == 0
            ):
                i = 1
                if six:
                    while i < 4:
                        if (
                            rows[at + REMOTE + i] != words[(SOURCE >> 2) + i]
                            or rows[at + LOCAL + i] != words[(DESTINATION >> 2) + i]
                        ):
                            i = 8
                        i += 1
                if i < 8:
                    return row
            row = int(halves[(at + size) * 2 - 4])
        return 0

    @micropython.viper
    def add(self, block, place: int) -> int:
        """A new row with the identity of a block, the youngest; 0: there is no room."""
        row = int(self.take())
        if row == 0:
            if not self.grow():
                return 0
            row = int(self.take())
        self.enter(row, block, place)
        return row

    @micropython.viper
    def take(self) -> int:
        state = ptr32(self.state)
        row = state[_FREE]
        if row:
            state[_FREE] = ptr32(self.rows)[row * int(self.words)]
        return row

    @micropython.viper
    def enter(self, row: int, block_, place: int):
        block = ptr32(block_)
        state = ptr32(self.state)
        rows = ptr32(self.rows)
        halves = ptr16(rows)
        heads = ptr16(self.heads)
        size = int(self.words)
        at = row * size
        i = 0
        while i < IDENTITY:
            rows[at + i] = block[i]
            i += 1
        place &= int(self.places) - 1
        links = (at + size) * 2 - 4
        halves[links] = heads[place]
        halves[links + 1] = place
        heads[place] = row
        state[_COUNT] += 1
        self.append(row)

    @micropython.viper
    def append(self, row: int):
        """The youngest of all."""
        state = ptr32(self.state)
        halves = ptr16(self.rows)
        size = int(self.words)
        links = (row * size + size) * 2 - 4
        last = state[_LAST]
        halves[links + 2] = 0
        halves[links + 3] = last
        if last:
            halves[(last * size + size) * 2 - 2] = row
        else:
            state[_FIRST] = row
        state[_LAST] = row

    @micropython.viper
    def unlink(self, row: int):
        state = ptr32(self.state)
        halves = ptr16(self.rows)
        size = int(self.words)
        links = (row * size + size) * 2 - 4
        after = int(halves[links + 2])
        before = int(halves[links + 3])
        if before:
            halves[(before * size + size) * 2 - 2] = after
        else:
            state[_FIRST] = after
        if after:
            halves[(after * size + size) * 2 - 1] = before
        else:
            state[_LAST] = before

    @micropython.viper
    def remove(self, row: int):
        self.unlink(row)
        state = ptr32(self.state)
        halves = ptr16(self.rows)
        heads = ptr16(self.heads)
        size = int(self.words)
        links = (row * size + size) * 2 - 4
        place = int(halves[links + 1])
        other = int(heads[place])
        if other == row:
            heads[place] = halves[links]
        else:
            while True:
                there = (other * size + size) * 2 - 4
                other = int(halves[there])
                if other == row:
                    halves[there] = halves[links]
                    break
        state[_COUNT] -= 1
        self.free(row)

    @micropython.viper
    def first(self) -> int:
        """The oldest row, or 0."""
        return ptr32(self.state)[_FIRST]

    @micropython.viper
    def after(self, row: int) -> int:
        size = int(self.words)
        return int(ptr16(self.rows)[(row * size + size) * 2 - 2])

    @micropython.viper
    def identify(self, row: int, block_):
        """Copy the identity of a row into a block."""
        block = ptr32(block_)
        rows = ptr32(self.rows)
        at = row * int(self.words)
        i = 0
        while i < IDENTITY:
            block[i] = rows[at + i]
            i += 1
