"""Table: which connection a segment belongs to, by a keyed hash of addresses and ports.

A connection has an index from 1 upwards; `connections[index]` is the object.  Hash chains and the
list of free indices are 16-bit links in one buffer, which doubles when it is full:

    word 0    number of places less one
    word 1    keys of the hash: two words
    word 3    first free index, 0: none
    word 4    connections
    then      heads of the chains, 2 bytes per place; links of the chains, 2 bytes per index

The key makes the chains of a stranger's choice of ports unpredictable.  `hash` reads a received
packet's head, or anything laid out like one.
Left out: shrinking.
"""

import micropython
from micropython import const

FIRST = const(16)  # places to begin with; a power of two
MOST = const(32768)  # indices have 16 bits

# Words of `state`.
_MASK = const(0)
_KEY = const(1)
_KEY_2 = const(2)
_FREE = const(3)
_COUNT = const(4)
_SCRATCH = const(5)
# The same in 16-bit units: where the heads begin.
HEADS = const(16)

# The packet's head (see net/packet.py).
TRANSPORT = const(4)
FLAGS = const(10)
SOURCE = const(16)
DESTINATION = const(32)
IP6 = const(0x20)
# The block (see block.py).
LOCAL = const(0)
REMOTE = const(4)
PORTS = const(8)
B_FLAGS = const(11)
IS_IP6 = const(0x1)
_OVER = const(49)  # the byte of EVENTS with that bit
_QUEUED = const(23)  # of a block
_FEW = const(128)


