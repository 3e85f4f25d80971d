"""Both families on the same wire, under transports that know neither."""

import pytest

from net.address import parse
from net.dhcp import Dhcp
from net.dual import Dual
from net.inet import Inet
from net.inet6 import Inet6
from net.udp import Udp
from tests.support.wire import Host, Nic, World

A4, B4 = "10.0.0.1", "10.0.0.2"
A6, B6 = "2001:db8::1", "2001:db8::2"


def host(world, name, make, **settings):
    one = Host(world, name, **settings)
    one.inet = make(one, udp=Udp)
    one.inet.udp.bind(7, echo)
    return one


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


class Pair:
    def __init__(self):
        self.world = World()
        self.a = host(self.world, "a", Dual, address=A4 + "/24", address6=A6 + "/64")
        self.b = host(self.world, "b", Dual, address=B4 + "/24", address6=B6 + "/64")
        self.world.run(10_000)

    def ask(self, destination, data, port=7):
        heard = []
        socket = self.a.inet.udp.bind(0, lambda s, d: heard.append((d.data, d.source)))
        socket.unreachable = lambda s, where, port, kind: heard.append((where, port, kind))
        assert socket.send_to(data, parse(destination), port)
        self.world.run(1_000)
        socket.close()
        self.world.check()
        return heard


@pytest.mark.parametrize("destination", [B4, B6])
@pytest.mark.parametrize("size", [0, 1, 7, 100, 1452, 1453, 1472, 1473, 5000, 16000])
def test_echo_over_either_family(destination, size):
    pair = Pair()
    data = bytes([n * 31 & 0xFF for n in range(size)])
    pair.ask(destination, b"")  # be neighbours
    assert pair.ask(destination, data) == [(data, parse(destination))]
    for one in (pair.a, pair.b):
        assert set(one.inet.drops) <= {"ip6.destination"}, "groups of others"


def test_one_socket_speaks_both_in_turn():
    pair = Pair()
    heard = []
    socket = pair.a.inet.udp.bind(0, lambda s, d: heard.append(d.data))
    for n in range(6):
        socket.send_to(bytes([n]), parse(B6 if n & 1 else B4), 7)
        pair.world.run(100)
    assert heard == [bytes([n]) for n in range(6)]


@pytest.mark.parametrize("destination, kind", [(B4, 0x303), (B6, 0x104)])
def test_closed_port_is_told_in_the_language_of_the_family(destination, kind):
    assert Pair().ask(destination, b"?", 99) == [(parse(destination), 99, kind)]


def test_source_and_path_mtu_are_asked_of_the_family_of_the_address():
    inet = Pair().a.inet
    assert inet.source_for(parse(B4)) == parse(A4)
    assert inet.source_for(parse(B6)) == parse(A6)
    assert inet.path_mtu(parse(B4)) == inet.path_mtu(parse(B6)) == 1500
    assert inet.is_local(parse(A4)) and inet.is_local(parse(A6))
    assert not inet.is_local(parse(B4)) and not inet.is_local(parse(B6))
    assert inet.address == parse(A4)
    assert parse(A6) in inet.addresses6


def test_an_address_of_no_family_is_refused():
    pair = Pair()
    with pytest.raises(ValueError):
        pair.a.inet.udp.bind(0, print).send_to(b"", b"\1\2\3", 7)
    with pytest.raises(ValueError):
        pair.a.inet.udp.bind(0, print).join(b"\1\2\3")


def test_news_of_both_families_reaches_everybody_who_asked():
    world = World()
    one = Host(world, "a", address=A4 + "/24", address6=A6 + "/64", dns=f"{B4},{B6}")
    inet = one.inet = Dual(one, udp=Udp)
    news = []
    inet.when_configured(lambda stack: news.append(("first", stack is inet)))
    inet.when_configured(lambda stack: news.append(("second", stack is inet)))
    assert news[0] == ("first", True)
    world.run(10_000)
    assert ("second", True) in news
    assert inet.dns == [parse(B4), parse(B6)]


def test_without_an_ipv4_address_it_speaks_ipv6_alone():
    world = World()
    a = host(world, "a", Dual, address6=A6 + "/64")
    host(world, "b", Inet6, address6=B6 + "/64")
    world.run(10_000)
    heard = []
    a.inet.udp.bind(0, lambda s, d: heard.append(d.data)).send_to(b"x", parse(B6), 7)
    world.run(1_000)
    assert heard == [b"x"]
    assert a.inet.address is None


def test_dual_stack_with_dhcp_starts():
    world = World()
    one = Host(world, "a")
    one.inet = Dual(one, udp=Udp, configure=Dhcp)
    world.run(10_000)
    assert one.inet.counters["dhcp.sent"] >= 2


def test_the_first_stack_is_the_machines():
    world = World()
    one = Host(world, "a", address=A4 + "/24")
    inet = Inet(one, udp=Udp)
    assert one.inet is inet
    Inet(one, udp=Udp, nic=Nic(world, "eth1", b"\2\0\0\0\1\1"))
    assert one.inet is inet


def test_second_interface_of_both_families():
    world = World()
    us = host(world, "us", Dual, address=A4 + "/24", address6=A6 + "/64")
    east = host(world, "east", Dual, address="10.1.0.1/24", address6="2001:db8:1::1/64")
    east.card.wire = 1
    nic = Nic(world, "eth1", b"\2\0\0\0\1\1", wire=1)
    us.inet.attach(nic, address="10.1.0.2/24", address6="2001:db8:1::2/64")
    world.run(10_000)
    for there in ("10.1.0.1", "2001:db8:1::1"):
        heard = []
        socket = us.inet.udp.bind(0, lambda s, d: heard.append((d.data, d.destination)))  # noqa: B023
        socket.send_to(b"hello", parse(there), 7)
        world.run(3_000)
        ours = parse("10.1.0.2" if "." in there else "2001:db8:1::2")
        assert heard == [(b"hello", ours)]
    world.check()


def test_long_datagrams_by_the_second_interface_in_both_families():
    world = World()
    us = host(world, "us", Dual, address=A4 + "/24", address6=A6 + "/64")
    east = host(world, "east", Dual, address="10.1.0.1/24", address6="2001:db8:1::1/64")
    east.card.wire = 1
    nic = Nic(world, "eth1", b"\2\0\0\0\1\1", wire=1)
    us.inet.attach(nic, address="10.1.0.2/24", address6="2001:db8:1::2/64")
    world.run(10_000)
    heard = []
    socket = us.inet.udp.bind(0, lambda s, d: heard.append(d.length))
    for there in ("10.1.0.1", "2001:db8:1::1"):
        for size in (0, 5000):
            socket.send_to(bytes(size), parse(there), 7)
            world.run(3_000)
    assert heard == [0, 5000, 0, 5000]
    world.check()
