"""IPv4: what is accepted, and what a packet looks like when it leaves."""

import pytest

from net.packet import OUT_SEGMENT
from tests.support.frames import Frame, checksum, ethernet, icmp, ip, udp
from tests.support.station import BROADCAST, PEER, US, Station, address, bind_recorder

MESSAGE = icmp(8, 0, b"\0\1\0\1", b"payload")


def test_rfc791_options_are_skipped():
    station = Station()
    station.send_ip(1, MESSAGE, options=b"\x07\x07\x04\0\0\0\0\0")  # record route
    (reply,) = station.hand.take("icmp")
    assert reply.payload == b"payload"


def lent(station, datagram):
    """The packet as ip4 hands it up."""
    heads = []
    keep = station.inet.ip4.udp
    station.inet.ip4.udp = lambda packet: heads.append(bytes(packet.buffer[:64]))
    station.send(datagram)
    station.inet.ip4.udp = keep
    return heads[0]


@pytest.mark.parametrize("source", [PEER, "10.0.0.200", "9.255.255.255", "223.0.0.1"])
def test_pseudo_is_the_sum_of_addresses_and_protocol(source):
    head = lent(Station(), ip(source, US, 17, bytes(8)))
    plain = checksum(address(source) + address(US) + b"\0\x11") ^ 0xFFFF
    pseudo = head[2] << 8 | head[3]
    assert pseudo % 0xFFFF == plain % 0xFFFF


@pytest.mark.parametrize("tos", range(8))
def test_rfc3168_5_congestion_experienced_is_noted(tos):
    head = lent(Station(), ip(PEER, US, 17, bytes(8), tos=tos))
    assert bool(head[10] & 0x40) is (tos & 3 == 3)


def test_rfc3168_5_3_a_marked_fragment_marks_the_datagram():
    station = Station()
    marks = []
    station.inet.udp.bind(7, lambda s, d: marks.append(bool(d.buffer[10] & 0x40)))
    whole = udp(PEER, US, 4000, 7, bytes(24))
    for tos in (2, 3):
        station.send_ip(17, whole[:16], identification=tos, flags=1, tos=tos)
        station.send_ip(17, whole[16:], identification=tos, offset=16, tos=2)
    assert marks == [False, True]


def test_traffic_class_and_hops_are_the_senders():
    station = Station()
    for traffic, hops in ((0, 0), (0xB8, 0), (2, 255), (255, 1)):
        packet = station.inet.allocate()
        buffer = packet.buffer
        buffer[16:20], buffer[32:36] = address(US), address(PEER)
        buffer[12] = 253
        buffer[70], buffer[72] = traffic, hops
        station.inet.ip4.send(packet)
        station.world.run()
        (frame,) = station.hand.take()
        assert (frame.data[15], frame.ttl) == (traffic, hops or 64)


def test_tail_counts_as_part_of_the_datagram():
    station = Station()
    for size in (1, 1300, 2800):
        packet = station.inet.allocate()
        buffer = packet.buffer
        buffer[16:20], buffer[32:36] = address(US), address(PEER)
        buffer[12] = 253
        buffer[200:204] = b"head"
        buffer[8] = 204
        tail = bytes([n & 0xFF for n in range(size)])
        packet.append(tail, 0, size // 2)
        packet.append(tail, size // 2, size - size // 2)
        station.inet.ip4.send(packet)
        station.world.run()
        assert b"".join([frame.body for frame in station.hand.take()]) == b"head" + tail
    assert station.drops == {}


def test_reply_has_the_fields_of_a_host():
    station = Station()
    station.send_ip(1, MESSAGE)
    station.send_ip(1, MESSAGE, ttl=1)
    first, second = station.hand.take("icmp")
    assert first.ttl == 64
    assert (first.source, first.destination) == (address(US), address(PEER))
    assert (first.source_mac, first.destination_mac) == (station.mac, station.hand.mac)
    assert second.identification != first.identification


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ({"version": 6}, "version"),
        ({"version": 0}, "version"),
        ({"ihl": 4}, "header_length"),
        ({"ihl": 0}, "header_length"),
        ({"ihl": 15}, "header_length"),
        ({"checksum": 0x1234}, "checksum"),
        ({"length": 19}, "length"),
        ({"length": 500}, "length"),
        ({"length": 0}, "length"),
        ({"source": "0.0.0.0"}, "source"),
        ({"source": "0.1.2.3"}, "source"),
        ({"source": "127.0.0.1"}, "source"),
        ({"source": "224.0.0.1"}, "source"),
        ({"source": "240.0.0.1"}, "source"),
        ({"source": "255.255.255.255"}, "source"),
        ({"source": US}, "source"),
        ({"source": "10.0.0.255"}, "source"),
        ({"source": "10.0.0.0"}, "source"),
        ({"destination": "10.0.0.3"}, "destination"),
        ({"destination": "127.0.0.1"}, "destination"),
        ({"destination": "0.0.0.0"}, "destination"),
        ({"destination": "224.0.0.1"}, "destination"),
    ],
)
def test_rfc1122_3_2_1_datagram_is_discarded(field, why):
    station = Station()
    station.send_ip(1, MESSAGE, **field)
    assert station.hand.take() == []
    assert station.drops == {"ip4." + why: 1}


