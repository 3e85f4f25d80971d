"""One question of the resolver under way: to a server, to the next, by TCP if it has to be.

RFC 1035 section 4.2; RFC 5452 (each query has a random port and a random number, and an answer
matches both, the address of the server and the question); RFC 6891 (EDNS, and servers without);
RFC 7766 (TCP).

    ask             a datagram to the best server
      answer        done, or an alias that the server has left to us: ask again for its target
      truncated     the same server by TCP
      failure       the next server at once
      silence       the next server, after 1 s; a round later 2 s, then 4 s; but one that was never
                    heard is asked once more after 200 ms, as the way to it may have been unknown,
                    and then of several datagrams only the last arrives (net/ip4/arp.py)

Above: net/resolver.py.  Below: udp.bind, tcp.connect.
Left out: several queries on one TCP connection.
"""

from micropython import const

from net.dns import answer, wire
from net.dns.name import Malformed, decode
from net.dns.wire import Writer

PORT = const(53)
UDP_SIZE = const(1232)  # what we say we can take: never in fragments
TCP_SIZE = const(8192)  # longer answers are refused
FIRST_EPHEMERAL = const(49152)
PORT_TRIES = const(8)
FIRST_WAIT_MS = const(1_000)
NUDGE_MS = const(200)
TCP_WAIT_MS = const(5_000)
NO_SERVER_MS = const(1_000)  # until there is one: DHCP may still be asking
ROUNDS = const(3)
NO_SERVER_ROUNDS = const(10)
CHAIN = const(8)  # aliases we follow ourselves
FAILURE_S = const(5)  # RFC 9520: how long a failure is remembered
TURN = const(0x3FFFFFFF)


