"""EDNS: read the OPT record behind the question.  RFC 6891.

Of the options only tcp-keepalive (RFC 7828) is looked at, by who answers over TCP; the others are
checked to be well-formed and ignored (RFC 6891 section 6.1.2).
Left out: cookies, client subnets.  Other records have no use in a query and make it malformed; one
with a signature (TSIG, SIG(0)) would have to be answered signed, and nobody here has a key.
"""

import micropython
from micropython import const

# Words of the work area, drawn in responder.py.
OPT = const(45)
DO = const(46)
SENDER_SIZE = const(47)
KEEPALIVE = const(53)

TCP_KEEPALIVE = const(11)

GOOD = const(0)
MALFORMED = const(1)
VERSION = const(2)


@micropython.viper
def read_opt(query, at: int, end: int, area) -> int:
    """The only record of the additional section is at query[at:end].

    Leaves in the work area: OPT, that there is one; DO, its flag; SENDER_SIZE, what it can take;
    KEEPALIVE, that it asks how long a connection may be idle.
    """
    q = ptr8(query)
    work = ptr32(area)
    # RFC 6891 section 6.1.2: root, type 41, size, extended code, version, flags, length.
    if at + 11 > end or q[at] | q[at + 1] | q[at + 2] ^ 41:
        return MALFORMED
    work[OPT] = 1
    work[SENDER_SIZE] = q[at + 3] << 8 | q[at + 4]
    work[DO] = q[at + 7] & 0x80
    if q[at + 6]:
        # What else there is has a meaning only in that version.
        return VERSION
    option = at + 11
    last = option + (q[at + 9] << 8 | q[at + 10])
    if last > end:
        return MALFORMED
    while option + 4 <= last:
        if q[option] << 8 | q[option + 1] == TCP_KEEPALIVE:
            work[KEEPALIVE] = 1
        option += 4 + (q[option + 2] << 8 | q[option + 3])
    if option != last:
        return MALFORMED
    return GOOD
