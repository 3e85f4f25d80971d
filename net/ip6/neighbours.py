"""The neighbour cache: from IPv6 addresses to Ethernet addresses, and whether they still answer.

RFC 4861 sections 5.1 and 7.3 (the states are its states); RFC 7048 (who does not answer is asked on
and on before it is forgotten); RFC 6583 (a cache that a flood cannot fill).

The table has a row of 40 bytes for each neighbour; the link header in it is ready to be copied.

     0               16      17      18      19      20              24
     +---------------+-------+-------+-------+-------+---------------+
     |    address    | state | tries |router |  used |   deadline    |
     +---------------+-------+-------+-------+-------+---------------+
    24  link header, 14 bytes

     state        means                                     at its deadline
     FREE         nothing
     INCOMPLETE   asked, not answered; holds one packet     ask again, at last FAILED
     REACHABLE    it answered lately                        STALE
     STALE        it did once; the next packet asks         (none: it may stay so for ever)
     DELAY        a packet went; maybe it answers           PROBE
     PROBE        asked by unicast                          ask again, at last UNREACHABLE
     UNREACHABLE  asked by multicast, ever more seldom      ask again if used, else FREE
     FAILED       nobody answers; packets are dropped       FREE

Paths take the header out once (see header.py); whenever a row leaves REACHABLE they have to come
again, so that the cache sees who is in use: `changed`.  So a stale neighbour costs no timer, and an
idle machine sleeps.

Law: only what we asked for, what asks for us and advertisements of routers make rows.  Rows in use
and rows of routers stay when a flood comes.  One packet waits per neighbour, the latest.
Above: header.find_path, by `resolve`.  Below: `solicit` (discovery.py).  Sideways: `changed`
(paths), `lost` (redirects), `no_router` (routes), `undeliverable` (icmp6).
"""

import micropython
from micropython import const

from net.config import NEIGHBOURS6, WAITING6
from runtime.counters import Counters

FREE = const(0)
INCOMPLETE = const(1)
REACHABLE = const(2)
STALE = const(3)
DELAY = const(4)
PROBE = const(5)
UNREACHABLE = const(6)
FAILED = const(7)

ROW = const(40)
ADDRESS = const(0)
STATE = const(16)
TRIES = const(17)
ROUTER = const(18)
USED = const(19)
DEADLINE = const(20)
HEADER = const(24)
WAYS = const(8)

# RFC 4861 section 10.
REACHABLE_MS = const(30_000)
RETRANS_MS = const(1_000)
DELAY_MS = const(5_000)
MULTICAST_TRIES = const(3)
UNICAST_TRIES = const(3)
HOLD_MS = const(3_000)
LONGEST_RETRY_MS = const(60_000)  # RFC 7048 section 3

# How much would be lost with a row in a state (by number); up to 2 it may go for anybody's sake.
WORTH = b"\x00\x03\x05\x02\x04\x04\x02\x01"

TURN = const(0x3FFFFFFF)
HALF = const(0x20000000)
NOBODY = bytes(16)

COUNTS = ("solicited", "confirmed", "learned")
DROPS = ("unresolved", "superseded", "crowded", "full")
_SOLICITED = const(0)
_CONFIRMED = const(1)
_LEARNED = const(2)
_UNRESOLVED = const(3)
_SUPERSEDED = const(4)
_CROWDED = const(5)
_FULL = const(6)

LINK = const(0)
SOURCE = const(16)
NEXT_HOP = const(48)
OUT_FRAME6 = const(146)


