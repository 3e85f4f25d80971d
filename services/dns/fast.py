"""Fast: the answer that is asked for most, in one pass: addresses of a name right below the origin.

Law: whatever it answers, Responder answers with the same bytes; whatever it does not recognise at
once it leaves to Responder.  So a server without this module is the same server.
It recognises: an aligned packet; one question of class IN; EDNS with at most one option; one label
below the origin of the first zone, in any case; a node that is neither a zone cut nor an alias and
owns an RRset of fixed size (A, AAAA) of that type that fits.
The question is compared and copied by words, and the name is not parsed before it is compared: the
first label says where the origin has to begin.
"""

import micropython
from micropython import const

# Repeated from table.py and responder.py: constants fold only in the module that assigns them.
DIRECTORY = const(3)
SLOTS = const(4)
MASK = const(5)
MULTIPLIER = const(6)
NODES = const(7)
PARENTS = const(8)
KINDS = const(9)
FAMILIES = const(10)
WIDE = const(13)
MANY = const(14)
ORIGIN_LENGTH = const(1)
APEX = const(2)
VARIANTS = const(8)
FIRST = const(0)
COUNT = const(1)
LABELS = const(2)
DATA = const(3)
SHAPE = const(4)
LABEL_LENGTH = const(5)
FAMILY = const(6)
CUT = const(0x01)
ALIAS = const(0x04)
RRSETS = const(2)
TTL = const(4)
RECORDS = const(10)
PLANE = const(12)
FIXED = const(14)
RRSET = const(16)
TYPE_A = const(0)
TYPE_AAAA = const(1)
NOERROR = const(11)
UDP_SIZE = const(512)
EDNS_SIZE = const(1232)

QUESTIONS_1 = const(0x100)  # the counts of a header as little-endian words
ADDITIONAL_1 = const(0x01000000)