@pytest.mark.parametrize("length", range(20))
def test_short_datagram_is_dropped(length):
    station = Station()
    station.send(ip(PEER, US, 1, MESSAGE)[:length])
    assert station.drops == {"ip4.short": 1}


def test_rfc1122_3_2_2_1_unknown_protocol_is_refused():
    station = Station()
    station.send_ip(99, b"12345678")
    (error,) = station.hand.take("icmp")
    assert (error.type, error.code) == (3, 2)
    assert station.drops == {"ip4.protocol": 1}


def test_nothing_is_ever_forwarded():
    station = Station(gateway=PEER)
    station.send_ip(1, MESSAGE, destination="10.9.9.9")
    assert station.hand.take() == []
    assert station.drops == {"ip4.destination": 1}


@pytest.mark.parametrize("destination", ["255.255.255.255", "10.0.0.255", "10.0.0.0"])
def test_rfc1122_3_3_6_broadcast_reaches_udp(destination):
    station = Station()
    _, heard = bind_recorder(station.inet, 9)
    station.send_ip(17, udp(PEER, destination, 5, 9, b"all"), BROADCAST, destination=destination)
    assert heard == [(b"all", address(PEER), 5)]


def test_rfc3021_prefix_of_31_bits_has_no_broadcast_address():
    station = Station(address="10.0.0.2/31", known=False)
    station.introduce(sender="10.0.0.3")
    station.send_ip(1, MESSAGE, source="10.0.0.3")
    assert len(station.hand.take("icmp")) == 1


# Sending.


def send(station, destination, data=b"data", port=9):
    socket = getattr(station, "socket", None) or station.inet.udp.bind(0, print)
    station.socket = socket
    socket.send_to(data, address(destination), port)
    station.world.run()
    return station.hand.take()


def test_neighbour_is_reached_directly_and_the_rest_by_the_gateway():
    station = Station(gateway=PEER)
    (near,) = send(station, PEER)
    (far,) = send(station, "192.0.2.1")
    assert near.destination_mac == far.destination_mac == station.hand.mac
    assert far.destination == address("192.0.2.1")
    (question,) = send(station, "10.0.0.7")
    assert question.what == "arp"
    assert question.target == address("10.0.0.7")


def test_longest_prefix_wins():
    station = Station(gateway="10.0.0.8")
    station.introduce(sender="10.0.0.1")
    routes = station.inet.routes
    routes.add(address("192.0.2.0"), 24, address("10.0.0.9"))
    routes.add(address("192.0.2.128"), 25, address("10.0.0.1"))
    (direct,) = send(station, "192.0.2.200")
    assert direct.destination == address("192.0.2.200")
    assert [frame.target for frame in send(station, "192.0.2.3")] == [address("10.0.0.9")]
    assert [frame.target for frame in send(station, "192.0.3.3")] == [address("10.0.0.8")]


def test_without_a_route_nothing_leaves():
    station = Station()
    assert send(station, "192.0.2.1") == []
    assert station.drops == {"ip4.no_route": 1}


@pytest.mark.parametrize("destination", [US, "127.0.0.1"])
def test_what_is_for_ourselves_does_not_leave(destination):
    station = Station()
    assert send(station, destination) == []
    assert station.drops == {"ip4.loopback": 1}


@pytest.mark.parametrize("destination", ["255.255.255.255", "10.0.0.255"])
def test_broadcast_leaves_as_broadcast(destination):
    station = Station(known=False)
    (frame,) = send(station, destination)
    assert frame.destination_mac == BROADCAST
    assert frame.destination == address(destination)


def test_rfc1112_multicast_leaves_to_its_group_address():
    station = Station()
    station.inet.routes.add(bytes(4), 0)
    (frame,) = send(station, "239.129.2.3")
    assert frame.destination_mac == b"\x01\x00\x5e\x01\x02\x03"


