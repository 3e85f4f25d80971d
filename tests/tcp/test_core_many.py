"""Many connections: what one costs, that a flood finds bounds, that nothing stays behind."""

import gc
import os
import sys

import pytest

from tests.support.wire import Host
from tests.tcp.pairs import Ear, Pair, echo_server

pytestmark = pytest.mark.wire

# One million is `TCP_CHURN=1000000`, and takes hours on a virtual wire.
CHURN = int(os.environ.get("TCP_CHURN", "300")) if hasattr(os, "environ") else 300


TOO_MUCH = 1 << (29 if sys.implementation.name == "micropython" else 60)


def heap():
    """Bytes in use, where that can be known."""
    gc.collect()
    return gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0


def forget(world):
    """The wire keeps every frame; these tests look at none."""
    world.frames.clear()


def test_connections_come_and_go_and_nothing_stays():
    pair = Pair()
    served = echo_server(pair.b)
    pair.a.inet.tcp.time.most = 32
    before = None
    for number in range(CHURN):
        connection = pair.connect(7, lambda c: c.write(b"x" * 100))
        ear = Ear(connection)
        pair.run(10)
        assert ear.data == b"x" * 100
        connection.close()
        pair.run(10)
        assert ear.events == ["end", "close"]
        served.clear()
        forget(pair.world)
        if number == CHURN // 2:
            before = heap()
    print(heap() - before, "bytes more")
    assert heap() - before < 2000
    pair.nothing_left()
    assert len(pair.a.inet.tcp.table.connections) == 17
    pair.run(61_000)
    assert pair.a.inet.tcp.counts()["time_wait"] == 0
    assert list(pair.a.inet.drops) == ["tcp.no_time_wait"]
    assert pair.b.inet.drops == {}


def test_time_wait_is_bounded_and_the_oldest_gives_way():
    pair = Pair()
    pair.b.inet.tcp.listen(9, lambda c: Ear(c))
    time_wait = pair.a.inet.tcp.time
    time_wait.most = 32
    for _ in range(40):
        Ear(pair.connect(9, lambda c: c.close()))
        pair.run(10)
    assert time_wait.count == 32
    assert pair.a.inet.drops == {"tcp.no_time_wait": 8}


def test_an_idle_connection_costs_less_than_a_kilobyte():
    pair = Pair()
    served = echo_server(pair.b)
    many = []

    def more(count):
        for number in range(count):
            many.append(pair.connect(7))
            if number % 16 == 0:
                pair.run(10)
                forget(pair.world)
        pair.run(100)

    more(512)
    before = heap()
    more(512)
    after = heap()
    assert len(served) == 1024
    # Both ends, and what the tests keep of them.
    assert (after - before) / 1024 < 1000
    print((after - before) / 1024, "bytes per connection")
    for connection in many:
        assert connection.state == "ESTABLISHED"
        connection.abort()
        pair.run(0)
    pair.run(1000)
    many.clear()
    served.clear()
    pair.nothing_left()


def test_the_table_of_connections_is_bounded_by_name():
    pair = Pair()
    pair.b.inet.tcp.table.most = 16
    served = echo_server(pair.b)
    for _ in range(20):
        pair.connect(7)
        pair.run(20)
    assert len(served) == 16
    assert pair.b.inet.drops["tcp.no_connection"] >= 4


def test_a_flood_of_syns_costs_rows_and_then_nothing():
    pair = Pair()
    served = echo_server(pair.b)
    connection = pair.connect(7)
    ear = Ear(connection)
    pair.run(100)
    # The flood comes from hosts that are not there.
    flood = Host(pair.world, "c", address="10.0.0.3/24")
    from net.inet import Inet
    from net.tcp import Tcp

    flood.inet = Inet(flood, tcp=Tcp)
    pair.run(5000)
    for _ in range(400):
        lost = flood.inet.tcp.connect(pair.b.inet.address, 7)
        pair.run(1)
        flood.inet.tcp.over(lost, 0)
        pair.run(1)
        flood.card.set_link(True)
    b = pair.b.inet
    assert b.tcp.half.count <= 256
    # Those that were there go on, new ones get through.
    connection.write(b"still here")
    other = Ear(pair.connect(7, lambda c: c.write(b"me too")))
    pair.run(500)
    assert ear.data == b"still here"
    assert other.data == b"me too"
    assert len(served) >= 2


@pytest.mark.parametrize("seed", [1, 2])
def test_many_at_once_each_gets_its_own(seed):
    pair = Pair(packets=200)
    echo_server(pair.b)
    ears = []
    for number in range(200):
        text = b"%05d" % (number * seed)
        ears.append((text, Ear(pair.connect(7, writes(text)))))
    pair.run(3000)
    for text, ear in ears:
        assert ear.data == text
        ear.connection.close()
    pair.run(1000)
    pair.nothing_left()


def writes(text):
    return lambda connection: connection.write(text)


def test_without_memory_there_are_fewer_connections():
    pair = Pair()
    served = echo_server(pair.b)
    for _ in range(10):
        pair.connect(7)
    pair.run(3000)
    tcp = pair.b.inet.tcp
    template, tcp.template = tcp.template, TOO_MUCH
    refused = pair.connect(7)
    ear = Ear(refused)
    pair.run(100)
    assert pair.b.inet.drops == {"tcp.no_memory": 1}
    assert tcp.table.most == 9
    tcp.template = template
    refused.write(b"x")
    pair.run(1000)
    assert (ear.events, ear.reason) == (["close"], 104)
    assert len(served) == 10
