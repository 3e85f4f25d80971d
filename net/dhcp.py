"""DHCP client.  RFC 2131; options RFC 2132, RFC 3396 (split ones), RFC 3442 (classless routes).

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

     state        hears            becomes       when its time is over
     INIT                                        DISCOVER: SELECTING
     SELECTING    OFFER            REQUESTING    DISCOVER again, for ever
     REQUESTING   ACK              BOUND         REQUEST again, at last INIT
                  NAK              INIT
     BOUND                                       T1: RENEWING
     RENEWING     ACK              BOUND         ask again; T2: REBINDING
                  NAK              INIT
     REBINDING    ACK              BOUND         ask again; the lease is over: INIT
                  NAK              INIT
     REBOOTING    ACK              BOUND         ask again, at last BOUND as before
                  NAK              INIT

The link comes up again: REBOOTING, to ask whether the address is still good there.  Another station
uses our address: DECLINE and INIT (RFC 2131 3.1.5; the check is ARP's announcement after the
address is in use, not a probe before it, as a probe would cost every start seconds).

Law: whatever a server sends is checked or ignored; a message is used whole or not at all.
Above: inet.configure.  Below: a UDP socket.
Left out: the random wait before the first DISCOVER (RFC 2131 4.4.1; one machine starts here, not a
building), RELEASE, INFORM, authentication, FORCERENEW, choosing among offers: the first wins.
"""

from micropython import const

from net.address import length as mask_length
from net.address import text
from runtime.counters import Counters

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

SERVER_PORT = const(67)
CLIENT_PORT = const(68)

DISCOVER = const(1)
OFFER = const(2)
REQUEST = const(3)
DECLINE = const(4)
ACK = const(5)
NAK = const(6)

PAD = const(0)
MASK = const(1)
ROUTER = const(3)
NAME_SERVER = const(6)
HOST_NAME = const(12)
MTU = const(26)
REQUESTED = const(50)
LEASE = const(51)
OVERLOAD = const(52)
MESSAGE = const(53)
SERVER = const(54)
PARAMETERS = const(55)
LONGEST_MESSAGE = const(57)
T1 = const(58)
T2 = const(59)
CLIENT = const(61)
CLASSLESS_ROUTES = const(121)
MICROSOFT_ROUTES = const(249)
LAST = const(255)
# RFC 3442: classless routes are asked for before routers.
WANTED = bytes([MASK, CLASSLESS_ROUTES, ROUTER, NAME_SERVER, MTU, LEASE, T1, T2, MICROSOFT_ROUTES])

INIT = "INIT"
SELECTING = "SELECTING"
REQUESTING = "REQUESTING"
BOUND = "BOUND"
RENEWING = "RENEWING"
REBINDING = "REBINDING"
REBOOTING = "REBOOTING"

FIRST_WAIT_MS = const(4_000)  # RFC 2131 4.1: 4 s, doubled up to 64 s, each more or less 1 s
LONGEST_WAIT_MS = const(64_000)
TRIES = const(4)
LEAST_RENEWAL_S = const(60)  # RFC 2131 4.4.5
AFTER_NAK_MS = const(1_000)
AFTER_DECLINE_MS = const(10_000)  # RFC 2131 3.1.5
CONFLICT_MS = const(10_000)  # so close to another conflict or to the start, it is not defended
FOREVER = const(0xFFFFFFFF)
TURN = const(0x3FFFFFFF)
NOBODY = b"\x00\x00\x00\x00"
EVERYBODY = b"\xff\xff\xff\xff"

COUNTS = ("sent", "offers", "acks", "naks", "declines")
DROPS = ("short", "foreign", "malformed", "unusable", "unexpected", "no_buffer")
_SENT = const(0)
_OFFERS = const(1)
_ACKS = const(2)
_NAKS = const(3)
_DECLINES = const(4)
_SHORT = const(5)
_FOREIGN = const(6)
_MALFORMED = const(7)
_UNUSABLE = const(8)
_UNEXPECTED = const(9)
_NO_BUFFER = const(10)


class Malformed(Exception):
    pass


