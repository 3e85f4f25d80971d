"""DHCP client: an address, and what comes with it.  RFC 2131, 4039 (rapid commit), 6842.

     state        hears            becomes       when its time is over
     INIT                                        DISCOVER: SELECTING
     SELECTING    OFFER            REQUESTING    DISCOVER again, for ever
                  ACK              BOUND         (rapid commit only)
     REQUESTING   ACK              BOUND         REQUEST again, at last INIT
                  NAK              INIT
     BOUND                                       T1: RENEWING
     RENEWING     ACK              BOUND         ask again; T2: REBINDING
                  NAK              INIT
     REBINDING    ACK              BOUND         ask again; the lease is over: INIT
                  NAK              INIT
     REBOOTING    ACK              BOUND         ask again, at last BOUND as before, or INIT
                  NAK              INIT

The link comes up again: REBOOTING, to ask whether the address is still good there; while it is down
nothing is sent.  So does a start with the setting `last-address=10.0.0.50`, which saves half of the
messages if the server agrees.

Another station uses our address: DECLINE and INIT (RFC 2131 3.1.5).  The check is ARP's
announcement after the address is in use; with the setting `probe=yes` it is a probe before
(CHECKING, between ACK and BOUND; RFC 2131 4.4.1, RFC 5227), which costs every start four to seven
seconds.

`stop`, when the machine ends in order: RELEASE, unless the setting is `release=no`.

Law: whatever a server sends is checked or ignored; a message is used whole or not at all.
Above: inet.configure.  Below: a UDP socket; one port for the clients of all interfaces.
Left out: the random wait before the first DISCOVER (RFC 2131 4.4.1; one machine starts here, not a
building), authentication and with it FORCERENEW, choosing among offers: the first wins; IPv6-only
preferred (RFC 8925).  INFORM is in inform.py.
"""

from micropython import const

from net.address import parse, text
from net.dhcp.message import (
    ACK,
    CHADDR,
    CLIENT,
    COOKIE,
    DECLINE,
    DISCOVER,
    FOREVER,
    LAST,
    MAGIC,
    MESSAGE,
    NAK,
    OFFER,
    OP,
    OPTIONS,
    RAPID_COMMIT,
    RELEASE,
    REQUEST,
    REQUESTED,
    SECS,
    SERVER,
    SIZE,
    TEXT,
    XID,
    Malformed,
    Offer,
    get,
    header,
    parse_options,
    wishes,
)
from net.dhcp.port import SERVER_PORT, share
from net.ip4.acd import Acd
from runtime.counters import Counters

INIT = "INIT"
SELECTING = "SELECTING"
REQUESTING = "REQUESTING"
BOUND = "BOUND"
RENEWING = "RENEWING"
REBINDING = "REBINDING"
REBOOTING = "REBOOTING"
CHECKING = "CHECKING"

FIRST_WAIT_MS = const(4_000)  # RFC 2131 4.1: 4 s, doubled up to 64 s, each more or less 1 s
LONGEST_WAIT_MS = const(64_000)
TRIES = const(4)
LEAST_RENEWAL_S = const(60)  # RFC 2131 4.4.5
AFTER_NAK_MS = const(1_000)
AFTER_DECLINE_MS = const(10_000)  # RFC 2131 3.1.5
DECLINES = const(10)  # so many are no accident ...
AFTER_DECLINES_MS = const(60_000)  # ... RFC 5227 section 2.1.1
REBOOT_TRIES = const(2)  # if there is no lease to fall back to
CONFLICT_MS = const(10_000)  # so close to another conflict or to the start, it is not defended
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


