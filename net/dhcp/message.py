"""DHCP messages: how they lie, what their options say.  RFC 2131 section 2.

     0               2               4               6               8
     +-------+-------+-------+-------+---------------+---------------+
     |  op   | htype | hlen  | hops  |              xid              |
     +-------+-------+-------+-------+---------------+---------------+
     |     secs      |     flags     |            ciaddr             |
     +---------------+---------------+---------------+---------------+
     |            yiaddr             |            siaddr             |
     +---------------+---------------+---------------+---------------+
     |            giaddr             |            chaddr             :
     +---------------+---------------+---------------+---------------+
     :                         chaddr (12 more)                      |
     +---------------------------------------------------------------+
     |                        sname (64 bytes)                       |
     +---------------------------------------------------------------+
     |                        file (128 bytes)                       |
     +-------------------------------+-------------------------------+
     |             magic             |            options            :
     +-------------------------------+-------------------------------+

RFC 2132 (options), 3396 (split ones), 3442 (classless routes).  What is not needed to have an
address is in facts.py.
Law: what a server sends is used whole or not at all: whatever is wrong raises Malformed.
Above: dhcp.py.
"""

from micropython import const

from net.address import length as mask_length
from runtime.parts import part

OP = const(0)
HTYPE = const(1)
HLEN = const(2)
HOPS = const(3)
XID = const(4)
SECS = const(8)
FLAGS = const(10)
CIADDR = const(12)
YIADDR = const(16)
SIADDR = const(20)
GIADDR = const(24)
CHADDR = const(28)
SNAME = const(44)
FILE = const(108)
MAGIC = const(236)
OPTIONS = const(240)
SIZE = const(300)  # what BOOTP relays and servers expect at least (RFC 1542 2.1)
COOKIE = b"\x63\x82\x53\x63"

DISCOVER = const(1)
OFFER = const(2)
REQUEST = const(3)
DECLINE = const(4)
ACK = const(5)
NAK = const(6)
RELEASE = const(7)
INFORM = const(8)

PAD = const(0)
MASK = const(1)
ROUTER = const(3)
NAME_SERVER = const(6)
HOST_NAME = const(12)
DOMAIN = const(15)
MTU = const(26)
STATIC_ROUTES = const(33)
TIME_SERVER = const(42)  # of NTP
REQUESTED = const(50)
LEASE = const(51)
OVERLOAD = const(52)
MESSAGE = const(53)
SERVER = const(54)
PARAMETERS = const(55)
TEXT = const(56)
LONGEST_MESSAGE = const(57)
T1 = const(58)
T2 = const(59)
CLASS = const(60)
CLIENT = const(61)
RAPID_COMMIT = const(80)
CAPTIVE_PORTAL = const(114)
DOMAIN_SEARCH = const(119)
CLASSLESS_ROUTES = const(121)
MICROSOFT_ROUTES = const(249)
LAST = const(255)

# RFC 3442: classless routes are asked for before routers.
WANTED = bytes([MASK, CLASSLESS_ROUTES, ROUTER, STATIC_ROUTES, NAME_SERVER, HOST_NAME, DOMAIN])
WANTED += bytes([DOMAIN_SEARCH, MTU, TIME_SERVER, LEASE, T1, T2, CAPTIVE_PORTAL, MICROSOFT_ROUTES])
FOREVER = const(0xFFFFFFFF)


OURSELVES = b"ImportOS"  # option 60
FACTS = "net.dhcp.facts"  # where somebody asks for them (tools/image/closure.py, PARTS)


class Malformed(Exception):
    pass


def header(xid, seconds, ciaddr, mac):
    """A message of ours up to its options."""
    return (
        b"\x01\x01\x06\x00"
        + xid
        + bytes([seconds >> 8, seconds & 0xFF, 0, 0])
        + ciaddr
        + bytes(12)
        + mac
        + bytes(10 + 64 + 128)
        + COOKIE
    )


def wishes(mtu, name):
    """The options that say who we are and what we want to know."""
    options = bytes([LONGEST_MESSAGE, 2, mtu >> 8, mtu & 0xFF])
    options += bytes([PARAMETERS, len(WANTED)]) + WANTED
    options += bytes([CLASS, len(OURSELVES)]) + OURSELVES
    if name:
        options += bytes([HOST_NAME, len(name)]) + name
    return options


