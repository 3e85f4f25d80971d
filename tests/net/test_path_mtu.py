"""Path MTU discovery: RFC 1191, and what RFC 5927 says about believing it."""

import struct

import pytest

from net.inet import Inet
from net.ip4 import header as ip4
from net.ip4 import icmp as module
from net.path_mtu import KEPT_MS
from tests.support.frames import address, icmp, ip, udp
from tests.support.station import PEER, US, Station
from tests.support.wire import Host, World

FAR, OTHER = "192.0.2.1", "192.0.2.2"


class Away:
    """A station that sends to where a router with a smaller MTU is on the way."""

    def __init__(self, **options):
        self.station = Station(gateway=PEER, **options)
        self.socket = self.station.inet.udp.bind(0, print)

    def send(self, destination=FAR, size=1400):
        """The frames that a datagram becomes."""
        self.station.hand.take()
        self.socket.send_to(bytes(size), address(destination), 9)
        self.station.world.run()
        return [frame for frame in self.station.hand.take() if frame.kind == 0x0800]

    def complain(self, frame, mtu, quote=None):
        quote = frame.data[14 : 14 + 28] if quote is None else quote
        message = icmp(3, 4, struct.pack(">HH", 0, mtu), quote)
        self.station.send_ip(1, message, source="10.0.0.254")

    def path_mtu(self, destination=FAR):
        return self.station.inet.path_mtu(address(destination))


def test_rfc1191_what_does_not_fit_leaves_in_fragments_that_do():
    away = Away()
    (frame,) = away.send()
    away.complain(frame, 1000)
    assert away.path_mtu() == 1000
    frames = away.send()
    assert [f.length <= 1000 for f in frames] == [True, True]
    assert sum(len(f.body) for f in frames) == 1408
    assert len(away.send(OTHER)) == 1, "remembered per destination"


def test_rfc1191_6_3_an_old_estimate_is_forgotten():
    away = Away()
    (frame,) = away.send()
    away.complain(frame, 1000)
    away.station.pass_time(KEPT_MS - 1000)
    assert away.path_mtu() == 1000
    away.station.pass_time(2_000)
    assert away.path_mtu() == 1500


def test_rfc1191_6_3_a_path_in_use_grows_again_too():
    """Not only what is asked for: what the table of paths remembers, as well."""
    away = Away()
    (frame,) = away.send()
    away.complain(frame, 1000)
    for _ in range(12):
        away.station.pass_time(61_000)
        away.station.introduce()
        frames = away.send()
    assert len(frames) == 1


def test_rfc1191_3_an_estimate_never_grows_because_of_a_message():
    away = Away()
    (frame,) = away.send()
    away.complain(frame, 1000)
    away.complain(frame, 1400)
    assert away.path_mtu() == 1000
    away.complain(frame, 900)
    assert away.path_mtu() == 900


@pytest.mark.parametrize("length, mtu", [(1500, 1492), (1492, 1006), (1007, 1006), (600, 552)])
def test_rfc1191_5_a_router_that_does_not_say_what_fits(length, mtu):
    away = Away()
    (frame,) = away.send(size=length - 28)
    away.complain(frame, 0)
    assert away.path_mtu() == mtu


@pytest.mark.parametrize("length", [0, 1, 296, 68])
def test_plateaus_have_a_bottom(length):
    assert module.plateau(length) == 296


@pytest.mark.parametrize("mtu", [1, 68, 296, 551])
def test_rfc5927_7_a_tiny_path_mtu_is_not_believed(mtu):
    away = Away()
    (frame,) = away.send()
    away.complain(frame, mtu)
    assert away.path_mtu() == ip4.BELIEVABLE_MTU
    assert max(f.length for f in away.send()) > 500


def test_path_mtus_are_bounded():
    away = Away()
    for last in range(1, 30):
        (frame,) = away.send(f"192.0.2.{last}")
        away.complain(frame, 1000)
    assert len(away.station.inet.ip4.path_mtus.known) <= 8
    assert away.path_mtu("192.0.2.29") == 1000


