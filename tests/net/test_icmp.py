"""ICMP: echoes, and errors both ways (RFC 792; RFC 1122 section 3.2.2)."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.config import ICMP_ERRORS_BURST
from tests.support.frames import icmp, ip, udp
from tests.support.station import BROADCAST, PEER, US, Station, address


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=1472), st.binary(min_size=4, max_size=4))
def test_rfc1122_3_2_2_6_echo_returns_its_data(data, rest):
    station = Station()
    station.send_ip(1, icmp(8, 0, rest, data))
    (reply,) = station.hand.take("icmp")
    assert (reply.type, reply.code, reply.rest, reply.payload) == (0, 0, rest, data)
    assert station.drops == {}


@pytest.mark.parametrize("total", range(0xFFF0, 0x10000))
def test_rfc1624_checksum_of_reply_when_the_sum_is_near_its_end(total):
    """The incremental update must carry around."""
    station = Station()
    base = struct.unpack(">H", icmp(8, 0, b"\0\0\0\0")[2:4])[0]
    rest = struct.pack(">HH", (base - total) % 0xFFFF, 0)
    station.send_ip(1, icmp(8, 0, rest))
    assert len(station.hand.take("icmp")) == 1  # Frame has checked it


def test_long_echo_is_reassembled_and_answered_in_fragments():
    station = Station()
    data = bytes(i * 31 & 0xFF for i in range(4000))
    message = icmp(8, 0, b"\0\1\0\2", data)
    for offset in range(0, len(message), 1480):
        piece = message[offset : offset + 1480]
        more = 1 if offset + 1480 < len(message) else 0
        station.send_ip(1, piece, flags=more, offset=offset)
    frames = station.hand.take("fragment")
    assert b"".join(frame.body for frame in frames) == icmp(0, 0, b"\0\1\0\2", data)


def test_echo_to_broadcast_is_not_answered():
    station = Station()
    message = icmp(8, 0, b"\0\1\0\1")
    station.send_ip(1, message, BROADCAST, destination="10.0.0.255")
    assert station.hand.take() == []
    assert station.drops == {"icmp.broadcast": 1}


@pytest.mark.parametrize("length", range(8))
def test_short_message_is_dropped(length):
    station = Station()
    station.send_ip(1, icmp(8, 0, b"\0\1\0\1")[:length])
    assert station.drops == {"icmp.short": 1}


def test_bad_checksum_is_dropped():
    station = Station()
    station.send_ip(1, icmp(8, 0, b"\0\1\0\1", checksum=0x4321))
    assert station.hand.take() == []
    assert station.drops == {"icmp.checksum": 1}


@pytest.mark.parametrize("kind", [4, 5, 9, 10, 13, 15, 17, 30, 255])
def test_rfc6633_and_others_type_is_ignored(kind):
    """Source quench, redirect, router discovery, timestamp, information, mask."""
    station = Station()
    station.send_ip(1, icmp(kind, 0, bytes(4), bytes(28)))
    assert station.hand.take() == []
    assert station.drops == {"icmp.type": 1}


def test_echo_without_a_packet_to_answer_with():
    station = Station()
    taken = [station.host.nic.allocate() for _ in range(16)]
    station.send_ip(1, icmp(8, 0, b"\0\1\0\1"))
    for packet in taken:
        packet.release()
    assert station.drops == {"icmp.no_buffer": 1}


# Errors that we send.


def closed_port(station, mac=None, **field):
    destination = field.get("destination", US)
    datagram = udp(PEER, destination, 1000, 9999, b"anybody?")
    station.send_ip(17, datagram, mac, **field)
    return station.hand.take("icmp")


def test_rfc1122_4_1_3_1_closed_port_is_unreachable():
    station = Station()
    (error,) = closed_port(station)
    assert (error.type, error.code) == (3, 3)
    assert error.payload == ip(PEER, US, 17, udp(PEER, US, 1000, 9999, b"anybody?"))
    assert station.drops == {"udp.port": 1}


def test_rfc1812_4_3_2_3_error_quotes_at_most_576_bytes():
    station = Station()
    station.send_ip(17, udp(PEER, US, 1000, 9999, bytes(1400)))
    (error,) = station.hand.take("icmp")
    assert error.length == 576


@pytest.mark.parametrize(
    ("mac", "destination"),
    [(BROADCAST, "255.255.255.255"), (BROADCAST, "10.0.0.255"), (None, "10.0.0.255")],
)
def test_rfc1122_3_2_2_no_error_about_a_broadcast(mac, destination):
    station = Station()
    assert closed_port(station, mac, destination=destination) == []
    assert station.drops == {"udp.port": 1, "icmp.unanswered": 1}


def test_rfc1122_3_2_2_no_error_about_an_icmp_error():
    station = Station()
    quote = ip(US, PEER, 17, udp(US, PEER, 7, 7, b""))
    station.send_ip(1, icmp(3, 3, bytes(4), quote))
    station.send_ip(1, icmp(3, 3, bytes(4), b"nonsense"))
    assert station.hand.take() == []


def test_rfc1122_3_2_2_no_error_about_a_later_fragment():
    station = Station()
    station.send_ip(99, bytes(64), offset=64)
    station.pass_time(60_000)
    assert station.hand.take("icmp") == []


def test_rfc1812_4_3_2_8_errors_are_limited():
    station = Station()
    errors = sum(len(closed_port(station)) for _ in range(100))
    # The frames themselves take two virtual milliseconds each.
    assert ICMP_ERRORS_BURST <= errors <= ICMP_ERRORS_BURST + 30
    assert station.drops["icmp.limited"] == 100 - errors
    station.pass_time(1000)
    assert len(closed_port(station)) == 1


# Errors that we hear.


def sent(station, port=4000):
    errors = []
    socket = station.inet.udp.bind(port, print)
    socket.unreachable = lambda *about: errors.append(about)
    socket.send_to(b"hello", address(PEER), 9)
    station.world.run()
    (frame,) = station.hand.take("udp")
    return socket, errors, frame.data[14:]


@pytest.mark.parametrize(("kind", "code"), [(3, 3), (3, 1), (11, 0), (12, 0)])
def test_rfc1122_4_1_3_3_error_reaches_the_socket_that_sent(kind, code):
    station = Station()
    socket, errors, datagram = sent(station)
    station.send_ip(1, icmp(kind, code, bytes(4), datagram[:28]))
    assert errors == [(socket, address(PEER), 9, kind << 8 | code)]
    assert station.drops == {}


def test_error_about_a_datagram_nobody_sent():
    station = Station()
    _, errors, datagram = sent(station)
    other = ip(US, PEER, 17, udp(US, PEER, 4001, 9, b""))
    station.send_ip(1, icmp(3, 3, bytes(4), other))
    theirs = ip(PEER, US, 17, datagram[20:])
    station.send_ip(1, icmp(3, 3, bytes(4), theirs))
    assert errors == []
    assert station.drops == {"udp.quote": 1, "icmp.quote": 1}


@pytest.mark.parametrize("length", range(28))
def test_error_with_a_short_quote_is_dropped(length):
    station = Station()
    _, errors, datagram = sent(station)
    station.send_ip(1, icmp(3, 3, bytes(4), datagram[:length]))
    assert errors == []
    assert station.drops == {"icmp.quote": 1}


@pytest.mark.parametrize("first", [0x65, 0x44, 0x4F])
def test_error_with_a_senseless_quote_is_dropped(first):
    station = Station()
    _, _, datagram = sent(station)
    station.send_ip(1, icmp(3, 3, bytes(4), bytes([first]) + datagram[1:28]))
    assert station.drops == {"icmp.quote": 1}


def test_error_for_a_protocol_nobody_speaks():
    station = Station()
    quote = ip(US, PEER, 6, bytes(8))
    station.send_ip(1, icmp(3, 3, bytes(4), quote))
    assert station.drops == {"icmp.unasked": 1}


def test_echo_reply_goes_to_whoever_asked():
    station = Station()
    heard = []
    station.send_ip(1, icmp(0, 0, b"\0\1\0\1", b"x"))
    station.inet.icmp.on_reply = lambda packet: heard.append(packet.end)
    station.send_ip(1, icmp(0, 0, b"\0\1\0\1", b"x"))
    assert len(heard) == 1
    assert station.drops == {"icmp.unasked": 1}


def test_without_udp_the_protocol_is_unreachable():
    station = Station(udp=None)
    station.send_ip(17, udp(PEER, US, 1000, 7, b"x"))
    (error,) = station.hand.take("icmp")
    assert (error.type, error.code) == (3, 2)
