"""Server: from the received datagram straight down into the answer.

`receive` itself answers what is asked most: addresses of a name right below the origin, that there
is no data of a type, that there is no such name.  The rest it hands to Responder.
Law: what it answers, Responder answers with the same bytes; what it does not recognise at once it
hands on.  So a server without the short cut is the same server, only slower.
It recognises: an aligned payload; one question of class IN; EDNS with at most one option; one label
below the origin of the first zone, in any case; a node that is neither a zone cut nor an alias.
The question is compared, hashed and copied by words, and the name is not parsed before it is
compared: the first label says where the origin has to begin.
Above: responder.py.  Below: net/udp/udp.py.
"""

import micropython
from micropython import const

# Repeated from net/packet.py, table.py and responder.py: constants fold only in the module that
# assigns them.
PAYLOAD = const(6)
END = const(8)
BODY = const(208)

DIRECTORY = const(3)
SLOTS = const(4)
SHIFT = const(5)
MULTIPLIER = const(6)
NODES = const(7)
PARENTS = const(8)
KINDS = const(9)
FAMILIES = const(10)
WIDE = const(13)
MANY = const(14)
LOW = const(15)
ORIGIN_LENGTH = const(1)
APEX = const(2)
NEGATIVE = const(5)
VARIANTS = const(6)
FIRST = const(0)
COUNT = const(1)
LABELS = const(2)
DATA = const(3)
SHAPE = const(4)
LABEL_LENGTH = const(5)
FAMILY = const(6)
CUT = const(0x01)
WILD = const(0x02)
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
NODATA = const(12)
NXDOMAIN = const(13)
UDP_SIZE = const(512)
EDNS_SIZE = const(1232)

# The counts of a header, as little-endian words.
QUESTIONS_1 = const(0x100)
ADDITIONAL_1 = const(0x01000000)
CASE = const(0x20202020)  # in each byte the bit that tells lower from upper case


