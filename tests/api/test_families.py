"""Sockets over IPv6 beside IPv4, names through the resolver, groups."""

import struct

import pytest

from net.address import parse
from net.dns.wire import A
from net.dual import Dual
from net.inet import Inet
from net.ip4 import igmp
from net.tcp import Tcp
from net.udp import Udp
from tests.api.support import Machine
from tests.clients.replies import asked, denial, reply
from tests.support.wire import Host, World

OURS, THEIRS = "10.0.0.1", "10.0.0.2"
OURS6, THEIRS6 = "2001:db8::1", "2001:db8::2"


class Pair:
    def __init__(self, make, **settings):
        self.world = World()
        four = [{"address": f"{address}/24"} for address in (THEIRS, OURS)]
        six = [{"address6": f"{address}/64"} for address in (THEIRS6, OURS6)]
        both = [{**a, **(b if make is Dual else {})} for a, b in zip(four, six, strict=True)]
        self.host = Host(self.world, "peer", packets=64, **both[0])
        self.machine = Machine(self.world, packets=64, **both[1], **settings)
        for host in (self.host, self.machine):
            host.inet = make(host, udp=Udp, tcp=Tcp)
        self.socket = self.machine.load("socket")
        self.world.run(5000)  # duplicate address detection


@pytest.fixture
def dual():
    return Pair(Dual)


@pytest.fixture
def named():
    """The peer is a name server that knows www.example."""
    pair = Pair(Inet, dns=THEIRS)

    def answer(socket, datagram):
        query = datagram.data
        if asked(query) == "www.example":
            socket.send_to(
                reply(query, ("www.example", A, 60, parse(THEIRS))),
                datagram.source,
                datagram.source_port,
            )
        else:
            socket.send_to(denial(query, code=3), datagram.source, datagram.source_port)

    pair.host.inet.udp.bind(53, answer)
    return pair


def test_streams_over_ipv6(dual):
    heard = []

    def accepted(connection):
        connection.on_data = lambda connection, segment: connection.write(segment.data.upper())

    dual.host.inet.tcp.listen(80, accepted)
    sock = dual.socket.socket(dual.socket.AF_INET6, dual.socket.SOCK_STREAM)
    sock.connect((THEIRS6, 80))
    sock.sendall(b"six")
    assert sock.recv(10) == b"SIX"
    assert sock.getpeername() == (THEIRS6, 80, 0, 0)
    assert sock.getsockname()[0] == OURS6
    assert not heard


def test_a_listener_takes_both_families(dual):
    door = dual.socket.socket(dual.socket.AF_INET6)
    door.bind(("::", 8080))
    door.listen()
    for address, expected in ((OURS, f"::ffff:{THEIRS}"), (OURS6, THEIRS6)):
        dual.host.inet.tcp.connect(parse(address), 8080, lambda connection: None)
        _, peer = door.accept()
        assert peer[0] == expected


def test_datagrams_of_both_families(dual):
    def echo(socket, datagram):
        socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)

    dual.host.inet.udp.bind(7, echo)
    sock = dual.socket.socket(dual.socket.AF_INET6, dual.socket.SOCK_DGRAM)
    sock.sendto(b"six", (THEIRS6, 7))
    assert sock.recvfrom(10) == (b"six", (THEIRS6, 7, 0, 0))
    sock.sendto(b"four", (f"::ffff:{THEIRS}", 7))
    assert sock.recvfrom(10) == (b"four", (f"::ffff:{THEIRS}", 7, 0, 0))


def test_a_socket_of_ipv4_does_not_hear_ipv6(dual):
    sock = dual.socket.socket(dual.socket.AF_INET, dual.socket.SOCK_DGRAM)
    sock.bind(("", 1000))
    sock.settimeout(0.1)
    dual.host.inet.udp.bind(0, lambda *_: None).send_to(b"six", parse(OURS6), 1000)
    with pytest.raises(OSError):
        sock.recv(10)
    assert dual.machine.counters.drops()["socket.family"] == 1


def test_a_listener_of_ipv4_does_not_take_ipv6(dual):
    door = dual.socket.socket()
    door.bind(("", 8080))
    door.listen()
    door.settimeout(0.1)
    closed = []
    caller = dual.host.inet.tcp.connect(parse(OURS6), 8080, lambda connection: None)
    caller.on_close = lambda connection, reason: closed.append(reason)
    with pytest.raises(OSError):
        door.accept()
    assert closed == [104]
    assert dual.machine.counters.drops()["socket.family"] == 1


def test_names_are_resolved(named):
    found = named.socket.getaddrinfo("www.example", 80)
    assert found == [(2, 1, 0, "", (THEIRS, 80))]
    with pytest.raises(named.socket.gaierror) as error:
        named.socket.getaddrinfo("nobody.example", 80)
    assert error.value.args[0] == -2
    named.host.inet.tcp.listen(80, lambda connection: None)
    sock = named.socket.create_connection(("www.example", 80), 5)
    assert sock.getpeername() == (THEIRS, 80)
    sock = named.socket.socket()
    sock.connect(("www.example", 80))


def test_a_name_without_an_answer_gives_up(named):
    named.host.inet.udp.find(53).close()
    with pytest.raises(named.socket.gaierror) as error:
        named.socket.getaddrinfo("www.example", 80)
    assert error.value.args[0] == -3


def test_a_group_is_joined_and_left(dual):
    sock = dual.socket.socket(dual.socket.AF_INET, dual.socket.SOCK_DGRAM)
    sock.bind(("", 5000))
    sock.settimeout(0.1)
    igmp.use(dual.machine.inet)  # IPv4 needs it; IPv6 has its own
    request = parse("239.1.2.3") + bytes(4)
    sender = dual.host.inet.udp.bind(0, lambda *_: None)
    levels = dual.socket.IPPROTO_IP
    sock.setsockopt(levels, dual.socket.IP_ADD_MEMBERSHIP, request)
    sender.send_to(b"to all", parse("239.1.2.3"), 5000)
    assert sock.recv(10) == b"to all"
    sock.setsockopt(levels, dual.socket.IP_DROP_MEMBERSHIP, request)
    sender.send_to(b"to all", parse("239.1.2.3"), 5000)
    with pytest.raises(OSError):
        sock.recv(10)


def test_so_linger_with_no_time_resets(dual):
    reasons = []

    def accepted(connection):
        connection.on_close = lambda connection, reason: reasons.append(reason)

    dual.host.inet.tcp.listen(80, accepted)
    sock = dual.socket.socket()
    sock.connect((THEIRS, 80))
    dual.world.run(20)
    sock.setsockopt(dual.socket.SOL_SOCKET, dual.socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    dual.world.run(20)
    assert reasons == [104]
