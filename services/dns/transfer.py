"""Transfer: a whole zone as a sequence of messages, made one by one from the table.  RFC 5936.

    transfer = Transfer(responder, query, start, end)     the question is at query[start:end]
    transfer.zone                       0: we are not the server of a zone of that name
    transfer.fill(out, start, limit)    the next message: its length, or 0: no RRset fits
    transfer.done

The SOA, every other RRset node by node, the SOA.  Nothing is kept but three numbers: the answer to
"what comes next" is in the table.  Each message has the question, so that the origin is at a fixed
place and names point to it.
IXFR (RFC 1995) is answered with a whole zone, as its section 4 allows.
Above: stream.py.  Below: message.py, table.py.
Left out: secondary servers are not told of changes (the zone is part of the image).
"""

import micropython
from micropython import const

from net.dns.name import Malformed, read_name

# Repeated from table.py, responder.py, message.py.
ZONES = const(2)
DIRECTORY = const(3)
NODES = const(7)
PARENTS = const(8)
KINDS = const(9)
FAMILIES = const(10)
WIDE = const(13)
MANY = const(14)
ORIGIN = const(0)
ORIGIN_LENGTH = const(1)
APEX = const(2)
ZONE = const(7)
FIRST = const(0)
COUNT = const(1)
LABELS = const(2)
SHAPE = const(4)
FAMILY = const(6)
RRSETS = const(2)
TTL = const(4)
RRSET = const(16)
SOA_TYPE = const(6)

ZONE_AT = const(37)
ORIGIN_AT = const(38)
BASE = const(39)
AT = const(40)
LIMIT = const(41)
KNOWN = const(43)
TARGETS = const(44)
SPELLED = const(0x10000)
FAR = const(0x4000)

MESSAGE_HEADER = const(12)
# Words of `state`.
NODE = const(0)  # the next; 0: the first SOA is still to be sent
NEXT = const(1)  # its next RRset
SENT = const(2)  # all is sent


