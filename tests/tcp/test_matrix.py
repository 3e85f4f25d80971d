"""Two of our stacks on wires of every kind of badness: what is written arrives, byte for byte.

Loss, reordering, duplication, corruption, delay, small MTUs and tiny windows, with and without SACK
and timestamps, with CUBIC and NewReno; seeds make every run the same.  Every frame of a transfer is
lost once, then every pair of neighbours.
"""

import pytest

from net.inet import Inet
from net.inet6 import Inet6
from net.tcp import Tcp, block
from tests.support.wire import (
    Corrupting,
    Duplicating,
    Host,
    Lossy,
    Random,
    Reordering,
    World,
)
from tests.tcp.peer import packed, pattern

B = b"\x0a\0\0\2"
PORT = 80
KINDS = {
    "plain": 0,
    "timestamps": block.TIMESTAMPS,
    "sack": block.SACK_OK,
    "both": block.TIMESTAMPS | block.SACK_OK,
}
pytestmark = pytest.mark.wire


class End:
    """A service at one end: writes what it has as it can, keeps what it hears."""

    def __init__(self, out, hold=False, congestion="cubic"):
        self.out = out
        self.congestion = congestion
        self.sent = 0
        self.heard = []
        self.length = 0
        self.reason = None
        self.ended = False
        self.connection = None
        self.hold = hold

    def take(self, connection):
        self.connection = connection
        connection.set(congestion=self.congestion)
        connection.on_data = self.on_data
        connection.on_end = self.on_end
        connection.on_close = self.on_close
        connection.on_writable = self.write
        self.write(connection)

    def write(self, connection):
        while self.sent < len(self.out):
            taken = connection.write(self.out, self.sent)
            if not taken:
                return
            self.sent += taken
        connection.close()

    def on_data(self, connection, segment):
        self.heard.append(segment.data)
        self.length += segment.length
        if self.hold:
            connection.hold(segment.length)

    def on_end(self, connection):
        self.ended = True

    def on_close(self, connection, reason):
        self.reason = reason

    @property
    def data(self):
        return b"".join(self.heard)


class Pair:
    """`a` connects to `b`, over what `wrap` makes of their nics."""

    def __init__(self, wrap=None, kind="both", reno=False, delay=5, mtu=1500, packets=64, family=4):
        self.world = World(start=0x100000, delay=delay)
        self.hosts = []
        for number in (1, 2):
            if family == 4:
                where = {"address": f"10.0.0.{number}/24"}
            else:
                where = {"address6": f"2001:db8::{number}/64", "secret6": "0" * 31 + str(number)}
            host = Host(self.world, "ab"[number - 1], wrap, mtu, packets, **where)
            host.inet = (Inet if family == 4 else Inet6)(host, tcp=Tcp)
            self.hosts.append(host)
        self.there = B if family == 4 else packed("2001:db8::2")
        self.a, self.b = [host.inet.tcp for host in self.hosts]
        self.a.establish.ours = block.SCALED | KINDS[kind]
        self.reno = reno
        self.world.run(3000)

    def transfer(self, there=b"", back=b"", hold=False, limit=600_000):
        """Both ways at once; returns the ends when both are closed."""
        congestion = "reno" if self.reno else "cubic"
        near, far = End(there, False, congestion), End(back, hold, congestion)
        self.b.listen(PORT, far.take)
        connection = self.a.connect(self.there, PORT, near.take)
        connection.on_close = near.on_close
        self.limit_options(connection)
        end = self.world.time + limit
        while near.reason is None or far.reason is None:
            self.world.run(50)
            if hold and far.connection and far.length:
                far.connection.release(1 << 20)
            assert self.world.time < end, self.state(near, far)
        return near, far

    def limit_options(self, connection):
        """What the first SYN does not offer is not used (RFC 7323 1.3, 2018 2)."""
        flags = int.from_bytes(connection.block[44:48], "little")
        flags &= ~(block.TIMESTAMPS | block.SACK_OK) | self.a.establish.ours
        connection.block[44:48] = flags.to_bytes(4, "little")

    def state(self, near, far):
        lines = []
        for one in (near, far):
            info = one.connection.info() if one.connection else None
            lines.append(f"sent {one.sent} heard {one.length} {one.reason} {info}")
        return "\n".join([*lines, str(self.a.turn.state and self.hosts[0].inet.drops)])

    def check(self):
        """Nothing is left in any table when TIME-WAIT is over."""
        self.world.run(150_000)
        self.world.check()
        for tcp in (self.a, self.b):
            assert set(tcp.counts().values()) == {0}, tcp.counts()


def exact(pair, there, back=b"", **how):
    near, far = pair.transfer(there, back, **how)
    assert far.data == there
    assert near.data == back
    assert (near.reason, far.reason) == (0, 0)
    pair.check()
    return near, far


