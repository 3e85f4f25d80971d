"""What is answered while a service is busy, and what has to wait its turn."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.packet import FRAME
from tests.support.frames import address, arp, ethernet, icmp, ip, udp
from tests.support.station import NO_MAC, PEER, US, Station
from tests.support.wire import Nic


def tcp(payload=b"", offset=5, flags=0x10, options=b""):
    return (
        struct.pack(">HHIIBBHHH", 4000, 80, 1, 2, offset << 4, flags, 1000, 0, 0)
        + options
        + payload
    )


def ip6(protocol, payload, length=None):
    length = len(payload) if length is None else length
    return struct.pack(">IHBB", 6 << 28, length, protocol, 255) + bytes(32) + payload


ECHO = icmp(8, 0, bytes(4), b"hello")
FRAMES = [
    ("arp", 0x0806, arp(1, b"\2\0\0\0\0\x99", PEER, NO_MAC, US), True),
    ("echo", 0x0800, ip(PEER, US, 1, ECHO), True),
    ("echo with options", 0x0800, ip(PEER, US, 1, ECHO, options=b"\1\1\1\1"), True),
    ("echo reply", 0x0800, ip(PEER, US, 1, icmp(0, 0, bytes(4))), False),
    ("fragment of an echo", 0x0800, ip(PEER, US, 1, ECHO, flags=1), False),
    ("later fragment", 0x0800, ip(PEER, US, 1, ECHO, offset=8), False),
    ("datagram", 0x0800, ip(PEER, US, 17, udp(PEER, US, 1, 2, b"")), False),
    ("syn", 0x0800, ip(PEER, US, 6, tcp(flags=2, offset=6, options=b"\2\4\5\xb4")), True),
    ("ack", 0x0800, ip(PEER, US, 6, tcp()), True),
    ("ack with padding", 0x0800, ip(PEER, US, 6, tcp()) + bytes(6), True),
    ("data", 0x0800, ip(PEER, US, 6, tcp(b"x")), False),
    ("less than a header", 0x0800, ip(PEER, US, 6, tcp()[:19]), False),
    ("icmp6 in ip4", 0x0800, ip(PEER, US, 58, b"\x80\0\0\0\0\0\0\0"), False),
    ("echo6", 0x86DD, ip6(58, b"\x80\0\0\0\0\0\0\0"), True),
    ("solicitation", 0x86DD, ip6(58, b"\x87\0\0\0" + bytes(20)), True),
    ("advertisement", 0x86DD, ip6(58, b"\x88\0\0\0" + bytes(20)), True),
    ("router advertisement", 0x86DD, ip6(58, b"\x86\0\0\0" + bytes(12)), False),
    ("ack6", 0x86DD, ip6(6, tcp()), True),
    ("data6", 0x86DD, ip6(6, tcp(b"x")), False),
    ("extension", 0x86DD, ip6(0, bytes(8) + tcp()), False),
    ("icmp in ip6", 0x86DD, ip6(1, ECHO), False),
    ("longer than it is", 0x86DD, ip6(6, tcp(), 100), False),
    ("nothing", 0x0800, b"", False),
    ("unknown", 0x1234, bytes(60), False),
]


def offer(station, frame):
    """Offer a frame as the urgent poll does; True: it was taken, and it rose."""
    nic = station.host.card
    urgent = station.inet.interfaces[0].nic.urgent_receive
    packet = nic.pools[0].allocate()
    buffer = packet.buffer
    for i in range(10, 300):
        buffer[i] = 0
    end = FRAME + len(frame)
    buffer[FRAME:end] = frame
    buffer[0], buffer[8], buffer[9] = FRAME, end & 0xFF, end >> 8
    before = station.inet.counters
    taken = urgent(packet)
    station.world.run()
    rose = station.inet.counters != before
    packet.release()
    return taken, rose


@pytest.mark.parametrize("name, kind, body, urgent", FRAMES)
def test_only_what_calls_no_service_is_urgent(name, kind, body, urgent):
    station = Station()
    frame = ethernet(station.mac, station.hand.mac, kind, body)
    assert offer(station, frame) == (urgent, urgent), name


def test_an_echo_is_answered_at_once():
    station = Station()
    offer(station, ethernet(station.mac, station.hand.mac, 0x0800, ip(PEER, US, 1, ECHO)))
    (reply,) = station.hand.take("icmp")
    assert (reply.type, reply.destination) == (0, address(PEER))


def test_a_second_interface_has_it_too():
    station = Station()
    nic = Nic(station.world, "eth1", b"\2\0\0\0\1\1", wire=1)
    station.inet.attach(nic, address="10.1.0.2/24")
    assert nic.urgent_receive is not None


@given(st.sampled_from([0x0800, 0x86DD]), st.binary(max_size=120))
def test_any_frame_is_survived(kind, body):
    station = Station()
    taken, _ = offer(station, ethernet(station.mac, station.hand.mac, kind, body))
    if taken:
        protocol = body[9] if kind == 0x0800 else body[6]
        assert protocol in (1, 6, 58)