class Transfer:
    def __init__(self, responder, query, start, end):
        self.table = responder.zone
        self.work = responder.work
        self.message = responder.message
        self.state = bytearray(12)
        self.head = bytes(memoryview(query)[start : start + MESSAGE_HEADER])
        self.question = b""
        self.zone = 0
        try:
            data = bytes(memoryview(query)[start:end])
            name, after = read_name(data, MESSAGE_HEADER)
        except Malformed:
            return
        self.question = data[MESSAGE_HEADER : after + 4]
        # (A pointer in the question leads to its own name at best: none is accepted.)
        if len(name) == after - MESSAGE_HEADER and len(self.question) == len(name) + 4:
            self.zone = self.find(name.lower())

    def find(self, name):
        """The zone with this origin: its words in the table, or 0."""
        table = self.table
        zone = word(table, DIRECTORY)
        for _ in range(word(table, ZONES)):
            length = word(table, zone + ORIGIN_LENGTH)
            origin = word(table, zone + ORIGIN)
            if bytes(memoryview(table)[origin : origin + length]) == name:
                return zone
            zone += ZONE
        return 0

    @property
    def done(self):
        return self.state[4 * SENT] != 0

    def refusal(self, code):
        """The answer to whom we do not give the zone."""
        # The opcode and RD come back.
        flags = bytes([0x80 | self.head[2] & 0x79, code])
        count = b"\0\1" if self.question else b"\0\0"
        return self.head[:2] + flags + count + bytes(6) + self.question

    def fill(self, out, start, limit):
        """One message into out[start:limit]."""
        question = self.question
        at = start + MESSAGE_HEADER + len(question)
        if at > limit:
            return 0
        out[start : start + 2] = self.head[:2]
        out[start + MESSAGE_HEADER : at] = question
        return self.put(out, start, at, limit)

    @micropython.viper
    def put(self, out, start: int, at: int, limit: int) -> int:
        o = ptr8(out)
        t = ptr8(self.table)
        head = ptr32(t)
        work = ptr32(self.work)
        state = ptr32(self.state)
        put_rrset = self.message.put
        zone = int(self.zone)
        apex = head[zone + APEX]
        nodes = head[NODES]
        parents = head[PARENTS]
        wide = head[WIDE]
        work[BASE] = start
        work[AT] = at
        work[LIMIT] = limit
        work[ZONE_AT] = zone
        work[ORIGIN_AT] = MESSAGE_HEADER
        work[KNOWN] = 0
        records = 0
        owner_of = 0  # the node whose name is at offset `owner`
        owner = 0
        while True:
            node = state[NODE]
            soa = 0
            if node == 0 or node == nodes:
                # The first and the last record.
                soa = SOA_TYPE
                node = apex
            else:
                # Is it in this zone?  The topmost of its ancestors is.
                top = node
                while True:
                    v = parents + top
                    p = t[v] | t[v + nodes] << 8
                    if wide:
                        p |= t[v + nodes + nodes] << 16
                    if p == 0:
                        break
                    top = p
                if top != apex:
                    state[NODE] += 1
                    state[NEXT] = 0
                    continue
            v = head[KINDS] + node
            kind = int(t[v])
            if head[MANY]:
                kind |= t[v + nodes] << 8
                if head[MANY] > 1:
                    kind |= t[v + nodes + nodes] << 16
            family = head[FAMILIES] + FAMILY * kind
            shape = head[family + SHAPE]
            count = int(t[shape + 1])
            n = state[NEXT]
            full = 0
            while n < count:
                rrset = shape + RRSETS + RRSET * n
                kind = t[rrset] << 8 | t[rrset + 1]
                if (soa and kind != SOA_TYPE) or (soa == 0 and node == apex and kind == SOA_TYPE):
                    n += 1
                    continue
                begin = work[AT]
                if begin - start >= FAR:
                    # No pointer gets to an owner that far back.
                    full = 1
                    break
                where = MESSAGE_HEADER
                if node != apex:
                    where = owner
                    if owner_of != node:
                        # Its name: the labels from itself up, and a pointer to the origin.
                        where = begin - start | SPELLED
                        at = begin
                        up = node
                        while up != apex:
                            v = head[KINDS] + up
                            kind = int(t[v])
                            if head[MANY]:
                                kind |= t[v + nodes] << 8
                                if head[MANY] > 1:
                                    kind |= t[v + nodes + nodes] << 16
                            p = head[FAMILIES] + FAMILY * kind
                            rows = head[p + COUNT]
                            p = head[p + LABELS] + up - head[p + FIRST] << 2
                            length = int(t[p])
                            if at + length + 3 > limit:
                                full = 1
                                break
                            i = 0
                            while i <= length:
                                o[at] = t[p + (i & 3)]
                                at += 1
                                i += 1
                                if i & 3 == 0:
                                    p += rows << 2
                            v = parents + up
                            up = t[v] | t[v + nodes] << 8
                            if wide:
                                up |= t[v + nodes + nodes] << 16
                        if full:
                            break
                        o[at] = 0xC0
                        o[at + 1] = MESSAGE_HEADER
                        work[AT] = at + 2
                work[TARGETS] = 0
                i = int(put_rrset(out, rrset, family, node, where, rrset + TTL))
                if i == 0:
                    full = 1
                    work[AT] = begin
                    break
                if node != apex:
                    owner_of = node
                    owner = where & 0xFFFF
                records += i
                n += 1
            state[NEXT] = n
            if full:
                break
            state[NEXT] = 0
            if state[NODE] == nodes:
                state[SENT] = 1
                break
            state[NODE] += 1
        if records == 0 and state[SENT] == 0:
            return 0
        # RFC 5936 section 2.2: an authoritative answer without other sections.
        o[start + 2] = 0x84
        o[start + 3] = 0
        o[start + 4] = 0
        o[start + 5] = 1
        o[start + 6] = records >> 8
        o[start + 7] = records
        i = 8
        while i < MESSAGE_HEADER:
            o[start + i] = 0
            i += 1
        return work[AT] - start


def word(table, index):
    """A word of the table."""
    return int.from_bytes(bytes(memoryview(table)[4 * index : 4 * index + 4]), "little")
