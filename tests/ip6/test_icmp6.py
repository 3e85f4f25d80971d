"""ICMPv6: echoes, errors both ways, and when to be silent."""

import struct

import pytest

from tests.support.frames6 import icmp6, ip6, options, udp6
from tests.support.station6 import LINK_PEER, PEER, US, Station6, address

UNIT = bytes(4)


def closed_port(**field):
    return udp6(PEER, US, 9, 70, b"nobody", **field)


def quote(**field):
    """The start of a datagram of ours."""
    return ip6(US, PEER, 17, udp6(US, PEER, 7, 9, b"12345678"), **field)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 56, 57, 1440])
def test_rfc4443_4_2_echo_comes_back_whole(length):
    station = Station6()
    data = bytes(i * 7 & 0xFF for i in range(length))
    station.send_icmp(128, 0, b"\x12\x34\x00\x07" + data)
    (reply,) = station.hand.take()
    assert (reply.type, reply.code, reply.rest, reply.payload) == (129, 0, b"\x12\x34\0\7", data)


def test_checksum_is_checked():
    station = Station6()
    station.send_icmp(128, 0, bytes(4), checksum=0x1234)
    assert station.drops == {"icmp6.checksum": 1}


@pytest.mark.parametrize("number", range(0, 65536, 4369))
def test_checksum_of_the_reply_at_its_edges(number):
    station = Station6()
    station.send_icmp(128, 0, struct.pack(">HH", number, 0xFFFF - number))
    assert len(station.hand.take()) == 1


@pytest.mark.parametrize("length", range(8))
def test_short_message(length):
    station = Station6()
    station.send_ip(58, icmp6(PEER, US, 128, 0, bytes(4))[:length])
    assert station.drops == {"icmp6.short": 1}


def test_rfc4443_4_2_echo_to_a_group_is_answered_from_our_address():
    station = Station6()
    station.introduce(sender=LINK_PEER)
    station.send_icmp(128, 0, bytes(4), source=LINK_PEER, destination="ff02::1")
    (reply,) = station.hand.take()
    assert reply.source == station.link_local
    assert reply.destination == address(LINK_PEER)


def test_rfc4443_3_1_port_unreachable():
    station = Station6()
    station.send_ip(17, closed_port())
    (error,) = station.hand.take()
    assert (error.type, error.code, error.rest) == (1, 4, bytes(4))
    assert error.payload == ip6(PEER, US, 17, closed_port())
    assert error.source == address(US)


def test_rfc4443_2_4_c_as_much_as_fits_1280_bytes():
    station = Station6()
    station.send_ip(17, udp6(PEER, US, 9, 70, bytes(1400)))
    (error,) = station.hand.take()
    assert len(error.data) == 14 + 1280


@pytest.mark.parametrize("source", ["::", "ff02::1"])
def test_rfc4443_2_4_e6_never_to_what_is_not_one_host(source):
    station = Station6()
    station.send_ip(17, udp6(source, US, 9, 70, b"x"), source=source)
    assert station.hand.take() == []


def test_rfc4443_2_4_e3_never_about_a_group():
    station = Station6()
    station.send_ip(17, udp6(PEER, "ff02::1", 9, 70, b"x"), destination="ff02::1")
    assert station.hand.take() == []
    assert station.drops == {"udp.port": 1, "icmp6.unanswered": 1}


@pytest.mark.parametrize("kind", [0, 1, 5, 127, 137])
def test_rfc4443_2_4_e1_never_about_an_error(kind):
    """An unknown option in front of an ICMPv6 error."""
    station = Station6()
    bad = options(58, b"\xc2\x00")
    station.send_ip(60, bad + icmp6(PEER, US, kind, 0, bytes(40)))
    assert station.hand.take() == []
    station.send_ip(60, bad + icmp6(PEER, US, 128, 0, bytes(40)))
    assert [frame.type for frame in station.hand.take()] == [4]


def test_rfc4443_2_4_f_errors_are_limited():
    station = Station6()
    frame = ip6(PEER, US, 17, closed_port())
    for _ in range(2):
        frames = [station.hand.mac, station.mac]
        for _ in range(100):
            station.world.send(station.hand.nic, frames[1] + frames[0] + b"\x86\xdd" + frame)
        station.world.run()
        assert len([f for f in station.hand.take() if f.what == "icmp6"]) == 20
        station.pass_time(1000)
    assert station.drops["icmp6.limited"] == 160


def test_rfc4443_2_4_b_unknown_informational_messages_are_dropped():
    station = Station6()
    station.send_icmp(200, 0, bytes(8))
    assert station.drops == {"icmp6.type": 1}


