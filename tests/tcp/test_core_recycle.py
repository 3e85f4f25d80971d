"""Connections whose objects serve again: tcp.recycle."""

import pytest

from tests.tcp.pairs import Ear, Pair

pytestmark = pytest.mark.wire


class Service:
    """Echoes, and gives connections back if it may."""

    def __init__(self, host, port, recycles=True):
        self.tcp = host.inet.tcp
        self.recycles = recycles
        self.seen = []
        self.tcp.listen(port, self.accept)

    def accept(self, connection):
        self.seen.append((connection, connection.remote_port, connection.state, connection.queued))
        connection.on_data = self.echo
        connection.on_close = self.gone

    def echo(self, connection, segment):
        connection.write(segment.data)

    def gone(self, connection, reason):
        assert reason == 0
        if self.recycles:
            self.tcp.recycle(connection)


def visit(pair, port, text):
    ear = Ear(pair.connect(port, lambda c: c.write(text)))
    pair.run(20)
    assert ear.data == text
    ear.connection.close()
    pair.run(20)
    assert ear.events == ["end", "close"]


def test_an_object_serves_one_connection_after_the_other():
    pair = Pair()
    service = Service(pair.b, 7)
    for number in range(5):
        visit(pair, 7, b"%d" % number * 700)
    pair.run(5000)
    pair.nothing_left()
    objects = [row[0] for row in service.seen]
    assert objects[1] is objects[0] and objects[4] is objects[0]
    assert len({row[1] for row in service.seen}) == 5
    assert {row[2:] for row in service.seen} == {("ESTABLISHED", 0)}


def test_an_object_does_not_go_to_another_port_nor_comes_back_unasked():
    pair = Pair()
    first, second = Service(pair.b, 7), Service(pair.b, 8, recycles=False)
    for port in (7, 8, 8, 7):
        visit(pair, port, b"hello")
    ours, others = [row[0] for row in first.seen], [row[0] for row in second.seen]
    assert others[0] is not others[1]
    assert not [other for other in others if other in ours]


def test_both_at_once_are_two_objects():
    pair = Pair()
    service = Service(pair.b, 7)
    visit(pair, 7, b"before")
    ears = [Ear(pair.connect(7, lambda c, n=n: c.write(b"%d" % n))) for n in range(3)]
    pair.run(50)
    assert [ear.data for ear in ears] == [b"0", b"1", b"2"]
    assert len({id(row[0]) for row in service.seen[1:]}) == 3