class Table:
    """`key`: 8 bytes that nobody can guess.  `most`: connections."""

    def __init__(self, key, most):
        self.most = min(most, MOST)
        self.connections = [None]
        self.state = None
        # Methods as slots: a call from viper finds them at once.
        self.hash = self.hash
        self.hash_of = self.hash_of
        self.take = self.take
        self.next_free = self.next_free
        self.free = self.free
        self.insert = self.insert
        self.remove = self.remove
        self.release = self.release
        self.grow(FIRST, key)

    def grow(self, places, key):
        """Make a table of `places`, and put every connection there is into it."""
        old = self.connections
        connections = old + [None] * (places + 1 - len(old))
        state = bytearray(2 * HEADS + 4 * places + 2)
        state[0:4] = (places - 1).to_bytes(4, "little")
        state[4:12] = key
        if self.state is not None:
            state[16:20] = self.state[16:20]
        self.state = state
        self.connections = connections
        for index in range(places, 0, -1):
            if index >= len(old) or old[index] is None:
                self.free(index)
        for index, connection in enumerate(old):
            if connection is not None and not connection.block[_OVER] & 2:
                self.insert(index, connection.block)

    @property
    def count(self):
        return self.state[16] | self.state[17] << 8

    @micropython.viper
    def hash(self, packet) -> int:
        """15 bits; tables take the lower ones."""
        head = ptr16(packet.buffer)
        words = ptr32(head)
        state = ptr32(self.state)
        state[_SCRATCH] = words[SOURCE >> 2]
        if head[FLAGS >> 1] & IP6:
            state[_SCRATCH] = (words[SOURCE >> 2] ^ words[(SOURCE >> 2) + 1]) * 5
            state[_SCRATCH] = state[_SCRATCH] ^ words[(SOURCE >> 2) + 2]
            state[_SCRATCH] = state[_SCRATCH] * 9 + words[(SOURCE >> 2) + 3]
        state[_SCRATCH] = (state[_SCRATCH] ^ state[_KEY]) * (state[_KEY_2] | 1)
        ports = words[int(head[TRANSPORT >> 1]) >> 2]
        state[_SCRATCH] = (state[_SCRATCH] ^ (state[_SCRATCH] >> 15) ^ ports) * 0x2C1B3C6D
        state[_SCRATCH] = (state[_SCRATCH] ^ (state[_SCRATCH] >> 13)) * 0x297A2D39
        return (state[_SCRATCH] >> 12) & 0x7FFF

    @micropython.viper
    def hash_of(self, block_: object) -> int:
        """The same of a connection's block."""
        block = ptr32(block_)
        state = ptr32(self.state)
        state[_SCRATCH] = block[REMOTE]
        if block[B_FLAGS] & IS_IP6:
            state[_SCRATCH] = (block[REMOTE] ^ block[REMOTE + 1]) * 5
            state[_SCRATCH] = state[_SCRATCH] ^ block[REMOTE + 2]
            state[_SCRATCH] = state[_SCRATCH] * 9 + block[REMOTE + 3]
        state[_SCRATCH] = (state[_SCRATCH] ^ state[_KEY]) * (state[_KEY_2] | 1)
        ports = block[PORTS]
        state[_SCRATCH] = (state[_SCRATCH] ^ (state[_SCRATCH] >> 15) ^ ports) * 0x2C1B3C6D
        state[_SCRATCH] = (state[_SCRATCH] ^ (state[_SCRATCH] >> 13)) * 0x297A2D39
        return (state[_SCRATCH] >> 12) & 0x7FFF

    @micropython.viper
    def find(self, packet) -> int:
        """The index of the connection that a segment belongs to, or 0."""
        head = ptr16(packet.buffer)
        words = ptr32(head)
        state = ptr16(self.state)
        place = int(self.hash(packet)) & ptr32(state)[_MASK]
        connections = self.connections
        ports = words[int(head[TRANSPORT >> 1]) >> 2]
        six = int(head[FLAGS >> 1]) & IP6
        links = HEADS + ptr32(state)[_MASK] + 1
        index = int(state[HEADS + place])
        while index:
            block = ptr32(connections[index].block)
            if (
                block[PORTS] == ports
                and block[REMOTE] == words[SOURCE >> 2]
                and block[LOCAL] == words[DESTINATION >> 2]
                and (block[B_FLAGS] ^ (six >> 5)) & IS_IP6 == 0
            ):
                if six == 0:
                    return index
                i = 1
                while i < 4:
                    if block[REMOTE + i] != words[(SOURCE >> 2) + i]:
                        break
                    if block[LOCAL + i] != words[(DESTINATION >> 2) + i]:
                        break
                    i += 1
                if i == 4:
                    return index
            index = int(state[links + index])
        return 0

    @micropython.viper
    def take(self, connection) -> int:
        """An index for a connection, whose block says who it is, or 0: there is none free."""
        index = int(self.next_free())
        if index:
            connections = self.connections
            connections[index] = connection
            self.insert(index, connection.block)
        return index

    def full(self):
        """There cannot be more connections than there are."""
        return len(self.connections) > MOST or self.count >= self.most

    def double(self):
        """Make room for twice as many."""
        self.grow(2 * len(self.connections) - 2, bytes(self.state[4:12]))

    @micropython.viper
    def next_free(self) -> int:
        state = ptr16(self.state)
        words = ptr32(state)
        index = words[_FREE]
        if words[_COUNT] >= int(self.most):
            return 0
        if index:
            words[_FREE] = int(state[HEADS + words[_MASK] + 1 + index])
            words[_COUNT] += 1
        return index

    @micropython.viper
    def free(self, index: int):
        """Give an index back; it is in no chain any more."""
        state = ptr16(self.state)
        words = ptr32(state)
        state[HEADS + words[_MASK] + 1 + index] = words[_FREE]
        words[_FREE] = index

    @micropython.viper
    def insert(self, index: int, block):
        """Let segments find the connection."""
        state = ptr16(self.state)
        place = int(self.hash_of(block)) & ptr32(state)[_MASK]
        links = HEADS + ptr32(state)[_MASK] + 1
        state[links + index] = state[HEADS + place]
        state[HEADS + place] = index

    @micropython.viper
    def remove(self, index: int, block):
        """No segment finds it any more."""
        state = ptr16(self.state)
        place = int(self.hash_of(block)) & ptr32(state)[_MASK]
        links = HEADS + ptr32(state)[_MASK] + 1
        before = HEADS + place
        while int(state[before]) != index:
            if state[before] == 0:
                return
            before = links + int(state[before])
        state[before] = state[links + index]

    @micropython.viper
    def quiet(self) -> int:
        """1: all that was written to connections is acknowledged; 0, too, where they are many."""
        connections = self.connections
        i = int(len(connections))  # noqa: RUF046 (viper)
        if i > _FEW:
            return 0
        while i:
            i -= 1
            connection = connections[i]
            if connection is not None and ptr32(connection.block)[_QUEUED] != 0:
                return 0
        return 1

    @micropython.viper
    def release(self, index: int):
        words = ptr32(self.state)
        words[_COUNT] -= 1
        connections = self.connections
        connections[index] = None
        self.free(index)
