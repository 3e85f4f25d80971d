"""The addresses of an interface: where they come from, whether they are ours, when they end.

RFC 4862 (stateless autoconfiguration: link-local, from prefixes of routers; duplicate detection;
lifetimes and the rule of two hours); RFC 7217 (identifiers, see opaque.py); RFC 4429 (optimistic
duplicate detection); RFC 7527 (nonces).

     an address is     until                              meanwhile
     tentative         a second after it was asked for    used (optimistic), but nobody's entry is
                                                          overridden and nobody is asked from it
     preferred         its preferred lifetime ends        used
     deprecated        its valid lifetime ends            answers; new talk prefers others

Every address is optimistic, also one from the settings (RFC 4429 section 2.1 would not): a machine
shall answer as soon as it has started.  If somebody else turns out to have it, it is given up: of
link-local and autoconfigured ones the next identifier is tried (RFC 7217 section 6), three times.

Above: discovery, routers, selection.  Sideways: `add_local`, `remove_local` (header), `join`,
`leave` (mld), `changed`, `conflict` (interface).
Left out: temporary addresses (RFC 8981).
"""

from micropython import const

from net.config import ADDRESSES6
from net.ip6.discovery import solicited_node
from net.ip6.opaque import identifier
from net.ip6.seconds import FOREVER
from runtime.counters import Counters

ADDRESS = const(1)
PROBE_MS = const(1_000)  # RETRANS_TIMER of RFC 4861
TRANSMITS = const(1)  # DupAddrDetectTransmits
TRIES = const(3)  # IDGEN_RETRIES of RFC 7217 section 7
TWO_HOURS = const(7200)

LINK_LOCAL = b"\xfe\x80" + bytes(6)
LINK, STATIC, AUTOMATIC = 0, 1, 2

COUNTS = ("formed",)
DROPS = ("duplicate", "full", "expired")
_FORMED = const(0)
_DUPLICATE = const(1)
_FULL = const(2)
_EXPIRED = const(3)


class Address:
    """One address.  Times are in seconds (seconds.py); `origin` is LINK, STATIC or AUTOMATIC."""

    def __init__(self, address, length, origin, preferred, until, tries):
        self.address = address
        self.length = length
        self.origin = origin
        self.preferred = preferred
        self.until = until
        self.tries = tries  # how many identifiers were taken
        self.tentative = True
        self.deprecated = preferred == 0
        self.probes = 0
        self.nonce = b""


