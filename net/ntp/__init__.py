"""NTP client: asks servers for the time, believes most of them, and steers the clock.

RFC 5905 as a client; RFC 8633 (several servers); kiss-o'-death: RFC 5905 section 7.4.

    ntp = Ntp(machine, resolver=None)         servers: the setting `ntp=10.0.0.1,time.example`
                                              (names need a resolver), else those of DHCP (inet.ntp)
    clock_of(machine)                         the clock it steers (runtime/clock.py)
    ntp.on_synchronised                       slot (ntp), called once, when the clock is right
    ntp.offset, ntp.servers                   the last offset in us; what is known of each server

A server is asked four times in six seconds, then every 64 s; while all is well the interval grows
to 1,024 s, and it shrinks when the clock has to be corrected by much.  The first correction may be
a step; afterwards the clock is slewed, and only an offset above 128 ms that lasts for five minutes
makes it step again.  The rate of the oscillator is learned from what is left of each correction.

Neighbours: packet.py (the wire), select.py (whom to believe).  Below: a UDP socket.
Left out: being a server; symmetric, broadcast and interleaved modes; authentication (MAC, NTS);
leap seconds.
"""

from micropython import const

from net.address import parse, text
from net.config import NTP_SERVERS
from net.deadlines import arm, due, nearest
from net.ntp import packet
from net.ntp.packet import Reply
from net.ntp.select import FARTHEST_US, Filter, Sample, combine, intersect
from runtime.clock import RATE_PPB, clock_of
from runtime.counters import Counters

PORT = const(123)
BURST = const(4)
BURST_MS = const(2_000)
RETRY_MS = const(60_000)  # after a name that was not found
LEAST_POLL = const(6)  # 64 s, as a power of two
LONGEST_POLL = const(10)
STEADY = const(4)  # corrections that were small before the interval grows
SMALL_US = const(5_000)
LARGE_US = const(20_000)
STEP_US = const(128_000)
STEP_AFTER_US = const(300_000_000)
PATIENCE_US = const(20_000_000)  # then a minority of the servers will do for a start
LEAST_SPAN_US = const(30_000_000)  # shorter ones say nothing about the rate
MILLION = const(1_000_000)
BILLION = const(1_000_000_000)
TURN = const(0x3FFFFFFF)

COUNTS = ("polls", "replies", "updates", "steps", "kisses")
DROPS = (
    "short",
    "mode",
    "bogus",
    "unsynchronised",
    "backwards",
    "stranger",
    "distant",
    "spike",
    "no_majority",
    "no_buffer",
    "no_name",
)
INDEX = {name: index for index, name in enumerate(COUNTS + DROPS)}
VERDICTS = ("replies", "short", "mode", "bogus", "kisses", "unsynchronised", "backwards")


class Server:
    """One of those we ask (RFC 5905: an association)."""

    def __init__(self, address):
        self.address = address
        self.filter = Filter()
        self.burst = BURST
        self.reach = 0  # a bit for each of the last eight polls
        self.least_poll = LEAST_POLL
        self.silence = 0  # polls in a row without a reply
        self.denied = False
        self.nonce = None
        self.sent = 0
        self.deadline = 0
        self.stratum = 0
        self.root_distance = 0

    def info(self):
        return {
            "address": text(self.address),
            "stratum": self.stratum,
            "reach": self.reach,
            "samples": len(self.filter.samples),
            "denied": self.denied,
        }