class Fast:
    def __init__(self, responder):
        self.zone = responder.zone
        self.work = responder.work
        self.general = responder.answer

    @micropython.viper
    def answer(self, query, start: int, end: int, out, out_start: int, out_limit: int) -> int:
        """As Responder.answer."""
        # A loop that does not loop: `break` leaves the query to the general case.
        while (start | out_start) & 3 == 0 and end - start > 16:
            q = ptr8(query)
            words = ptr32(q)
            w = start >> 2
            opt = words[w + 2]
            n = q[start + 12]
            # No response, opcode QUERY; no more than one OPT record behind one question.
            if q[start + 2] & 0xFE or words[w + 1] != QUESTIONS_1 or n == 0 or n > 63:
                break
            if opt and opt != ADDITIONAL_1:
                break
            t = ptr8(self.zone)
            head = ptr32(t)
            zone = head[DIRECTORY]
            first = start + 12
            last = first + n
            p = last + 1
            i = head[zone + ORIGIN_LENGTH]
            if p + i + 4 > end:
                break
            k = (i + 6) >> 2
            v = head[zone + VARIANTS] + (p & 3) * (k << 1)
            w = p >> 2
            p += i
            i = (p + 3 >> 2) - w
            w -= 1
            v -= 1
            while i and (words[w + i] ^ head[v + i]) & head[v + k + i] == 0:
                i -= 1
            if i or q[p + 2] | q[p + 3] ^ 1:
                break
            kind = q[p] << 8 | q[p + 1]
            p += 4
            limit = out_start + UDP_SIZE
            if opt:
                # RFC 6891 section 6.1.2: the root, type 41, size, code, version, flags, length.
                if p + 11 > end or q[p] | q[p + 1] | q[p + 2] ^ 41 | q[p + 6]:
                    break
                i = q[p + 9] << 8 | q[p + 10]
                if i and (i < 4 or p + 11 + i > end or (q[p + 13] << 8 | q[p + 14]) + 4 != i):
                    break
                i = q[p + 3] << 8 | q[p + 4]
                if i > EDNS_SIZE:
                    i = EDNS_SIZE
                if i > UDP_SIZE:
                    limit = out_start + i
                limit -= 11
            # The node: as Table.find.
            apex = head[zone + APEX]
            k = head[MULTIPLIER]
            v = apex
            i = first
            while i < last:
                i += 1
                v = v * k + (q[i] | 0x20)
            v &= 0x3FFFFFFF
            k = head[MASK]
            slot = (v ^ v >> 15) & k
            slots = head[SLOTS]
            nodes = head[NODES]
            wide = head[WIDE]
            many = head[MANY]
            while True:
                node = t[slots + slot] | t[slots + 1 + k + slot] << 8
                if wide:
                    node |= t[slots + 2 + k + k + slot] << 16
                if node == 0:
                    break
                v = head[KINDS] + node
                i = t[v]
                if many:
                    i |= t[v + nodes] << 8
                    if many > 1:
                        i |= t[v + nodes + nodes] << 16
                family = head[FAMILIES] + FAMILY * i
                if head[family + LABEL_LENGTH] == n:
                    v = head[PARENTS] + node
                    i = t[v] | t[v + nodes] << 8
                    if wide:
                        i |= t[v + nodes + nodes] << 16
                    if i == apex:
                        count = head[family + COUNT]
                        row = node - head[family + FIRST]
                        v = head[family + LABELS] + n * count + row
                        i = last
                        while i > first:
                            v -= count
                            if q[i] != t[v]:
                                byte = q[i]
                                if byte < 65 or byte > 90 or byte + 32 != t[v]:
                                    break
                            i -= 1
                        if i == first:
                            break
                slot = (slot + 1) & k
            if node == 0:
                break
            # The RRset.
            v = head[family + SHAPE]
            if t[v] & (CUT | ALIAS):
                break
            n = t[v + 1]
            v += RRSETS
            size = 0
            while n:
                if t[v] << 8 | t[v + 1] == kind:
                    size = t[v + FIXED]
                    break
                v += RRSET
                n -= 1
            if size == 0:
                break
            n = p - start
            at = out_start + n
            records = t[v + RECORDS]
            i = at + records * (12 + size)
            if i > limit or i + 11 > out_limit:
                break
            o = ptr8(out)
            # Header and question come back.
            to = ptr32(o)
            w = (start >> 2) - 1
            k = (out_start >> 2) - 1
            i = n >> 2
            while i:
                to[k + i] = words[w + i]
                i -= 1
            i = n & 0x7FC
            while i < n:
                o[out_start + i] = q[start + i]
                i += 1
            o[out_start + 2] |= 0x84
            o[out_start + 3] &= 0x10
            o[out_start + 7] = records
            row += head[family + DATA] + count * (t[v + PLANE] | t[v + PLANE + 1] << 8)
            while records:
                o[at] = 0xC0
                o[at + 1] = 12
                o[at + 2] = 0
                o[at + 3] = kind
                o[at + 4] = 0
                o[at + 5] = 1
                o[at + 6] = t[v + TTL]
                o[at + 7] = t[v + TTL + 1]
                o[at + 8] = t[v + TTL + 2]
                o[at + 9] = t[v + TTL + 3]
                o[at + 10] = 0
                o[at + 11] = size
                at += 12
                i = size
                while i:
                    o[at] = t[row]
                    at += 1
                    row += count
                    i -= 1
                records -= 1
            if opt:
                o[at] = 0
                o[at + 1] = 0
                o[at + 2] = 41
                o[at + 3] = EDNS_SIZE >> 8
                o[at + 4] = EDNS_SIZE & 0xFF
                o[at + 5] = 0
                o[at + 6] = 0
                o[at + 7] = q[p + 7] & 0x80
                o[at + 8] = 0
                o[at + 9] = 0
                o[at + 10] = 0
                at += 11
            work = ptr32(self.work)
            work[NOERROR] += 1
            work[TYPE_A if kind == 1 else TYPE_AAAA] += 1
            return at - out_start
        return int(self.general(query, start, end, out, out_start, out_limit))
