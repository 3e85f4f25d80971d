"""ARP: from IPv4 addresses to Ethernet addresses.  RFC 826; RFC 1122 section 2.3.2; RFC 5227.

     0               2               4               6               8
     +---------------+---------------+-------+-------+---------------+
     |   hardware    |   protocol    | hlen  | plen  |   operation   |
     +---------------+---------------+-------+-------+---------------+
     |                sender hardware address        |    sender     :
     +---------------+---------------+---------------+---------------+
     : protocol (end)|                target hardware address        |
     +---------------+---------------+---------------+---------------+
     |    target protocol address    |
     +-------------------------------+

The table has a slot of 32 bytes for each neighbour; the link header in it is ready to be copied in
front of a packet.

     0               4       5       6       7       8
     +---------------+-------+-------+-------+-------+---------------+
     |    address    | state | tries | used  |       |   deadline    |
     +---------------+-------+-------+-------+-------+---------------+
    16  link header, 14 bytes

     state        means                                    at its deadline
     FREE         nothing
     INCOMPLETE   asked, not answered; packets wait        ask again, at last FAILED
     REACHABLE    answered                                 used meanwhile: PROBING, else FREE
     PROBING      as REACHABLE, asked again by unicast     ask again, at last FREE
     FAILED       nobody answers; packets are dropped      FREE

Law: only what we asked for or what asks for us makes an entry; everything else can at most update
one.  So many packets wait for neighbours as config.py says, whole datagrams in fragments among them
(RFC 1122 2.3.2.2: at least one); neighbours in use keep their rows, whoever else is asked for.
Above: ip4.resolve.  Below: nic.transmit; sideways: changed (ip4 forgets), conflict (dhcp).
Left out: proxy ARP, reverse ARP; entries never change because of traffic above (RFC 1122 2.3.2.1
names it as one of several ways).
"""

import micropython
from micropython import const

from net import ethernet
from net.config import NEIGHBOURS
from net.ip4.waiting import Waiting
from runtime.counters import Counters

HARDWARE = const(0)
PROTOCOL = const(2)
HLEN = const(4)
PLEN = const(5)
OPERATION = const(6)
SENDER_HARDWARE = const(8)
SENDER_PROTOCOL = const(14)
TARGET_HARDWARE = const(18)
TARGET_PROTOCOL = const(24)
SIZE = const(28)

REQUEST = const(1)
REPLY = const(2)
FIXED = b"\x00\x01\x08\x00\x06\x04\x00"  # Ethernet, IPv4, their lengths, first half of operation

FREE = const(0)
INCOMPLETE = const(1)
REACHABLE = const(2)
PROBING = const(3)
FAILED = const(4)

# A neighbour that was not used for a whole REACHABLE_MS is forgotten; one that was is asked again.
REACHABLE_MS = const(60_000)
RETRY_MS = const(1_000)  # RFC 1122 2.3.2.1: at most one request a second for an address
TRIES = const(3)
HOLD_MS = const(5_000)
ANNOUNCE_MS = const(2_000)  # RFC 5227 section 1.1
ANNOUNCEMENTS = const(2)
DEFEND_MS = const(10_000)

ROW = const(32)
ADDRESS = const(0)
STATE = const(4)
TRIED = const(5)
USED = const(6)
DEADLINE = const(8)
HEADER = const(16)
WAYS = const(8)  # the rows where an address may stand: its own and the next ones

TURN = const(0x3FFFFFFF)  # times are milliseconds modulo 2^30
HALF = const(0x20000000)

BROADCAST = b"\xff\xff\xff\xff\xff\xff"
NOBODY = b"\x00\x00\x00\x00"

COUNTS = ("requests", "replies", "answered", "learned", "announced")
DROPS = ("short", "malformed", "unresolved", "superseded", "crowded", "no_buffer", "conflict")
_REQUESTS = const(0)
_REPLIES = const(1)
_ANSWERED = const(2)
_LEARNED = const(3)
_ANNOUNCED = const(4)
_SHORT = const(5)
_MALFORMED = const(6)
_UNRESOLVED = const(7)
_SUPERSEDED = const(8)
_CROWDED = const(9)
_NO_BUFFER = const(10)
_CONFLICT = const(11)

