"""The narrow path first: two of our stacks on a wire open, echo and close."""

import pytest

from tests.tcp.pairs import Ear, Pair, echo_server

pytestmark = pytest.mark.wire


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