@pytest.mark.parametrize(
    "quote, name",
    [
        (ip("192.0.2.9", FAR, 17, udp("192.0.2.9", FAR, 50000, 9, b"")), "icmp.quote"),  # not ours
        (ip(US, FAR, 17, udp(US, FAR, 1, 9, b"")), "udp.quote"),  # from no socket of ours
        (ip(US, FAR, 17, bytes(8), offset=1480), "icmp.quote"),  # a later fragment has no ports
        (ip(US, FAR, 17, bytes(8), offset=1480, flags=1), "icmp.quote"),
        (ip(US, FAR, 17, b"")[:20], "icmp.quote"),  # too short
        (ip(US, FAR, 6, bytes(8)), "icmp.unasked"),  # there is no TCP here
        (ip(US, FAR, 1, bytes(8)), "icmp.unasked"),
        (ip(US, FAR, 17, bytes(8), ihl=15), "icmp.quote"),
        (b"\x65" + ip(US, FAR, 17, bytes(8))[1:], "icmp.quote"),
        (b"", "icmp.quote"),
    ],
)
def test_rfc5927_a_quote_of_nothing_that_we_sent_is_not_believed(quote, name):
    away = Away()
    (frame,) = away.send()
    away.complain(frame, 1000, quote)
    assert away.path_mtu() == 1500
    assert away.station.drops == {name: 1}


class Transport:
    """What the network layer asks of TCP."""

    def __init__(self, stack):
        self.told = []
        self.mine = True

    def receive(self, packet):
        pass

    def unreachable(self, packet, kind):
        at = packet.payload
        self.told.append((kind, bytes(packet.buffer[at : at + 8]), packet.destination))
        return self.mine

    def path_mtu_changed(self, destination):
        self.told.append(destination)


def test_tcp_is_told_of_the_error_and_then_of_the_path():
    world = World()
    host = Host(world, "us", address=US + "/24", gateway=PEER)
    inet = host.inet = Inet(host, tcp=Transport)
    tcp = inet.tcp
    assert tcp.output == inet.ip4.send
    header = struct.pack(">HHI", 4000, 80, 12345)
    message = icmp(3, 4, struct.pack(">HH", 0, 1000), ip(US, FAR, 6, header))

    def deliver():
        frame = host.card.mac + b"\2\0\0\0\0\x99" + b"\x08\0" + ip(PEER, US, 1, message)
        host.card.hear(frame)

    deliver()
    assert tcp.told == [(0x304, header, address(FAR)), address(FAR)]
    assert inet.path_mtu(address(FAR)) == 1000
    tcp.told.clear()
    tcp.mine = False
    message = icmp(3, 4, struct.pack(">HH", 0, 900), ip(US, FAR, 6, header))
    deliver()
    assert tcp.told == [(0x304, header, address(FAR))], "it has not sent that"
    assert inet.path_mtu(address(FAR)) == 1000


def test_what_may_not_be_fragmented_is_counted_or_sent_whole():
    away = Away()
    (frame,) = away.send()
    away.complain(frame, 1000)
    inet = away.station.inet
    for size, sent, drops in ((900, 1, {}), (1100, 0, {"ip4.too_big": 1})):
        packet = inet.allocate()
        buffer = packet.buffer
        buffer[14:16] = b"\x40\0"  # don't fragment
        buffer[16:20], buffer[32:36] = address(US), address(FAR)
        buffer[12] = 253
        end = 200 + size
        buffer[8:10] = bytes([end & 0xFF, end >> 8])
        away.station.hand.take()
        inet.udp.output(packet)
        away.station.world.run()
        assert len(away.station.hand.take()) == sent
        assert away.station.drops == drops


def test_what_the_device_cuts_is_not_measured():
    away = Away()
    away.send()
    inet = away.station.inet
    sent = []
    inet.ip4.transmit = lambda packet: (sent.append(packet.end), packet.release())
    packet = inet.allocate()
    buffer = packet.buffer
    buffer[16:20], buffer[32:36] = address(US), address(FAR)
    buffer[12] = 6
    buffer[68:70] = bytes([1460 & 0xFF, 1460 >> 8])
    buffer[8:10] = bytes([220, 0])
    assert packet.append(bytes(8000), 0, 8000)
    inet.udp.output(packet)
    assert sent == [220]
    assert away.station.drops == {}
