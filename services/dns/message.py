"""Message: write RRsets into an answer, whole or not at all, with compressed names.

RFC 1035 section 4.1.4; RFC 3597 section 4 (which names may be compressed); RFC 2181 section 9 (an
RRset that does not fit is left out whole).
Names compress against the origin in the question without a search; below it, against every name
written before, while there is room to remember.  Names are compared without case (RFC 4343), so a
compressed name is spelled as its first occurrence.
Above: responder.py, which says what to write.  Below: table.py, where it is stored.
"""

import micropython
from micropython import const

# Repeated from table.py: constants fold only in the module that assigns them.
HEAP = const(11)
ORIGIN_LENGTH = const(1)
WRITTEN = const(4)
NEGATIVE = const(5)
FIRST = const(0)
COUNT = const(1)
DATA = const(3)
FORM = const(8)
RECORDS = const(10)
PLANE = const(12)
FIXED = const(14)
FORM_COMPRESS = const(0x40)
FORM_ADDITIONAL = const(0x80)
ORIGIN_MARK = const(0xC0)

# Words of the work area, drawn in responder.py.
ZONE_AT = const(37)
ORIGIN_AT = const(38)
BASE = const(39)
AT = const(40)
LIMIT = const(41)
NAME_AT = const(42)
KNOWN = const(43)
TARGETS = const(44)
KNOWN_OFFSETS = const(320)  # u16
KNOWN_KEYS = const(768)  # bytes
KNOWN_MAX = const(64)
TARGET = const(208)  # words
TARGETS_MAX = const(32)

FAR = const(0x4000)  # a pointer does not get there
SPELLED = const(0x10000)  # in an offset: the name is there already, right before the record
ABROAD = const(0x80)  # in a key: the name does not end with the origin


