"""Data arrives as it was written: long, short, in both directions, on good and bad wires."""

import pytest

from tests.support.wire import Duplicating, Lossy, Random, Reordering
from tests.tcp.pairs import Ear, Pair, Writer, echo_server, noise

pytestmark = pytest.mark.wire


def transfer(pair, data, pieces, ms=60_000, **settings):
    """`a` writes to `b` until all is there and both are closed."""
    ears = []
    pair.b.inet.tcp.listen(9, lambda c: ears.append(Ear(c)))
    writer = Writer(data, pieces, **settings)
    connection = pair.connect(9, writer.begin)
    ear = Ear(connection)
    step = 0
    while step < ms and not (ears and "close" in ear.events and "close" in ears[0].events):
        pair.run(100)
        step += 100
    assert len(ears) == 1
    assert len(ears[0].data) == len(data)
    assert ears[0].data == data
    assert ears[0].events == ["end", "close"]
    assert ear.reason == 0
    pair.run(1000)
    pair.nothing_left()
    return connection


def test_long_bytes_are_one_extent():
    pair = Pair()
    data = noise(300_000)
    connection = transfer(pair, data, [len(data)])
    assert connection.info()["retransmits"] == 0
    assert pair.a.inet.drops == {}


def test_bytearrays_are_copied():
    pair = Pair()
    transfer(pair, noise(200_000), [3000, 1, 700, 17], kind=bytearray)
    assert pair.a.inet.drops == {}


@pytest.mark.parametrize("pieces", [[1], [511, 512, 513], [100, 1000, 100, 5000], [2048]])
def test_small_and_long_writes_alternate(pieces):
    pair = Pair()
    transfer(pair, noise(50_000), pieces)


def test_nodelay_sends_every_write():
    pair = Pair()
    data = noise(100)
    ears = []
    pair.b.inet.tcp.listen(9, lambda c: ears.append(Ear(c)))

    def begin(connection):
        connection.set(nodelay=True)

    connection = pair.connect(9, begin)
    pair.run(10)
    sent = pair.a.inet.counters["tcp.sent"]
    for byte in range(100):
        connection.write(data, byte, 1)
        pair.run(0)
    assert pair.a.inet.counters["tcp.sent"] == sent + 100
    pair.run(500)
    assert ears[0].data == data


def test_rfc896_small_writes_wait_for_the_acknowledgement():
    pair = Pair(delay=20)
    ears = []
    pair.b.inet.tcp.listen(9, lambda c: ears.append(Ear(c)))
    connection = pair.connect(9)
    pair.run(200)
    sent = pair.a.inet.counters["tcp.sent"]
    for _ in range(30):
        connection.write(b"x")
        pair.run(1)
    assert pair.a.inet.counters["tcp.sent"] == sent + 1
    pair.run(500)
    assert ears[0].data == b"x" * 30
    assert pair.a.inet.counters["tcp.sent"] == sent + 2


@pytest.mark.parametrize("seed", range(6))
def test_bad_wires_deliver_all_the_same(seed):
    def wrap(nic):
        nic = Lossy(nic, drop=0.03, seed=seed + 1)
        nic = Duplicating(nic, share=0.05, seed=seed + 2)
        return nic

    pair = Pair(wrap_a=wrap, wrap_b=wrap, delay=5)
    transfer(pair, noise(300_000), [10_000, 300], ms=300_000)


@pytest.mark.parametrize("seed", range(3))
def test_reordering_is_repaired(seed):
    pair = Pair(delay=5)
    nic = Reordering(pair.a.nic, pair.world, share=0.1, seed=seed)
    pair.replace(pair.a, nic)
    transfer(pair, noise(200_000), [10_000], ms=300_000)


@pytest.mark.parametrize("nth", range(3, 40))
def test_transfer_survives_the_loss_of_frame(nth):
    pair = Pair(wrap_a=lambda nic: Lossy(nic, lose=[nth]))
    transfer(pair, noise(30_000), [3000, 100], ms=20_000)


def test_echo_of_everything():
    pair = Pair()
    echo_server(pair.b)
    data = noise(100_000)
    connection = pair.connect(7, None)
    ear = Ear(connection)
    writer = Writer(data, [5000, 20], close=False)
    connection.greet = writer.begin
    for _ in range(100):
        pair.run(50)
        if len(ear.data) == len(data):
            break
    assert ear.data == data


def test_both_directions_at_once():
    pair = Pair(delay=3)
    data = noise(200_000)
    back = noise(150_000, seed=8)
    theirs = []

    def accept(connection):
        ear = Ear(connection)
        ear.on_end_of(connection)
        theirs.append(ear)
        Writer(back, [4000]).begin(connection)

    pair.b.inet.tcp.listen(9, accept)
    connection = pair.connect(9, Writer(data, [700, 3]).begin)
    ear = Ear(connection)
    ear.on_end_of(connection)
    pair.run(20_000)
    assert theirs[0].data == data
    assert ear.data == back
    assert ear.reason == theirs[0].reason == 0
    pair.run(2000)
    pair.nothing_left()


def test_hold_closes_the_window_and_release_opens_it():
    pair = Pair()
    heard = []

    def accept(connection):
        def data(connection, segment):
            heard.append(segment.length)
            connection.hold(segment.length)

        connection.on_data = data
        served.append(connection)

    served = []
    pair.b.inet.tcp.listen(9, accept)
    data = noise(800_000)
    connection = pair.connect(9, lambda c: c.write(data))
    pair.run(5000)
    assert sum(heard) <= 262_144 + 8
    assert sum(heard) > 250_000
    assert connection.info()["send_window"] < 1448
    # Probes do not get more than there is room for.
    pair.run(5000)
    assert sum(heard) <= 262_144 + 8
    dice = Random(3)
    while sum(heard) < len(data):
        served[0].release(served[0].info()["held"])
        pair.run(50 + dice.below(50))
        assert pair.world.time < 0x40100000
    assert sum(heard) == len(data)
