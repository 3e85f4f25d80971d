"""IPv6: what is accepted, and what a packet looks like when it leaves."""

import struct

import pytest

from tests.support.frames6 import icmp6, ip6, solicited_node, udp6
from tests.support.station6 import PEER, US, Station6, address, bind_recorder

MESSAGE = icmp6(PEER, US, 128, 0, b"\0\1\0\1payload")


def test_echo_is_answered():
    station = Station6()
    station.send_icmp(128, 0, b"\0\1\0\1payload")
    (reply,) = station.hand.take()
    assert (reply.type, reply.payload, reply.limit) == (129, b"payload", 64)
    assert (reply.source, reply.destination) == (address(US), address(PEER))
    assert station.drops == {}


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ({"version": 4}, "version"),
        ({"version": 0}, "version"),
        ({"length": 500}, "length"),
        ({"source": "::1"}, "source"),
        ({"source": "::"}, None),
        ({"source": "ff02::1"}, "source"),
        ({"source": "::ffff:10.0.0.1"}, "source"),
        ({"source": "::10.0.0.1"}, "source"),
        ({"source": US}, "source"),
        ({"destination": "2001:db8::3"}, "destination"),
        ({"destination": "::1"}, "destination"),
        ({"destination": "::"}, "destination"),
        ({"destination": "ff02::5"}, "destination"),
    ],
)
def test_rfc8200_datagram_is_discarded(field, why):
    station = Station6()
    message = icmp6(field.get("source", PEER), field.get("destination", US), 128, 0, bytes(8))
    station.send_ip(58, message, **field)
    assert station.hand.take() == []
    assert station.drops == ({"ip6." + why: 1} if why else {"icmp6.unanswered": 1})


@pytest.mark.parametrize("length", range(40))
def test_short_datagram_is_dropped(length):
    station = Station6()
    station.send(ip6(PEER, US, 58, MESSAGE)[:length] + b"", station.mac)
    assert station.drops == {"ip6.short": 1}


def test_padding_of_the_link_is_cut_off():
    station = Station6()
    station.send(ip6(PEER, US, 58, MESSAGE) + bytes(9))
    (reply,) = station.hand.take()
    assert reply.payload == b"payload"


def test_rfc6085_a_group_may_come_in_a_frame_for_us():
    station = Station6()
    _, heard = bind_recorder(station.inet, 9)
    station.send_ip(17, udp6(PEER, "ff02::1", 5, 9, b"all"), station.mac, destination="ff02::1")
    assert heard == [(b"all", address(PEER), 5)]


def test_one_hosts_datagram_in_a_group_frame_is_dropped():
    station = Station6()
    station.send_ip(58, MESSAGE, b"\x33\x33\0\0\0\1")
    assert station.drops == {"ip6.destination": 1}


def test_rfc3168_congestion_mark_is_seen():
    station = Station6()
    flags = []
    station.inet.udp.bind(9, lambda s, d: flags.append(d.buffer[10] & 0x60))
    for traffic in (0, 1, 2, 3, 0xFF, 0xFC):
        station.send_ip(17, udp6(PEER, US, 5, 9, b"x"), traffic=traffic)
    assert flags == [0x20, 0x20, 0x20, 0x60, 0x60, 0x20]


def test_pseudo_sum_is_left_for_transports():
    station = Station6()
    seen = []
    station.first.ip6.tcp = lambda packet: seen.append(bytes(packet.buffer[2:4]))
    station.send_ip(6, bytes(20))
    total = sum(struct.unpack("<16H", address(PEER) + address(US))) + (6 << 8)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert seen == [struct.pack("<H", total)]


# Sending.


def send(station, destination, data=b"data", port=9, known=True):
    socket = getattr(station, "socket", None) or station.inet.udp.bind(0, print)
    station.socket = socket
    socket.send_to(data, address(destination), port)
    station.world.run()
    return station.hand.take()


def test_neighbour_is_reached_directly_and_the_rest_by_the_gateway():
    station = Station6(gateway6=PEER)
    (near,) = send(station, PEER)
    (far,) = send(station, "2001:db8:1::7")
    assert near.destination_mac == far.destination_mac == station.hand.mac
    assert far.destination == address("2001:db8:1::7")
    (question,) = send(station, "2001:db8::7")
    assert (question.what, question.target) == ("ns", address("2001:db8::7"))
    assert question.destination == solicited_node("2001:db8::7")


def test_rfc5942_without_a_route_nothing_leaves():
    station = Station6()
    assert send(station, "2001:db8:1::7") == []
    assert sum(station.drops.values()) == 1


@pytest.mark.parametrize("destination", [US, "::1", "::"])
def test_what_is_for_ourselves_does_not_leave(destination):
    station = Station6(gateway6=PEER)
    assert send(station, destination) == []
    assert sum(station.drops.values()) == 1


def test_groups_need_no_neighbour():
    station = Station6()
    (frame,) = send(station, "ff02::1234:5678")
    assert frame.destination_mac == b"\x33\x33\x12\x34\x56\x78"


def test_rfc6437_label_is_of_the_flow():
    station = Station6()
    one, two = send(station, PEER)[0], send(station, PEER)[0]
    other = send(station, PEER, port=10)[0]
    assert one.label == two.label != other.label
    labels = {send(station, PEER, port=port)[0].label for port in range(100, 200)}
    assert len(labels) == 100


def test_traffic_class_and_hop_limit_are_the_senders():
    station = Station6()
    for traffic, hops in ((0, 0), (0xB8, 3), (1, 255)):
        packet = station.inet.allocate()
        b = packet.buffer
        b[16:32], b[32:48] = address(US), address(PEER)
        b[12], b[8], b[70], b[72] = 99, 204, traffic, hops
        station.inet.internet6.output(packet)
        station.world.run()
        (frame,) = station.hand.take()
        assert (frame.traffic, frame.limit, frame.protocol) == (traffic, hops or 64, 99)


def test_many_destinations_share_the_table_of_paths():
    station = Station6(gateway6=PEER)
    for i in range(300):
        (frame,) = send(station, f"2001:db8:5::{i:x}")
        assert frame.destination == address(f"2001:db8:5::{i:x}")
    assert station.drops == {}
    assert station.count("ip6.paths") >= 300 - 64
