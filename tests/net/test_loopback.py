"""What is sent to ourselves arrives, a turn later."""

import pytest

from net import loopback
from net.address import parse
from net.config import LOOPED
from net.dual import Dual
from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp
from tests.support.frames import ethernet, ip, udp
from tests.support.wire import Host, Nic, World

OURS, OURS6 = "10.0.0.2", "2001:db8::2"
LOCAL = [OURS, "127.0.0.1", "127.9.9.9", OURS6, "::1"]


class Alone:
    def __init__(self, use=True, make=Dual, **options):
        self.world = World()
        self.host = Host(self.world, "us", address=OURS + "/24", address6=OURS6 + "/64", **options)
        self.inet = self.host.inet = make(self.host, udp=Udp)
        if use:
            loopback.use(self.inet)
            loopback.use(self.inet)
        self.inet.udp.bind(7, echo)
        self.world.run(10_000)
        self.world.frames.clear()
        self.heard = []
        self.socket = self.inet.udp.bind(0, lambda s, d: self.heard.append((d.data, d.source)))
        self.socket.unreachable = lambda s, whom, port, kind: self.heard.append((whom, port, kind))

    def ask(self, destination, data, port=7):
        self.heard.clear()
        assert self.socket.send_to(data, parse(destination), port)
        assert self.heard == [], "a turn later"
        self.world.run()
        self.world.check()
        return self.heard


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


@pytest.mark.parametrize("destination", LOCAL)
@pytest.mark.parametrize("size", [0, 1, 1472, 1473, 1840, 1841, 9000, 60000])
def test_rfc1122_3_2_1_3_what_is_sent_to_ourselves_arrives(destination, size):
    alone = Alone()
    data = bytes([n * 13 & 0xFF for n in range(size)])
    assert alone.ask(destination, data) == [(data, parse(destination))]
    assert alone.world.frames == [], "nothing on the wire"
    assert alone.inet.drops == {}


@pytest.mark.parametrize("destination", LOCAL)
def test_it_has_to_be_used(destination):
    alone = Alone(use=False)
    alone.socket.send_to(b"x", parse(destination), 7)
    alone.world.run()
    name = "ip6.loopback" if ":" in destination else "ip4.loopback"
    assert (alone.heard, alone.inet.drops) == ([], {name: 1})
    alone.world.check()


@pytest.mark.parametrize(
    "destination, kind",
    [(OURS, 0x303), ("127.0.0.1", 0x303), (OURS6, 0x104), ("::1", 0x104)],
)
def test_a_closed_port_is_said(destination, kind):
    assert Alone().ask(destination, b"?", 99) == [(parse(destination), 99, kind)]


def test_addresses_inside_are_ours():
    alone = Alone()
    for text in LOCAL:
        assert alone.inet.is_local(parse(text))
        assert alone.inet.source_for(parse(text)) == parse(text)
    assert not alone.inet.is_local(parse("128.0.0.1"))


def test_nothing_comes_in_from_the_wire_with_such_an_address():
    alone = Alone()
    datagram = ip("127.0.0.1", OURS, 17, udp("127.0.0.1", OURS, 1, 7, b""))
    alone.host.card.hear(ethernet(alone.host.card.mac, b"\2\0\0\0\0\x99", 0x0800, datagram))
    assert alone.inet.drops == {"ip4.source": 1}


def test_so_many_wait_at_a_time():
    alone = Alone(packets=64)
    for n in range(LOOPED + 3):
        alone.socket.send_to(bytes([n]), parse(OURS), 7)
    alone.world.run()
    assert [data for data, _ in alone.heard] == [bytes([n]) for n in range(LOOPED)]
    assert alone.inet.drops == {"loopback.full": 3}
    alone.world.check()


def test_a_protocol_that_nobody_speaks_is_counted():
    alone = Alone()
    packet = alone.inet.allocate()
    buffer = packet.buffer
    buffer[16:20] = buffer[32:36] = parse(OURS)
    buffer[12] = 253
    alone.inet.udp.output(packet)
    alone.world.run()
    assert alone.inet.drops == {"loopback.protocol": 1}
    alone.world.check()


def test_pieces_of_other_buffers_arrive_too():
    alone = Alone()
    packet = alone.inet.allocate()
    heard = []
    alone.inet.ip4.tcp = lambda p: heard.append(bytes(p.buffer[96 + 20 : p.end]))
    buffer = packet.buffer
    buffer[16:20] = buffer[32:36] = parse(OURS)
    buffer[12] = 6
    buffer[68:70] = b"\xb4\x05"  # the device would have to cut it
    buffer[200:220] = bytes(range(20))
    buffer[8] = 220
    packet.append(bytes(30000), 10, 20000)
    alone.inet.udp.output(packet)
    alone.world.run()
    assert heard == [bytes(range(20)) + bytes(20000)]
    alone.world.check()


def test_a_callback_may_send_to_ourselves_again_and_again():
    alone = Alone()
    hops = []

    def hop(socket, datagram):
        hops.append(datagram.data[0])
        if datagram.data[0]:
            socket.send_to(bytes([datagram.data[0] - 1]), parse("127.0.0.1"), 8)

    socket = alone.inet.udp.bind(8, hop)
    socket.send_to(b"\5", parse("127.0.0.1"), 8)
    alone.world.run()
    assert hops == [5, 4, 3, 2, 1, 0]


def test_several_interfaces_are_one_host():
    world = World()
    host = Host(world, "us", address=OURS + "/24")
    inet = host.inet = Inet(host, udp=Udp)
    loopback.use(inet)
    inet.attach(Nic(world, "eth1", b"\2\0\0\0\1\1", wire=1), address="10.1.0.2/24")
    inet.udp.bind(7, echo)
    world.run(5_000)
    for destination in (OURS, "10.1.0.2", "127.0.0.1"):
        for size in (5, 5000):
            heard = []
            socket = inet.udp.bind(0, lambda s, d: heard.append(d.length))  # noqa: B023
            socket.send_to(bytes(size), parse(destination), 7)
            world.run(10)
            assert heard == [size]
    assert inet.drops == {}
    world.check()


@pytest.mark.parametrize("destination", LOCAL)
@pytest.mark.parametrize("offloads", [0, 7])
def test_tcp_connects_to_itself(destination, offloads):
    world = World()
    host = Host(
        world,
        "us",
        packets=64,
        offloads=offloads,
        address=OURS + "/24",
        address6=OURS6 + "/64",
    )
    inet = host.inet = Dual(host, udp=Udp, tcp=Tcp)
    loopback.use(inet)
    world.run(60_000)
    world.frames.clear()
    data = bytes([n * 3 & 0xFF for n in range(50_000)])
    got = []

    def serve(connection):
        connection.on_data = lambda c, segment: got.append(segment.data)

    def connected(connection):
        queue = [data]

        def more(c):
            taken = c.write(queue[0])
            queue[0] = queue[0][taken:]
            if not queue[0]:
                c.on_writable = lambda c: None
                c.close()

        connection.on_writable = more
        more(connection)

    inet.tcp.listen(80, serve)
    inet.tcp.connect(parse(destination), 80, connected)
    world.run(5_000)
    assert b"".join(got) == data
    assert world.frames == [], "nothing on the wire"
    assert inet.drops == {}
    world.run(200_000)
    world.check()