def test_rfc4443_3_1_errors_reach_the_socket():
    station = Station6()
    told = []
    socket = station.inet.udp.bind(7, print)
    socket.unreachable = lambda s, a, p, kind: told.append((a, p, kind))
    for kind, code in ((1, 4), (1, 0), (3, 0), (4, 1)):
        station.send_icmp(kind, code, UNIT + quote())
    assert told == [(address(PEER), 9, k << 8 | c) for k, c in ((1, 4), (1, 0), (3, 0), (4, 1))]


def test_errors_about_datagrams_with_extension_headers_are_understood():
    station = Station6()
    told = []
    socket = station.inet.udp.bind(7, print)
    socket.unreachable = lambda s, a, p, kind: told.append(kind)
    inner = options(17) + udp6(US, PEER, 7, 9, b"12345678")
    station.send_icmp(1, 4, UNIT + ip6(US, PEER, 60, inner))
    assert told == [0x104]


@pytest.mark.parametrize("length", range(60))
def test_rfc5927_what_is_quoted_must_be_ours(length):
    station = Station6()
    station.inet.udp.bind(7, print)
    station.send_icmp(1, 4, UNIT + quote()[:length])
    station.send_icmp(1, 4, UNIT + ip6("2001:db8::77", PEER, 17, quote()[40:]))
    if length < 48:
        assert station.drops == {"icmp6.quote": 2}


# Path MTU, RFC 8201.


def asker(station):
    """A socket on the port that `quote` says."""
    if not hasattr(station, "socket"):
        station.socket = station.inet.udp.bind(7, print)
    return station.socket


def ask(station, size=1452):
    asker(station).send_to(bytes(size), address(PEER), 9)
    station.world.run()
    return station.hand.take()


def too_big(station, mtu):
    asker(station)
    station.send_icmp(2, 0, struct.pack(">I", mtu) + quote())


def test_rfc8201_packet_too_big_is_heeded():
    station = Station6()
    assert [frame.what for frame in ask(station)] == ["udp"]
    too_big(station, 1400)
    frames = ask(station)
    assert [frame.what for frame in frames] == ["fragment", "fragment"]
    assert max(len(frame.data) - 14 for frame in frames) <= 1400
    assert station.inet.path_mtu(address(PEER)) == 1400


@pytest.mark.parametrize("mtu", [0, 68, 576, 1279])
def test_rfc8201_4_below_1280_is_discarded(mtu):
    station = Station6()
    ask(station)
    too_big(station, mtu)
    assert [frame.what for frame in ask(station)] == ["udp"]
    assert station.drops["ip6.path_mtu"] == 1


def test_rfc8201_4_it_never_grows_because_of_a_message():
    station = Station6()
    too_big(station, 1300)
    too_big(station, 1400)
    too_big(station, 0xFFFFFFFF)
    assert station.inet.path_mtu(address(PEER)) == 1300


def test_rfc8201_5_3_it_is_forgotten_after_ten_minutes():
    station = Station6()
    too_big(station, 1300)
    station.pass_time(601_000)
    station.introduce()
    assert station.inet.path_mtu(address(PEER)) == 1500


def test_rfc8201_4_what_nobody_has_sent_is_not_believed():
    station = Station6()
    station.send_icmp(2, 0, struct.pack(">I", 1400) + quote())
    other = ip6(US, PEER, 6, bytes(20))
    station.send_icmp(2, 0, struct.pack(">I", 1400) + other)
    echo = ip6(US, PEER, 58, icmp6(US, PEER, 128, 0, bytes(8)))
    station.send_icmp(2, 0, struct.pack(">I", 1400) + echo)
    assert station.inet.path_mtu(address(PEER)) == 1500
    assert station.drops == {"udp.quote": 1, "icmp6.unasked": 1}


def test_rfc8201_answers_to_echoes_fit_the_path():
    station = Station6()
    reply = icmp6(US, PEER, 129, 0, b"\0\1\0\2" + bytes(1400))
    station.send_icmp(2, 0, struct.pack(">I", 1300) + ip6(US, PEER, 58, reply)[:1232])
    station.send_icmp(128, 0, b"\0\1\0\2" + bytes(1400))
    frames = station.hand.take()
    assert [frame.what for frame in frames] == ["fragment", "fragment"]
    assert b"".join(frame.body for frame in frames) == reply


def test_path_mtus_are_bounded():
    station = Station6()
    asker(station)
    for i in range(50):
        peer = f"2001:db8::{i + 16:x}"
        inner = ip6(US, peer, 17, udp6(US, peer, 7, 9, b"12345678"))
        station.send_icmp(2, 0, struct.pack(">I", 1300) + inner)
    assert len(station.first.ip6.path_mtus.known) == 8
