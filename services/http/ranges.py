"""Ranges of a file, RFC 9110 section 14: `bytes=0-99, 200-, -50`.

Several become one part each of multipart/byteranges.  More of them than MOST, or such that the
answer would be longer than the file, are ignored: the whole file is smaller.
"""

MOST = 16
LONGEST = 15  # digits
BOUNDARY = b"importos-byteranges"


def parse(field, length):
    """A list of (first, length) that can be satisfied, empty if none can; None: to be ignored."""
    unit, equals, text = field.partition("=")
    if unit.strip(" \t").lower() != "bytes" or not equals:
        return None
    found = []
    specified = 0
    for part in text.split(","):
        part = part.strip(" \t")
        if not part:
            continue
        specified += 1
        first, dash, last = part.partition("-")
        if not dash or specified > MOST or not (_number(first) and _number(last)):
            return None
        if first:
            begin = int(first)
            end = min(int(last) + 1, length) if last else length
            if last and int(last) < begin:
                return None
        elif last:
            begin = max(length - int(last), 0)
            end = length
        else:
            return None
        if begin < end:
            found.append((begin, end - begin))
    if not specified or sum([part[1] for part in found]) > length:
        return None
    return found


def _number(text):
    return len(text) <= LONGEST and not [c for c in text if c not in "0123456789"]


def multipart(table, body, length, kind, parts):
    """(the line of the head, pieces) of an answer with several parts."""
    pieces = []
    for first, size in parts:
        head = b"\r\n--%s\r\n%sContent-Range: bytes %d-%d/%d\r\n\r\n" % (
            BOUNDARY,
            kind,
            first,
            first + size - 1,
            length,
        )
        pieces.append((head, 0, len(head)))
        pieces.append((table, body + first, size))
    end = b"\r\n--%s--\r\n" % BOUNDARY
    pieces.append((end, 0, len(end)))
    return b"Content-Type: multipart/byteranges; boundary=%s\r\n" % BOUNDARY, pieces
