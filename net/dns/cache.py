"""What name servers have said, for as long as they said it holds; bounded in entries and in bytes.

An entry is the answer to a name and a type; type 0 stands for all types of a name that does not
exist (RFC 2308 section 5).  Where there is no room, what would end first goes first.

Law: no clock of its own; a time to live is at most a day, so that times modulo 2^30 ms compare.
Above: net/resolver.py, which sweeps when `first` says so.
"""

from micropython import const

from net.deadlines import HALF, TURN, due

OVERHEAD = const(128)  # bytes of an entry without its name and addresses
LONGEST_S = const(86_400)
EVERY_TYPE = const(0)


class Entry:
    def __init__(self, key, addresses, error, deadline):
        self.key = key
        self.addresses = addresses
        self.error = error
        self.deadline = deadline
        self.size = OVERHEAD + len(key[0]) + sum([len(address) for address in addresses])


class Cache:
    """`clock()`: milliseconds modulo 2^30; `entries`, `size`: the most of them, and of bytes."""

    def __init__(self, clock, entries, size):
        self.clock = clock
        self.most = entries
        self.room = size
        self.entries = {}
        self.used = 0

    def get(self, name, kind):
        """The Entry of a lower-case name and a type, or None."""
        now = self.clock()
        for key in ((name, kind), (name, EVERY_TYPE)):
            entry = self.entries.get(key)
            if entry and (now - entry.deadline) & TURN >= HALF:
                return entry
        return None

    def put(self, name, kind, addresses, error, seconds):
        """Keep an answer; one that would take more than a quarter of the room is not kept."""
        if seconds <= 0:
            return
        deadline = (self.clock() + 1000 * min(seconds, LONGEST_S)) & TURN
        entry = Entry((name, kind), addresses, error, deadline)
        if entry.size > self.room >> 2:
            return
        self.remove(entry.key)
        while len(self.entries) >= self.most or self.used + entry.size > self.room:
            self.remove(self.first().key)
        self.entries[entry.key] = entry
        self.used += entry.size

    def remove(self, key):
        entry = self.entries.pop(key, None)
        if entry:
            self.used -= entry.size

    def first(self):
        """The entry that ends first, or None."""
        first = None
        for entry in self.entries.values():
            if first is None or (first.deadline - entry.deadline) & TURN < HALF:
                first = entry
        return first

    def sweep(self):
        """Forget what is over; returns the milliseconds until there is something more, or -1."""
        now = self.clock()
        for entry in due(self.entries.values(), now):
            self.remove(entry.key)
        entry = self.first()
        return (entry.deadline - now) & TURN if entry else -1

    def clear(self):
        self.entries = {}
        self.used = 0
