"""Resolver: host names to addresses, by asking the name servers of the configuration.

    resolver = Resolver(machine)              machine.inet has to be there
    lookup = resolver.lookup("www.example.com", callback, family=0)
    def callback(addresses, error): ...       called once, later, never from within `lookup`
                                              addresses: a list of bytes, 4 or 16 each, those to be
                                              tried first in front; empty if there is an error
                                              error: 0, or one of
        NO_NAME    (-2)   there is no such name
        NO_DATA    (-5)   there is, but it has no address of the family
        TRY_AGAIN  (-3)   no server, no answer, or only bad ones
    lookup.cancel()                           the callback will not be called

`family`: 4, 6, or 0 for those that the machine has an address of.  The errors are getaddrinfo's
EAI numbers as Linux has them, so a socket module may pass them on.

A literal address is its own answer.  "localhost" and what is below it is the loopback address,
"invalid", "onion" and "local" are not asked for (RFC 6761, 6762, 7686).  A name without a last dot
is tried with the search list (settings `search=example.com,example.net` and `ndots=1`, else
inet.search), as resolv.conf(5) does it.  Servers are those in inet.dns, of both families; one that
fails is asked last for a while.  Answers are kept as long as they say, bad news as RFC 2308 says,
failures for 5 s.

Above: services, the socket module.  Below: net/dns/question.py, net/dns/cache.py.
Left out: DNSSEC; other types than A and AAAA; a hosts file; multicast names (net/mdns answers, and
does not ask); varying the case of questions; RFC 8305's race of two families.
"""

from micropython import const

from net import address as addresses_module
from net.config import (
    RESOLVER_CACHE_BYTES,
    RESOLVER_CACHE_ENTRIES,
    RESOLVER_LOOKUPS,
    RESOLVER_QUESTIONS,
)
from net.deadlines import HALF, TURN, arm, due, nearest
from net.dns import answer, wire
from net.dns.cache import EVERY_TYPE, Cache
from net.dns.name import encode, labels
from net.dns.question import Question
from runtime.counters import Counters

NO_NAME = const(-2)
TRY_AGAIN = const(-3)
NO_DATA = const(-5)

COUNTS = ("lookups", "hits", "joined", "queries", "streams", "answers", "negative", "timeouts")
DROPS = (
    "malformed",
    "mismatch",
    "stranger",
    "foreign",
    "refusals",
    "unreachable",
    "truncated",
    "too_long",
    "closed",
    "chain",
    "no_buffer",
    "no_port",
    "full",
)
INDEX = {name: index for index, name in enumerate(COUNTS + DROPS)}

LOOPBACK4 = b"\x7f\0\0\1"
LOOPBACK6 = bytes(15) + b"\1"
# RFC 6761, 6762, 7686: last labels that name servers need not be asked about.
NOWHERE = (b"invalid", b"local", b"onion")
PENALTY_MS = const(5_000)  # for each failure twice as long, up to
LONGEST_PENALTY = const(5)  # doublings


class Server:
    """A name server, and how it behaves."""

    def __init__(self, address, clock):
        self.address = address
        self.clock = clock
        self.plain = False  # does not know EDNS
        self.heard = False  # has ever answered
        self.failures = 0
        self.until = 0  # asked last until then

    def good(self):
        self.heard = True
        self.failures = 0

    def bad(self):
        self.until = (self.clock() + (PENALTY_MS << min(self.failures, LONGEST_PENALTY))) & TURN
        self.failures += 1

    @property
    def penalised(self):
        return self.failures > 0 and (self.clock() - self.until) & TURN >= HALF


class Servers:
    """Those of inet.dns, which may change, with what we know of them."""

    def __init__(self, inet, clock):
        self.inet = inet
        self.clock = clock
        self.known = []

    def order(self):
        """The servers as they should be asked: those that failed lately behind the others."""
        known = []
        for address in self.inet.dns:
            address = bytes(address)
            for server in self.known:
                if server.address == address:
                    break
            else:
                server = Server(address, self.clock)
            known.append(server)
        self.known = known
        good = [server for server in known if not server.penalised]
        return good + [server for server in known if server not in good]


