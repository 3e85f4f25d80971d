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


def test_a_machine_that_ends_says_so():
    pair = Pair()
    ears = []
    pair.b.inet.tcp.listen(9, lambda c: ears.append(Ear(c)))
    pair.connect(9)
    closing = pair.connect(9, lambda c: c.write(b"last words"))
    pair.run(100)
    closing.write(b", and more")
    closing.close()
    pair.a.inet.stop()
    pair.run(100)
    by_end = sorted([(ear.reason or 0, ear.data, ear.events) for ear in ears])
    assert by_end == [(0, b"last words, and more", ["end", "close"]), (104, b"", ["close"])]
