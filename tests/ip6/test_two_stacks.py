"""Two whole IPv6 stacks on a wire that loses, reorders, repeats and corrupts; and several
interfaces.
"""

import pytest

from net.inet6 import Inet6
from net.udp import Udp
from tests.support.frames6 import prefix, router
from tests.support.station6 import address
from tests.support.wire import Corrupting, Duplicating, Host, Lossy, Nic, Random, Reordering, World

A, B = address("2001:db8::a"), address("2001:db8::b")


class Pair:
    def __init__(self, wrap=None, packets=32, mtu=1500, static=True):
        self.world = World()
        self.hosts = []
        for name in "ab":
            settings = {"address6": f"2001:db8::{name}/64"} if static else {}
            host = Host(self.world, name, wrap, mtu, packets, **settings)
            host.inet = Inet6(host, udp=Udp)
            self.hosts.append(host)
        self.a, self.b = self.hosts
        self.b.inet.udp.bind(7, echo)
        self.heard = []
        self.socket = self.a.inet.udp.bind(0, lambda s, d: self.heard.append(d.data))
        self.world.run(3_000)

    def meet(self):
        self.ask(b"")
        self.run(1_000)
        self.heard.clear()
        return self

    def ask(self, data, where=B):
        return self.socket.send_to(data, where, 7)

    def run(self, ms=None):
        self.world.run(ms)

    def check(self):
        self.world.run(200_000)
        self.world.check()


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


def pattern(length):
    return bytes([i * 151 + (i >> 8) & 0xFF for i in range(length)])


@pytest.mark.parametrize("mtu", [1280, 1500])
@pytest.mark.parametrize("length", [0, 1, 100, 1232, 1233, 1452, 1453, 1840, 1841, 8000, 16376])
def test_datagrams_of_any_length_come_back(length, mtu):
    pair = Pair(mtu=mtu, packets=64).meet()
    pair.ask(pattern(length))
    pair.run(50)
    assert pair.heard == [pattern(length)]
    assert set(pair.a.inet.drops) | set(pair.b.inet.drops) <= {"ip6.destination"}
    pair.check()


@pytest.mark.parametrize("nth", range(24))
def test_requests_repeated_by_the_caller_survive_the_loss_of_frame(nth):
    pair = Pair(lambda nic: Lossy(nic, lose=[nth]))
    for _ in range(6):
        pair.ask(pattern(4000))
        pair.run(3_000)
    assert len(pair.heard) >= 3
    assert set(pair.heard) == {pattern(4000)}
    pair.check()


@pytest.mark.parametrize("seed", range(6))
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


def test_hours_of_talk_with_probes_in_between():
    pair = Pair()
    for i in range(400):
        pair.ask(bytes([i & 0xFF]))
        pair.run(20_000)
    assert len(pair.heard) == 400
    assert pair.a.inet.counters["neighbours.solicited"] > 50
    pair.check()


def test_an_idle_pair_has_no_timers_but_for_routers():
    pair = Pair().meet()
    pair.run(3_600_000)
    for host in pair.hosts:
        first = host.inet.first6
        assert not first.neighbours.timer.active
        assert not first.addresses.timer.active
        assert not first.mld.changes.active


def test_link_local_addresses_are_enough():
    pair = Pair(static=False)
    there = pair.b.inet.first6.addresses.link_local.address
    pair.ask(b"by link", there)
    pair.run(50)
    assert pair.heard == [b"by link"]


def test_two_hosts_that_start_with_one_address_both_give_it_up():
    world = World()
    hosts = [Host(world, name, address6="2001:db8::1/64") for name in "ab"]
    for host in hosts:
        host.inet = Inet6(host)
    world.run(3_000)
    assert [address("2001:db8::1") in host.inet.addresses6 for host in hosts] == [False, False]


def test_the_second_to_start_gives_it_up():
    world = World()
    hosts = []
    for name in "ab":
        host = Host(world, name, address6="2001:db8::1/64")
        host.inet = Inet6(host)
        hosts.append(host)
        world.run(3_000)
    assert [address("2001:db8::1") in host.inet.addresses6 for host in hosts] == [True, False]


# Several interfaces.


class Two:
    """A host with a leg on each of two wires, and a host on the far one."""

    def __init__(self, **settings):
        self.near, self.far = World(), World()
        self.host = Host(self.near, "us", address6="2001:db8::1/64", **settings)
        self.host.inet = self.inet = Inet6(self.host, udp=Udp)
        nic = Nic(self.far, "eth1", b"\2\0\0\0\1\1")
        self.leg = self.inet.attach(nic, address=settings.get("second"))
        self.other = Host(self.far, "other", address6="2001:db8:1::2/64")
        self.other.inet = Inet6(self.other, udp=Udp)
        self.other.inet.udp.bind(7, echo)
        self.run(3_000)

    def run(self, ms):
        for _ in range(ms):
            self.near.run(1)
            self.far.run(1)


def test_the_way_is_that_of_the_source():
    two = Two(second="2001:db8:1::1/64")
    heard = []
    socket = two.inet.udp.bind(0, lambda s, d: heard.append((d.data, d.destination)))
    socket.send_to(b"over there", address("2001:db8:1::2"), 7)
    two.run(50)
    assert heard == [(b"over there", address("2001:db8:1::1"))]
    assert two.inet.source_for(address("2001:db8::9")) == address("2001:db8::1")
    assert two.inet.source_for(address("2001:db8:2::9")) is None
    socket.send_to(b"nowhere", address("2001:db8:2::9"), 7)
    assert two.inet.drops["internet6.source"] == 1


def test_each_interface_forms_its_own_addresses():
    two = Two()
    hand = Nic(two.far, "router", b"\2\0\0\0\1\7")
    datagram = router("fe80::7", prefix("2001:db8:7::"))
    two.far.send(hand, b"\x33\x33\0\0\0\1" + hand.mac + b"\x86\xdd" + datagram)
    two.run(50)
    formed = [own.address[:8] for own in two.leg.addresses.all]
    assert address("2001:db8:7::")[:8] in formed
    assert len(two.inet.first6.addresses.all) == 2
    locals_ = [i.addresses.link_local.address for i in (two.inet.first6, two.leg)]
    assert locals_[0] != locals_[1]


def test_groups_are_joined_on_all_interfaces_or_on_one():
    two = Two()
    group = address("ff05::77")
    two.inet.join(group)
    two.inet.join(address("ff05::78"), two.inet.interfaces[1])
    both = [
        len([g for g in i.mld.groups if g.group[1] == 5]) for i in two.inet.internet6.interfaces
    ]
    assert both == [1, 2]