class Dhcp:
    def __init__(self, inet):
        if not inet.udp:
            raise ValueError("DHCP needs UDP: Inet(machine, udp=Udp, configure=Dhcp)")
        self.inet = inet
        self.log = inet.log
        self.timers = inet.timers
        self.random = inet.random
        self.mac = inet.nic.mac
        self.count = inet.registry.add(Counters("dhcp", COUNTS, DROPS)).count
        self.socket = inet.udp.bind(CLIENT_PORT, self.receive)
        self.retry = inet.timers.timer(self.again)
        self.lease = inet.timers.timer(self.lease_event)
        inet.on_conflict = self.conflict
        inet.on_link = self.link
        name = inet.settings.get("hostname")
        self.name = name.encode() if name else b""
        self.address = NOBODY  # offered or ours
        self.server = NOBODY
        self.offer = None
        self.bound_at = None
        self.on = {
            (SELECTING, OFFER): self.offered,
            (REQUESTING, ACK): self.acknowledged,
            (REQUESTING, NAK): self.refused,
            (RENEWING, ACK): self.acknowledged,
            (RENEWING, NAK): self.refused,
            (REBINDING, ACK): self.acknowledged,
            (REBINDING, NAK): self.refused,
            (REBOOTING, ACK): self.acknowledged,
            (REBOOTING, NAK): self.refused,
        }
        self.when_over = {
            INIT: self.discover,
            SELECTING: self.send_discover,
            REQUESTING: self.request_again,
            RENEWING: self.renew_again,
            REBINDING: self.renew_again,
            REBOOTING: self.reboot_again,
        }
        self.enter(INIT)
        self.discover()

    def enter(self, state):
        self.state = state
        self.tries = 0
        self.retry.stop()

    # What time brings.

    def again(self):
        self.when_over[self.state]()

    def back_off(self):
        """Wait for an answer: 4, 8, 16, 32, 64, 64 ... s, each more or less up to one."""
        wait = min(FIRST_WAIT_MS << min(self.tries, 8), LONGEST_WAIT_MS)
        self.tries += 1
        self.retry.start(wait - 1024 + self.random.bits(11))

    def discover(self):
        """INIT: begin anew, with a new transaction."""
        self.enter(SELECTING)
        self.new_transaction()
        self.send_discover()

    def new_transaction(self):
        random = self.random.bits
        self.xid = bytes([random(8), random(8), random(8), random(8)])
        self.began = self.timers.now()

    def send_discover(self):
        self.send(DISCOVER, EVERYBODY)
        self.back_off()

    def request_again(self):
        if self.tries >= TRIES:
            self.enter(INIT)
            self.discover()
        else:
            self.send_request()

    def send_request(self):
        # RFC 2131 4.3.2: the server is named, the address asked for, ciaddr zero.
        options = bytes([REQUESTED, 4]) + self.address + bytes([SERVER, 4]) + self.server
        self.requested_at = self.timers.now()
        self.send(REQUEST, EVERYBODY, options)
        self.back_off()

    def lease_event(self):
        """T1, T2, or the end of the lease."""
        if self.state in (BOUND, REBOOTING) and self.next == RENEWING:
            self.enter(RENEWING)
            self.begin_renewal(self.t2 - self.t1)
            self.next = REBINDING
            self.lease.start((self.t2 - self.t1) * 1000)
        elif self.next == REBINDING:
            self.enter(REBINDING)
            self.begin_renewal(self.seconds - self.t2)
            self.next = INIT
            self.lease.start((self.seconds - self.t2) * 1000)
        else:
            self.log.warning("dhcp: the lease of %s is over", text(self.address))
            self.lose()
            self.discover()

    def begin_renewal(self, left):
        self.left = left
        self.new_transaction()
        self.renew_again()

    def renew_again(self):
        """RFC 2131 4.4.5: to the server that gave the lease, then to any; ciaddr says which."""
        self.requested_at = self.timers.now()
        destination = self.server if self.state == RENEWING else EVERYBODY
        self.send(REQUEST, destination, ciaddr=self.address)
        # Ask again after half of the time that is left, but not within a minute.
        wait = max(self.left >> 1, LEAST_RENEWAL_S)
        self.left -= wait
        if self.left > 0:
            self.retry.start(wait * 1000)

    def reboot(self):
        """RFC 2131 3.2: still ours?"""
        self.enter(REBOOTING)
        self.new_transaction()
        self.reboot_again()

    def reboot_again(self):
        if self.tries >= TRIES:
            # RFC 2131 3.2 (4.): nobody answers; the lease is good until it is over.
            self.enter(BOUND)
            return
        self.requested_at = self.timers.now()
        self.send(REQUEST, EVERYBODY, bytes([REQUESTED, 4]) + self.address)
        self.back_off()

    # What the link and its other stations bring.

    def link(self, up):
        if not up:
            return
        if self.state in (BOUND, RENEWING, REBINDING, REBOOTING):
            self.reboot()
        else:
            self.enter(INIT)
            self.discover()

    def conflict(self, address):
        """Somebody else uses our address.  Twice, or right at the start: it is not ours."""
        if self.bound_at is None or address != self.address:
            return
        now = self.timers.now()
        if (now - self.bound_at) & TURN >= CONFLICT_MS:
            self.bound_at = now
            return
        self.count(_DECLINES)
        options = bytes([REQUESTED, 4]) + self.address + bytes([SERVER, 4]) + self.server
        self.lose()
        self.new_transaction()
        self.send(DECLINE, EVERYBODY, options)
        self.retry.start(AFTER_DECLINE_MS)

    def lose(self):
        """The address is not ours any more."""
        self.lease.stop()
        self.enter(INIT)
        self.bound_at = None
        if self.inet.address:
            self.inet.deconfigure()

    # What the server says.

    def receive(self, socket, datagram):
        buffer = datagram.buffer
        start = datagram.payload
        if datagram.length < OPTIONS:
            self.count(_SHORT)
            return
        message = bytes(buffer[start : datagram.end])
        if (
            message[OP] != 2
            or message[XID:SECS] != self.xid
            or message[CHADDR : CHADDR + 6] != self.mac
            or message[MAGIC:OPTIONS] != COOKIE
        ):
            self.count(_FOREIGN)
            return
        try:
            options = parse_options(message)
            kind = get(options, MESSAGE, 1)[0]
        except Malformed:
            self.count(_MALFORMED)
            return
        handler = self.on.get((self.state, kind))
        if not handler:
            self.count(_UNEXPECTED)
            return
        try:
            handler(message, options)
        except Malformed:
            self.count(_MALFORMED)

    def offered(self, message, options):
        offer = Offer(message, options)
        if not offer.usable:
            self.count(_UNUSABLE)
            return
        self.count(_OFFERS)
        self.address = offer.address
        self.server = offer.server
        self.enter(REQUESTING)
        self.send_request()

    def acknowledged(self, message, options):
        ack = Offer(message, options, self.server)
        if not ack.usable:
            self.count(_UNUSABLE)
            return
        if self.state == REQUESTING and ack.server != self.server:
            self.count(_UNEXPECTED)
            return
        self.count(_ACKS)
        before = self.address if self.bound_at is not None else None
        self.enter(BOUND)
        self.address = ack.address
        self.server = ack.server
        self.seconds, self.t1, self.t2 = ack.seconds, ack.t1, ack.t2
        self.next = RENEWING
        if self.seconds == FOREVER:
            self.lease.stop()
        else:
            # RFC 2131 4.4.1: the lease counts from when it was asked for.
            passed = (self.timers.now() - self.requested_at) & TURN
            self.lease.start(max(self.t1 * 1000 - passed, 0))
        if before != ack.address:
            self.bound_at = self.timers.now()
        if before != ack.address or self.offer.settings != ack.settings:
            self.inet.configure(
                ack.address,
                ack.length,
                gateway=ack.gateway,
                routes=ack.routes,
                mtu=ack.mtu,
                dns=ack.names,
                by=f"DHCP from {text(ack.server)} for {ack.seconds} s",
            )
        self.offer = ack

    def refused(self, message, options):
        server = get(options, SERVER, 4)
        if self.state in (REQUESTING, RENEWING) and server != self.server:
            self.count(_UNEXPECTED)
            return
        self.count(_NAKS)
        self.lose()
        self.retry.start(AFTER_NAK_MS + self.random.bits(10))

    # What we say.

    def send(self, kind, destination, options=b"", ciaddr=NOBODY):
        packet = self.socket.packet()
        if not packet:
            self.count(_NO_BUFFER)
            return
        buffer = packet.buffer
        start = packet.payload
        seconds = min(((self.timers.now() - self.began) & TURN) // 1000, 0xFFFF)
        fixed = (
            b"\x01\x01\x06\x00"
            + self.xid
            + bytes([seconds >> 8, seconds & 0xFF, 0, 0])
            + ciaddr
            + bytes(12)
            + self.mac
            + bytes(10 + 64 + 128)
            + COOKIE
            + bytes([MESSAGE, 1, kind, CLIENT, 7, 1])
            + self.mac
            + options
        )
        if kind != DECLINE:
            mtu = self.inet.nic.mtu
            fixed += bytes([LONGEST_MESSAGE, 2, mtu >> 8, mtu & 0xFF])
            fixed += bytes([PARAMETERS, len(WANTED)]) + WANTED
            if self.name:
                fixed += bytes([HOST_NAME, len(self.name)]) + self.name
        fixed += bytes([LAST])
        fixed += bytes(max(SIZE - len(fixed), 0))
        buffer[start : start + len(fixed)] = fixed
        packet.length = len(fixed)
        self.count(_SENT)
        self.socket.send(packet, destination, SERVER_PORT)


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
            # RFC 1122 3.3.1.1: the class tells.
            self.length = 8 if first < 128 else 16 if first < 192 else 24
        self.names = addresses(options, NAME_SERVER)
        self.mtu = number(options, MTU, 2, 0)
        routes = options.get(CLASSLESS_ROUTES, options.get(MICROSOFT_ROUTES))
        self.gateway = None
        self.routes = []
        if routes is None:
            routers = addresses(options, ROUTER)
            self.gateway = routers[0] if routers else None
        else:
            # RFC 3442: then routers are to be ignored.
            for prefix, length, gateway in parse_routes(routes):
                if length == 0:
                    self.gateway = gateway
                else:
                    self.routes.append((prefix, length, gateway))
        self.settings = (self.length, self.gateway, self.routes, self.mtu, self.names)
        self.usable = (
            0 < first < 224 and first != 127 and self.seconds > 7 and 0 < self.length <= 32
        )