class Question:
    """`name`: lower-case; `waiters`: have answered(kind, addresses, outcome)."""

    def __init__(self, resolver, name, kind):
        self.resolver = resolver
        self.name = name
        self.kind = kind
        self.target = name  # where the aliases have led to
        self.chain = 0
        self.seconds = TURN
        self.waiters = []
        self.tries = 0
        self.order = []
        self.nudged = False
        self.patience = NO_SERVER_ROUNDS
        self.server = None
        self.socket = None
        self.connection = None
        self.stream = b""
        self.deadline = 0

    def ask(self):
        """The next server, or the end."""
        self.hang_up()
        resolver = self.resolver
        if self.tries % (len(self.order) or 1) == 0:
            self.order = resolver.servers.order()
        servers = self.order
        if not servers:
            self.patience -= 1
            if self.patience < 0:
                self.finish(answer.FAILURE)
            else:
                self.wait(NO_SERVER_MS)
            return
        turn = self.tries // len(servers)
        if turn >= ROUNDS:
            self.finish(answer.FAILURE)
            return
        self.server = servers[self.tries % len(servers)]
        self.tries += 1
        if self.server.heard or self.nudged:
            self.wait((FIRST_WAIT_MS << turn) + resolver.random.bits(6))
        else:
            self.wait(NUDGE_MS)
        self.send()

    def send(self):
        if self.socket is None and not self.open():
            return
        self.count("queries")
        if not self.socket.send_to(self.message(), self.server.address, PORT):
            self.count("no_buffer")

    def open(self):
        """A socket on a port that nobody can guess."""
        udp = self.resolver.inet.udp
        for _ in range(PORT_TRIES):
            raw = self.resolver.entropy.bytes(2)
            port = FIRST_EPHEMERAL | (raw[0] << 8 | raw[1]) & 0x3FFF
            try:
                self.socket = udp.bind(port, self.receive)
            except OSError:
                continue
            self.socket.unreachable = self.unreachable
            return True
        self.count("no_port")
        return False

    def message(self):
        raw = self.resolver.entropy.bytes(2)
        self.id = raw[0] << 8 | raw[1]
        writer = Writer(512)
        writer.question(self.target, self.kind)
        self.edns = not self.server.plain
        if self.edns:
            writer.opt(UDP_SIZE)
        return writer.finish(self.id, wire.RD)

    def wait(self, ms):
        self.deadline = (self.resolver.timers.now() + ms) & TURN
        self.resolver.arm()

    def count(self, name):
        self.resolver.count(name)

    # What comes back.

    def receive(self, socket, datagram):
        if datagram.source != self.server.address or datagram.source_port != PORT:
            self.count("stranger")
            return
        self.hear(datagram.data, False)

    def hear(self, data, stream):
        try:
            heard = answer.interpret(data, self.id, self.target, self.kind, self.edns)
        except Malformed:
            self.count("malformed")
            if stream:
                self.fail()
            return
        if heard.foreign:
            self.count("foreign")
        outcome = heard.outcome
        if outcome == answer.MISMATCH or (outcome == answer.TRUNCATED and stream):
            # Whoever sent it does not know what we have asked.
            self.count("mismatch")
            if stream:
                self.fail()
        elif outcome == answer.NO_EDNS:
            self.server.plain = True
            self.hang_up()
            self.send()
        elif outcome == answer.FAILURE:
            self.count("refusals")
            self.fail()
        elif outcome == answer.TRUNCATED:
            self.connect()
        elif outcome == answer.ALIAS:
            self.server.good()
            self.follow(heard)
        else:
            self.server.good()
            self.seconds = min(self.seconds, heard.seconds)
            self.finish(outcome, heard.addresses)

    def follow(self, heard):
        self.chain += 1
        self.seconds = min(self.seconds, heard.seconds)
        self.target = heard.target
        if self.chain > CHAIN:
            self.count("chain")
            self.finish(answer.FAILURE)
            return
        self.tries = 0
        self.order = []
        self.ask()

    def unreachable(self, socket, address, port, kind):
        if address == self.server.address and port == PORT:
            self.count("unreachable")
            self.fail()

    def fail(self):
        """This server is no help: the next."""
        self.server.bad()
        self.ask()

    def expired(self):
        """It has said nothing."""
        if self.server and not self.server.heard and not self.nudged:
            self.nudged = True
            self.hang_up()
            self.wait(FIRST_WAIT_MS + self.resolver.random.bits(6))
            self.send()
            return
        if self.server:
            self.count("timeouts")
            self.server.bad()
            self.server = None
        self.ask()

    # RFC 7766: over TCP each message has its length in front.

    def connect(self):
        tcp = self.resolver.inet.tcp
        if not tcp:
            self.count("truncated")
            self.fail()
            return
        self.hang_up()
        self.count("streams")
        self.stream = b""
        self.connection = connection = tcp.connect(self.server.address, PORT, self.connected)
        connection.on_data = self.segment
        connection.on_close = self.closed
        self.wait(TCP_WAIT_MS)

    def connected(self, connection):
        message = self.message()
        connection.write(len(message).to_bytes(2, "big") + message)

    def segment(self, connection, segment):
        if connection is not self.connection:
            return
        self.stream += segment.data
        if len(self.stream) < 2:
            return
        length = self.stream[0] << 8 | self.stream[1]
        if length > TCP_SIZE:
            self.count("too_long")
            self.fail()
        elif len(self.stream) >= 2 + length:
            self.hear(self.stream[2 : 2 + length], True)

    def closed(self, connection, reason):
        if connection is self.connection:
            self.connection = None
            self.count("closed")
            self.fail()

    # The end.

    def hang_up(self):
        if self.socket:
            self.socket.close()
            self.socket = None
        if self.connection:
            connection, self.connection = self.connection, None
            connection.abort()
        self.stream = b""

    def finish(self, outcome, addresses=()):
        self.hang_up()
        seconds = FAILURE_S if outcome == answer.FAILURE else self.seconds
        self.resolver.finished(self, outcome, addresses, seconds)

    def __repr__(self):
        return f"{decode(self.target)} type {self.kind}"
