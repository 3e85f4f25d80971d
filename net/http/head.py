"""The head of a request: where it ends, whether it is well-formed, where its parts are.

RFC 9112 sections 2 to 5, read strictly, since what two servers read differently is how requests are
smuggled: lines end in CR LF and nothing else does, no blank before a colon, no folded lines
(section 5.2), nothing but visible characters in the target, no control characters in values.

    end = find_end(buffer, start, end)         behind the empty line, or 0
    status = parse(buffer, start, end, table)  0, or the status to refuse it with

    table, u16: offsets in the buffer
      0  METHOD_END   1  TARGET   2  TARGET_END   3  MINOR of HTTP/1.x   4  COUNT of fields
      8  FIELD, four for each: name, its end, value, its end (blanks around it left out)

Neighbours: request.py gives them names.  Nothing is copied or allocated.
"""

import micropython
from micropython import const

from net.config import HTTP_FIELDS, HTTP_TARGET

METHOD_END = const(0)
TARGET = const(1)
TARGET_END = const(2)
MINOR = const(3)
COUNT = const(4)
FIELD = const(8)
TABLE = 2 * (FIELD + 4 * HTTP_FIELDS)
LONGEST_METHOD = const(32)

# Kinds of characters, RFC 9110 section 5.6.2 and 5.5.
TOKEN = const(1)
VALUE = const(2)
VISIBLE = const(4)
BLANK = const(8)
SEPARATORS = b'"(),/:;<=>?@[\\]{}'


def _kind(c):
    kind = 0
    if 0x21 <= c <= 0x7E:
        kind = VISIBLE | VALUE
        if c not in SEPARATORS:
            kind |= TOKEN
    elif c == 0x20 or c == 0x09:
        kind = BLANK | VALUE
    elif c >= 0x80:
        kind = VALUE
    return kind


KINDS = bytes([_kind(c) for c in range(256)])


@micropython.viper
def find_end(buffer, start: int, end: int) -> int:
    """The offset behind the first CR LF CR LF in buffer[start:end], or 0."""
    b = ptr8(buffer)
    i = start + 3
    while i < end:
        c = b[i]
        if c > 13:
            i += 4
        elif c == 10:
            if b[i - 1] == 13 and b[i - 2] == 10 and b[i - 3] == 13:
                return i + 1
            i += 2
        elif c == 13:
            i += 1
        else:
            i += 4
    return 0


@micropython.viper
def parse(buffer, start: int, end: int, table, kinds) -> int:
    """Note where the parts of the head buffer[start:end] are, which ends with an empty line."""
    b = ptr8(buffer)
    t = ptr16(table)
    kind = ptr8(kinds)
    most = int(HTTP_FIELDS)
    # The request line.  (Every loop ends at a CR: there is one.)
    p = start
    while kind[b[p]] & TOKEN:
        p += 1
    if p == start or b[p] != 32:
        return 400
    if p - start > LONGEST_METHOD:
        return 501
    t[METHOD_END] = p
    p += 1
    t[TARGET] = p
    while kind[b[p]] & VISIBLE:
        p += 1
    t[TARGET_END] = p
    if p - int(t[TARGET]) > int(HTTP_TARGET):
        return 414
    if p == int(t[TARGET]) or b[p] != 32 or end - p < 13:
        return 400
    # " HTTP/1.1" CR LF
    if b[p + 1] != 72 or b[p + 2] != 84 or b[p + 3] != 84 or b[p + 4] != 80 or b[p + 5] != 47:
        return 400
    if b[p + 6] < 48 or b[p + 6] > 57 or b[p + 7] != 46 or b[p + 8] < 48 or b[p + 8] > 57:
        return 400
    if b[p + 9] != 13 or b[p + 10] != 10:
        return 400
    if b[p + 6] != 49:
        return 505
    t[MINOR] = b[p + 8] - 48
    p += 11
    # The fields.
    count = 0
    at = int(FIELD)
    while b[p] != 13:
        if count == most:
            return 431
        t[at] = p
        while kind[b[p]] & TOKEN:
            p += 1
        if p == int(t[at]) or b[p] != 58:
            return 400
        t[at + 1] = p
        p += 1
        while kind[b[p]] & BLANK:
            p += 1
        t[at + 2] = p
        last = p
        while True:
            k = int(kind[b[p]])
            if k & VALUE == 0:
                break
            p += 1
            if k & BLANK == 0:
                last = p
        t[at + 3] = last
        if b[p] != 13 or b[p + 1] != 10:
            return 400
        p += 2
        at += 4
        count += 1
    t[COUNT] = count
    if p + 2 != end:
        return 400
    return 0


@micropython.viper
def find(buffer, table, name, length: int, begin: int) -> int:
    """The first field from number `begin` on that is called `name` (lower case,
    `length` bytes), or -1."""
    b = ptr8(buffer)
    t = ptr16(table)
    wanted = ptr8(name)
    count = int(t[COUNT])
    at = int(FIELD) + (begin << 2)
    while begin < count:
        p = int(t[at])
        if int(t[at + 1]) - p == length:
            i = 0
            while i < length:
                c = b[p + i]
                if c >= 65 and c <= 90:
                    c += 32
                if c != wanted[i]:
                    break
                i += 1
            if i == length:
                return begin
        at += 4
        begin += 1
    return -1