LONG = pattern(40_000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nth", range(60))
def test_transfer_survives_the_loss_of_frame(nth, kind):
    """Whichever frame of either side is lost: of the handshake, of data, of ACKs, of the end."""
    if kind != "both" and nth % 4:
        return
    exact(Pair(lambda nic: Lossy(nic, lose=[nth]), kind), LONG, LONG[:5000])


@pytest.mark.parametrize("nth", range(0, 60, 3))
def test_transfer_survives_the_loss_of_neighbours(nth):
    exact(Pair(lambda nic: Lossy(nic, lose=range(nth, nth + 3))), LONG, LONG[:5000])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reno", [False, True])
@pytest.mark.parametrize("drop", [0.02, 0.1, 0.2])
def test_transfer_survives_random_loss(drop, reno, kind):
    seed = int(drop * 100) + reno
    exact(Pair(lambda nic: Lossy(nic, drop=drop, seed=seed), kind, reno), LONG, LONG[:3000])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_transfer_survives_reordering(seed, kind):
    pair = Pair(lambda nic: Reordering(nic, nic.world, 0.4, 12, seed=seed), kind)
    exact(pair, LONG, LONG[:5000])


@pytest.mark.parametrize("kind", KINDS)
def test_transfer_survives_duplication(kind):
    exact(Pair(lambda nic: Duplicating(nic, 0.4, seed=3), kind), LONG, LONG[:5000])


@pytest.mark.parametrize("seed", range(4))
def test_nothing_corrupt_is_delivered(seed):
    pair = Pair(lambda nic: Corrupting(nic, 0.05, seed=seed))
    exact(pair, LONG, LONG[:5000])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_transfer_survives_everything_at_once(seed, kind):
    def misfortune(nic):
        nic = Reordering(Duplicating(nic, 0.1, seed), nic.world, 0.2, 20, seed=seed + 10)
        return Corrupting(Lossy(nic, drop=0.05, seed=seed + 20), 0.02, seed=seed + 30)

    exact(Pair(misfortune, kind), LONG[:20_000], LONG[:20_000])


@pytest.mark.parametrize("delay", [0, 1, 50, 400])
def test_transfer_over_any_distance(delay):
    exact(Pair(delay=delay), LONG, LONG)


@pytest.mark.parametrize("seed", range(4))
def test_transfer_over_ipv6_survives_everything_at_once(seed):
    def misfortune(nic):
        nic = Reordering(Duplicating(nic, 0.1, seed), nic.world, 0.2, 20, seed=seed + 10)
        return Corrupting(Lossy(nic, drop=0.05, seed=seed + 20), 0.02, seed=seed + 30)

    # Duplicate address detection and router solicitation need their first seconds.
    exact(Pair(misfortune, family=6), LONG[:20_000], LONG[:20_000])


@pytest.mark.parametrize("mtu", [576, 700, 1280, 1500])
def test_transfer_with_any_mtu(mtu):
    exact(Pair(lambda nic: Lossy(nic, drop=0.03, seed=mtu), mtu=mtu), LONG[:20_000], LONG[:9000])


def test_transfer_to_a_service_that_keeps_everything_for_a_while():
    """The window closes and opens: nothing is lost, nothing is sent into a closed one."""
    exact(Pair(), pattern(600_000), hold=True)


@pytest.mark.parametrize("window", [1, 100, 536, 1460, 3000])
@pytest.mark.parametrize("shrinks", [False, True])
def test_transfer_through_a_tiny_window(window, shrinks):
    """`shrinks`: the SYN promised more (RFC 9293 MUST-34)."""
    pair = Pair(lambda nic: Lossy(nic, drop=0.02, seed=window), delay=2)
    for where in (pair.b.template, pair.b.voice.block)[: 1 if shrinks else 2]:
        where[4 * block.RCV_SPACE : 4 * block.RCV_SPACE + 4] = window.to_bytes(4, "little")
    length = 40 * window if window < 200 else 12 * window
    exact(pair, LONG[:length], LONG[:2000], limit=3_000_000)


def test_nothing_but_a_handshake_and_an_end():
    exact(Pair(), b"", b"")


def test_bulk_leaves_nothing_unused():
    """No loss, no retransmission, no timeout, and the window fills the path."""
    pair = Pair(delay=10)
    data = pattern(1_000_000)
    start = pair.world.time
    _, far = pair.transfer(data)
    assert far.data == data
    counters = pair.hosts[0].inet.counters
    assert counters["tcp.retransmits"] == counters["tcp.timeouts"] == 0
    assert pair.world.time - start < 3000
    assert pair.hosts[0].inet.drops == pair.hosts[1].inet.drops == {}


def test_the_same_seed_gives_the_same_run():
    def run():
        pair = Pair(lambda nic: Lossy(nic, drop=0.1, seed=5))
        pair.transfer(LONG, LONG)
        return [frame for _, _, frame in pair.world.frames]

    assert run() == run()


def test_many_connections_at_once_over_a_bad_wire():
    dice = Random(9)
    pair = Pair(lambda nic: Lossy(nic, drop=0.03, seed=4), packets=256)
    services = []

    def serve(connection):
        far = End(b"")
        services.append(far)
        far.take(connection)

    pair.b.listen(PORT, serve)
    ends = []
    for _ in range(30):
        near = End(pattern(1 + dice.below(5000), dice.below(1000)))
        ends.append(near)
        pair.a.connect(B, PORT, near.take).on_close = near.on_close
    for _ in range(600):
        pair.world.run(500)
        if all(end.reason is not None for end in ends + services) and len(services) == 30:
            break
    assert sorted(far.data for far in services) == sorted(near.out for near in ends)
    assert {end.reason for end in ends + services} == {0}
    pair.check()
