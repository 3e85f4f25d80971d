"""Reassembly: a datagram that came in fragments rises once, when all of it is there.

RFC 791 section 3.2, RFC 8200 section 4.5; RFC 815 (the idea of holes; here a map with a byte for
every 8 bytes of data); RFC 1122 section 3.3.2 (time out, and say so); RFC 1858 and RFC 5722
(overlaps are attacks: a fragment that repeats another exactly is ignored, any other overlap costs
the whole datagram, the fragments still to come included).

This page is what both families have in common.  net/ip4/fragments.py and net/ip6/fragments.py read
the headers, and know these:

    name, data                of the counters; where in its buffer the data of a datagram begins
    lead(datagram, packet)    the first fragment: keep what the header of the whole needs of it
    whole(datagram, end)      write the header of the whole, which ends at `end`
    first(buffer)             fill in the head of what is left of a datagram, for `expired`

Bounded three ways (config.py): datagrams, bytes of each, time.  One more datagram than there is
room for takes the place of the oldest.
Above: the network layer's `receive` again, with a header that does not speak of fragments.
Sideways: `expired`.
"""

import micropython
from micropython import const

from net.config import REASSEMBLIES, REASSEMBLY_MS, REASSEMBLY_SIZE
from net.packet import Packet
from runtime.counters import Counters

END = const(8)
FLAGS = const(10)
REASSEMBLED = const(0x10)

COUNTS = ("reassembled", "fragments", "repeated")
DROPS = ("malformed", "too_long", "overlap", "expired", "evicted", "no_memory", "discarded")
_REASSEMBLED = const(0)
_FRAGMENTS = const(1)
_REPEATED = const(2)
_MALFORMED = const(3)
_TOO_LONG = const(4)
_OVERLAP = const(5)
_EXPIRED = const(6)
_EVICTED = const(7)
_NO_MEMORY = const(8)
_DISCARDED = const(9)

TURN = const(0x3FFFFFFF)


class Datagram:
    """One that is being put together, or nothing: `key` is None."""

    def __init__(self, size, data):
        self.packet = Packet(None, 0, memoryview(bytearray(data + size)), 0)
        self.map = bytearray(size >> 3)
        self.key = None
        self.begin(None, 0)

    def begin(self, key, now):
        self.key = key
        self.since = now
        self.total = -1  # bytes of data, known when the last fragment is here
        self.highest = 0  # end of the data that is here
        self.have = 0  # how many units of 8 bytes are here
        self.lead = 0  # bytes of data in the first fragment, when it is here
        self.flags = 0
        self.dead = False
        clear(self.map, len(self.map))


@micropython.viper
def clear(units: ptr8, count: int):
    i = 0
    while i < count:
        units[i] = 0
        i += 1


@micropython.viper
def mark(units: ptr8, first: int, last: int) -> int:
    """Mark the units as here; returns how many were already."""
    already = 0
    while first < last:
        already += units[first]
        units[first] = 1
        first += 1
    return already


class Reassembly:
    def __init__(self, timers, registry):
        self.count = registry.add(Counters(self.name, COUNTS, DROPS)).count
        self.timers = timers
        self.timer = timers.timer(self.sweep)
        self.size = REASSEMBLY_SIZE
        self.most = REASSEMBLIES
        self.datagrams = []  # as many as were ever needed at once
        self.deliver = None
        self.expired = None

    def add(self, packet, key, at, start, more):
        """A fragment: the bytes from `at` to the end of `packet` belong at `start` of a datagram.

        `key` tells datagrams apart.
        """
        buffer = packet.buffer
        length = packet.end - at
        end = start + length
        self.count(_FRAGMENTS)
        if length == 0 or (more and length & 7):
            self.count(_MALFORMED)
            return
        if end > self.size:
            self.count(_TOO_LONG)
            return
        datagram = self.find(key)
        if datagram is None:
            return
        if datagram.dead:
            self.count(_DISCARDED)
            return
        if not self.agrees(datagram, end, more):
            self.discard(datagram, _OVERLAP)
            return
        units = datagram.map
        first = start >> 3
        last = (end + 7) >> 3
        data = datagram.packet.buffer
        place = self.data + start
        already = mark(units, first, last)
        if already:
            same = already == last - first
            if same and data[place : place + length] == buffer[at : at + length]:
                self.count(_REPEATED)
            else:
                self.discard(datagram, _OVERLAP)
            return
        data[place : place + length] = buffer[at : at + length]
        datagram.have += last - first
        datagram.highest = max(datagram.highest, end)
        datagram.flags |= buffer[FLAGS]
        if not more:
            datagram.total = end
        if start == 0:
            datagram.lead = length
            self.lead(datagram, packet)
        if datagram.total >= 0 and datagram.have == (datagram.total + 7) >> 3:
            self.finish(datagram)

    def agrees(self, datagram, end, more):
        """Is there one end only, and nothing behind it?"""
        if more:
            return datagram.total < 0 or end < datagram.total
        if datagram.total >= 0:
            return end == datagram.total
        return datagram.highest <= end

    def find(self, key):
        """The datagram of this key, a new one, or None: there is no memory."""
        free = None
        oldest = None
        now = self.timers.now()
        for datagram in self.datagrams:
            if datagram.key == key:
                return datagram
            if datagram.key is None:
                free = datagram
            elif oldest is None or self.age(datagram, now) > self.age(oldest, now):
                oldest = datagram
        if free is None and len(self.datagrams) < self.most:
            try:
                free = Datagram(self.size, self.data)
                self.datagrams.append(free)
            except MemoryError:
                if oldest is None:
                    self.count(_NO_MEMORY)
                    return None
        if free is None:
            self.count(_EVICTED)
            free = oldest
        free.begin(key, now)
        if not self.timer.active:
            self.timer.start(REASSEMBLY_MS)
        return free

    def age(self, datagram, now):
        return (now - datagram.since) & TURN

    def discard(self, datagram, why):
        """Nothing of this datagram can be trusted; it keeps its place until its time is over."""
        datagram.dead = True
        self.count(why)

    def finish(self, datagram):
        """All is here: write a header for the whole and let it rise."""
        packet = datagram.packet
        data = packet.buffer
        end = self.data + datagram.total
        self.whole(datagram, end)
        data[END] = end & 0xFF
        data[END + 1] = end >> 8
        data[FLAGS] = datagram.flags | REASSEMBLED
        data[FLAGS + 1] = 0
        # The place stays taken during the call, as the callback may cause another datagram.
        self.count(_REASSEMBLED)
        self.deliver(packet)
        datagram.key = None

    def sweep(self):
        """Give up what is too old; come again for the next."""
        now = self.timers.now()
        wait = 0
        for datagram in self.datagrams:
            if datagram.key is None:
                continue
            left = REASSEMBLY_MS - self.age(datagram, now)
            if left > 0:
                wait = min(wait, left) if wait else left
                continue
            datagram.key = None
            if datagram.dead:
                continue
            self.count(_EXPIRED)
            if datagram.lead:
                # RFC 1122 3.3.2, RFC 8200 4.5: tell the sender, if the first fragment came.
                self.tell(datagram)
        if wait:
            self.timer.start(wait)

    def tell(self, datagram):
        data = datagram.packet.buffer
        end = self.data + datagram.lead  # behind it may lie what is left of another datagram
        data[END] = end & 0xFF
        data[END + 1] = end >> 8
        data[FLAGS] = datagram.flags
        self.first(data)
        self.expired(datagram.packet)