class Ntp:
    def __init__(self, machine, resolver=None, inet=None):
        self.inet = inet or machine.inet
        self.clock = clock_of(machine)
        self.entropy = machine.entropy
        self.random = machine.random
        self.timers = machine.timers
        self.log = machine.log
        self.resolver = resolver
        self.counters = machine.counters.add(Counters("ntp", COUNTS, DROPS))
        self.timer = machine.timers.timer(self.turn)
        self.retry = machine.timers.timer(self.look_up)
        self.names = []  # that have no address yet
        self.socket = self.inet.udp.bind(0, self.receive)
        self.socket.unreachable = self.unreachable
        self.on_synchronised = self.ignore
        self.servers = []
        self.poll = LEAST_POLL
        self.steady = 0
        self.offset = 0
        self.started = self.clock.uptime_us()
        self.updated = None  # when the clock was last corrected, since start
        self.spike = None  # since when the time seems to be a different one
        setting = machine.settings.get("ntp")
        if setting:
            for name in setting.split(","):
                self.add(name)
        else:
            self.inet.when_configured(self.configured)

    def ignore(self, about):
        pass

    def count(self, name):
        self.counters.count(INDEX[name])

    # Servers.

    def configured(self, inet):
        """DHCP has named servers, perhaps others than before."""
        self.servers = [server for server in self.servers if server.address in inet.ntp]
        for address in inet.ntp:
            self.use([bytes(address)])

    def add(self, name):
        """A server by its address or its name."""
        try:
            self.use([parse(name)])
        except ValueError:
            if self.resolver:
                self.names.append(name)
                self.look_up()
            else:
                self.count("no_name")
                self.log.warning("ntp: %s is a name, and there is no resolver", name)

    def look_up(self):
        names, self.names = self.names, []
        for name in names:

            def found(addresses, error, name=name):
                if error:
                    # Perhaps there is no network yet.
                    self.count("no_name")
                    self.names.append(name)
                    self.retry.start(RETRY_MS)
                else:
                    self.use(addresses)

            self.resolver.lookup(name, found)

    def use(self, addresses):
        """Ask one of these, too, that we do not ask yet (a name is one server)."""
        for address in addresses:
            if address in [server.address for server in self.servers]:
                continue
            if len(self.servers) < NTP_SERVERS:
                server = Server(address)
                # Not all at the same moment.
                server.deadline = (self.timers.now() + 100 * len(self.servers)) & TURN
                self.servers.append(server)
            break
        self.arm()

    # Asking.

    def arm(self):
        arm(self.timer, nearest(self.willing(), self.timers.now()))

    def willing(self):
        """The servers that have not sent us away."""
        return [server for server in self.servers if not server.denied]

    def turn(self):
        for server in due(self.willing(), self.timers.now()):
            self.ask(server)
        self.arm()

    def ask(self, server):
        # RFC 5905 section 13: a server that is silent is asked less and less often.
        server.silence += 1
        server.reach = server.reach << 1 & 0xFF
        exponent = max(self.poll, server.least_poll)
        if server.silence > 8:
            exponent = min(exponent + server.silence - 8, LONGEST_POLL)
        if server.burst:
            server.burst -= 1
        wait = BURST_MS if server.burst else 1000 << exponent
        # RFC 8633 section 3.7 is about not being in step with others: an eighth, up or down.
        wait += (self.random.bits(10) - 512) * (wait >> 12)
        server.deadline = (self.timers.now() + wait) & TURN
        server.nonce = self.entropy.bytes(8)
        server.sent = self.clock.uptime_us()
        self.count("polls")
        if not self.socket.send_to(packet.request(server.nonce), server.address, PORT):
            self.count("no_buffer")

    def unreachable(self, socket, address, port, kind):
        """It runs no server; ask it seldom."""
        for server in self.servers:
            if server.address == address:
                server.burst = 0

    # Answers.

    def receive(self, socket, datagram):
        now = self.clock.uptime_us()
        source = datagram.source
        for server in self.servers:
            if server.address == source and datagram.source_port == PORT and not server.denied:
                break
        else:
            self.count("stranger")
            return
        reply = Reply(datagram.data, server.nonce, self.clock.now_us())
        self.count(VERDICTS[reply.verdict])
        if reply.verdict == packet.GOOD:
            server.nonce = None
            self.sample(server, reply, now)
        elif reply.verdict == packet.KISS:
            server.nonce = None
            self.kissed(server, reply.kiss)

    def kissed(self, server, code):
        """RFC 5905 section 7.4: go away, or not so often."""
        server.burst = 0
        if code in (b"DENY", b"RSTR"):
            self.log.warning("ntp: %s does not want to be asked", text(server.address))
            server.denied = True
        elif code == b"RATE":
            server.least_poll = min(max(server.least_poll, self.poll) + 1, LONGEST_POLL)
            server.deadline = (self.timers.now() + (1000 << server.least_poll)) & TURN
        self.arm()

    def sample(self, server, reply, now):
        server.silence = 0
        server.reach |= 1
        server.stratum = reply.stratum
        server.root_distance = (reply.root_delay >> 1) + reply.root_dispersion
        # RFC 5905 section 8: with T1, T4 of our time since start.
        delay = max(now - server.sent - (reply.transmit - reply.receive), 0)
        base = (reply.receive - server.sent + reply.transmit - now) // 2
        server.filter.add(Sample(base, delay, now))
        if not server.burst or len(server.filter.samples) >= BURST:
            self.update(now)

    def update(self, now):
        """Believe whom most believe, and correct the clock."""
        clock = self.clock
        candidates = []
        asked = 0
        for server in self.servers:
            if server.denied:
                continue
            asked += 1
            best = server.filter.best(now)
            if best is None or not server.reach:
                continue
            distance = best.distance(now) + server.root_distance
            if distance > FARTHEST_US:
                self.count("distant")
                continue
            # What our clock shows, and what it ought to.
            age = now - best.at
            true = best.base + now + age * clock.rate // BILLION
            candidates.append((true - clock.now_us(), distance))
        if 2 * len(candidates) <= asked and now - self.started < PATIENCE_US:
            return
        survivors = intersect(candidates)
        if not survivors:
            self.count("no_majority")
            return
        self.count("updates")
        self.offset = combine(survivors)
        self.correct(self.offset, now)

    def correct(self, offset, now):
        clock = self.clock
        size = abs(offset)
        if not clock.synchronised:
            if size > STEP_US:
                self.step(offset, now)
            else:
                clock.slew(offset)
            self.updated = now
            clock.synchronised = True
            self.log.info("ntp: the clock was %d ms off", offset // 1000)
            self.on_synchronised(self)
            return
        if size > STEP_US:
            # RFC 5905 section 11.3: perhaps only the network was slow; not if it lasts.
            if self.spike is None:
                self.spike = now
            if now - self.spike < STEP_AFTER_US:
                self.count("spike")
                self.poll = LEAST_POLL
                return
            self.step(offset, now)
            return
        self.spike = None
        left = clock.settle()
        span = now - (now if self.updated is None else self.updated)
        if span >= LEAST_SPAN_US:
            # What is wrong beyond what was still to be slewed has come from the rate.
            drift = (offset - left) * BILLION // span
            drift = max(min(drift, RATE_PPB), -RATE_PPB)
            clock.set_rate(clock.rate + (drift >> 2))
        if span >= LEAST_SPAN_US or self.updated is None:
            self.updated = now
            clock.slew(offset)
        self.steady = self.steady + 1 if size < SMALL_US else 0
        if size > LARGE_US and self.poll > LEAST_POLL:
            self.poll -= 1
        elif self.steady >= STEADY and self.poll < LONGEST_POLL:
            self.poll += 1
            self.steady = 0

    def step(self, offset, now):
        self.count("steps")
        self.log.warning("ntp: the clock steps by %d ms", offset // 1000)
        self.clock.step(offset)
        self.updated = now
        self.spike = None
        self.steady = 0

    def close(self):
        """Ask nobody any more; the clock goes on as it is."""
        self.timer.stop()
        self.retry.stop()
        self.socket.close()
        self.servers = []
