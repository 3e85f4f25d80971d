"""Two of our stacks on one wire, and what tests of TCP do with them."""

from net.inet import Inet
from net.tcp import Tcp
from tests.support.wire import Host, Random, World


def noise(length, seed=5):
    """Bytes without a pattern."""
    dice = Random(seed)
    block = bytes([dice.bits(8) for _ in range(1009)])
    return (block * (length // 1009 + 1))[:length]


class Pair:
    """Two hosts, one wire; `a` connects to `b`."""

    def __init__(self, wrap_a=None, wrap_b=None, delay=1, packets=64, **settings):
        self.world = World(delay=delay)
        self.a = self.host("a", "10.0.0.1/24", wrap_a, packets, settings)
        self.b = self.host("b", "10.0.0.2/24", wrap_b, packets, settings)
        self.world.run(5000)

    def host(self, name, address, wrap, packets, settings):
        host = Host(self.world, name, address=address, wrap=wrap, packets=packets, **settings)
        host.inet = Inet(host, tcp=Tcp)
        return host

    def replace(self, host, nic):
        """Put a wrapper that needs the world in front of a nic."""
        host.nic = nic
        host.inet.internet4.interfaces[0].ip4.transmit = nic.transmit

    def run(self, ms=1000):
        self.world.run(ms)

    def connect(self, port, on_connected=None, **more):
        return self.a.inet.tcp.connect(self.b.inet.address, port, on_connected, **more)

    def nothing_left(self):
        self.world.check()
        for host in (self.a, self.b):
            counts = host.inet.tcp.counts()
            assert not any(counts[name] for name in counts if name != "time_wait"), counts


class Ear:
    """Keeps what a connection says, and closes when the peer does."""

    def __init__(self, connection=None):
        self.parts = []
        self.events = []
        self.reason = None
        if connection:
            self.connection = connection
            connection.on_data = self.on_data
            connection.on_end = self.on_end
            connection.on_close = self.on_close

    @property
    def data(self):
        return b"".join(self.parts)

    def on_end_of(self, connection):
        """Let the writer close."""
        connection.on_end = self.note_end

    def note_end(self, connection):
        self.events.append("end")

    def on_data(self, connection, segment):
        self.parts.append(segment.data)

    def on_end(self, connection):
        self.events.append("end")
        connection.close()

    def on_close(self, connection, reason):
        self.events.append("close")
        self.reason = reason


class Writer:
    """Writes `data` in pieces of the given lengths, as fast as there is room, then closes."""

    def __init__(self, data, pieces, kind=bytes, close=True):
        self.data = data
        self.pieces = pieces
        self.kind = kind
        self.close = close
        self.at = 0
        self.nth = 0

    def begin(self, connection):
        connection.on_writable = self.go_on
        self.go_on(connection)

    def go_on(self, connection):
        while self.at < len(self.data):
            piece = self.pieces[self.nth % len(self.pieces)]
            part = self.kind(self.data[self.at : self.at + piece])
            taken = connection.write(part)
            self.at += taken
            if taken < len(part):
                return
            self.nth += 1
        if self.close:
            connection.close()


def echo_server(host, port=7):
    """Answers everything, as slowly as its peer reads; returns the list of its connections."""
    connections = []

    def accept(connection):
        connections.append(connection)
        waiting = []

        def data(connection, segment):
            waiting.append(segment.data)
            connection.hold(segment.length)
            go_on(connection)

        def go_on(connection):
            while waiting:
                taken = connection.write(waiting[0])
                connection.release(taken)
                if taken < len(waiting[0]):
                    waiting[0] = waiting[0][taken:]
                    return
                waiting.pop(0)

        connection.on_data = data
        connection.on_writable = go_on

    host.inet.tcp.listen(port, accept)
    return connections
