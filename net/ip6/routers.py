"""Routers: what they advertise about the link, and better ways that they point out.

Router advertisement (134), behind four bytes of ICMPv6, then options:

     0       1       2               4               8              12
     +-------+-------+---------------+---------------+---------------+
     | limit | flags |   lifetime    | reachable (4) |  retrans (4)  |
     +-------+-------+---------------+---------------+---------------+

RFC 4861 sections 6.3 (advertisements, solicitations) and 8 (redirects); RFC 7559 (ask until one
answers); RFC 4191 (preferences, more specific routes); RFC 8106 (name servers and search domains);
RFC 4862 5.5.3 (prefixes for addresses); RFC 9096 is left to the lifetimes of routers.

What an advertisement may not do (any station of the link can send one): set a hop limit below 32,
an MTU below 1280 or above the device's, timers out of reason; fill the tables (routes.py,
addresses.py).
Above: routes, addresses, neighbours, header; `other` (dhcp6) if the router says so.  Below:
icmp6.message.
Left out: secure neighbour discovery (RFC 3971); addresses by DHCPv6 (flag M asks for what O does).
"""

from micropython import const

from net.config import NAME_SERVERS6
from net.ip6.discovery import (
    ROUTER_SOLICITATION,
    SOURCE_MAC,
    TARGET_MAC,
    mac_of,
    options,
    valid,
)
from net.ip6.routes import HIGH, LOW, MEDIUM
from net.ip6.seconds import FOREVER, lifetime
from runtime.counters import Counters

LIMIT = const(0)
FLAGS = const(1)
LIFETIME = const(2)
REACHABLE = const(4)
RETRANS = const(8)
SIZE = const(12)

MTU = const(5)
PREFIX = const(3)
ROUTE = const(24)
NAME_SERVERS = const(25)
SEARCH = const(31)

MANAGED_OR_OTHER = const(0xC0)
ON_LINK_FLAG = const(0x80)
AUTONOMOUS_FLAG = const(0x40)
PREFERENCES = (MEDIUM, HIGH, None, LOW)  # RFC 4191 2.1; 2 is reserved

LEAST_LIMIT = const(32)
SMALLEST_MTU = const(1280)
LONGEST_REACHABLE_MS = const(3_600_000)
# RFC 7559 section 2.
FIRST_RETRY_MS = const(4_000)
LONGEST_RETRY_MS = const(3_600_000)
HOPS = const(255)

DEFAULT = bytes(16)
ALL_ROUTERS = b"\xff\x02" + bytes(13) + b"\x02"

COUNTS = ("solicited", "advertisements", "redirects")
DROPS = ("malformed", "full", "not_the_router")
_SOLICITED = const(0)
_ADVERTISEMENTS = const(1)
_REDIRECTS = const(2)
_MALFORMED = const(3)
_FULL = const(4)
_NOT_THE_ROUTER = const(5)


def names(data):
    """Domain names in the form of RFC 1035, padded with zeros; what is malformed is left out."""
    found = []
    at = 0
    while at < len(data) and data[at]:
        labels = []
        while at < len(data) and data[at]:
            size = data[at]
            label = data[at + 1 : at + 1 + size]
            if size > 63 or len(label) != size:
                return found
            labels.append("".join([chr(byte) for byte in label if 33 <= byte < 127]))
            at += 1 + size
        found.append(".".join(labels))
        at += 1
    return found


def is_link_local(address):
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


