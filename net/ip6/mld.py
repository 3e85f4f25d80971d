"""Multicast listener discovery: routers and switches learn which groups we hear.

MLDv2 report (143): records behind eight bytes of ICMPv6, here always without sources:

     0       1       2               4                              20
     +-------+-------+---------------+-------------------------------+
     | kind  | words |    sources    |        group (16 bytes)       |
     +-------+-------+---------------+-------------------------------+

RFC 3810 (version 2); RFC 2710 (version 1, spoken while a querier of that version is heard); RFC
3590 (reports before there is an address come from `::`).  Every message has a router alert and hop
limit 1.

    mld.join(group), mld.leave(group)      counted: as many leaves as joins

Above: addresses (solicited-node groups), socket.join.  Below: header.send.  Sideways: `add_local`,
`remove_local` (header).
Left out: source filters: every group is heard from everybody, as sockets have no way to say less.
"""

from micropython import const

from net.checksum import partial
from runtime.counters import Counters

KIND = const(0)
WORDS = const(1)
SOURCES = const(2)
GROUP = const(4)
SIZE = const(20)

QUERY = const(130)
REPORT_1 = const(131)
DONE = const(132)
REPORT_2 = const(143)
QUERY_SIZE_1 = const(24)
QUERY_SIZE_2 = const(28)

# Kinds of records.
MODE_IS_EXCLUDE = const(2)
TO_INCLUDE = const(3)
TO_EXCLUDE = const(4)

# RFC 3810 section 9.
ROBUSTNESS = const(2)
UNSOLICITED_MS = const(1_000)
OLDER_QUERIER_MS = const(260_000)  # robustness x query interval + query response interval
RECORDS = const(32)

ROUTER_ALERT = b"\x3a\x00\x05\x02\x00\x00\x01\x00"  # next ICMPv6, alert for MLD, padding
ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"
ALL_ROUTERS = b"\xff\x02" + bytes(13) + b"\x02"
ALL_MLD_ROUTERS = b"\xff\x02" + bytes(13) + b"\x16"

LOCAL_GROUP = const(2)  # header.GROUP
ICMP6 = const(58)
END = const(8)
FLAGS = const(10)
PROTOCOL = const(12)
SOURCE = const(16)
DESTINATION = const(32)
HOPS = const(72)
DATAGRAM = const(96)
IP_LIMIT = const(7)
OUT_SEGMENT = const(200)
BODY = const(208)
IP6 = const(0x20)
TURN = const(0x3FFFFFFF)

COUNTS = ("queries", "reports")
DROPS = ("malformed", "full", "no_buffer")
_QUERIES = const(0)
_REPORTS = const(1)
_MALFORMED = const(2)
_FULL = const(3)
_NO_BUFFER = const(4)


class Membership:
    """A group.  `pending`: state-change reports still to be sent; `asked`: a query wants one."""

    def __init__(self, group):
        self.group = group
        self.users = 0
        self.pending = 0
        self.asked = False


