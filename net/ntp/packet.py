"""NTP on the wire.  RFC 5905 section 7.3.

     0               2               4               6               8
     +-------+-------+-------+-------+---------------+---------------+
     |LI VN M|stratum| poll  | prec. |          root delay           |
     +-------+-------+-------+-------+---------------+---------------+
     |        root dispersion        |         reference id          |
     +-------------------------------+-------------------------------+
     |                      reference timestamp                      |
     +---------------------------------------------------------------+
     |                       origin timestamp                        |
     +---------------------------------------------------------------+
     |                       receive timestamp                       |
     +---------------------------------------------------------------+
     |                       transmit timestamp                      |
     +---------------------------------------------------------------+

A timestamp is seconds since 1900 (32 bits, an era of 136 years) and a fraction of 32 bits; here it
becomes microseconds since 1970, in the era that is next to PIVOT or to our clock if that is later.

The transmit timestamp of a request is random instead of the time, and comes back as the origin: so
nobody who does not see our requests can answer them (as RFC 9769 section 4 has it for another
reason), and nothing is told about our clock.
Left out: extension fields and MACs (what follows byte 48 is not looked at).
"""

from micropython import const

FIRST = const(0)
STRATUM = const(1)
POLL = const(2)
PRECISION = const(3)
ROOT_DELAY = const(4)
ROOT_DISPERSION = const(8)
REFERENCE_ID = const(12)
REFERENCE = const(16)
ORIGIN = const(24)
RECEIVE = const(32)
TRANSMIT = const(40)
SIZE = const(48)

CLIENT = const(3)
SERVER = const(4)
VERSION = const(4)
ALARM = const(3)  # leap indicator: not synchronised
WORST_STRATUM = const(15)

MILLION = const(1_000_000)
SINCE_1900 = const(2_208_988_800)  # seconds from 1900 to 1970
ERA = const(4_294_967_296_000_000)  # microseconds
PIVOT = const(1_767_225_600_000_000)  # 2026

# What may be wrong with a reply, and what it may be.
GOOD = const(0)
SHORT = const(1)
MODE = const(2)
BOGUS = const(3)
KISS = const(4)
UNSYNCHRONISED = const(5)
BACKWARDS = const(6)


def request(nonce):
    """What a client sends; `nonce`: 8 random bytes."""
    return bytes([VERSION << 3 | CLIENT]) + bytes(TRANSMIT - 1) + nonce


def timestamp(data, at, now):
    """Microseconds since 1970; `now`: about when it was."""
    seconds = int.from_bytes(data[at : at + 4], "big") - SINCE_1900
    fraction = int.from_bytes(data[at + 4 : at + 8], "big")
    time = seconds * MILLION + (fraction * MILLION >> 32)
    near = max(now, PIVOT)
    return time + (near - time + (ERA >> 1)) // ERA * ERA


def short(data, at):
    """A number of 16 + 16 bits of seconds in microseconds."""
    return int.from_bytes(data[at : at + 4], "big") * MILLION >> 16


class Reply:
    """`verdict` says whether the other fields have a meaning."""

    def __init__(self, data, nonce, now):
        self.kiss = b""
        self.verdict = self.check(data, nonce)
        if self.verdict != GOOD:
            return
        self.stratum = data[STRATUM]
        self.root_delay = short(data, ROOT_DELAY)
        self.root_dispersion = short(data, ROOT_DISPERSION)
        self.receive = timestamp(data, RECEIVE, now)
        self.transmit = timestamp(data, TRANSMIT, now)
        if self.receive > self.transmit:
            self.verdict = BACKWARDS

    def check(self, data, nonce):
        """RFC 5905 section 8, figure 19, in that order."""
        if len(data) < SIZE:
            return SHORT
        if data[FIRST] & 7 != SERVER or not 1 <= data[FIRST] >> 3 & 7 <= VERSION:
            return MODE
        # Tests 1 to 3 (duplicate, bogus, zero): the nonce is good for one reply.
        if nonce is None or data[ORIGIN:RECEIVE] != nonce:
            return BOGUS
        if data[STRATUM] == 0:
            # RFC 5905 section 7.4.
            self.kiss = data[REFERENCE_ID:REFERENCE]
            return KISS
        if (
            data[FIRST] >> 6 == ALARM
            or data[STRATUM] > WORST_STRATUM
            or not any(data[TRANSMIT:SIZE])
            or not any(data[RECEIVE:TRANSMIT])
        ):
            # Tests 3 and 6.
            return UNSYNCHRONISED
        return GOOD
