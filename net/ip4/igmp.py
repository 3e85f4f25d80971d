"""IGMP: routers and switches learn which groups we want to hear.  RFC 3376 (version 3).

Queries, and reports of version 3:

     0               2               4               6               8
     +-------+-------+---------------+---------------+---------------+
     | type  | code  |   checksum    |             group             |
     +-------+-------+---------------+---------------+---------------+
     | robust| qqic  |    sources    |  sources of 4 bytes each ...
     +-------+-------+---------------+

     0               2               4               6               8
     +-------+-------+---------------+---------------+---------------+
     | type  |       |   checksum    |               |    records    |
     +-------+-------+---------------+---------------+---------------+
     then records: kind, 0, number of sources (2), group (4), sources

    igmp.use(inet)              sockets can be in IPv4 groups from now on: socket.join(group)

Who does not call it has no IGMP in the image, and hears no group.

    heard                       answer
    a general query             a report of all groups, after a random part of its time
    about a group               of that group; about sources of it, of those
    a query of version 1 or 2   in that version, until none was heard for OLDER_QUERIER (section 7)
    a report, versions 1 and 2  none of ours: one answer is enough for that group

A join or leave is reported at once and, as reports get lost, ROBUSTNESS - 1 times again.
Above: socket.join.  Below: interface.transmit (the router alert option makes the header longer than
ip4.send's).  Sideways: ip4.set_groups.
Left out: source filters: a group is heard from everybody, as sockets have no way to say less.
"""

from micropython import const

from net import ethernet
from net.checksum import partial
from net.config import GROUPS
from runtime.counters import Counters

TYPE = const(0)
CODE = const(1)
CHECKSUM = const(2)
GROUP = const(4)
ROBUST = const(8)
QQIC = const(9)
SOURCES = const(10)
SIZE = const(8)
QUERY_SIZE = const(12)

QUERY = const(0x11)
REPORT_1 = const(0x12)
REPORT_2 = const(0x16)
LEAVE_2 = const(0x17)
REPORT_3 = const(0x22)

# Kinds of records, section 4.2.12.
IS_INCLUDE = const(1)
IS_EXCLUDE = const(2)
TO_INCLUDE = const(3)
TO_EXCLUDE = const(4)

# Section 8.
ROBUSTNESS = const(2)
QUERY_S = const(125)
RESPONSE_S = const(10)
UNSOLICITED_MS = const(1_000)
UNSOLICITED_OLD_MS = const(10_000)  # RFC 2236 section 8.10
ASKED_SOURCES = const(32)  # of one group, that are remembered until they are answered

ALL_SYSTEMS = b"\xe0\x00\x00\x01"
ALL_ROUTERS = b"\xe0\x00\x00\x02"
ALL_IGMP_ROUTERS = b"\xe0\x00\x00\x16"
NOBODY = b"\x00\x00\x00\x00"
ROUTER_ALERT = b"\x94\x04\x00\x00"  # RFC 2113
INTERNETWORK_CONTROL = const(0xC0)  # section 4: the precedence of all messages
IGMP = const(2)
HEADER = const(24)  # of IPv4, with the option
TURN = const(0x3FFFFFFF)
HALF = const(0x20000000)

COUNTS = ("queries", "reports", "heard")
DROPS = ("short", "checksum", "malformed", "no_buffer")
_QUERIES = const(0)
_REPORTS = const(1)
_HEARD = const(2)
_SHORT = const(3)
_CHECKSUM = const(4)
_MALFORMED = const(5)
_NO_BUFFER = const(6)

TRANSPORT = const(4)
END = const(8)
OUT_DATAGRAM = const(180)


def use(inet):
    """Let sockets join IPv4 groups; again does nothing."""
    for family in inet.families:
        if family.size == 4 and not family.multicast:
            family.multicast = Igmp
            for interface in family.interfaces:
                interface.igmp = Igmp(interface)