class Routers:
    def __init__(self, timers, seconds, registry):
        self.count = registry.add(Counters("routers", COUNTS, DROPS)).count
        self.seconds = seconds
        self.asking = timers.timer(self.ask)
        self.expiry = timers.timer(self.expire)
        self.retry = FIRST_RETRY_MS
        self.servers = []  # of (address, until)
        self.domains = []  # of (name, until)
        self.known = [[], []]  # both, as they were told
        self.take_default = True  # False: a gateway is in the settings
        self.take_addresses = True
        # Slots.
        self.message = None
        self.source = None
        self.addresses = None
        self.routes = None
        self.neighbours = None
        self.ip6 = None
        self.most = 0  # the device's MTU
        self.learned = None
        self.other = self.ignore

    def ignore(self):
        pass

    # Questions.

    def start(self):
        """The link is there: who are the routers?"""
        self.retry = FIRST_RETRY_MS
        self.ask()

    def ask(self):
        self.count(_SOLICITED)
        # Without our link-layer address, as RFC 4429 3.3 wants of an address still tentative.
        self.message(ROUTER_SOLICITATION, 0, self.source(), ALL_ROUTERS, bytes(4), b"", HOPS)
        self.asking.start(self.retry)
        self.retry = min(2 * self.retry, LONGEST_RETRY_MS)

    # Advertisements.

    def receive(self, packet, start):
        router = packet.source
        found = options(packet, start + 16) if valid(packet, start, 16) else None
        if found is None or not is_link_local(router):
            self.count(_MALFORMED)
            return
        self.count(_ADVERTISEMENTS)
        body = bytes(packet.buffer[start + 4 : start + 16])
        life = body[LIFETIME] << 8 | body[LIFETIME + 1]
        preference = PREFERENCES[body[FLAGS] >> 3 & 3] or MEDIUM
        if self.take_default:
            self.learn_route(DEFAULT, 0, router, preference, life)
        if life:
            self.asking.stop()
        mac = mac_of(found, SOURCE_MAC)
        self.parameters(body)
        for kind, option in found:
            if kind == MTU and len(option) == 8:
                mtu = int.from_bytes(option[5:8], "big")
                if option[4] == 0 and SMALLEST_MTU <= mtu <= self.most and mtu != self.ip6.mtu:
                    self.ip6.set_mtu(mtu)
            elif kind == PREFIX and len(option) == 32:
                self.prefix(option)
            elif kind == ROUTE:
                self.route(option, router)
            elif kind == NAME_SERVERS and len(option) >= 24 and len(option) & 8:
                self.name_servers(option)
            elif kind == SEARCH and len(option) >= 16:
                self.search(option)
        self.expire()
        if mac:
            # A router that there is no room for is a neighbour like others.
            self.neighbours.heard(router, mac, 1 if router in self.routes.routers else None)
        if body[FLAGS] & MANAGED_OR_OTHER:
            self.other()

    def parameters(self, body):
        """RFC 4861 6.3.4: zero says nothing."""
        if body[LIMIT] >= LEAST_LIMIT:
            self.ip6.set_limit(body[LIMIT])
        reachable = lifetime(body[REACHABLE : REACHABLE + 4])
        if 0 < reachable <= LONGEST_REACHABLE_MS:
            self.neighbours.reachable_ms = max(reachable, 1000)
        retrans = lifetime(body[RETRANS : RETRANS + 4])
        if 0 < retrans <= 60_000:
            self.neighbours.retrans_ms = max(retrans, 100)

    def learn_route(self, prefix, length, router, preference, life):
        if not self.routes.learn(prefix, length, router, preference, life):
            self.count(_FULL)

    def prefix(self, option):
        length, flags = option[2], option[3]
        valid_for = lifetime(option[4:8])
        preferred = lifetime(option[8:12])
        prefix = option[16:32]
        if is_link_local(prefix) or prefix[0] == 0xFF or length > 128:
            return
        if flags & ON_LINK_FLAG:
            self.learn_route(prefix, length, None, MEDIUM, valid_for)
        # RFC 4862 5.5.3 (c), (d).
        usable = flags & AUTONOMOUS_FLAG and preferred <= valid_for and length == 64
        if usable and self.take_addresses:
            self.addresses.autoconfigure(prefix, preferred, valid_for)

    def route(self, option, router):
        """RFC 4191 section 2.3."""
        length = option[2]
        preference = PREFERENCES[option[3] >> 3 & 3]
        needed = 8 if length == 0 else 16 if length <= 64 else 24
        if length > 128 or len(option) < needed or preference is None:
            return
        prefix = (option[8:] + bytes(16))[:16]
        if length or self.take_default:
            self.learn_route(prefix, length, router, preference, lifetime(option[4:8]))

    def name_servers(self, option):
        until = self.seconds.end(lifetime(option[4:8]))
        for at in range(8, len(option), 16):
            self.servers = self.remember(self.servers, option[at : at + 16], until)

    def search(self, option):
        until = self.seconds.end(lifetime(option[4:8]))
        for name in names(option[8:]):
            self.domains = self.remember(self.domains, name, until)

    def remember(self, known, what, until):
        rest = [pair for pair in known if pair[0] != what]
        fresh = until > self.seconds.now()
        if len(rest) == len(known):
            if fresh and len(known) < NAME_SERVERS6:
                return known + [(what, until)]  # noqa: RUF005 (MicroPython)
            return known
        return [pair if pair[0] != what else (what, until) for pair in known] if fresh else rest

    # Time.

    def expire(self):
        """Forget what is over, tell of what is known, and wait for the next end."""
        now = self.seconds.now()
        self.servers = [pair for pair in self.servers if pair[1] > now]
        self.domains = [pair for pair in self.domains if pair[1] > now]
        ends = [pair[1] - now for pair in self.servers + self.domains if pair[1] != FOREVER]
        ends += [self.routes.expire(), self.addresses.expire()]
        nearest = min(ends)
        if nearest != FOREVER:
            self.expiry.start(self.seconds.wait(nearest))
        known = [[pair[0] for pair in pairs] for pairs in (self.servers, self.domains)]
        if known != self.known:
            self.known = known
            self.learned(known[0], known[1])

    # Redirects.

    def receive_redirect(self, packet, start):
        """RFC 4861 section 8.1 and 8.3."""
        found = options(packet, start + 40) if valid(packet, start, 40) else None
        router = packet.source
        buffer = packet.buffer
        target = bytes(buffer[start + 8 : start + 24])
        destination = bytes(buffer[start + 24 : start + 40])
        if (
            found is None
            or not is_link_local(router)
            or destination[0] == 0xFF
            or not (is_link_local(target) or target == destination)
        ):
            self.count(_MALFORMED)
            return
        if self.routes.next_hop(destination) != router:
            self.count(_NOT_THE_ROUTER)
            return
        self.count(_REDIRECTS)
        mac = mac_of(found, TARGET_MAC)
        if mac:
            self.neighbours.heard(target, mac, None if target == destination else 1)
        self.routes.redirect(destination, target)
        self.ip6.forget(DEFAULT)