LINK = const(0)
END = const(8)
DATAGRAM = const(96)
OUT_FRAME = const(166)
OUT_DATAGRAM = const(180)
NEXT_HOP = const(48)


class Arp:
    def __init__(self, mac, timers, registry):
        self.mac = bytes(mac)
        self.address = NOBODY
        self.rows = NEIGHBOURS
        self.table = bytearray(NEIGHBOURS * ROW)
        self.last = bytearray([NEIGHBOURS - 1])
        self.counters = registry.add(Counters("arp", COUNTS, DROPS))
        self.waiting = Waiting(4, self.counters.count, _SUPERSEDED, _CROWDED)
        self.timers = timers
        self.timer = timers.timer(self.sweep)
        self.announcer = timers.timer(self.announce_again)
        self.announcements = 0
        self.defended = None
        # Slots: out, and sideways.
        self.allocate = None
        self.transmit = None
        self.changed = self.ignore
        self.candidate = None  # an address that acd is asking about
        self.candidate_taken = self.ignore
        self.conflict = self.ignore

    def ignore(self, about):
        pass

    # From above: who is the next hop?

    @micropython.viper
    def resolve(self, packet) -> bool:
        """Write the link header for NEXT_HOP and return True, or keep the packet: False."""
        head = ptr16(packet.buffer)
        hop = ptr32(head)[NEXT_HOP >> 2]
        last_byte = ptr8(head)[NEXT_HOP + 3]
        table = ptr32(self.table)
        mask = ptr8(self.last)[0]
        way = 0
        while way < WAYS:
            row = ((last_byte + way) & mask) * ROW
            if table[row >> 2] == hop:
                state = ptr8(table)[row + STATE]
                if state == REACHABLE or state == PROBING:  # noqa: SIM109 (viper has no tuples)
                    ptr8(table)[row + USED] = 1
                    header = ptr16(table)
                    row = (row + HEADER) >> 1
                    i = 0
                    while i < 7:
                        head[(OUT_FRAME >> 1) + i] = header[row + i]
                        i += 1
                    head[LINK >> 1] = OUT_FRAME
                    return True
            way += 1
        return bool(self.unresolved(packet))

    def unresolved(self, packet):
        """No usable entry: a group needs none, for anybody else ask."""
        buffer = packet.buffer
        hop = bytes(buffer[NEXT_HOP : NEXT_HOP + 4])
        if hop[0] >= 224:
            if hop == b"\xff\xff\xff\xff":
                destination = BROADCAST
            else:
                # RFC 1112 section 6.4: the low 23 bits of the group.
                destination = bytes([1, 0, 0x5E, hop[1] & 0x7F, hop[2], hop[3]])
            self.push(packet, destination, ethernet.IP4)
            return True
        row = self.find(hop)
        if row < 0:
            row = self.take(hop, True)
            self.table[row + TRIED] = 0
            self.ask(row)
        elif self.table[row + STATE] == FAILED:
            self.counters.count(_UNRESOLVED)
            packet.release()
            return False
        self.waiting.add(packet)
        return False

    def push(self, packet, destination, protocol):
        """Write the link header."""
        buffer = packet.buffer
        buffer[OUT_FRAME : OUT_FRAME + 6] = destination
        buffer[OUT_FRAME + 6 : OUT_FRAME + 12] = self.mac
        buffer[OUT_FRAME + 12] = protocol >> 8
        buffer[OUT_FRAME + 13] = protocol & 0xFF
        buffer[LINK] = OUT_FRAME
        buffer[LINK + 1] = 0

    # The table.

    def find(self, address):
        """The offset of the row of an address, or -1."""
        table = self.table
        for way in range(WAYS):
            row = ((address[3] + way) & (self.rows - 1)) * ROW
            if table[row + STATE] != FREE and table[row : row + 4] == address:
                return row
        return -1

    def take(self, address, force):
        """A row for a new address: a free one, or the least useful; -1 without `force` if that is
        one in use or one that is being asked for."""
        table = self.table
        best = -1
        least = 5
        for way in range(WAYS):
            row = ((address[3] + way) & (self.rows - 1)) * ROW
            state = table[row + STATE]
            if state == FREE:
                value = 0
            elif state == FAILED:
                value = 1
            elif state == INCOMPLETE:
                value = 3
            else:
                value = 4 if table[row + USED] else 2
            if value < least:
                least = value
                best = row
        if least > 2 and not force:
            return -1
        self.forget(best)
        table[best : best + 4] = address
        return best

    def forget(self, row):
        """Make a row free."""
        table = self.table
        if table[row + STATE] == INCOMPLETE:
            self.waiting.drop(table[row : row + 4], _UNRESOLVED)
        if table[row + STATE] in (REACHABLE, PROBING):
            self.changed(table[row : row + 4])
        table[row + STATE] = FREE
        table[row : row + 4] = NOBODY

    def wait(self, row, ms):
        """Look at this row again after so long."""
        deadline = (self.timers.now() + ms) & TURN
        table = self.table
        for i in range(4):
            table[row + DEADLINE + i] = deadline >> 8 * i & 0xFF
        timer = self.timer
        if not timer.active or (timer.deadline - deadline) & TURN < HALF:
            timer.start(ms)

    def learn(self, row, mac):
        """A neighbour told us its address; the packet that waits for it may go."""
        table = self.table
        header = row + HEADER
        state = table[row + STATE]
        known = state in (REACHABLE, PROBING)
        if known and table[header : header + 6] != mac:
            self.changed(table[row : row + 4])
        table[header : header + 6] = mac
        table[header + 6 : header + 12] = self.mac
        table[header + 12] = ethernet.IP4 >> 8
        table[header + 13] = ethernet.IP4 & 0xFF
        table[row + STATE] = REACHABLE
        if not known:
            table[row + USED] = 0
        self.counters.count(_LEARNED)
        self.wait(row, REACHABLE_MS)
        if known:
            return
        for packet in self.waiting.take(bytes(table[row : row + 4])):
            table[row + USED] = 1
            self.push(packet, mac, ethernet.IP4)
            self.transmit(packet)

    def sweep(self):
        """Do what is due; wake up again for the next deadline, if there is one."""
        table = self.table
        now = self.timers.now()
        nearest = -1
        for row in range(0, self.rows * ROW, ROW):
            if table[row + STATE] == FREE:
                continue
            left = self.left(row, now)
            if left <= 0:
                left = self.due(row)
            if left > 0 and (nearest < 0 or left < nearest):
                nearest = left
        if nearest >= 0:
            self.timer.start(nearest)

    def left(self, row, now):
        table = self.table
        deadline = int.from_bytes(table[row + DEADLINE : row + DEADLINE + 4], "little")
        return ((deadline - now + HALF) & TURN) - HALF

    def due(self, row):
        """The deadline of a row has come.  Returns the time to its next one, or 0."""
        table = self.table
        state = table[row + STATE]
        if state == REACHABLE:
            if not table[row + USED]:
                self.forget(row)
                return 0
            # Paths take the header out of the table once; make them come again to be seen as used.
            self.changed(table[row : row + 4])
            table[row + STATE] = PROBING
            table[row + TRIED] = 0
            table[row + USED] = 0
        elif state == FAILED or (state == PROBING and table[row + TRIED] >= TRIES):
            self.forget(row)
            return 0
        elif state == INCOMPLETE and table[row + TRIED] >= TRIES:
            # Nobody there.  For a while do not even ask (RFC 1122 2.3.2.1: no flood of requests).
            self.waiting.drop(bytes(table[row : row + 4]), _UNRESOLVED)
            table[row + STATE] = FAILED
            self.wait(row, HOLD_MS)
            return HOLD_MS
        self.ask(row)
        return RETRY_MS

    def ask(self, row):
        """Send a request: to everybody, or to the neighbour that is only to be confirmed."""
        table = self.table
        if table[row + STATE] == PROBING:
            destination = table[row + HEADER : row + HEADER + 6]
        else:
            table[row + STATE] = INCOMPLETE
            destination = BROADCAST
        table[row + TRIED] += 1
        self.counters.count(_REQUESTS)
        self.wait(row, RETRY_MS)
        self.send(REQUEST, destination, self.address, NOBODY + b"\0\0", table[row : row + 4])

    def clear(self):
        """Forget everybody: another link, another address."""
        for row in range(0, self.rows * ROW, ROW):
            if self.table[row + STATE] != FREE:
                self.forget(row)
        self.timer.stop()

    # Frames.

    def send(self, operation, destination, sender, target_mac, target):
        packet = self.allocate()
        if not packet:
            self.counters.count(_NO_BUFFER)
            return
        buffer = packet.buffer
        message = FIXED + bytes([operation]) + self.mac + sender + target_mac + target
        buffer[OUT_DATAGRAM : OUT_DATAGRAM + SIZE] = message
        buffer[END] = OUT_DATAGRAM + SIZE
        buffer[END + 1] = 0
        self.push(packet, destination, ethernet.ARP)
        self.transmit(packet)

    def receive(self, packet):
        """The packet reception algorithm of RFC 826."""
        if packet.end - DATAGRAM < SIZE:
            self.counters.count(_SHORT)
            return
        message = bytes(packet.buffer[DATAGRAM : DATAGRAM + SIZE])
        operation = message[OPERATION + 1]
        mac = message[SENDER_HARDWARE:SENDER_PROTOCOL]
        sender = message[SENDER_PROTOCOL:TARGET_HARDWARE]
        target = message[TARGET_PROTOCOL:SIZE]
        if (
            message[: OPERATION + 1] != FIXED
            or not REQUEST <= operation <= REPLY
            or mac[0] & 1  # a group cannot speak
            or mac == NOBODY + b"\0\0"
            or sender[0] >= 224
            or sender[0] == 127
        ):
            self.counters.count(_MALFORMED)
            return
        if mac == self.mac:
            return  # our own announcement, reflected by the link
        if self.candidate and self.candidate in (sender, target if sender == NOBODY else sender):
            # RFC 5227 section 2.1.1: it has the address, or is about to take it.
            self.candidate_taken(mac)
        configured = self.address != NOBODY
        if configured and sender == self.address:
            self.contested(mac)
            return
        if operation == REPLY:
            self.counters.count(_REPLIES)
        if sender == NOBODY:
            row = -1  # RFC 5227 section 2.1.1: a probe; its sender has no address yet
        else:
            row = self.find(sender)
            if row >= 0:
                self.learn(row, mac)
        if not configured or target != self.address or operation != REQUEST:
            return
        if row < 0 and sender != NOBODY:
            # It asks for us, so it is about to send to us; keep its address if there is room.
            row = self.take(sender, False)
            if row >= 0:
                self.learn(row, mac)
        self.counters.count(_ANSWERED)
        self.send(REPLY, mac, self.address, mac, sender)

    # Our own address.

    def configure(self, address):
        """Use this address from now on, and tell everybody (RFC 5227 section 2.3)."""
        self.clear()
        self.address = bytes(address)
        self.defended = None
        self.announcements = 0
        self.announcer.stop()
        if self.address != NOBODY:
            self.announcements = ANNOUNCEMENTS
            self.announce_again()

    def announce_again(self):
        self.announcements -= 1
        self.announce()
        if self.announcements > 0:
            self.announcer.start(ANNOUNCE_MS)

    def announce(self):
        self.counters.count(_ANNOUNCED)
        self.send(REQUEST, BROADCAST, self.address, NOBODY + b"\0\0", self.address)

    def contested(self, mac):
        """RFC 5227 section 2.4 (b): say once that the address is ours, not again within 10 s."""
        self.counters.count(_CONFLICT)
        now = self.timers.now()
        if self.defended is None or (now - self.defended) & TURN >= DEFEND_MS:
            self.defended = now
            self.announce()
        self.conflict(mac)
