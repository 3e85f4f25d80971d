"""Responder: one query in, one answer out.  An authoritative server for the zones of a Table.

RFC 1034 section 4.3.2 (the algorithm), RFC 1035 (messages), RFC 2181 (clarifications), RFC 2308
(negative answers), RFC 3597 (unknown types), RFC 4592 (wildcards), RFC 6891 (EDNS), RFC 8482
(ANY: one RRset of the name), RFC 9471 (glue that does not fit truncates).
No I/O, and no memory: the state of a query lives in the work area, which was made at start-up.

`answer` parses and finds the name, `decide` follows the algorithm.  server.py has a short cut.

    work area, u32 words
      0  counters: COUNTS and DROPS below, for runtime.counters
     33  FOUND_FAMILY  FOUND_LEFT  FOUND_CUT      the result of table.find
     36  BELOW       labels of the question below the origin
     37  ZONE_AT     the zone's words in the table
     38  ORIGIN_AT   offset in the message of the origin, within the question
     39  BASE  AT  LIMIT                          the answer: first byte, position, end of the room
     42  NAME_AT     where message.put_name has put the last name
     43  KNOWN  TARGETS                           how many are in the lists below
     45  OPT  DO  SENDER_SIZE                     the sender's EDNS
     48  ANSWERS  AUTHORITY  ADDITIONAL           records written
     51  FLAGS
     52  STREAM      set by who answers over TCP: the whole room may be filled
     53  KEEPALIVE   the sender's EDNS has asked how long a connection may be idle
     54  TRANSFER    the question was for a transfer: its type, else 0
    bytes
    512  STARTS      where the labels of a name begin, see table.find
    640  KNOWN_OFFSETS   u16: names written into the answer, see message.put_name
    768  KNOWN_KEYS      bytes: how many labels each has
    832  TARGET      pairs of u32: a stored name and where it is in the message
   1088  VISITED     u32: what a chain of CNAMEs has passed
   1152  ADDED       u32: nodes whose addresses are in the additional section

Left out: zone transfer (that is transfer.py), NOTIFY, UPDATE, TSIG, cookies, DNSSEC, classes other
than IN.
"""

import micropython
from micropython import const

from services.dns.edns import read_opt
from services.dns.message import Message
from services.dns.table import Table

COUNTS = (
    "a",
    "aaaa",
    "any",
    "cname",
    "mx",
    "ns",
    "ptr",
    "soa",
    "srv",
    "txt",
    "other",
    "noerror",
    "nodata",
    "nxdomain",
    "referral",
    "formerr",
    "notimp",
    "refused",
    "badvers",
    "truncated",
)
DROPS = ("short", "response")
TYPE_A = const(0)
TYPE_AAAA = const(1)
TYPE_ANY = const(2)
TYPE_CNAME = const(3)
TYPE_MX = const(4)
TYPE_NS = const(5)
TYPE_PTR = const(6)
TYPE_SOA = const(7)
TYPE_SRV = const(8)
TYPE_TXT = const(9)
TYPE_OTHER = const(10)
NOERROR = const(11)
NODATA = const(12)
NXDOMAIN = const(13)
REFERRAL = const(14)
FORMERR = const(15)
NOTIMP = const(16)
REFUSED = const(17)
BADVERS = const(18)
TRUNCATED = const(19)
SHORT = const(20)
RESPONSE = const(21)

FOUND_FAMILY = const(33)
FOUND_LEFT = const(34)
FOUND_CUT = const(35)
BELOW = const(36)
ZONE_AT = const(37)
ORIGIN_AT = const(38)
BASE = const(39)
AT = const(40)
LIMIT = const(41)
NAME_AT = const(42)
KNOWN = const(43)
TARGETS = const(44)
OPT = const(45)
DO = const(46)
SENDER_SIZE = const(47)
ANSWERS = const(48)
AUTHORITY = const(49)
ADDITIONAL = const(50)
FLAGS = const(51)
STREAM = const(52)
KEEPALIVE = const(53)
TRANSFER = const(54)
STARTS = const(512)
KNOWN_OFFSETS = const(320)
KNOWN_KEYS = const(768)
KNOWN_MAX = const(64)
TARGET = const(208)
VISITED = const(272)
CHAIN_MAX = const(16)
ADDED = const(288)
WORK = const(1280)

