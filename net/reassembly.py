"""Reassembly: a datagram that came in fragments rises once, when all of it is there.

RFC 791 section 3.2; RFC 815 (the idea of holes; here a map with a byte for every 8 bytes of data);
RFC 1122 section 3.3.2 (time out, and say so); RFC 1858 and RFC 5722 (overlaps are attacks: a
fragment that repeats another exactly is ignored, any other overlap costs the whole datagram, the
fragments still to come included).

Bounded three ways (config.py): datagrams, bytes of each, time.  One more datagram than there is
room for takes the place of the oldest.
Above: ip4.receive again, with a header that no longer speaks of fragments.  Sideways: `expired`.
"""

import micropython
from micropython import const

from net.checksum import partial
from net.config import REASSEMBLIES, REASSEMBLY_MS, REASSEMBLY_SIZE
from net.packet import Packet
from runtime.counters import Counters

# Of the IPv4 header.
LENGTH = const(2)
IDENTIFICATION = const(4)
FLAGS_OFFSET = const(6)
PROTO = const(9)
CHECKSUM = const(10)
FROM = const(12)
TO = const(16)
MORE_FRAGMENTS = const(0x20)
OFFSET = const(0x1F)

TRANSPORT = const(4)
END = const(8)
FLAGS = const(10)
HEAD = const(64)
REASSEMBLED = const(0x10)
DATAGRAM = const(96)
SIZE = const(20)
DATA = const(116)  # behind a header without options

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

    def __init__(self, size):
        self.packet = Packet(None, 0, memoryview(bytearray(DATA + size)), 0)
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
        self.count = registry.add(Counters("reassembly", COUNTS, DROPS)).count
        self.timers = timers
        self.timer = timers.timer(self.sweep)
        self.size = REASSEMBLY_SIZE
        self.most = REASSEMBLIES
        self.datagrams = []  # as many as were ever needed at once
        self.deliver = None
        self.expired = None

    def receive(self, packet):
        """A fragment; its header has been checked by ip4."""
        buffer = packet.buffer
        transport = buffer[TRANSPORT] | buffer[TRANSPORT + 1] << 8
        flags = buffer[DATAGRAM + FLAGS_OFFSET]
        more = flags & MORE_FRAGMENTS
        start = ((flags & OFFSET) << 8 | buffer[DATAGRAM + FLAGS_OFFSET + 1]) << 3
        length = packet.end - transport
        end = start + length
        self.count(_FRAGMENTS)
        if length == 0 or (more and length & 7):
            self.count(_MALFORMED)
            return
        if end > self.size:
            self.count(_TOO_LONG)
            return
        # RFC 791: source, destination, identification and protocol tell datagrams apart.
        key = (
            bytes(buffer[DATAGRAM + FROM : DATAGRAM + TO + 4])
            + bytes(buffer[DATAGRAM + IDENTIFICATION : DATAGRAM + IDENTIFICATION + 2])
            + bytes(buffer[DATAGRAM + PROTO : DATAGRAM + PROTO + 1])
        )
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
        already = mark(units, first, last)
        if already:
            same = already == last - first
            here = data[DATA + start : DATA + end]
            if same and here == buffer[transport : transport + length]:
                self.count(_REPEATED)
            else:
                self.discard(datagram, _OVERLAP)
            return
        data[DATA + start : DATA + end] = buffer[transport : transport + length]
        datagram.have += last - first
        datagram.highest = max(datagram.highest, end)
        datagram.flags |= buffer[FLAGS]
        if not more:
            datagram.total = end
        if start == 0:
            # The header of the first fragment is the datagram's (RFC 791), without its options.
            datagram.lead = length
            data[DATAGRAM:DATA] = buffer[DATAGRAM : DATAGRAM + SIZE]
            data[DATAGRAM] = 0x45
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
                free = Datagram(self.size)
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
        end = DATA + datagram.total
        length = end - DATAGRAM
        data[DATAGRAM + LENGTH] = length >> 8
        data[DATAGRAM + LENGTH + 1] = length & 0xFF
        data[DATAGRAM + FLAGS_OFFSET] = 0
        data[DATAGRAM + FLAGS_OFFSET + 1] = 0
        data[DATAGRAM + CHECKSUM] = 0
        data[DATAGRAM + CHECKSUM + 1] = 0
        total = partial(data, DATAGRAM, DATA, 0) ^ 0xFFFF
        data[DATAGRAM + CHECKSUM] = total & 0xFF
        data[DATAGRAM + CHECKSUM + 1] = total >> 8
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
                # RFC 1122 3.3.2: tell the sender, if the first fragment came.
                self.tell(datagram)
        if wait:
            self.timer.start(wait)

    def tell(self, datagram):
        data = datagram.packet.buffer
        end = DATA + datagram.lead  # behind it may lie what is left of another datagram
        data[END] = end & 0xFF
        data[END + 1] = end >> 8
        data[FLAGS] = datagram.flags
        data[16:20] = data[DATAGRAM + FROM : DATAGRAM + FROM + 4]
        data[32:36] = data[DATAGRAM + TO : DATAGRAM + TO + 4]
        self.expired(datagram.packet)