class Lookup:
    """A name that somebody waits for: its candidates one by one, each in all families."""

    def __init__(self, resolver, callback):
        self.resolver = resolver
        self.callback = callback
        self.names = []
        self.kinds = []
        self.waiting = 0
        self.addresses = []
        self.error = 0
        self.questions = []

    def cancel(self):
        """Do not call back."""
        self.callback = None
        self.resolver.forget(self)

    def next(self):
        """The next candidate, or the end."""
        if not self.names:
            self.resolver.deliver(self)
            return
        name = self.names.pop(0)
        self.waiting = len(self.kinds)
        self.outcomes = []
        for kind in self.kinds:
            self.resolver.ask(name, kind, self)

    def answered(self, kind, addresses, outcome):
        if kind == wire.AAAA:
            self.addresses = list(addresses) + self.addresses
        else:
            self.addresses = self.addresses + list(addresses)
        self.outcomes.append(outcome)
        self.waiting -= 1
        if self.waiting:
            return
        self.questions = []
        if self.addresses:
            self.error = 0
            self.names = []
        elif answer.FAILURE in self.outcomes:
            # As resolv.conf(5) has it: a name that might exist is not searched for elsewhere.
            self.error = TRY_AGAIN
            self.names = []
        elif answer.NODATA in self.outcomes:
            self.error = NO_DATA
        elif self.error == 0:
            self.error = NO_NAME
        self.next()