class Mld:
    def __init__(self, timers, random, registry):
        self.count = registry.add(Counters("mld", COUNTS, DROPS)).count
        self.timers = timers
        self.random = random
        self.groups = []
        self.old_querier = None  # when a querier of version 1 was heard last
        self.changes = timers.timer(self.report_changes)
        self.answers = timers.timer(self.answer)
        self.left = []  # groups that were left, with the reports still to be sent
        # Slots.
        self.allocate = None
        self.send = None
        self.source = None
        self.add_local = None
        self.remove_local = None

    def find(self, group):
        for member in self.groups:
            if member.group == group:
                return member
        return None

    def join(self, group):
        """Hear what is sent to a group.  False: there is no room for it."""
        if group == ALL_NODES:
            return True
        member = self.find(group)
        if member is None:
            if not self.add_local(group, LOCAL_GROUP):
                self.count(_FULL)
                return False
            member = Membership(group)
            self.groups.append(member)
            self.left = [gone for gone in self.left if gone.group != group]
            self.announce(member)
        member.users += 1
        return True

    def leave(self, group):
        member = self.find(group)
        if member is None:
            return
        member.users -= 1
        if member.users:
            return
        self.groups.remove(member)
        self.remove_local(group)
        if self.reported(group):
            self.left.append(member)
            self.announce(member)

    def reported(self, group):
        """RFC 3810 section 6: nobody is told of groups that do not leave a host."""
        return group[1] & 15 > 1

    def announce(self, member):
        """Tell now, and once more within a second."""
        if self.reported(member.group):
            member.pending = ROBUSTNESS
            self.report_changes()

    def restart(self):
        """Another link: everything is to be told again."""
        self.old_querier = None
        for member in self.groups:
            if self.reported(member.group):
                member.pending = ROBUSTNESS
        self.report_changes()

    def version_1(self):
        if self.old_querier is None:
            return False
        if (self.timers.now() - self.old_querier) & TURN > OLDER_QUERIER_MS:
            self.old_querier = None
        return self.old_querier is not None

    def report_changes(self):
        """Groups joined and left lately, in one report."""
        due = [(m, TO_EXCLUDE) for m in self.groups if m.pending]
        due += [(m, TO_INCLUDE) for m in self.left]
        again = False
        for member, _ in due:
            member.pending -= 1
            again = again or member.pending > 0
        self.report([(kind, member.group) for member, kind in due])
        self.left = [member for member in self.left if member.pending > 0]
        if again:
            self.changes.start(1 + self.random.bits(16) * UNSOLICITED_MS // 65536)

    # Queries.

    def receive(self, packet, start):
        """RFC 3810 section 6.2: answer within the time that the query gives."""
        buffer = packet.buffer
        length = packet.end - start
        source = packet.source
        if (
            buffer[DATAGRAM + IP_LIMIT] != 1
            or source[:2] != b"\xfe\x80"
            or (length != QUERY_SIZE_1 and length < QUERY_SIZE_2)
        ):
            self.count(_MALFORMED)
            return
        self.count(_QUERIES)
        code = buffer[start + 4] << 8 | buffer[start + 5]
        if length == QUERY_SIZE_1:
            self.old_querier = self.timers.now()
        elif code >= 0x8000:
            code = (code & 0xFFF | 0x1000) << ((code >> 12 & 7) + 3)
        group = bytes(buffer[start + 8 : start + 24])
        general = group == bytes(16)
        for member in self.groups:
            if self.reported(member.group) and (general or member.group == group):
                member.asked = True
        # A delay at random; an answer that is already planned for earlier stands.
        delay = self.random.bits(16) * (min(code, 0xFFFF) + 1) >> 16
        timer = self.answers
        if not timer.active or (timer.deadline - self.timers.now()) & TURN > delay:
            timer.start(delay)

    def answer(self):
        asked = [member for member in self.groups if member.asked]
        for member in asked:
            member.asked = False
        self.report([(MODE_IS_EXCLUDE, member.group) for member in asked])

    def report(self, records):
        if not records:
            return
        if self.version_1():
            for kind, group in records:
                done = kind == TO_INCLUDE
                self.message(
                    DONE if done else REPORT_1, ALL_ROUTERS if done else group, bytes(4) + group
                )
            return
        for at in range(0, len(records), RECORDS):
            some = records[at : at + RECORDS]
            body = b"".join([bytes([kind, 0, 0, 0]) + group for kind, group in some])
            self.message(REPORT_2, ALL_MLD_ROUTERS, bytes([0, 0, 0, len(some)]) + body)

    def message(self, kind, destination, body):
        packet = self.allocate()
        if not packet:
            self.count(_NO_BUFFER)
            return
        out = packet.buffer
        end = BODY + 4 + len(body)
        out[OUT_SEGMENT:BODY] = ROUTER_ALERT
        out[BODY : BODY + 4] = bytes([kind, 0, 0, 0])
        out[BODY + 4 : end] = body
        out[SOURCE : SOURCE + 16] = self.source()
        out[DESTINATION : DESTINATION + 16] = destination
        length = end - BODY
        total = partial(out, SOURCE, SOURCE + 32, (length & 0xFF) << 8 | length >> 8)
        total = partial(out, BODY, end, total + (ICMP6 << 8)) ^ 0xFFFF
        out[BODY + 2] = total & 0xFF
        out[BODY + 3] = total >> 8
        out[PROTOCOL] = 0  # hop-by-hop options
        out[FLAGS] = IP6
        out[HOPS] = 1
        out[END] = end & 0xFF
        out[END + 1] = end >> 8
        self.count(_REPORTS)
        self.send(packet)