def parse_options(message):
    """Options by number; what is split is joined (RFC 3396), in the order options, file, sname."""
    options = {}
    parse_field(options, message, OPTIONS, len(message))
    overload = options.get(OVERLOAD, b"\0")
    if len(overload) != 1 or overload[0] > 3:
        raise Malformed
    if overload[0] & 1:
        parse_field(options, message, FILE, MAGIC)
    if overload[0] & 2:
        parse_field(options, message, SNAME, FILE)
    return options


def parse_field(options, message, at, end):
    while at < end:
        code = message[at]
        at += 1
        if code == LAST:
            return
        if code == PAD:
            continue
        if at == end or at + 1 + message[at] > end:
            raise Malformed
        length = message[at]
        at += 1
        options[code] = options.get(code, b"") + message[at : at + length]
        at += length


def get(options, code, length, default=None):
    """An option of fixed length."""
    value = options.get(code, default)
    if value is None or len(value) != length:
        raise Malformed
    return value


def number(options, code, length, default):
    return int.from_bytes(get(options, code, length, default.to_bytes(length, "big")), "big")


def addresses(options, code):
    """A list of at least one address, or none."""
    value = options.get(code, b"")
    if len(value) & 3:
        raise Malformed
    return [value[i : i + 4] for i in range(0, len(value), 4)]


def parse_routes(value):
    """RFC 3442: prefix length, as many bytes of the prefix as that needs, router."""
    routes = []
    at = 0
    while at < len(value):
        length = value[at]
        size = (length + 7) >> 3
        if length > 32 or at + 1 + size + 4 > len(value):
            raise Malformed
        prefix = value[at + 1 : at + 1 + size] + bytes(4 - size)
        at += 1 + size
        routes.append((prefix, length, value[at : at + 4]))
        at += 4
    return routes


def parse_static_routes(value):
    """RFC 2132 section 5.8: pairs of a destination, whose class says how much of it counts, and a
    router; no default."""
    if len(value) & 7:
        raise Malformed
    routes = []
    for at in range(0, len(value), 8):
        prefix = value[at : at + 4]
        size = class_length(prefix[0])
        if any(prefix[size >> 3 :]):
            size = 32
        if any(prefix):
            routes.append((prefix, size, value[at + 4 : at + 8]))
    return routes


def class_length(first):
    """RFC 1122 3.3.1.1: what the first byte said before there were masks."""
    return 8 if first < 128 else 16 if first < 192 else 24


class Offer:
    """What an OFFER or an ACK gives."""

    def __init__(self, message, options, server=None):
        self.address = message[YIADDR:SIADDR]
        # RFC 2131 table 3: the server must say who it is; an ACK that does not is believed.
        self.server = get(options, SERVER, 4, server)
        self.seconds = number(options, LEASE, 4, 0)
        self.t1 = number(options, T1, 4, 0)
        self.t2 = number(options, T2, 4, 0)
        if not 0 < self.t1 < self.t2 < self.seconds:
            # RFC 2131 4.4.5.
            self.t1 = self.seconds >> 1
            self.t2 = self.seconds - (self.seconds >> 3)
        first = self.address[0]
        if MASK in options:
            self.length = mask_length(get(options, MASK, 4))
        else:
            self.length = class_length(first)
        known = part(FACTS)
        self.facts = known.facts(options) if known else {}
        self.mtu = number(options, MTU, 2, 0)
        routes = options.get(CLASSLESS_ROUTES, options.get(MICROSOFT_ROUTES))
        self.gateway = None
        self.routes = []
        if routes is None:
            routers = addresses(options, ROUTER)
            self.gateway = routers[0] if routers else None
            self.routes = parse_static_routes(options.get(STATIC_ROUTES, b""))
        else:
            # RFC 3442: then routers and static routes are to be ignored.
            for prefix, length, gateway in parse_routes(routes):
                if length == 0:
                    self.gateway = gateway
                else:
                    self.routes.append((prefix, length, gateway))
        self.settings = (self.length, self.gateway, self.routes, self.mtu, self.facts)
        self.usable = (
            0 < first < 224 and first != 127 and self.seconds > 7 and 0 < self.length <= 32
        )