class Igmp:
    def __init__(self, interface):
        self.interface = interface
        self.ip4 = interface.ip4
        self.timers = interface.timers
        self.random = interface.random
        self.count = interface.registry.add(Counters("igmp", COUNTS, DROPS)).count
        self.timer = interface.timers.timer(self.due)
        self.users = {}  # group -> how many joined
        self.changes = []  # [group, kind, reports to send, when]
        self.general = None  # when a general query has to be answered
        self.asked = {}  # group -> (when, the sources asked for)
        self.older = {}  # version 1 or 2 -> until when its querier counts
        self.robustness = ROBUSTNESS
        self.ip4.igmp = self.receive
        interface.interface.parts.append(self)
        self.listen()

    # From above.

    def join(self, group):
        group = bytes(group)
        if len(group) != 4 or not 224 <= group[0] < 240:
            raise ValueError("a multicast group is between 224.0.0.0 and 239.255.255.255")
        if group not in self.users and len(self.users) == GROUPS - 1:
            raise OSError(f"{GROUPS} multicast groups: GROUPS in net/config.py says so")
        self.users[group] = self.users.get(group, 0) + 1
        if self.users[group] == 1:
            self.listen()
            self.change(group, TO_EXCLUDE)

    def leave(self, group):
        group = bytes(group)
        self.users[group] -= 1
        if self.users[group] == 0:
            del self.users[group]
            self.asked.pop(group, None)
            self.listen()
            self.change(group, TO_INCLUDE)

    def listen(self):
        # Section 5: every system is in 224.0.0.1, and never says so.
        groups = [group for group in self.users if group != ALL_SYSTEMS]
        self.ip4.set_groups([ALL_SYSTEMS] + groups)  # noqa: RUF005 (MicroPython)

    def link(self, up):
        """Another link may be at the other end: tell it."""
        if up:
            for group in self.users:
                self.change(group, TO_EXCLUDE)

    # Changes, section 5.1: the first report at once, the others after random times.

    def change(self, group, kind):
        if group == ALL_SYSTEMS:
            return
        self.changes = [change for change in self.changes if change[0] != group]
        version = self.version()
        if version < 3:
            self.change_as_before(group, kind, version)
            return
        self.changes.append([group, kind, self.robustness, self.timers.now()])
        self.due()

    def change_as_before(self, group, kind, version):
        if kind == TO_EXCLUDE:
            # RFC 2236 section 3: it may be lost; say it again.
            self.report_as_before(group, version)
            self.ask(group, self.within(UNSOLICITED_OLD_MS), b"")
        elif version == 2:
            self.send(ALL_ROUTERS, bytes([LEAVE_2, 0, 0, 0]) + group)

    def within(self, ms):
        """A moment in the next so many milliseconds."""
        return (self.timers.now() + 1 + self.random.bits(20) * ms // 0x100000) & TURN

    def is_over(self, when):
        return (self.timers.now() - when) & TURN < HALF

    def due(self):
        """Send what has to be sent by now; come again for the rest."""
        records = []
        for change in self.changes:
            if self.is_over(change[3]):
                records.append((change[1], change[0], b""))
                change[2] -= 1
                change[3] = self.within(UNSOLICITED_MS)
        self.changes = [change for change in self.changes if change[2]]
        if self.general is not None and self.is_over(self.general):
            self.general = None
            records += [(IS_EXCLUDE, group, b"") for group in sorted(self.users)]
            self.asked.clear()
        for group in list(self.asked):
            when, sources = self.asked[group]
            if self.is_over(when):
                del self.asked[group]
                # Of sources that were asked for: all of them are heard.
                records.append((IS_INCLUDE if sources else IS_EXCLUDE, group, sources))
        self.report([record for record in records if record[1] != ALL_SYSTEMS])
        self.sleep()

    def sleep(self):
        moments = [change[3] for change in self.changes]
        moments += [when for when, _ in self.asked.values()]
        if self.general is not None:
            moments.append(self.general)
        if moments:
            now = self.timers.now()
            self.timer.start(max(min([((when - now + HALF) & TURN) - HALF for when in moments]), 0))
        else:
            self.timer.stop()

    # Queries, section 5.2.

    def receive(self, packet):
        start = packet.buffer[TRANSPORT] | packet.buffer[TRANSPORT + 1] << 8
        message = bytes(packet.buffer[start : packet.end])
        if len(message) < SIZE:
            self.count(_SHORT)
        elif partial(message, 0, len(message), 0) != 0xFFFF:
            self.count(_CHECKSUM)
        elif message[TYPE] == QUERY:
            self.queried(message)
        elif message[TYPE] in (REPORT_1, REPORT_2):
            self.count(_HEARD)
            if self.version() < 3 and message[GROUP:SIZE] in self.asked:
                # RFC 2236 section 3: somebody else has answered.
                del self.asked[message[GROUP:SIZE]]
        else:
            self.count(_HEARD)

    def queried(self, message):
        group = message[GROUP:SIZE]
        sources = b""
        self.count(_QUERIES)
        if len(message) == SIZE:
            version = 2 if message[CODE] else 1
            self.older[version] = self.silence()
            if len(self.older) == 1 or version == 1:
                # Section 7.2.1: what was to be said in version 3 is not said.
                self.changes.clear()
            longest = message[CODE] * 100 if version == 2 else RESPONSE_S * 1000
        elif len(message) >= QUERY_SIZE:
            count = message[SOURCES] << 8 | message[SOURCES + 1]
            if len(message) < QUERY_SIZE + 4 * count or (group == NOBODY and count):
                self.count(_MALFORMED)
                return
            self.robustness = message[ROBUST] & 7 or ROBUSTNESS
            sources = message[QUERY_SIZE : QUERY_SIZE + 4 * count]
            longest = tenths(message[CODE]) * 100
        else:
            # Section 7.1: any other length is ignored.
            self.count(_MALFORMED)
            return
        self.answer(group, sources, self.within(longest))

    def answer(self, group, sources, when):
        """The five rules of section 5.2."""
        if self.general is not None and self.is_before(self.general, when):
            return
        if group == NOBODY:
            if self.version() == 3:
                self.general = when
            else:
                for mine in self.users:
                    self.ask(mine, when, b"")
        elif group in self.users:
            self.ask(group, when, sources)
        self.sleep()

    def ask(self, group, when, sources):
        """A group is to be reported at `when`, or earlier if that was so; all of it, or sources."""
        if group == ALL_SYSTEMS:
            return
        if group in self.asked:
            before, others = self.asked[group]
            if self.is_before(before, when):
                when = before
            sources = join(others, sources) if sources and others else b""
        self.asked[group] = (when, sources)
        self.sleep()

    def is_before(self, a, b):
        return (b - a) & TURN < HALF

    # Versions, section 7.2.1.

    def silence(self):
        """Until when a querier of an older version counts: robustness x interval + response."""
        seconds = self.robustness * QUERY_S + RESPONSE_S
        return (self.timers.now() + seconds * 1000) & TURN

    def version(self):
        for version in list(self.older):
            if self.is_over(self.older[version]):
                del self.older[version]
        return min(list(self.older)) if self.older else 3

    # Reports, section 4.2.

    def report(self, records):
        if not records:
            return
        version = self.version()
        if version < 3:
            for kind, group, _ in records:
                if kind != TO_INCLUDE:
                    self.report_as_before(group, version)
            return
        message = bytes([REPORT_3, 0, 0, 0, 0, 0, 0, len(records)])
        for kind, group, sources in records:
            message += bytes([kind, 0, 0, len(sources) // 4]) + group + sources
        self.send(ALL_IGMP_ROUTERS, message)

    def report_as_before(self, group, version):
        self.send(group, bytes([REPORT_1 if version == 1 else REPORT_2, 0, 0, 0]) + group)

    def send(self, destination, message):
        """All have TTL 1, a router alert and high precedence, and go to a group of the link."""
        arp = self.interface.arp
        packet = arp.allocate()
        if not packet:
            self.count(_NO_BUFFER)
            return
        length = HEADER + len(message)
        header = bytes([0x46, INTERNETWORK_CONTROL, length >> 8, length & 0xFF])
        header += (
            b"\0\0\0\0"
            + bytes([1, IGMP, 0, 0])
            + (self.interface.address or NOBODY)
            + destination
            + ROUTER_ALERT
        )
        end = OUT_DATAGRAM + length
        buffer = packet.buffer
        buffer[OUT_DATAGRAM:end] = header + message
        write_sum(buffer, OUT_DATAGRAM, OUT_DATAGRAM + HEADER, OUT_DATAGRAM + 10)
        write_sum(buffer, OUT_DATAGRAM + HEADER, end, OUT_DATAGRAM + HEADER + CHECKSUM)
        buffer[END] = end & 0xFF
        buffer[END + 1] = end >> 8
        mac = bytes([1, 0, 0x5E, destination[1] & 0x7F, destination[2], destination[3]])
        arp.push(packet, mac, ethernet.IP4)
        self.count(_REPORTS)
        arp.transmit(packet)


def write_sum(buffer, start, end, at):
    total = partial(buffer, start, end, 0) ^ 0xFFFF
    buffer[at] = total & 0xFF
    buffer[at + 1] = total >> 8


def tenths(code):
    """Section 4.1.1: a number, or from 128 on a small float."""
    if code < 128:
        return code
    return (code & 15 | 16) << ((code >> 4 & 7) + 3)


def join(sources, more):
    """Both lists, each source once, so many at most."""
    for at in range(0, len(more), 4):
        known = [sources[i : i + 4] for i in range(0, len(sources), 4)]
        if more[at : at + 4] not in known and len(known) < ASKED_SOURCES:
            sources += more[at : at + 4]
    return sources