class Addresses:
    def __init__(self, mac, key, timers, seconds, random, registry):
        self.mac = bytes(mac)
        self.key = key
        self.identifier = None  # bytes: the last half of every address, instead of RFC 7217's
        self.seconds = seconds
        self.random = random
        self.count = registry.add(Counters("addresses", COUNTS, DROPS)).count
        self.all = []
        self.started = False  # there is a link to ask on
        self.timer = timers.timer(self.settle)
        # Slots.
        self.probe = None
        self.add_local = None
        self.remove_local = None
        self.join = None
        self.leave = None
        self.advertise = None
        self.changed = None
        self.conflict = None

    # What there is.

    def find(self, address):
        for own in self.all:
            if own.address == address:
                return own
        return None

    @property
    def link_local(self):
        for own in self.all:
            if own.origin == LINK:
                return own
        return None

    def to_ask_from(self, target, source):
        """The address to ask a neighbour from, or None: none has been confirmed yet."""
        own = self.find(source) if source else None
        if own is None or own.tentative:
            own = None
            for other in self.all:
                if not other.tentative and (own is None or other.origin == LINK):
                    own = other
        return own.address if own else None

    def to_report_from(self):
        """RFC 3590: reports of groups come from the link-local address, or from none."""
        own = self.link_local
        return own.address if own and not own.tentative else bytes(16)

    # New ones.

    def form(self, prefix, tries):
        found = self.identifier or identifier(self.key, prefix, self.mac, tries)
        return bytes(prefix[:8]) + found

    def start(self):
        """The link is there: form the link-local address, and ask about all of them (again)."""
        self.started = True
        for own in self.all:
            self.begin(own)
        if not self.link_local:
            self.add(self.form(LINK_LOCAL, 0), 64, LINK, FOREVER, FOREVER)

    def add(self, address, length, origin, preferred, valid, tries=0):
        """Be `address` from now on, for so many seconds."""
        end = self.seconds.end
        own = Address(address, length, origin, end(preferred), end(valid), tries)
        own.deprecated = preferred == 0
        if not self.add_local(address, ADDRESS):
            self.count(_FULL)
            return None
        self.count(_FORMED)
        if origin == LINK:
            self.all.insert(0, own)
        else:
            self.all.append(own)
        self.join(solicited_node(address))
        if self.started:
            self.begin(own)
        self.changed()
        return own

    def begin(self, own):
        """Duplicate address detection."""
        own.tentative = True
        own.probes = TRANSMITS
        own.nonce = bytes([self.random.bits(8) for _ in range(6)])
        self.probe(own.address, own.nonce)
        self.timer.start(PROBE_MS)

    def settle(self):
        """A second has passed and nobody has complained; ask again or be confirmed."""
        for own in self.all[:]:
            if not own.tentative:
                continue
            own.probes -= 1
            if own.probes > 0:
                self.probe(own.address, own.nonce)
                self.timer.start(PROBE_MS)
                continue
            own.tentative = False
            # Whoever heard of us while we were optimistic, or knew another under this address.
            if not self.advertise(own):
                # All packets are with the device: in a moment.
                own.tentative = True
                own.probes = 1
                self.timer.start(PROBE_MS >> 4)

    def remove(self, own):
        self.all.remove(own)
        self.leave(solicited_node(own.address))
        self.remove_local(own.address)
        self.changed()

    def duplicate(self, own, mac=None):
        """Somebody else has it.  Once it is ours, we keep it (RFC 4862 section 5.4)."""
        self.count(_DUPLICATE)
        self.conflict(own.address, mac)
        if not own.tentative:
            return
        self.remove(own)
        if own.origin == STATIC or self.identifier or own.tries + 1 >= TRIES:
            return
        now = self.seconds.now()
        self.add(
            self.form(own.address, own.tries + 1),
            own.length,
            own.origin,
            self.left(own.preferred, now),
            self.left(own.until, now),
            own.tries + 1,
        )

    def left(self, end, now):
        return FOREVER if end == FOREVER else max(end - now, 0)

    # Prefixes of routers.

    def autoconfigure(self, prefix, preferred, valid):
        """A router says that addresses may be formed with this prefix: RFC 4862 5.5.3."""
        now = self.seconds.now()
        end = self.seconds.end
        for own in self.all:
            if own.origin == AUTOMATIC and own.address[:8] == prefix[:8]:
                own.preferred = end(preferred)
                left = self.left(own.until, now)
                # (e): nobody can take an address away within less than two hours.
                if valid > TWO_HOURS or valid > left:
                    own.until = end(valid)
                elif left > TWO_HOURS:
                    own.until = end(TWO_HOURS)
                return
        if valid == 0:
            return
        if len([own for own in self.all if own.origin == AUTOMATIC]) == ADDRESSES6:
            self.count(_FULL)
            return
        self.add(self.form(prefix, 0), 64, AUTOMATIC, preferred, valid)

    def expire(self):
        """Deprecate and forget.  Returns the seconds to the next such event, or FOREVER."""
        now = self.seconds.now()
        nearest = FOREVER
        for own in self.all[:]:
            left = self.left(own.until, now)
            if left == 0:
                self.count(_EXPIRED)
                self.remove(own)
                continue
            preferred = self.left(own.preferred, now)
            if own.deprecated != (preferred == 0):
                own.deprecated = preferred == 0
                self.changed()
            nearest = min(nearest, preferred or left)
        return nearest
