"""Two whole stacks on a wire that loses, reorders, repeats and corrupts."""

import struct

import pytest

from net.dhcp import Dhcp
from net.inet import Inet
from net.udp import Udp
from tests.support.frames import ethernet, ip, udp
from tests.support.station import Station, address
from tests.support.wire import (
    Corrupting,
    Duplicating,
    Host,
    Lossy,
    Pcap,
    Random,
    Reordering,
    World,
)

A, B = address("10.0.0.1"), address("10.0.0.2")


class Pair:
    def __init__(self, wrap=None, packets=32, mtu=1500):
        self.world = World()
        self.a = Host(self.world, "a", wrap, mtu, packets, address="10.0.0.1/24")
        self.b = Host(self.world, "b", wrap, mtu, packets, address="10.0.0.2/24")
        for host in (self.a, self.b):
            host.inet = Inet(host, udp=Udp)
        self.b.inet.udp.bind(7, echo)
        self.heard = []
        self.socket = self.a.inet.udp.bind(0, lambda s, d: self.heard.append(d.data))

    def meet(self):
        """Be neighbours.  (Of fragments to a stranger only the last would wait for the answer.)"""
        self.ask(b"")
        self.run(5_000)
        self.heard.clear()
        return self

    def ask(self, data):
        return self.socket.send_to(data, B, 7)

    def run(self, ms=None):
        self.world.run(ms)

    def check(self):
        self.world.run(200_000)
        self.world.check()


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


def pattern(length):
    return bytes([i * 151 + (i >> 8) & 0xFF for i in range(length)])


@pytest.mark.parametrize("mtu", [576, 1500])
@pytest.mark.parametrize("length", [0, 1, 100, 548, 1472, 1473, 1840, 1841, 8000, 16376])
def test_datagrams_of_any_length_come_back(length, mtu):
    pair = Pair(mtu=mtu, packets=64).meet()
    pair.ask(pattern(length))
    pair.run(50)
    assert pair.heard == [pattern(length)]
    assert pair.a.inet.drops == pair.b.inet.drops == {}
    pair.check()


@pytest.mark.parametrize("nth", range(20))
def test_requests_repeated_by_the_caller_survive_the_loss_of_frame(nth):
    """Announcements, questions, answers, fragments: any one of them may be lost."""
    pair = Pair(lambda nic: Lossy(nic, lose=[nth]))
    for _ in range(6):
        pair.ask(pattern(4000))
        pair.run(3_000)
    assert len(pair.heard) >= 3
    assert set(pair.heard) == {pattern(4000)}
    pair.check()


@pytest.mark.parametrize("nth", range(4))
def test_a_lost_fragment_loses_its_datagram_only(nth):
    pair = Pair().meet()
    lossy = Lossy(pair.a.card, lose=[nth])
    pair.a.inet.ip4.transmit = lossy.transmit
    for _ in range(3):
        pair.ask(pattern(5000))
        pair.run(10)
    assert pair.heard == [pattern(5000)] * 2
    pair.check()
    assert pair.b.inet.drops == {"reassembly.expired": 1}


@pytest.mark.parametrize("seed", range(10))
def test_reordered_fragments_are_put_together(seed):
    pair = Pair().meet()
    for host in (pair.a, pair.b):
        host.nic = Reordering(host.card, pair.world, share=0.7, seed=seed)
        host.inet.ip4.transmit = host.nic.transmit
    for _ in range(5):
        pair.ask(pattern(7000))
        pair.run(100)
    assert pair.heard == [pattern(7000)] * 5
    assert pair.a.inet.drops == pair.b.inet.drops == {}
    pair.check()


@pytest.mark.parametrize("seed", range(10))
def test_repeated_fragments_are_put_together_once_at_a_time(seed):
    pair = Pair(packets=64).meet()
    nic = Duplicating(pair.a.card, share=0.4, seed=seed)
    pair.a.inet.ip4.transmit = nic.transmit
    for _ in range(5):
        pair.ask(pattern(7000))
        pair.run(100)
    assert len(pair.heard) >= 5
    assert set(pair.heard) == {pattern(7000)}
    pair.check()


@pytest.mark.parametrize("seed", range(20))
def test_nothing_corrupt_is_ever_delivered(seed):
    pair = Pair(lambda nic: Corrupting(nic, share=0.3, seed=seed))
    sent = [bytes([i]) * 600 for i in range(100)]
    for data in sent:
        pair.ask(data)
        pair.run(2_000)  # a corrupt ARP packet is believed for minutes
    assert set(pair.heard) <= set(sent)
    assert len(pair.heard) > 10
    pair.check()


@pytest.mark.parametrize("seed", range(10))
def test_everything_at_once(seed):
    def misfortune(nic):
        return Corrupting(
            Lossy(
                Reordering(Duplicating(nic, 0.2, seed), nic.world, 0.3, seed=seed + 1),
                drop=0.1,
                seed=seed + 2,
            ),
            share=0.05,
            seed=seed + 3,
        )

    pair = Pair(misfortune, packets=64)
    dice = Random(seed)
    sent = set()
    for _ in range(150):
        data = pattern(dice.below(6000))
        sent.add(data)
        pair.ask(data)
        pair.run(dice.below(500))
    pair.run(5_000)
    assert set(pair.heard) <= sent
    assert len(pair.heard) > 10
    pair.check()


def test_hundreds_of_datagrams_without_a_single_one_lost():
    pair = Pair()
    for i in range(2000):
        pair.ask(struct.pack("<I", i))
        pair.run(2)
    assert [struct.unpack("<I", data)[0] for data in pair.heard] == list(range(2000))
    assert pair.a.inet.drops == pair.b.inet.drops == {}
    pair.check()


