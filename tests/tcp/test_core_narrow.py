"""The narrow path first: two of our stacks on a wire open, echo and close."""

import pytest

from net.inet import Inet
from net.tcp import Tcp
from tests.support.wire import Host, World

pytestmark = pytest.mark.wire


class Pair:
    """Two hosts, one wire; `a` connects to `b`."""

    def __init__(self, wrap_a=None, wrap_b=None, delay=1, packets=64, **settings):
        self.world = World(delay=delay)
        self.a = Host(
            self.world, "a", address="10.0.0.1/24", wrap=wrap_a, packets=packets, **settings
        )
        self.b = Host(
            self.world, "b", address="10.0.0.2/24", wrap=wrap_b, packets=packets, **settings
        )
        for host in (self.a, self.b):
            host.inet = Inet(host, tcp=Tcp)
        self.world.run(5000)

    def run(self, ms=1000):
        self.world.run(ms)

    def connect(self, port, on_connected=None, **more):
        return self.a.inet.tcp.connect(self.b.inet.address, port, on_connected, **more)

    def nothing_left(self):
        self.world.check()
        for host in (self.a, self.b):
            counts = host.inet.tcp.counts()
            assert not any([counts[name] for name in counts if name != "time_wait"]), counts


class Ear:
    """Keeps what a connection says."""

    def __init__(self, connection=None):
        self.data = b""
        self.events = []
        self.reason = None
        if connection:
            self.attach(connection)

    def attach(self, connection):
        self.connection = connection
        connection.on_data = self.on_data
        connection.on_end = self.on_end
        connection.on_close = self.on_close

    def on_data(self, connection, segment):
        self.data += bytes(segment.data)

    def on_end(self, connection):
        self.events.append("end")
        connection.close()

    def on_close(self, connection, reason):
        self.events.append("close")
        self.reason = reason


def echo_server(host, port=7):
    connections = []

    def data(connection, segment):
        assert connection.write(segment.data) == segment.length

    def accept(connection):
        connections.append(connection)
        connection.on_data = data

    host.inet.tcp.listen(port, accept)
    return connections


def test_open_echo_close():
    pair = Pair()
    served = echo_server(pair.b)
    connection = pair.connect(7, lambda c: c.write(b"hello"))
    ear = Ear(connection)
    pair.run()
    assert connection.state == "ESTABLISHED"
    assert ear.data == b"hello"
    connection.close()
    pair.run()
    assert ear.events == ["end", "close"]
    assert ear.reason == 0
    assert served[0].state == "CLOSED"
    assert pair.a.inet.tcp.counts()["time_wait"] == 1
    assert pair.b.inet.tcp.counts()["time_wait"] == 0
    pair.nothing_left()
    pair.run(61_000)
    assert pair.a.inet.tcp.counts()["time_wait"] == 0
    assert pair.a.inet.drops == {}
    assert pair.b.inet.drops == {}