class Message:
    """Writes to out[work[AT]:work[LIMIT]]; the message begins at out[work[BASE]]."""

    def __init__(self, table, work):
        self.data = table.data
        self.work = work

    @micropython.viper
    def put(self, out, rrset: int, family: int, node: int, owner: int, ttl: int) -> int:
        """Write the RRset of a node: the number of records, or 0 if there is no room.

        (After a 0 no more names may be written: some are remembered that are not there.)

        rrset: its offset in the table.  owner: offset in the message of the owner's name; with
        SPELLED the name of the first record has been written.  ttl: offset in the table of the TTL
        to send.
        """
        t = ptr8(self.data)
        head = ptr32(t)
        o = ptr8(out)
        work = ptr32(self.work)
        limit = work[LIMIT]
        begin = work[AT]
        pos = begin
        count = head[family + COUNT]
        plane = t[rrset + PLANE] | t[rrset + PLANE + 1] << 8
        source = head[family + DATA] + plane * count + node - head[family + FIRST]
        records = t[rrset + RECORDS] | t[rrset + RECORDS + 1] << 8
        fixed = t[rrset + FIXED] | t[rrset + FIXED + 1] << 8
        form = t[rrset + FORM]
        size = fixed
        after = 0
        if fixed == 0:
            offset = t[source] | t[source + count] << 8 | t[source + 2 * count] << 16
            offset |= t[source + 3 * count] << 24
            source = head[HEAP] + offset
        done = 0
        while done < records:
            if pos + 12 > limit:
                break
            if owner & SPELLED:
                owner ^= SPELLED
                pos -= 2
            else:
                o[pos] = 0xC0 | owner >> 8
                o[pos + 1] = owner
            i = 0
            while i < 4:
                o[pos + 2 + i] = t[rrset + i]
                o[pos + 6 + i] = t[ttl + i]
                i += 1
            length_at = pos + 10
            pos += 12
            if fixed:
                if pos + fixed > limit:
                    break
                i = 0
                while i < fixed:
                    o[pos] = t[source]
                    pos += 1
                    source += count
                    i += 1
            else:
                size = t[source] | t[source + 1] << 8
                source += 2
                after = source + size
                size = form & 0x0F
                names = form >> 4 & 3
                if names == 0:
                    size = after - source
                # The bytes before the first name, the names, the bytes behind.
                if pos + size > limit:
                    break
                while size:
                    o[pos] = t[source]
                    pos += 1
                    source += 1
                    size -= 1
                while names:
                    work[AT] = pos
                    if form & FORM_ADDITIONAL and work[TARGETS] < TARGETS_MAX:
                        work[TARGET + 2 * work[TARGETS]] = source
                    source = int(self.put_name(out, source, form & FORM_COMPRESS))
                    if source == 0:
                        break
                    pos = work[AT]
                    if form & FORM_ADDITIONAL and work[TARGETS] < TARGETS_MAX:
                        i = work[NAME_AT]
                        work[TARGET + 2 * work[TARGETS] + 1] = i
                        if i < FAR:
                            work[TARGETS] += 1
                    names -= 1
                if names:
                    break
                if pos + after - source > limit:
                    break
                while source < after:
                    o[pos] = t[source]
                    pos += 1
                    source += 1
            size = pos - length_at - 2
            o[length_at] = size >> 8
            o[length_at + 1] = size
            done += 1
        if done < records:
            work[AT] = begin
            return 0
        work[AT] = pos
        return done

    @micropython.viper
    def put_name(self, out, at: int, compress: int) -> int:
        """Write the stored name at `at`: the offset behind it in the table, or 0 without room.

        Leaves in work[NAME_AT] where in the message the name, or an equal one, is spelled out.
        """
        t = ptr8(self.data)
        head = ptr32(t)
        o = ptr8(out)
        work = ptr32(self.work)
        offsets = ptr16(work)
        keys = ptr8(work)
        base = work[BASE]
        pos = work[AT]
        limit = work[LIMIT]
        # How many labels are there, and what is behind them?
        labels = 0
        end = at
        while True:
            n = t[end]
            if n == 0 or n == ORIGIN_MARK:
                break
            end += n + 1
            labels += 1
        key = labels
        if n == 0:
            key |= ABROAD
        work[NAME_AT] = pos - base
        whole = 1
        while labels:
            n = t[at]
            known = work[KNOWN]
            i = 0
            if compress == 0:
                i = known
            while i < known:
                if keys[KNOWN_KEYS + i] == key:
                    # As many labels, and both in the zone or both not: compare them.
                    m = offsets[KNOWN_OFFSETS + i]
                    p = at
                    j = labels
                    while j:
                        n = o[base + m]
                        while n >= 0xC0:
                            m = (n & 0x3F) << 8 | o[base + m + 1]
                            n = o[base + m]
                        if n != t[p]:
                            break
                        while n:
                            m += 1
                            p += 1
                            a = o[base + m]
                            b = t[p]
                            if a != b:
                                if a | 0x20 != b | 0x20:
                                    break
                                a |= 0x20
                                if a < 97 or a > 122:
                                    break
                            n -= 1
                        if n:
                            break
                        m += 1
                        p += 1
                        j -= 1
                    if j == 0:
                        break
                i += 1
            if i < known:
                if pos + 2 > limit:
                    return 0
                m = offsets[KNOWN_OFFSETS + i]
                o[pos] = 0xC0 | m >> 8
                o[pos + 1] = m
                work[AT] = pos + 2
                if whole:
                    work[NAME_AT] = m
                return end + 1
            n = t[at]
            if pos + n + 1 > limit:
                return 0
            if known < KNOWN_MAX and pos - base < FAR:
                offsets[KNOWN_OFFSETS + known] = pos - base
                keys[KNOWN_KEYS + known] = key
                work[KNOWN] = known + 1
            while n >= 0:
                o[pos] = t[at]
                pos += 1
                at += 1
                n -= 1
            whole = 0
            labels -= 1
            key -= 1
        zone = work[ZONE_AT]
        n = 1
        p = end
        if t[end]:
            n = head[zone + ORIGIN_LENGTH]
            p = head[zone + WRITTEN]
            # (A pointer to the root is longer than the root.)
            if compress and n > 1:
                if pos + 2 > limit:
                    return 0
                m = work[ORIGIN_AT]
                o[pos] = 0xC0 | m >> 8
                o[pos + 1] = m
                work[AT] = pos + 2
                if whole:
                    work[NAME_AT] = m
                return end + 1
        if pos + n > limit:
            return 0
        i = 0
        if t[end]:
            while i < n:
                o[pos + i] = t[p + i]
                i += 1
        else:
            o[pos] = 0
        work[AT] = pos + n
        return end + 1

    @micropython.viper
    def put_negative(self, out) -> int:
        """Write the SOA of a negative answer, which the compiler has prepared: 1, or 0 if full."""
        t = ptr8(self.data)
        o = ptr8(out)
        work = ptr32(self.work)
        pos = work[AT]
        p = ptr32(t)[work[ZONE_AT] + NEGATIVE]
        length = t[p] | t[p + 1] << 8
        origins = t[p + 2] | t[p + 3] << 8
        source = p + 4 + 2 * origins
        if pos + length > work[LIMIT]:
            return 0
        i = 0
        while i < length:
            o[pos + i] = t[source + i]
            i += 1
        work[AT] = pos + length
        n = work[ORIGIN_AT]
        while origins:
            p += 4
            i = pos + (t[p] | t[p + 1] << 8)
            o[i] = 0xC0 | n >> 8
            o[i + 1] = n
            p -= 2
            origins -= 1
        return 1