def test_a_burst_larger_than_the_pool_drops_and_recovers():
    pair = Pair(packets=8).meet()
    kept = []
    transmit = pair.a.inet.ip4.transmit
    pair.a.inet.ip4.transmit = kept.append
    results = [pair.ask(b"x") for _ in range(20)]
    assert results == [True] * 8 + [False] * 12
    assert pair.a.inet.drops == {"udp.no_buffer": 12}
    for packet in kept:
        transmit(packet)
    pair.a.inet.ip4.transmit = transmit
    pair.run(50)
    assert len(pair.heard) == 8
    pair.check()


def test_both_ask_each_other_at_once():
    pair = Pair()
    pair.a.inet.udp.bind(7, echo)
    heard = []
    socket = pair.b.inet.udp.bind(0, lambda s, d: heard.append(d.data))
    pair.ask(b"from a")
    socket.send_to(b"from b", A, 7)
    pair.run(50)
    assert (pair.heard, heard) == ([b"from a"], [b"from b"])


def test_two_hosts_with_one_address_both_notice():
    world = World()
    hosts = [Host(world, name, address="10.0.0.1/24") for name in "ab"]
    for host in hosts:
        host.inet = Inet(host)
        world.run(3_000)
    assert [host.inet.drops["arp.conflict"] > 0 for host in hosts] == [True, True]
    announced = sum(host.inet.counters["arp.announced"] for host in hosts)
    world.run(100_000)
    later = sum(host.inet.counters["arp.announced"] for host in hosts)
    assert later - announced < 25, "no storm (RFC 5227 section 2.4)"
    world.check()


def test_pcap_holds_every_frame(tmp_path):
    path = tmp_path / "run.pcap"
    world = World()
    a = Host(world, "a", lambda nic: Pcap(nic, path, world), address="10.0.0.1/24")
    b = Host(world, "b", address="10.0.0.2/24")
    for host in (a, b):
        host.inet = Inet(host, udp=Udp)
    a.inet.udp.bind(0, print).send_to(b"hello", B, 7)
    world.run(10_000)
    data = path.read_bytes()
    assert data[:4] == b"\xd4\xc3\xb2\xa1"
    at = 24
    frames = []
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        frames.append(data[at + 16 : at + 16 + length])
        at += 16 + length
    assert sorted(frames) == sorted(frame for _, _, frame in world.frames)


def test_dhcp_over_a_bad_wire():
    """Whichever frames are lost in the first minutes: the client gets its lease."""
    for seed in range(10):
        station = Station(configure=Dhcp, known=False, quiet=False)
        nic = station.host.card
        lossy = Lossy(nic, drop=0.4, seed=seed)
        station.inet.ip4.transmit = lossy.transmit
        serve(station, Random(seed + 100))
        station.pass_time(600_000)
        assert station.inet.address == address("10.0.0.50")
        station.world.check()


def serve(station, dice):
    """A small DHCP server that is deaf now and then."""

    def hear(data):
        body = data[42:]
        if data[23] != 17 or dice.chance(0.4):
            return
        asked = body[242]
        kind = {1: 2, 3: 5}[asked]
        reply = b"\2\1\6\0" + body[4:8] + bytes(8) + address("10.0.0.50") + bytes(8)
        reply += body[28:44] + bytes(192) + body[236:240]
        reply += bytes([53, 1, kind, 54, 4]) + A + b"\x33\4\0\0\x0e\x10\1\4\xff\xff\xff\0\xff"
        frame = udp(A, "255.255.255.255", 67, 68, reply)
        frame = ip(A, "255.255.255.255", 17, frame)
        world = station.world
        world.send(station.hand.nic, ethernet(b"\xff" * 6, station.hand.mac, 0x0800, frame))

    station.hand.nic.hear = hear


def test_wiring_has_no_open_end():
    """Every slot that the page of wiring knows is filled with a bound method."""
    inet = Pair().a.inet
    slots = {
        inet.ethernet: ["arp", "ip4"],
        inet.ip4: ["icmp", "udp", "resolve", "transmit", "reassemble", "fragment", "refuse"],
        inet.arp: ["allocate", "transmit", "changed", "conflict"],
        inet.icmp: ["allocate", "send", "send_long", "fragmentation_needed"],
        inet.udp: ["allocate", "output", "long_output", "refuse"],
        inet.fragmentation: ["allocate", "output", "path_mtu"],
        inet.reassembly: ["deliver", "expired"],
        inet.nic: ["receive", "on_link"],
    }
    for owner, names in slots.items():
        for name in names:
            bound = getattr(owner, name)
            assert bound.__self__ is not owner, f"{type(owner).__name__}.{name}"


def test_unfilled_slots_count_and_drop():
    pair = Pair().meet()
    pair.b.inet.ip4.reassemble = pair.b.inet.ip4.no_fragments
    pair.ask(pattern(3000))
    pair.run(10)
    assert pair.b.inet.drops == {"ip4.fragments": 3}
    pair.a.inet.ip4.fragment = pair.a.inet.ip4.too_big
    pair.socket.send_to(pattern(1800), B, 7)
    pair.run(10)
    assert pair.a.inet.drops == {"ip4.too_big": 1}
    pair.check()


def test_the_same_seed_gives_the_same_run():
    def run():
        pair = Pair(lambda nic: Lossy(nic, drop=0.3, seed=5))
        for i in range(50):
            pair.ask(pattern(i * 50))
            pair.run(100)
        return pair.world.frames, pair.heard

    assert run() == run()