class Dhcp:
    def __init__(self, inet):
        if not inet.udp:
            raise ValueError("DHCP needs UDP: Inet(machine, udp=Udp, configure=Dhcp)")
        self.inet = inet  # the interface
        self.log = inet.log
        self.timers = inet.timers
        self.random = inet.random
        self.mac = inet.nic.mac
        self.count = inet.registry.add(Counters("dhcp", COUNTS, DROPS)).count
        self.socket = share(inet, self)
        self.retry = inet.timers.timer(self.again)
        self.lease = inet.timers.timer(self.lease_event)
        inet.on_conflict = self.conflict
        inet.on_link = self.link
        name = inet.settings.get("hostname")
        self.name = name.encode() if name else b""
        self.acd = Acd(inet) if inet.settings.get("probe") == "yes" else None
        self.address = NOBODY  # offered or ours
        self.server = NOBODY
        self.offer = None
        self.bound_at = None
        self.declines = 0
        self.next = RENEWING
        self.late = 0  # ms that nobody has counted
        self.on = {
            (SELECTING, OFFER): self.offered,
            (SELECTING, ACK): self.committed,
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
        self.begin()

    def begin(self):
        last = self.inet.settings.get("last-address")
        if last and self.inet.internet.interfaces[0] is self.inet:
            self.address = parse(last)
            self.reboot()
        else:
            self.discover()

    def stop(self):
        """The machine ends: the address may be given to somebody else (RFC 2131 4.4.6)."""
        self.retry.stop()
        self.lease.stop()
        if self.bound_at is None or self.inet.settings.get("release") == "no":
            return
        self.new_transaction()
        self.send(RELEASE, self.server, bytes([SERVER, 4]) + self.server, self.address)
        # It is still sent from this address, so that stays.
        self.bound_at = None

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
        self.send(DISCOVER, EVERYBODY, bytes([RAPID_COMMIT, 0]))
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
        """T1, T2, or the end of the lease; perhaps late, after the machine stood still."""
        late = self.late + (self.timers.now() - self.lease.deadline & TURN)
        self.late = 0
        passed = (
            late // 1000 + {RENEWING: self.t1, REBINDING: self.t2, INIT: self.seconds}[self.next]
        )
        if passed < self.t2:
            self.begin_renewal(RENEWING, self.t2 - passed)
            self.next = REBINDING
        elif passed < self.seconds:
            self.begin_renewal(REBINDING, self.seconds - passed)
            self.next = INIT
        else:
            self.log.warning("dhcp: the lease of %s is over", text(self.address))
            self.lose()
            self.discover()

    def away(self, seconds):
        """So much of the lease has passed without our timers."""
        timer = self.lease
        if timer.active:
            left = (timer.deadline - self.timers.now() & TURN) + timer.rest - seconds * 1000
            self.late = max(-left, 0)
            timer.start(max(left, 0))

    def begin_renewal(self, state, left):
        self.enter(state)
        self.lease.start(left * 1000)
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
        if self.bound_at is None and self.tries >= REBOOT_TRIES:
            # It was only a memory.
            self.discover()
            return
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
            # Nobody hears us; the lease goes on.
            self.retry.stop()
            if self.acd:
                self.acd.stop()
        elif self.state in (BOUND, RENEWING, REBINDING, REBOOTING):
            self.reboot()
        else:
            self.enter(INIT)
            self.begin()

    def conflict(self, address):
        """Somebody else uses our address.  Twice, or right at the start: it is not ours."""
        if self.bound_at is None or address != self.address:
            return
        now = self.timers.now()
        if (now - self.bound_at) & TURN >= CONFLICT_MS:
            self.bound_at = now
            return
        self.decline()

    def decline(self):
        self.count(_DECLINES)
        self.declines += 1
        options = bytes([REQUESTED, 4]) + self.address + bytes([SERVER, 4]) + self.server
        self.lose()
        self.new_transaction()
        self.send(DECLINE, EVERYBODY, options)
        self.retry.start(AFTER_DECLINE_MS if self.declines < DECLINES else AFTER_DECLINES_MS)

    def lose(self):
        """The address is not ours any more."""
        self.lease.stop()
        self.enter(INIT)
        self.bound_at = None
        if self.inet.address:
            self.inet.deconfigure()

    # What the server says.

    def is_ours(self, message):
        return (
            message[OP] == 2
            and message[XID:SECS] == self.xid
            and message[CHADDR : CHADDR + 6] == self.mac
            and message[MAGIC:OPTIONS] == COOKIE
        )

    def hear(self, message):
        """A message for us."""
        try:
            options = parse_options(message)
            kind = get(options, MESSAGE, 1)[0]
        except Malformed:
            self.count(_MALFORMED)
            return
        if options.get(CLIENT, self.identifier()) != self.identifier():
            # RFC 6842 section 3: the server says whom it means.
            self.count(_FOREIGN)
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

    def committed(self, message, options):
        """RFC 4039: the server gave an address at once, as we allowed it to."""
        if RAPID_COMMIT not in options:
            self.count(_UNEXPECTED)
            return
        self.requested_at = self.began
        self.acknowledged(message, options)

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
        self.address = ack.address
        self.server = ack.server
        if self.acd and before != ack.address:
            self.enter(CHECKING)
            self.acd.check(ack.address, lambda free: self.checked(free, ack))
        else:
            self.bind(ack, before)

    def checked(self, free, ack):
        if free:
            self.bind(ack, None)
        else:
            self.log.warning("dhcp: %s is used by another station", text(self.address))
            self.decline()

    def bind(self, ack, before):
        """Use what the server gave, instead of the address `before`."""
        self.enter(BOUND)
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
                by=f"DHCP from {text(ack.server)} for {ack.seconds} s",
                network=ack.facts,
            )
        self.offer = ack

    def refused(self, message, options):
        server = get(options, SERVER, 4)
        if self.state in (REQUESTING, RENEWING) and server != self.server:
            self.count(_UNEXPECTED)
            return
        self.count(_NAKS)
        if TEXT in options:
            self.log.info("dhcp: refused: %s", printable(options[TEXT]))
        self.lose()
        self.retry.start(AFTER_NAK_MS + self.random.bits(10))

    # What we say.

    def identifier(self):
        return b"\x01" + self.mac

    def send(self, kind, destination, options=b"", ciaddr=NOBODY):
        packet = self.socket.packet()
        if not packet:
            self.count(_NO_BUFFER)
            return
        buffer = packet.buffer
        start = packet.payload
        seconds = min(((self.timers.now() - self.began) & TURN) // 1000, 0xFFFF)
        fixed = header(self.xid, seconds, ciaddr, self.mac)
        fixed += bytes([MESSAGE, 1, kind, CLIENT, 7]) + self.identifier() + options
        if kind not in (DECLINE, RELEASE):
            fixed += wishes(self.inet.nic.mtu, self.name)
        fixed += bytes([LAST])
        fixed += bytes(max(SIZE - len(fixed), 0))
        buffer[start : start + len(fixed)] = fixed
        packet.length = len(fixed)
        self.count(_SENT)
        self.socket.send(packet, destination, SERVER_PORT)


def printable(value):
    return "".join([chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in value])