# Repeated from table.py.
ZONES = const(2)
DIRECTORY = const(3)
HEAP = const(11)
STAR = const(12)
ORIGIN = const(0)
ORIGIN_LENGTH = const(1)
APEX = const(2)
ORIGIN_LABELS = const(3)
ZONE = const(7)
FIRST = const(0)
COUNT = const(1)
DATA = const(3)
SHAPE = const(4)
CUT = const(0x01)
WILD = const(0x02)
ALIAS = const(0x04)
RRSETS = const(2)
TTL = const(4)
PLANE = const(12)
RRSET = const(16)
ORIGIN_MARK = const(0xC0)

# Repeated from edns.py.
MALFORMED = const(1)
VERSION = const(2)

UDP_SIZE = const(512)  # RFC 1035 section 4.2.1: what a sender without EDNS can take
EDNS_SIZE = const(1232)  # what we send at most, and say that we take: never fragmented
AA = const(0x04)
TC = const(0x02)
CD = const(0x10)


class Responder:
    """`zone`: the bytes of a compiled table."""

    def __init__(self, zone):
        self.work = bytearray(WORK)
        self.zone = zone
        self.table = Table(zone, self.work)
        self.message = Message(self.table, self.work)

    @micropython.viper
    def answer(self, query, start: int, end: int, out, out_start: int, out_limit: int) -> int:
        """Answer query[start:end] in out[out_start:out_limit]: the length, or 0 to stay silent."""
        assert out_limit - out_start >= UDP_SIZE, "an answer needs room for 512 bytes"
        q = ptr8(query)
        o = ptr8(out)
        work = ptr32(self.work)
        if end - start < 12:
            work[SHORT] += 1
            return 0
        if q[start + 2] & 0x80:
            work[RESPONSE] += 1
            return 0
        # Opcode QUERY.
        if q[start + 2] & 0x78:
            return int(self.fail(query, start, out, out_start, NOTIMP))
        # One question; no records but in the additional section; no response code.
        if q[start + 4] | q[start + 5] ^ 1:
            return int(self.fail(query, start, out, out_start, FORMERR))
        i = q[start + 6] | q[start + 7] | q[start + 8] | q[start + 9]
        if i | q[start + 3] & 0x0F:
            return int(self.fail(query, start, out, out_start, FORMERR))
        starts = ptr8(work)
        at = start + 12
        p = at
        labels = 0
        n = 1
        while p < end:
            n = q[p]
            if n == 0 or n > 63:
                break
            # (A name has at most 255 bytes, so its labels are at most 127.)
            if p - at > 253:
                break
            starts[STARTS + labels] = p - at
            labels += 1
            p += n + 1
        length = p + 1 - at
        if n or p + 5 > end or length > 255:
            return int(self.fail(query, start, out, out_start, FORMERR))
        kind = q[p + 1] << 8 | q[p + 2]
        # The header and the question come back as they are.
        n = p + 5 - start
        i = 0
        while i < n:
            o[out_start + i] = q[start + i]
            i += 1
        limit = out_start + UDP_SIZE
        if work[STREAM]:
            limit = out_limit
        work[OPT] = 0
        code = 0
        i = q[start + 10] << 8 | q[start + 11]
        if i:
            # RFC 6891 section 6.1.1: one OPT at most.
            code = MALFORMED
            if i == 1:
                code = int(read_opt(query, p + 5, end, self.work))
            if code == MALFORMED:
                return int(self.fail(query, start, out, out_start, FORMERR))
            if work[OPT]:
                size = work[SENDER_SIZE]
                if size > EDNS_SIZE:
                    size = EDNS_SIZE
                if size < UDP_SIZE:
                    size = UDP_SIZE
                if work[STREAM] == 0:
                    limit = out_start + size
                if limit > out_limit:
                    limit = out_limit
                limit -= 11
        work[BASE] = out_start
        work[AT] = out_start + n
        work[LIMIT] = limit
        work[ANSWERS] = 0
        work[AUTHORITY] = 0
        work[ADDITIONAL] = 0
        work[FLAGS] = AA
        if code == VERSION:
            return int(self.finish(out, BADVERS))
        # RFC 1035 section 3.2.4, 3.2.5: class IN, or any.
        i = q[p + 3] << 8 | q[p + 4]
        if i != 1:
            if i != 255:
                return int(self.finish(out, REFUSED))
            work[FLAGS] = 0
        # Transfers: IXFR, AXFR (which is for TCP, and for some: stream.py knows).
        if kind == 251 or kind == 252:
            work[FLAGS] = 0
            work[TRANSFER] = kind
            if work[STREAM]:
                return int(self.finish(out, REFUSED))
            return int(self.finish(out, NOTIMP))
        # The zone with the longest origin that the name ends with; but the DS of a zone is answered
        # by its parent, if that is here, too (RFC 4035 section 3.1.4.1).
        t = ptr8(self.zone)
        head = ptr32(t)
        zone = head[DIRECTORY]
        zones = head[ZONES]
        found = 0
        while zones and (found == 0 or (kind == 43 and work[BELOW] == 0)):
            n = head[zone + ORIGIN_LENGTH]
            below = labels - head[zone + ORIGIN_LABELS]
            if below >= 0:
                suffix = length - n
                if below == labels or starts[STARTS + below] == suffix:
                    name = head[zone + ORIGIN]
                    i = 0
                    while i < n:
                        byte = q[at + suffix + i]
                        if byte != t[name + i] and (
                            byte < 65 or byte > 90 or byte + 32 != t[name + i]
                        ):
                            break
                        i += 1
                    if i == n:
                        found = zone
                        work[ZONE_AT] = zone
                        work[ORIGIN_AT] = 12 + suffix
                        work[BELOW] = below
            zone += ZONE
            zones -= 1
        if found == 0:
            return int(self.finish(out, REFUSED))
        if kind == 1:
            work[TYPE_A] += 1
        elif kind == 28:
            work[TYPE_AAAA] += 1
        else:
            self.count_type(kind)
        node = int(self.table.find(query, at, work[BELOW], head[found + APEX], 0))
        return int(self.decide(out, kind, node))

    @micropython.viper
    def decide(self, out, kind: int, node: int) -> int:
        """RFC 1034 section 4.3.2 from step 3 on; the name has been looked up, to `node`."""
        t = ptr8(self.zone)
        head = ptr32(t)
        work = ptr32(self.work)
        bytes8 = ptr8(work)
        words16 = ptr16(work)
        # Names written into the answer may point into the question.
        labels = work[BELOW]
        i = 0
        while i < labels and i < KNOWN_MAX:
            words16[KNOWN_OFFSETS + i] = 12 + bytes8[STARTS + i]
            bytes8[KNOWN_KEYS + i] = labels - i
            i += 1
        work[KNOWN] = i
        work[TARGETS] = 0
        owner = 12  # where the current name is in the message
        stored = 0  # and in the table, but for the question's
        chain = 0
        outcome = NOERROR
        while True:
            family = work[FOUND_FAMILY]
            left = work[FOUND_LEFT]
            shape = head[family + SHAPE]
            # RFC 4035 section 3.1.4.1: the DS of a child is asked from its parent.
            if t[shape] & CUT and (left or kind != 43):
                outcome = REFERRAL
                break
            visit = node << 1
            if left:
                if t[shape] & WILD == 0:
                    outcome = NXDOMAIN
                    break
                # RFC 4592 section 3.3.1: the source of synthesis is the wildcard right below the
                # closest encloser; the answer is owned by the name asked for.
                bytes8[STARTS] = 0
                node = int(self.table.find(self.zone, head[STAR], 1, node, 0))
                family = work[FOUND_FAMILY]
                shape = head[family + SHAPE]
                visit = stored << 1 | 1
            # RFC 1034 section 3.6.2: a CNAME answers for every type but its own.
            wanted = kind
            if t[shape] & ALIAS:
                wanted = 5
            # RFC 8482 section 4.1: ANY is answered with one RRset, the SOA or else the first.
            elif kind == 255 and node == head[work[ZONE_AT] + APEX]:
                wanted = 6
            n = t[shape + 1]
            rrset = shape + RRSETS
            while n:
                if t[rrset] << 8 | t[rrset + 1] == wanted or wanted == 255:
                    break
                rrset += RRSET
                n -= 1
            if n == 0:
                outcome = NODATA
                break
            chained = int(wanted == 5 and kind != 5 and kind != 255)
            if chained:
                # A chain that comes back to where it was ends there, and so does one too long.
                i = 0
                while i < chain:
                    if work[VISITED + i] == visit:
                        break
                    i += 1
                if i < chain or chain == CHAIN_MAX:
                    break
                work[VISITED + chain] = visit
                chain += 1
            i = int(self.message.put(out, rrset, family, node, owner, rrset + TTL))
            if i == 0:
                outcome = TRUNCATED
                break
            work[ANSWERS] += i
            if chained == 0:
                if work[TARGETS]:
                    self.add(out, int(kind == 2), 0)
                break
            # In the heap, a length and the canonical name.
            owner = work[NAME_AT]
            count = head[family + COUNT]
            i = head[family + DATA] + node - head[family + FIRST]
            i += count * (t[rrset + PLANE] | t[rrset + PLANE + 1] << 8)
            stored = t[i] | t[i + count] << 8 | t[i + 2 * count] << 16 | t[i + 3 * count] << 24
            stored += head[HEAP] + 2
            node = int(self.resolve(stored, 0))
            if node == 0:
                break
        if outcome == REFERRAL:
            # RFC 1035 section 4.1.1: the bit speaks of the first name, so a CNAME keeps it.
            if chain == 0:
                work[FLAGS] = 0
            n = int(self.ancestor(out, owner, left))
            rrset = shape + RRSETS
            while t[rrset] << 8 | t[rrset + 1] != 2:
                rrset += RRSET
            i = int(self.message.put(out, rrset, family, node, n, rrset + TTL))
            work[AUTHORITY] = i
            if i == 0 or int(self.add(out, 1, node)):
                outcome = TRUNCATED
        elif outcome >= NODATA and outcome <= NXDOMAIN:
            # RFC 2308 section 3.
            i = int(self.message.put_negative(out))
            work[AUTHORITY] = i
            if i == 0:
                # The code is right even so.
                work[FLAGS] |= TC
        return int(self.finish(out, outcome))

    @micropython.viper
    def resolve(self, stored: int, through: int) -> int:
        """table.find for a name in the heap; 0 if it is not in the zone."""
        t = ptr8(self.zone)
        work = ptr32(self.work)
        starts = ptr8(work)
        labels = 0
        p = 0
        while True:
            n = t[stored + p]
            if n == 0:
                return 0
            if n == ORIGIN_MARK:
                break
            starts[STARTS + labels] = p
            labels += 1
            p += n + 1
        apex = ptr32(t)[work[ZONE_AT] + APEX]
        return int(self.table.find(self.zone, stored, labels, apex, through))

    @micropython.viper
    def ancestor(self, out, name: int, up: int) -> int:
        """Where in the message the name is that is `up` labels above the one at offset `name`."""
        o = ptr8(out)
        base = ptr32(self.work)[BASE]
        while True:
            n = o[base + name]
            while n >= 0xC0:
                name = (n & 0x3F) << 8 | o[base + name + 1]
                n = o[base + name]
            if up == 0:
                return name
            name += n + 1
            up -= 1

    @micropython.viper
    def add(self, out, glue: int, cut: int) -> int:
        """Addresses of the names in the RRset just written (RFC 1034 section 4.3.2, step 6).

        glue: also those below a zone cut.  Returns whether glue of the zone at the node `cut` did
        not fit: that truncates (RFC 9471 section 3.1); other addresses are just left out.
        """
        t = ptr8(self.zone)
        head = ptr32(t)
        work = ptr32(self.work)
        added = 0
        i = 0
        while i < work[TARGETS]:
            node = int(self.resolve(work[TARGET + 2 * i], 1))
            owner = work[TARGET + 2 * i + 1]
            i += 1
            if node == 0 or work[FOUND_LEFT]:
                continue
            if work[FOUND_CUT] and glue == 0:
                continue
            j = 0
            while j < added and work[ADDED + j] != node:
                j += 1
            if j < added:
                continue
            work[ADDED + added] = node
            added += 1
            needed = int(cut > 0 and work[FOUND_CUT] == cut)
            family = work[FOUND_FAMILY]
            rrset = head[family + SHAPE]
            n = t[rrset + 1]
            rrset += RRSETS
            while n:
                kind = t[rrset] << 8 | t[rrset + 1]
                if kind == 1 or kind == 28:
                    records = int(self.message.put(out, rrset, family, node, owner, rrset + TTL))
                    if records == 0 and needed:
                        return 1
                    work[ADDITIONAL] += records
                rrset += RRSET
                n -= 1
        return 0

    @micropython.viper
    def finish(self, out, outcome: int) -> int:
        """The header over what has been written: the length of the answer."""
        o = ptr8(out)
        work = ptr32(self.work)
        base = work[BASE]
        work[outcome] += 1
        extended = 0
        code = 0
        if outcome == NXDOMAIN:
            code = 3
        elif outcome == NOTIMP:
            code = 4
        elif outcome == REFUSED:
            code = 5
            work[FLAGS] = 0
        elif outcome == BADVERS:
            extended = 1
            work[FLAGS] = 0
            code = o[base + 3] & CD
        elif outcome == TRUNCATED:
            work[FLAGS] |= TC
        o[base + 2] = 0x80 | work[FLAGS] | o[base + 2] & 1
        # RA, AD and CD stay 0: no recursion, and no DNSSEC (RFC 4035 section 3.1.6: who knows it
        # copies CD).  In errors about the query itself, CD comes back with it.
        o[base + 3] = code
        o[base + 6] = work[ANSWERS] >> 8
        o[base + 7] = work[ANSWERS]
        o[base + 8] = work[AUTHORITY] >> 8
        o[base + 9] = work[AUTHORITY]
        o[base + 10] = work[ADDITIONAL] >> 8
        o[base + 11] = work[ADDITIONAL]
        if work[OPT]:
            return int(self.put_opt(out, extended))
        return work[AT] - base

    @micropython.viper
    def put_opt(self, out, extended: int) -> int:
        """Our OPT record, for which LIMIT has left room."""
        o = ptr8(out)
        work = ptr32(self.work)
        base = work[BASE]
        pos = work[AT]
        o[pos] = 0
        o[pos + 1] = 0
        o[pos + 2] = 41
        o[pos + 3] = EDNS_SIZE >> 8
        o[pos + 4] = EDNS_SIZE & 0xFF
        o[pos + 5] = extended
        o[pos + 6] = 0
        # RFC 3225 section 3: the DO bit comes back.
        o[pos + 7] = work[DO]
        o[pos + 8] = 0
        o[pos + 9] = 0
        o[pos + 10] = 0
        i = work[ADDITIONAL] + 1
        o[base + 10] = i >> 8
        o[base + 11] = i
        return pos + 11 - base

    @micropython.viper
    def fail(self, query, start: int, out, out_start: int, outcome: int) -> int:
        """A header alone, for a query of which nothing else can be trusted."""
        q = ptr8(query)
        o = ptr8(out)
        work = ptr32(self.work)
        work[outcome] += 1
        flags = q[start + 2] & 0x79
        code = 1
        if outcome == NOTIMP:
            code = 4 | q[start + 3] & CD
        elif q[start + 4] | q[start + 5] ^ 1:
            flags = 0
        o[out_start] = q[start]
        o[out_start + 1] = q[start + 1]
        o[out_start + 2] = 0x80 | flags
        o[out_start + 3] = code
        i = 4
        while i < 12:
            o[out_start + i] = 0
            i += 1
        return 12

    @micropython.viper
    def count_type(self, kind: int):
        work = ptr32(self.work)
        if kind == 2:
            work[TYPE_NS] += 1
        elif kind == 5:
            work[TYPE_CNAME] += 1
        elif kind == 6:
            work[TYPE_SOA] += 1
        elif kind == 12:
            work[TYPE_PTR] += 1
        elif kind == 15:
            work[TYPE_MX] += 1
        elif kind == 16:
            work[TYPE_TXT] += 1
        elif kind == 33:
            work[TYPE_SRV] += 1
        elif kind == 255:
            work[TYPE_ANY] += 1
        else:
            work[TYPE_OTHER] += 1
