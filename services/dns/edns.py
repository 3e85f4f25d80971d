"""EDNS: find the OPT record behind the question.  RFC 6891.

Left out: options.  They are checked to be well-formed and ignored (RFC 6891 section 6.1.2), cookies
and client subnets among them.
"""

import micropython
from micropython import const

# Words of the work area, drawn in responder.py.
OPT = const(45)
DO = const(46)
SIZE = const(47)

GOOD = const(0)
MALFORMED = const(1)
VERSION = const(2)


@micropython.viper
def read_opt(query, at: int, end: int, count: int, area) -> int:
    """Walk the `count` records of the additional section, which is the rest of the query.

    Leaves in the work area: OPT, whether there is one; DO, its flag; SIZE, what the sender can
    take.
    """
    q = ptr8(query)
    work = ptr32(area)
    work[OPT] = 0
    version = 0
    while count:
        first = at
        while True:
            if at >= end:
                return MALFORMED
            n = q[at]
            if n >= 0xC0:
                at += 2
                break
            if n > 63:
                return MALFORMED
            at += n + 1
            if n == 0:
                break
        if at - first > 255:
            return MALFORMED
        if at + 10 > end:
            return MALFORMED
        length = q[at + 8] << 8 | q[at + 9]
        if at + 10 + length > end:
            return MALFORMED
        if q[at] << 8 | q[at + 1] == 41:
            # RFC 6891 section 6.1.1: one at most; 6.1.2: owned by the root.
            if work[OPT]:
                return MALFORMED
            if at - first != 1:
                return MALFORMED
            work[OPT] = 1
            work[SIZE] = q[at + 2] << 8 | q[at + 3]
            version = q[at + 5]
            work[DO] = q[at + 6] & 0x80
            option = at + 10
            last = option + length
            while option < last:
                if option + 4 > last:
                    return MALFORMED
                option += 4 + (q[option + 2] << 8 | q[option + 3])
            if option > last:
                return MALFORMED
        at += 10 + length
        count -= 1
    if version:
        return VERSION
    return GOOD