class Resolver:
    """Asks for everybody on a machine: make one, and share it."""

    def __init__(self, machine, inet=None):
        self.inet = inet or machine.inet
        self.entropy = machine.entropy
        self.random = machine.random
        self.timers = machine.timers
        self.settings = machine.settings
        self.counters = machine.counters.add(Counters("resolver", COUNTS, DROPS))
        self.timer = machine.timers.timer(self.turn)
        self.cache = Cache(machine.timers.now, RESOLVER_CACHE_ENTRIES, RESOLVER_CACHE_BYTES)
        self.servers = Servers(self.inet, machine.timers.now)
        self.questions = {}  # (name, type) -> Question
        self.lookups = []
        self.ready = []
        self.ndots = int(machine.settings.get("ndots", 1))

    def count(self, name):
        self.counters.count(INDEX[name])

    def lookup(self, name, callback, family=0):
        """Find the addresses of a host; see the head of this module."""
        if family not in (0, 4, 6):
            raise ValueError(f"{family} is not an address family: give 4, 6, or 0 for any")
        self.count("lookups")
        lookup = Lookup(self, callback)
        if len(self.lookups) >= RESOLVER_LOOKUPS:
            self.count("full")
            lookup.error = TRY_AGAIN
            self.deliver(lookup)
            return lookup
        self.lookups.append(lookup)
        known = self.literal(name, family)
        if known is not None:
            lookup.addresses, lookup.error = known
            self.deliver(lookup)
            return lookup
        try:
            lookup.names = self.candidates(name)
        except ValueError:
            # What cannot be written into a question has no address.
            lookup.error = NO_NAME
        lookup.kinds = self.kinds(family)
        if not lookup.names:
            lookup.error = NO_NAME
        elif not lookup.kinds:
            lookup.names = []
            lookup.error = NO_DATA
        lookup.next()
        return lookup

    def flush(self):
        """Forget all answers."""
        self.cache.clear()

    # Names that need no server.

    def literal(self, name, family):
        """Addresses and error for a text that no server has to be asked about, else None."""
        last = name.rstrip(".").split(".")[-1].lower()
        if last == "localhost":
            # RFC 6761 section 6.3.
            found = [LOOPBACK6] if wire.AAAA in self.kinds(family) else []
            return found + ([LOOPBACK4] if wire.A in self.kinds(family) else []), 0
        if ":" not in name and not last.isdigit():
            return None
        try:
            address = addresses_module.parse(name)
        except ValueError:
            # No top-level domain is a number (RFC 3696 section 2), and no name has a colon.
            return [], NO_NAME
        if family in (0, 4 if len(address) == 4 else 6):
            return [address], 0
        return [], NO_DATA

    def kinds(self, family):
        """The types to ask for: for any family, of those that we have addresses of."""
        if family:
            return [wire.A if family == 4 else wire.AAAA]
        inet = self.inet
        four = getattr(inet, "address", None)
        six = getattr(inet, "addresses6", None)
        kinds = ([wire.AAAA] if six else []) + ([wire.A] if four else [])
        if not kinds:
            # Nothing is configured yet: what the stack could have.
            kinds = [] if six is None else [wire.AAAA]
            if hasattr(inet, "address"):
                kinds.append(wire.A)
        return kinds

    def candidates(self, text):
        """The names to try for a text, in order."""
        name = encode(text.lower())
        if name == b"\0" or labels(name)[-1] in NOWHERE:
            return []
        if text.endswith("."):
            return [name]
        names = []
        for suffix in self.search():
            try:
                names.append(encode(text.lower() + "." + suffix))
            except ValueError:
                # Too long with this one.
                continue
        if text.count(".") >= self.ndots:
            names.insert(0, name)
        else:
            names.append(name)
        return names

    def search(self):
        setting = self.settings.get("search")
        return setting.split(",") if setting else getattr(self.inet, "search", ())

    # Questions.

    def ask(self, name, kind, lookup):
        entry = self.cache.get(name, kind)
        if entry:
            self.count("hits")
            lookup.answered(kind, entry.addresses, entry.error)
            return
        question = self.questions.get((name, kind))
        if question:
            self.count("joined")
        elif len(self.questions) >= RESOLVER_QUESTIONS:
            self.count("full")
            lookup.answered(kind, (), answer.FAILURE)
            return
        else:
            question = self.questions[name, kind] = Question(self, name, kind)
        question.waiters.append(lookup)
        lookup.questions.append(question)
        if len(question.waiters) == 1:
            question.ask()

    def finished(self, question, outcome, addresses, seconds):
        del self.questions[question.name, question.kind]
        self.count("answers" if outcome == answer.FOUND else "negative")
        kind = EVERY_TYPE if outcome == answer.NXDOMAIN else question.kind
        self.cache.put(question.name, kind, addresses, outcome, seconds)
        waiters, question.waiters = question.waiters, []
        for lookup in waiters:
            lookup.answered(question.kind, addresses, outcome)
        self.arm()

    def forget(self, lookup):
        """Nobody waits for this one any more."""
        for question in lookup.questions:
            if lookup in question.waiters:
                question.waiters.remove(lookup)
                if not question.waiters:
                    question.hang_up()
                    del self.questions[question.name, question.kind]
        lookup.questions = []
        if lookup in self.lookups:
            self.lookups.remove(lookup)

    def deliver(self, lookup):
        self.ready.append(lookup)
        self.arm()

    # Time: one timer for all.

    def arm(self):
        """Start the timer for what comes first."""
        now = self.timers.now()
        wait = self.cache.sweep()
        if self.ready:
            wait = 0
        arm(self.timer, nearest(self.questions.values(), now, wait))

    def turn(self):
        for question in due(self.questions.values(), self.timers.now()):
            question.expired()
        ready, self.ready = self.ready, []
        for lookup in ready:
            if lookup in self.lookups:
                self.lookups.remove(lookup)
            callback, lookup.callback = lookup.callback, None
            if callback:
                callback(lookup.addresses, 0 if lookup.addresses else lookup.error)
        self.arm()