class Server:
    """`receive` is the callback of a UDP socket."""

    def __init__(self, responder):
        self.zone = responder.zone
        self.work = responder.work
        self.general = responder.answer
        self.count_type = responder.count_type

    @micropython.viper
    def receive(self, socket, datagram):
        packet = socket.packet()
        if packet is None:
            return
        query = datagram.buffer
        out = packet.buffer
        q = ptr8(query)
        words = ptr32(q)
        o = ptr8(out)
        start = int(ptr16(q)[PAYLOAD >> 1])
        end = int(ptr16(q)[END >> 1])
        at = 0
        # A loop that does not loop: `break` leaves the query to the responder.
        while start & 3 == 0 and end - start > 16:
            w = start >> 2
            opt = words[w + 2]
            length = int(q[start + 12])
            # No response, opcode QUERY, no response code; one question, behind it at most an OPT.
            if q[start + 2] & 0xF8 | q[start + 3] & 0x0F or words[w + 1] != QUESTIONS_1:
                break
            if length == 0 or length > 63 or (opt and opt != ADDITIONAL_1):
                break
            t = ptr8(self.zone)
            head = ptr32(t)
            zone = head[DIRECTORY]
            # The origin has to stand behind the first label.
            p = start + 13 + length
            i = head[zone + ORIGIN_LENGTH]
            if p + i + 4 > end:
                break
            k = (i + 6) >> 2
            v = head[zone + VARIANTS] + (p & 3) * (k << 1) - 1
            w = (p >> 2) - 1
            p += i
            i = (p - 1 >> 2) - w
            while i:
                if (words[w + i] ^ head[v + i]) & head[v + k + i]:
                    break
                i -= 1
            if i or q[p + 2] | q[p + 3] ^ 1:
                break
            kind = q[p] << 8 | q[p + 1]
            if kind >= 251 and kind <= 255:
                # Transfers and ANY.
                break
            p += 4
            limit = UDP_SIZE
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
                    limit = i
                limit -= 11
            # The node, as Table.find finds it.
            first = (start >> 2) + 3
            low = (length & 3) << 3
            mask = (2 << low + 7) - 1
            last = length >> 2
            k = head[MULTIPLIER]
            apex = head[zone + APEX]
            v = apex
            i = 0
            while i < last:
                v = v * k + (words[first + i] | CASE)
                i += 1
            w = words[first + i]
            i = head[LOW] << low
            v = (v * k + ((w | CASE) & (mask ^ i))) * k & 0x3FFFFFFF
            low = (w & i) >> low
            k = head[SHIFT]
            slot = v >> k
            k = 1 << 30 - k
            while True:
                v = head[SLOTS] + slot
                node = t[v] | t[v + k] << 8
                if head[WIDE]:
                    node |= t[v + k + k] << 16
                if node == 0:
                    break
                node += low
                v = head[KINDS] + node
                i = int(t[v])
                if head[MANY]:
                    i |= t[v + head[NODES]] << 8
                    if head[MANY] > 1:
                        i |= t[v + 2 * head[NODES]] << 16
                family = head[FAMILIES] + FAMILY * i
                if head[family + LABEL_LENGTH] == length:
                    v = head[PARENTS] + node
                    i = t[v] | t[v + head[NODES]] << 8
                    if head[WIDE]:
                        i |= t[v + 2 * head[NODES]] << 16
                    if i == apex:
                        count = head[family + COUNT]
                        row = node - head[family + FIRST]
                        v = head[family + LABELS] + last * count + row
                        i = last
                        different = (w ^ head[v]) & mask
                        while True:
                            if different:
                                if different | CASE != CASE:
                                    break
                                # Only bits of case differ: of letters?
                                byte = 0
                                while byte < 32:
                                    if different >> byte & 0x20:
                                        c = head[v] >> byte & 0xFF
                                        if c < 97 or c > 122:
                                            break
                                    byte += 8
                                if byte < 32:
                                    break
                            i -= 1
                            if i < 0:
                                break
                            v -= count
                            different = words[first + i] ^ head[v]
                        if i < 0:
                            break
                slot += 1
                if slot == k:
                    slot = 0
            size = 0
            records = 0
            code = 0
            if node:
                v = head[family + SHAPE]
                if t[v] & (CUT | ALIAS):
                    break
                i = int(t[v + 1])
                v += RRSETS
                while i:
                    if t[v] << 8 | t[v + 1] == kind:
                        break
                    v += RRSET
                    i -= 1
                if i:
                    size = int(t[v + FIXED])
                    if size == 0:
                        break
                    records = int(t[v + RECORDS])
            else:
                if t[head[head[FAMILIES] + FAMILY * t[head[KINDS] + apex] + SHAPE]] & WILD:
                    break
                code = 3
            n = p - start
            # What follows the question: addresses, or the SOA of the zone.
            i = records * (12 + size)
            if records == 0:
                v = head[zone + NEGATIVE]
                i = t[v] | t[v + 1] << 8
            if n + i > limit:
                break
            # Header and question come back.
            w = start >> 2
            to = ptr32(o)
            to[(BODY >> 2)] = words[w]
            to[(BODY >> 2) + 1] = words[w + 1]
            to[(BODY >> 2) + 2] = 0
            # (By words: the answer takes the place of what stands behind the last byte.)
            i = n + 3 >> 2
            while i > 6:
                i -= 4
                k = w + i
                v1 = (BODY >> 2) + i
                to[v1] = words[k]
                to[v1 + 1] = words[k + 1]
                to[v1 + 2] = words[k + 2]
                to[v1 + 3] = words[k + 3]
            while i > 3:
                i -= 1
                to[(BODY >> 2) + i] = words[w + i]
            o[BODY + 2] = 0x84 | o[BODY + 2] & 1
            o[BODY + 3] = code
            at = BODY + n
            if records:
                o[BODY + 7] = records
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
                code = NOERROR
            else:
                o[BODY + 9] = 1
                i = t[v] | t[v + 1] << 8
                k = t[v + 2] | t[v + 3] << 8
                n = v + 4 + 2 * k
                while i:
                    o[at] = t[n]
                    at += 1
                    n += 1
                    i -= 1
                i = at - (t[v] | t[v + 1] << 8)
                while k:
                    v += 2
                    n = i + (t[v + 2] | t[v + 3] << 8)
                    o[n] = 0xC0
                    o[n + 1] = 13 + length
                    k -= 1
                code = NXDOMAIN if code else NODATA
            if opt:
                o[BODY + 11] = 1
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
            work[code] += 1
            if kind == 1:
                work[TYPE_A] += 1
            elif kind == 28:
                work[TYPE_AAAA] += 1
            else:
                self.count_type(kind)
            break
        if at == 0:
            i = int(self.general(query, start, end, out, BODY, BODY + EDNS_SIZE))
            if i == 0:
                packet.release()
                return
            at = BODY + i
        ptr16(out)[END >> 1] = at
        socket.answer(datagram, packet)
