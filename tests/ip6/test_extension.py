"""Extension headers: what is skipped, what is refused and how."""

import pytest

from net.config import EXTENSION_HEADERS
from tests.support.frames6 import fragment, icmp6, ip6, options, udp6
from tests.support.station6 import PEER, US, Station6, address, bind_recorder

DATAGRAM = udp6(PEER, US, 5, 9, b"inside")
HOP, ROUTING, FRAGMENT, NO_NEXT, DESTINATION = 0, 43, 44, 59, 60


def deliver(station, protocol, payload, **field):
    _, heard = bind_recorder(station.inet, 9)
    station.send_ip(protocol, payload, **field)
    return [data for data, _, _ in heard]


def problem(station):
    """(code, pointer) of the parameter problem that was sent, or None."""
    frames = station.hand.take()
    if not frames:
        return None
    (error,) = frames
    assert error.type == 4
    return error.code, int.from_bytes(error.rest, "big")


@pytest.mark.parametrize("size", [0, 1, 5, 6, 7, 30])
def test_rfc8200_4_2_options_with_padding_are_skipped(size):
    station = Station6()
    some = options(17, b"\x1e" + bytes([size]) + bytes(size))
    assert deliver(station, DESTINATION, some + DATAGRAM) == [b"inside"]
    assert station.drops == {}


def test_rfc8200_4_1_a_chain_of_all_of_them():
    station = Station6()
    chain = options(DESTINATION) + options(ROUTING) + bytes([DESTINATION, 0, 0, 0, 0, 0, 0, 0])
    chain += options(FRAGMENT) + fragment(17, 0, False)
    assert deliver(station, HOP, chain + DATAGRAM) == [b"inside"]
    assert station.count("extension.atomic") == 1


def test_rfc8200_4_1_hop_by_hop_options_come_first():
    station = Station6()
    assert deliver(station, DESTINATION, options(HOP) + options(17) + DATAGRAM) == []
    assert problem(station) == (1, 40)
    assert station.drops == {"extension.misplaced": 1}


@pytest.mark.parametrize(
    ("kind", "destination", "answer"),
    [
        (0x02, US, "delivered"),
        (0x42, US, None),
        (0x82, US, (2, 42)),
        (0xC2, US, (2, 42)),
        (0x82, "ff02::1", (2, 42)),
        (0xC2, "ff02::1", None),
    ],
)
def test_rfc8200_4_2_action_bits_of_unknown_options(kind, destination, answer):
    station = Station6()
    inner = udp6(PEER, destination, 5, 9, b"inside")
    some = options(17, bytes([kind, 0]))
    heard = deliver(station, DESTINATION, some + inner, destination=destination)
    assert heard == ([b"inside"] if answer == "delivered" else [])
    if answer != "delivered":
        assert problem(station) == answer
        assert station.drops["extension.option"] == 1


@pytest.mark.parametrize("kind", [0, 2, 4, 99])
def test_rfc5095_routing_header_with_somewhere_to_go_is_refused(kind):
    station = Station6()
    routing = bytes([17, 2, kind, 1]) + bytes(4) + address("2001:db8::5")
    assert deliver(station, ROUTING, routing + DATAGRAM) == []
    assert problem(station) == (0, 42)


@pytest.mark.parametrize("kind", [0, 2, 99])
def test_rfc8200_4_4_routing_header_that_is_done_is_skipped(kind):
    station = Station6()
    assert deliver(station, ROUTING, bytes([17, 0, kind, 0]) + bytes(4) + DATAGRAM) == [b"inside"]


def test_rfc8200_4_7_no_next_header_ends_it():
    station = Station6()
    station.send_ip(NO_NEXT, b"whatever")
    station.send_ip(DESTINATION, options(NO_NEXT) + b"whatever")
    assert problem(station) is None
    assert station.drops == {"extension.no_next": 2}


@pytest.mark.parametrize("protocol", [50, 51, 99, 135, 255])
def test_rfc8200_4_unknown_next_header_is_a_parameter_problem(protocol):
    station = Station6()
    station.send_ip(protocol, bytes(40))
    assert problem(station) == (1, 6)
    station.send_ip(DESTINATION, options(protocol) + bytes(40))
    assert problem(station) == (1, 40)
    assert station.drops == {"extension.next": 2}


def test_rfc8504_5_3_so_many_headers_and_no_more():
    station = Station6()
    some = options(DESTINATION) * (EXTENSION_HEADERS - 1) + options(17)
    assert deliver(station, DESTINATION, some + DATAGRAM) == [b"inside"]
    station.send_ip(DESTINATION, options(DESTINATION) + some + DATAGRAM)
    assert station.drops == {"extension.too_many": 1}


def test_rfc8504_5_3_so_many_options_and_no_more():
    station = Station6()
    assert deliver(station, DESTINATION, options(17, bytes(14)) + DATAGRAM) == [b"inside"]
    station.send_ip(DESTINATION, options(17, bytes(30)) + DATAGRAM)
    assert station.drops == {"extension.options": 1}