def test_a_path_is_found_once_and_used_again():
    station = Station()
    for _ in range(5):
        send(station, PEER)
    assert station.count("ip4.paths") == 1


def test_more_destinations_than_paths():
    station = Station(gateway=PEER)
    for _ in range(3):
        for last in range(200):
            (frame,) = send(station, f"192.0.2.{last}")
            assert frame.destination == bytes([192, 0, 2, last])
            assert frame.destination_mac == station.hand.mac
    assert station.drops == {}


def test_changed_link_address_reaches_known_paths():
    station = Station(gateway=PEER)
    send(station, "192.0.2.1")
    station.introduce(mac=b"\x02\0\0\0\0\x55")
    (frame,) = send(station, "192.0.2.1")
    assert frame.destination_mac == b"\x02\0\0\0\0\x55"


# Fragments leave.


@pytest.mark.parametrize("length", [1472, 1473, 1480, 1481, 1840, 1841, 5000, 20000, 65507])
def test_rfc791_long_datagram_leaves_in_fragments(length):
    station = Station(packets=64)
    data = bytes([i * 7 & 0xFF for i in range(length)])
    frames = send(station, PEER, data)
    if length <= 1472:
        assert [frame.what for frame in frames] == ["udp"]
        return
    assert len({frame.identification for frame in frames}) == 1
    body = b""
    for frame in frames:
        assert frame.offset == len(body)
        assert frame.more == (frame is not frames[-1])
        assert len(frame.body) % 8 == 0 or frame is frames[-1]
        assert frame.length <= 1500
        body += frame.body
    assert body[8:] == data
    assert whole(frames[0], body).payload == data


def whole(first, body):
    """The datagram that the fragments were, its checksum verified."""
    datagram = ip(first.source, first.destination, first.protocol, body)
    return Frame(ethernet(b"\0" * 6, b"\0" * 6, 0x0800, datagram))


def test_datagram_longer_than_ip_can_say_is_refused():
    station = Station()
    socket = station.inet.udp.bind(0, print)
    assert socket.send_to(bytes(65508), address(PEER), 9) is False
    assert station.drops == {"udp.too_long": 1}


def test_fragments_stop_when_packets_run_out():
    station = Station(packets=16)
    station.inet.ip4.transmit = [].append  # nothing is ever sent
    socket = station.inet.udp.bind(0, print)
    assert socket.send_to(bytes(40000), address(PEER), 9) is False
    assert station.inet.drops == {"fragmentation.no_buffer": 1}


def test_identification_differs_between_datagrams_and_not_within():
    station = Station()
    seen = [{f.identification for f in send(station, PEER, bytes(3000))} for _ in range(5)]
    assert all(len(one) == 1 for one in seen)
    assert len(set.union(*seen)) == 5


def test_rfc6864_4_1_what_may_not_be_fragmented_has_no_identification():
    """So nobody who exchanges segments with us can count those for others (nmap -sI)."""
    station = Station()
    header = b"\0\7\0\7\0\x08"
    total = checksum(address(US) + address(PEER) + b"\0\x11\0\x08" + header)
    for fragment in (b"\x40\0", b"\x40\0", b"\0\0", b"\x40\0", b"\0\0"):
        packet = station.inet.udp.allocate()
        head = packet.buffer
        head[8:10] = (OUT_SEGMENT + 8).to_bytes(2, "little")
        head[12], head[14:16] = 17, fragment
        head[OUT_SEGMENT : OUT_SEGMENT + 8] = header + total.to_bytes(2, "big")
        head[16:20], head[32:36] = address(US), address(PEER)
        station.inet.ip4.send(packet)
    station.world.run()
    seen = [frame.identification for frame in station.hand.take()]
    assert seen[:2] == [0, 0] and seen[3] == 0
    assert seen[2] != seen[4]


# Configuration.


def test_unknown_routes_and_bad_settings_are_said():
    with pytest.raises(ValueError, match="needs its prefix length"):
        Station(address="10.0.0.2")
    with pytest.raises(ValueError, match="between 1 and 32"):
        Station(address="10.0.0.2/33")
    with pytest.raises(ValueError, match="not an IPv4 address"):
        Station(address="10.0.0.256/24")
    with pytest.raises(ValueError, match="not an IPv4 address"):
        Station(gateway="router")


def test_mtu_of_the_settings_bounds_what_leaves():
    station = Station(mtu=1500)
    small = Station()
    small.inet.configure(address(US), 24, mtu=600)
    small.introduce()
    assert len(send(station, PEER, bytes(1400))) == 1
    assert all(frame.length <= 600 for frame in send(small, PEER, bytes(1400)))