class Neighbours:
    def __init__(self, mac, timers, random, registry):
        self.mac = bytes(mac)
        self.rows = NEIGHBOURS6
        self.table = bytearray(NEIGHBOURS6 * ROW)
        self.last = bytearray([NEIGHBOURS6 - 1])
        self.queue = [None] * NEIGHBOURS6
        self.waiting = 0  # packets in it
        self.unsure = 0  # rows in DELAY, PROBE or UNREACHABLE, that traffic above could confirm
        self.count = registry.add(Counters("neighbours", COUNTS, DROPS)).count
        self.timers = timers
        self.random = random
        self.timer = timers.timer(self.sweep)
        self.reachable_ms = REACHABLE_MS
        self.retrans_ms = RETRANS_MS
        # Slots: solicit(target, destination or None, source) -> bool, out; sideways.
        self.solicit = None
        self.transmit = None
        self.changed = self.ignore
        self.lost = self.ignore
        self.no_router = self.ignore
        self.undeliverable = self.ignore

    def ignore(self, about):
        pass

    # From above: who is the next hop?

    @micropython.viper
    def resolve(self, packet) -> bool:
        """Write the link header for NEXT_HOP and return True, or keep the packet: False."""
        head = ptr16(packet.buffer)
        words = ptr32(head)
        h0 = words[NEXT_HOP >> 2]
        h1 = words[(NEXT_HOP >> 2) + 1]
        h2 = words[(NEXT_HOP >> 2) + 2]
        h3 = words[(NEXT_HOP >> 2) + 3]
        last_byte = ptr8(head)[NEXT_HOP + 15]
        table = ptr32(self.table)
        mask = ptr8(self.last)[0]
        way = 0
        while way < WAYS:
            row = ((last_byte + way) & mask) * ROW
            at = row >> 2
            if (
                table[at + 3] == h3
                and table[at + 2] == h2
                and table[at + 1] == h1
                and table[at] == h0
                and ptr8(table)[row + STATE] == REACHABLE
            ):
                header = ptr16(table)
                row = (row + HEADER) >> 1
                i = 0
                while i < 7:
                    head[(OUT_FRAME6 >> 1) + i] = header[row + i]
                    i += 1
                head[LINK >> 1] = OUT_FRAME6
                return True
            way += 1
        return bool(self.unsettled(packet))

    def unsettled(self, packet):
        """A group, or a neighbour that is not simply reachable."""
        buffer = packet.buffer
        hop = bytes(buffer[NEXT_HOP : NEXT_HOP + 16])
        if hop[0] == 0xFF:
            self.push(packet, b"\x33\x33" + hop[12:])  # RFC 2464 section 7
            return True
        row = self.find(hop)
        if row < 0:
            row = self.take(hop, True)
            self.table[row + TRIES] = 0
            self.enter(row, INCOMPLETE)
            self.wait(row, self.ask(row, packet))
        table = self.table
        state = table[row + STATE]
        if state == STALE:
            # RFC 4861 7.3.3: the packet goes, and perhaps something above confirms it in time.
            self.enter(row, DELAY)
            self.wait(row, DELAY_MS)
        table[row + USED] = 1
        if state not in (INCOMPLETE, FAILED):
            self.push(packet, table[row + HEADER : row + HEADER + 6])
            return True
        index = row // ROW
        if state == FAILED:
            self.count(_UNRESOLVED)
            packet.release()
        else:
            if self.queue[index]:
                self.drop(index, _SUPERSEDED)
            if self.waiting == WAITING6:
                self.count(_CROWDED)
                packet.release()
            else:
                self.queue[index] = packet
                self.waiting += 1
        return False

    def push(self, packet, destination):
        """Write the link header."""
        buffer = packet.buffer
        buffer[OUT_FRAME6 : OUT_FRAME6 + 14] = destination + self.mac + b"\x86\xdd"
        buffer[LINK] = OUT_FRAME6
        buffer[LINK + 1] = 0

    def is_silent(self, hop):
        """Was it asked in vain?  (Whom we never asked is not silent.)"""
        row = self.find(hop)
        return row >= 0 and self.table[row + STATE] in (UNREACHABLE, FAILED)

    # What is heard.

    def advertised(self, address, mac, solicited, override, router):
        """A neighbour advertisement: RFC 4861 section 7.2.5.  `mac` may be None."""
        row = self.find(address)
        if row < 0:
            return  # nobody asked
        table = self.table
        state = table[row + STATE]
        header = row + HEADER
        if state in (INCOMPLETE, FAILED):
            if mac:
                self.write(row, mac)
                self.settle(row, REACHABLE if solicited else STALE)
                table[row + ROUTER] = router
            return
        differs = mac is not None and table[header : header + 6] != mac
        if differs and not override:
            if state == REACHABLE:
                self.settle(row, STALE)
            return
        if differs:
            self.write(row, mac)
        if solicited:
            self.settle(row, REACHABLE)
        elif differs:
            self.settle(row, STALE)
        if table[row + ROUTER] and not router:
            # RFC 4861 7.2.5: it is no router any more.
            table[row + ROUTER] = 0
            self.no_router(bytes(address))
        elif router:
            table[row + ROUTER] = 1

    def heard(self, address, mac, router=None):
        """The sender of a solicitation, an advertisement of a router or a redirect says its mac."""
        row = self.find(address)
        table = self.table
        if row < 0:
            row = self.take(address, bool(router))
            if row < 0:
                self.count(_FULL)
                return
            self.write(row, mac)
            self.settle(row, STALE)
        elif (
            table[row + STATE] in (INCOMPLETE, FAILED)
            or table[row + HEADER : row + HEADER + 6] != mac
        ):
            self.write(row, mac)
            self.settle(row, STALE)
        if router is not None:
            table[row + ROUTER] = router

    def confirm(self, address):
        """Something above has heard that what we sent through this neighbour arrived."""
        row = self.find(address)
        if row >= 0 and self.table[row + STATE] in (STALE, DELAY, PROBE, UNREACHABLE):
            self.count(_CONFIRMED)
            self.settle(row, REACHABLE)

    # The table.

    @micropython.viper
    def find(self, address) -> int:
        """The offset of the row of an address, or -1."""
        wanted = ptr32(address)
        last_byte = ptr8(wanted)[15]
        table = ptr32(self.table)
        mask = ptr8(self.last)[0]
        way = 0
        while way < WAYS:
            row = ((last_byte + way) & mask) * ROW
            at = row >> 2
            if (
                table[at + 3] == wanted[3]
                and table[at + 2] == wanted[2]
                and table[at + 1] == wanted[1]
                and table[at] == wanted[0]
                and ptr8(table)[row + STATE] != FREE
            ):
                return row
            way += 1
        return -1

    def take(self, address, force):
        """A row for a new address: a free one, or the least useful; -1 without `force` if that is
        one in use or one that is being asked for."""
        table = self.table
        best = -1
        least = 99
        for way in range(WAYS):
            row = ((address[15] + way) & (self.rows - 1)) * ROW
            state = table[row + STATE]
            value = WORTH[state]
            if table[row + ROUTER]:
                value += 5
            if value < least:
                least = value
                best = row
        if least > 2 and not force:
            return -1
        self.forget(best)
        table[best : best + 16] = address
        return best

    def forget(self, row):
        """Make a row free."""
        table = self.table
        index = row // ROW
        if self.queue[index]:
            self.drop(index, _UNRESOLVED)
        if table[row + STATE] not in (FREE, INCOMPLETE, FAILED):
            self.changed(table[row : row + 16])
        self.enter(row, FREE)
        table[row : row + 16] = NOBODY
        table[row + ROUTER] = 0

    def drop(self, index, why):
        packet = self.queue[index]
        self.queue[index] = None
        self.waiting -= 1
        self.count(why)
        if why == _UNRESOLVED:
            # RFC 4861 7.2.2: its sender is told that the address is unreachable.
            self.undeliverable(packet)
        packet.release()

    def enter(self, row, state):
        """Change the state of a row; `unsure` counts along."""
        table = self.table
        self.unsure += (DELAY <= state <= UNREACHABLE) - (
            DELAY <= table[row + STATE] <= UNREACHABLE
        )
        table[row + STATE] = state

    def write(self, row, mac):
        header = row + HEADER
        self.table[header : header + 14] = bytes(mac) + self.mac + b"\x86\xdd"
        self.count(_LEARNED)

    def settle(self, row, state):
        """REACHABLE or STALE from now on; the packet that waits for it may go."""
        table = self.table
        if table[row + STATE] not in (INCOMPLETE, FREE, FAILED):
            self.changed(table[row : row + 16])
        self.enter(row, state)
        table[row + TRIES] = 0
        if state == REACHABLE:
            # RFC 4861 6.3.2: half of it to one and a half.
            self.wait(row, (self.reachable_ms >> 1) + self.random_below(self.reachable_ms))
        index = row // ROW
        packet = self.queue[index]
        if packet:
            self.queue[index] = None
            self.waiting -= 1
            if state == STALE:
                self.enter(row, DELAY)
                self.wait(row, DELAY_MS)
            self.push(packet, table[row + HEADER : row + HEADER + 6])
            self.transmit(packet)

    def random_below(self, limit):
        return self.random.bits(16) * (limit >> 8) >> 8

    # Time.

    def wait(self, row, ms):
        """Look at this row again after so long."""
        deadline = (self.timers.now() + ms) & TURN
        table = self.table
        for i in range(4):
            table[row + DEADLINE + i] = deadline >> 8 * i & 0xFF
        timer = self.timer
        if not timer.active or (timer.deadline - deadline) & TURN < HALF:
            timer.start(ms)

    def sweep(self):
        """Do what is due; wake up again for the next deadline, if there is one."""
        table = self.table
        now = self.timers.now()
        nearest = -1
        for row in range(0, self.rows * ROW, ROW):
            if table[row + STATE] in (FREE, STALE):
                continue
            deadline = int.from_bytes(table[row + DEADLINE : row + DEADLINE + 4], "little")
            left = ((deadline - now + HALF) & TURN) - HALF
            if left <= 0:
                left = self.due(row)
                if left:
                    self.wait(row, left)
            if left > 0 and (nearest < 0 or left < nearest):
                nearest = left
        if nearest >= 0:
            self.timer.start(nearest)

    def due(self, row):
        """The deadline of a row has come.  Returns the time to its next one, or 0."""
        table = self.table
        state = table[row + STATE]
        address = bytes(table[row : row + 16])
        if state == REACHABLE:
            self.enter(row, STALE)
            self.changed(address)
            return 0
        if state == FAILED:
            self.forget(row)
            return 0
        if state == DELAY:
            self.enter(row, PROBE)
            table[row + TRIES] = 0
        elif state == INCOMPLETE and table[row + TRIES] >= MULTICAST_TRIES:
            # Nobody there.  For a while do not even ask.
            self.enter(row, FAILED)
            index = row // ROW
            if self.queue[index]:
                self.drop(index, _UNRESOLVED)
            self.lost(address)
            return HOLD_MS
        elif state == PROBE and table[row + TRIES] >= UNICAST_TRIES:
            # RFC 7048: go on sending to it, ask everybody, and let another router be chosen.
            self.enter(row, UNREACHABLE)
            table[row + TRIES] = 0
            table[row + USED] = 0
            self.changed(address)
            self.lost(address)
        elif state == UNREACHABLE:
            if not table[row + USED] and not table[row + ROUTER]:
                self.forget(row)
                return 0
            table[row + USED] = 0
            self.changed(address)
        return self.ask(row, self.queue[row // ROW])

    def ask(self, row, packet):
        """Send a solicitation, from where `packet` comes from, if any waits.

        Returns the time until the next.
        """
        table = self.table
        state = table[row + STATE]
        mac = bytes(table[row + HEADER : row + HEADER + 6]) if state == PROBE else None
        source = bytes(packet.buffer[SOURCE : SOURCE + 16]) if packet else None
        if not self.solicit(bytes(table[row : row + 16]), mac, source):
            return self.retrans_ms >> 2  # no address to ask from, yet
        self.count(_SOLICITED)
        tries = table[row + TRIES]
        if tries < 255:
            table[row + TRIES] = tries + 1
        if state != UNREACHABLE:
            return self.retrans_ms
        return min(self.retrans_ms * 3 ** min(tries, 6), LONGEST_RETRY_MS)

    def clear(self):
        """Forget everybody: another link."""
        for row in range(0, self.rows * ROW, ROW):
            if self.table[row + STATE] != FREE:
                self.forget(row)
        self.timer.stop()