def test_options_that_do_not_fit_their_header():
    station = Station6()
    for body in (b"\x1e\x05\0\0\0\0", b"\0\0\0\0\0\x1e"):
        station.send_ip(DESTINATION, bytes([17, 0]) + body + DATAGRAM)
    assert station.drops == {"extension.options": 2}


@pytest.mark.parametrize("protocol", [HOP, ROUTING, DESTINATION, FRAGMENT])
def test_headers_that_do_not_fit_the_datagram(protocol):
    station = Station6()
    for length in range(8):
        station.send_ip(protocol, bytes([17, 0, 0, 0, 0, 0, 0, 0])[:length])
    count = 8
    if protocol != FRAGMENT:
        station.send_ip(protocol, bytes([17, 9]) + bytes(60))
        count += 1
    assert station.drops == {"extension.truncated": count}


# Fragments.


def send(station, offset, more, body, protocol=17, **field):
    station.send_ip(FRAGMENT, fragment(protocol, offset, more) + body, **field)


def test_rfc6946_an_atomic_fragment_meets_no_others():
    station = Station6()
    _, heard = bind_recorder(station.inet, 9)
    send(station, 0, True, DATAGRAM[:8])
    send(station, 0, False, DATAGRAM)
    send(station, 8, False, DATAGRAM[8:])
    assert [data for data, _, _ in heard] == [b"inside", b"inside"]
    assert station.drops == {}


def test_rfc5722_overlapping_fragments_cost_the_datagram():
    station = Station6()
    _, heard = bind_recorder(station.inet, 9)
    big = udp6(PEER, US, 5, 9, bytes(100))
    send(station, 0, True, big[:24])
    send(station, 16, True, big[16:40])
    send(station, 40, False, big[40:])
    assert heard == []
    assert problem(station) is None
    assert station.drops == {"reassembly6.overlap": 1, "reassembly6.discarded": 1}


def test_rfc8200_4_5_fragments_in_any_order():
    big = udp6(PEER, US, 5, 9, bytes(range(100)))
    parts = [(0, True, big[:40]), (40, True, big[40:80]), (80, False, big[80:])]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        station = Station6()
        _, heard = bind_recorder(station.inet, 9)
        for i in order:
            send(station, *parts[i])
        assert [data for data, _, _ in heard] == [bytes(range(100))]


def test_rfc8200_4_5_first_fragments_header_decides():
    """Others may say another next header."""
    station = Station6()
    _, heard = bind_recorder(station.inet, 9)
    send(station, 8, False, DATAGRAM[8:], protocol=99)
    send(station, 0, True, DATAGRAM[:8])
    assert [data for data, _, _ in heard] == [b"inside"]


def test_rfc8200_4_5_length_not_a_multiple_of_8_is_a_parameter_problem():
    station = Station6()
    send(station, 0, True, udp6(PEER, US, 5, 9, bytes(5)))
    assert problem(station) == (0, 4)
    assert station.drops == {"reassembly6.malformed": 1}


def test_rfc8200_4_5_longer_than_a_datagram_may_be_is_a_parameter_problem():
    station = Station6()
    send(station, 65528, False, bytes(16))
    assert problem(station) == (0, 42)


def test_rfc8200_4_5_time_exceeded_after_the_first_fragment_only():
    station = Station6()
    send(station, 0, True, DATAGRAM[:8])
    send(station, 8, True, bytes(8), source="2001:db8::7")
    station.pass_time(29_000)
    station.introduce()
    station.pass_time(2_000)
    errors = [f for f in station.hand.take() if f.what == "icmp6"]
    assert [(error.type, error.code) for error in errors] == [(3, 1)]
    assert errors[0].destination == address(PEER)
    assert station.drops["reassembly6.expired"] == 2


@pytest.mark.parametrize("body", [b"", bytes(8)[:0], options(17)])
def test_rfc7112_the_first_fragment_holds_all_headers(body):
    station = Station6()
    send(station, 0, True, body, protocol=60 if body else 17)
    assert problem(station) == (3, 0)
    assert station.drops == {"extension.first_fragment": 1}


def test_fragments_of_an_echo_come_back_in_fragments():
    station = Station6()
    data = bytes(i * 13 & 0xFF for i in range(4000))
    message = icmp6(PEER, US, 128, 0, b"\0\1\0\2" + data)
    for at in range(0, len(message), 1448):
        part = message[at : at + 1448]
        send(station, at, at + 1448 < len(message), part, protocol=58)
    frames = station.hand.take()
    assert [frame.what for frame in frames] == ["fragment"] * 3
    assert len({frame.identification for frame in frames}) == 1
    whole = b"".join(frame.body for frame in sorted(frames, key=lambda f: f.offset))
    reply = icmp6(US, PEER, 129, 0, b"\0\1\0\2" + data)
    assert whole == reply


def test_ip6_of_the_whole_says_no_fragment():
    station = Station6()
    seen = []
    station.first.ip6.udp = lambda packet: seen.append(bytes(packet.buffer[96 : packet.end]))
    send(station, 0, True, DATAGRAM[:8])
    send(station, 8, False, DATAGRAM[8:])
    assert seen == [ip6(PEER, US, 17, DATAGRAM)]
