"""IGMP: RFC 3376, the host's half; before routers of the older versions, too."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.config import GROUPS
from net.inet import Inet
from net.ip4 import igmp as module
from net.udp import Udp
from tests.support.frames import address, checksum, ip, udp
from tests.support.station import Station
from tests.support.wire import Host, Nic, World

GROUP, OTHER = "239.1.2.3", "224.0.0.251"
ROUTER = "10.0.0.9"
ALL_SYSTEMS = "224.0.0.1"


def listener():
    station = Station()
    module.use(station.inet)
    station.heard = []
    station.socket = station.inet.udp.bind(5353, lambda s, d: station.heard.append(d.data))
    return station


def joined(*groups):
    """A station that is in these groups, and has nothing more to say about it."""
    station = listener()
    for group in groups or (GROUP,):
        station.socket.join(address(group))
    station.pass_time(30_000)
    station.hand.take()
    return station


def mac(group):
    a = address(group)
    return bytes([1, 0, 0x5E, a[1] & 0x7F, a[2], a[3]])


def message(body):
    return body[:2] + struct.pack(">H", checksum(body[:2] + b"\0\0" + body[4:])) + body[4:]


def hear(station, body, to=ALL_SYSTEMS, **field):
    field.setdefault("options", b"\x94\x04\0\0")
    datagram = ip(ROUTER, to, 2, message(body), ttl=1, **field)
    station.send(datagram, mac(to))


def query(group="0.0.0.0", code=100, sources=(), robustness=2):
    body = struct.pack(">BBH", 0x11, code, 0) + address(group)
    body += struct.pack(">BBH", robustness, 125, len(sources))
    return body + b"".join([address(source) for source in sources])


def old_query(group="0.0.0.0", code=100):
    return struct.pack(">BBH", 0x11, code, 0) + address(group)


def said(station):
    """What was said in IGMP: (destination, records) or (destination, type, group)."""
    found = []
    for frame in station.hand.take():
        if frame.kind != 0x0800 or frame.protocol != 2:
            continue
        assert frame.ttl == 1
        assert frame.data[14:16] == b"\x46\xc0"
        assert frame.data[34:38] == b"\x94\x04\0\0", "router alert"
        assert frame.destination_mac == mac(frame.destination)
        body = frame.body
        assert checksum(body) == 0
        if body[0] != 0x22:
            found.append((frame.destination, body[0], body[4:8]))
            continue
        at = 8
        records = []
        for _ in range(struct.unpack(">H", body[6:8])[0]):
            kind, aux, count = body[at], body[at + 1], struct.unpack(">H", body[at + 2 : at + 4])[0]
            assert aux == 0
            sources = body[at + 8 : at + 8 + 4 * count]
            records.append((kind, body[at + 4 : at + 8], sources))
            at += 8 + 4 * count
        assert at == len(body)
        assert frame.destination == address("224.0.0.22")
        found.append(records)
    return found


def datagram(station, group, data=b"to all"):
    station.send(ip(ROUTER, group, 17, udp(ROUTER, group, 4000, 5353, data), ttl=1), mac(group))


def test_rfc1112_a_group_is_heard_from_join_to_leave():
    station = listener()
    datagram(station, GROUP)
    assert station.heard == []
    assert station.drops == {"ip4.destination": 1}
    station.socket.join(address(GROUP))
    datagram(station, GROUP)
    datagram(station, OTHER)
    assert station.heard == [b"to all"]
    station.socket.leave(address(GROUP))
    datagram(station, GROUP)
    assert station.heard == [b"to all"]
    assert station.drops == {"ip4.destination": 3}


def test_rfc1112_all_systems_is_heard_without_joining():
    station = listener()
    datagram(station, ALL_SYSTEMS)
    assert station.heard == [b"to all"]


def test_without_igmp_no_group_is_heard_and_joining_says_what_is_missing():
    station = Station()
    socket = station.inet.udp.bind(5353, print)
    with pytest.raises(OSError):
        socket.join(address(GROUP))
    datagram(station, ALL_SYSTEMS)
    hear(station, query())
    assert station.drops == {"ip4.destination": 2}


def test_an_answer_to_a_multicast_comes_from_our_address():
    station = listener()
    station.socket.callback = lambda s, d: s.reply(d, b"me", 0, 2)
    station.socket.join(address(GROUP))
    station.introduce(sender=ROUTER)
    datagram(station, GROUP)
    (frame,) = station.hand.take("udp")
    assert (frame.source, frame.destination) == (address("10.0.0.2"), address(ROUTER))
    assert frame.ttl == 64


def test_rfc1112_6_1_multicasts_have_ttl_1_unless_told_otherwise():
    station = Station()  # without IGMP: sending to groups needs none
    socket = station.inet.udp.bind(0, print)
    socket.send_to(b"1", address(GROUP), 9)
    socket.set(group_hops=255, hops=9, traffic=0xB8)
    socket.send_to(b"2", address(GROUP), 9)
    socket.send_to(b"3", address("10.0.0.1"), 9)
    socket.send_to(bytes(4000), address(GROUP), 9)
    station.world.run()
    frames = [f for f in station.hand.take() if f.what != "arp"]
    assert [frame.ttl for frame in frames] == [1, 255, 9, 255, 255, 255]
    assert [frame.data[15] for frame in frames] == [0] + [0xB8] * 5
    assert frames[0].destination_mac == mac(GROUP)
    assert station.drops == {}


def test_rfc3376_5_1_a_join_is_reported_at_once_and_once_again_within_a_second():
    station = listener()
    station.hand.take()
    station.socket.join(address(GROUP))
    station.world.run()
    assert said(station) == [[(4, address(GROUP), b"")]]
    station.pass_time(1_002)
    assert said(station) == [[(4, address(GROUP), b"")]]
    station.pass_time(100_000)
    assert said(station) == []


def test_rfc3376_5_1_a_leave_is_reported_likewise():
    station = joined()
    station.socket.leave(address(GROUP))
    station.pass_time(1_002)
    assert said(station) == [[(3, address(GROUP), b"")]] * 2


def test_rfc3376_5_1_the_newer_change_replaces_the_older():
    station = listener()
    station.socket.join(address(GROUP))
    station.socket.leave(address(GROUP))
    station.pass_time(5_000)
    assert said(station) == [[(4, address(GROUP), b"")]] + [[(3, address(GROUP), b"")]] * 2


def test_two_sockets_are_one_member():
    station = joined()
    other = station.inet.udp.bind(0, print)
    other.join(address(GROUP))
    station.socket.close()
    station.pass_time(5_000)
    assert said(station) == []
    other.close()
    other.close()
    station.pass_time(5_000)
    assert said(station) == [[(3, address(GROUP), b"")]] * 2
    with pytest.raises(ValueError):
        other.leave(address(GROUP))


def test_rfc3376_5_2_a_general_query_is_answered_with_all_groups_in_one_report():
    station = joined(GROUP, OTHER)
    hear(station, query(code=100))
    assert said(station) == [], "not at once"
    station.pass_time(10_001)
    assert said(station) == [[(2, address(OTHER), b""), (2, address(GROUP), b"")]]
    station.pass_time(100_000)
    assert said(station) == []


def test_rfc3376_5_2_a_group_query_is_answered_with_that_group():
    station = joined(GROUP, OTHER)
    hear(station, query(OTHER, code=10), OTHER)
    station.pass_time(1_001)
    assert said(station) == [[(2, address(OTHER), b"")]]
    hear(station, query("239.9.9.9", code=10))
    station.pass_time(10_000)
    assert said(station) == [], "we are not in that one"


def test_rfc3376_5_2_a_query_about_sources_is_answered_with_those():
    station = joined()
    hear(station, query(GROUP, 50, ["192.0.2.1", "192.0.2.2"]), GROUP)
    hear(station, query(GROUP, 50, ["192.0.2.2", "192.0.2.3"]), GROUP)
    station.pass_time(5_001)
    sources = b"".join([address(f"192.0.2.{n}") for n in (1, 2, 3)])
    assert said(station) == [[(1, address(GROUP), sources)]]


def test_rfc3376_5_2_rule_4_a_query_about_the_group_outdoes_one_about_sources():
    station = joined()
    hear(station, query(GROUP, 50, ["192.0.2.1"]), GROUP)
    hear(station, query(GROUP, 50), GROUP)
    hear(station, query(GROUP, 50, ["192.0.2.1"]), GROUP)
    station.pass_time(5_001)
    assert said(station) == [[(2, address(GROUP), b"")]]


def test_rfc3376_5_2_rule_1_a_pending_general_answer_is_enough():
    station = joined()
    hear(station, query(code=1))
    hear(station, query(GROUP, 127), GROUP)
    station.pass_time(20_000)
    assert said(station) == [[(2, address(GROUP), b"")]]


def test_rfc3376_4_1_6_robustness_is_the_queriers():
    station = joined()
    hear(station, query(code=1, robustness=4))
    station.pass_time(20_000)
    said(station)
    station.socket.join(address(OTHER))
    station.pass_time(10_000)
    assert said(station) == [[(4, address(OTHER), b"")]] * 4


@pytest.mark.parametrize("code, tenths", [(0, 0), (127, 127), (128, 128), (0xFF, 31744)])
def test_rfc3376_4_1_1_maximum_response_code(code, tenths):
    assert module.tenths(code) == tenths


def test_rfc3376_6_nothing_is_said_about_all_systems():
    station = joined()
    station.socket.join(address(ALL_SYSTEMS))
    hear(station, query())
    hear(station, query(ALL_SYSTEMS))
    station.pass_time(20_000)
    assert said(station) == [[(2, address(GROUP), b"")]]


def test_rfc3376_7_2_1_before_a_router_of_version_2():
    station = joined()
    hear(station, old_query(code=100))
    station.pass_time(10_001)
    assert said(station) == [(address(GROUP), 0x16, address(GROUP))]
    station.socket.join(address(OTHER))
    station.world.run()
    assert said(station) == [(address(OTHER), 0x16, address(OTHER))], "at once (RFC 2236 section 3)"
    station.pass_time(10_001)
    assert said(station) == [(address(OTHER), 0x16, address(OTHER))], "and once again"
    station.socket.leave(address(OTHER))
    station.world.run()
    assert said(station) == [(address("224.0.0.2"), 0x17, address(OTHER))]


def test_rfc3376_7_2_1_before_a_router_of_version_1_nobody_leaves():
    station = joined()
    hear(station, old_query(code=0))
    station.pass_time(10_001)
    assert said(station) == [(address(GROUP), 0x12, address(GROUP))]
    station.socket.leave(address(GROUP))
    station.pass_time(20_000)
    assert said(station) == []


def test_rfc3376_8_12_the_older_querier_is_forgotten():
    station = joined()
    hear(station, old_query())
    station.pass_time(200_000)
    hear(station, query())
    station.pass_time(10_001)
    assert [len(entry) for entry in said(station)] == [3, 3], "still version 2"
    station.pass_time(60_000)
    hear(station, query())
    station.pass_time(10_001)
    assert said(station) == [[(2, address(GROUP), b"")]]


def test_rfc3376_7_2_1_pending_changes_are_dropped_when_an_older_querier_comes():
    station = listener()
    station.socket.join(address(GROUP))
    station.world.run()
    said(station)
    hear(station, old_query(code=255))
    station.pass_time(2_000)
    assert all(entry[0] != 4 for entry in said(station))


def test_rfc2236_3_another_members_report_is_enough():
    station = joined()
    hear(station, old_query())
    hear(station, struct.pack(">BBH", 0x16, 0, 0) + address(GROUP), GROUP)
    station.pass_time(20_000)
    assert said(station) == []


def test_rfc3376_another_members_report_of_version_3_is_not():
    station = joined()
    hear(station, query())
    hear(station, struct.pack(">BBH", 0x16, 0, 0) + address(GROUP), GROUP)
    station.pass_time(20_000)
    assert said(station) == [[(2, address(GROUP), b"")]]


@pytest.mark.parametrize(
    "body, name",
    [
        (b"\x11\0\0\0\0\0", "short"),
        (old_query() + b"\0\0", "malformed"),  # 7.1: of no known length
        (query(GROUP, 10, ["192.0.2.1"])[:-1], "malformed"),
        (query("0.0.0.0", 10, ["192.0.2.1"]), "malformed"),
    ],
)
def test_bad_messages_are_counted(body, name):
    station = joined()
    hear(station, body)
    station.pass_time(20_000)
    assert station.drops == {"igmp." + name: 1}
    assert said(station) == []


def test_rfc3376_4_1_2_the_checksum_is_verified():
    station = joined()
    broken = message(query())
    station.send(ip(ROUTER, ALL_SYSTEMS, 2, broken[:2] + b"\1\1" + broken[4:]), mac(ALL_SYSTEMS))
    station.pass_time(20_000)
    assert station.drops == {"igmp.checksum": 1}


def test_link_that_comes_up_is_told_of_all_groups():
    station = joined()
    station.host.nic.set_link(False)
    station.host.nic.set_link(True)
    station.pass_time(5_000)
    assert said(station) == [[(4, address(GROUP), b"")]] * 2


def test_groups_are_bounded_and_have_to_be_groups():
    station = listener()
    for n in range(GROUPS - 1):
        station.socket.join(bytes([239, 0, 0, n]))
    with pytest.raises(OSError):
        station.socket.join(address("239.0.1.1"))
    with pytest.raises(ValueError):
        station.socket.join(address("10.0.0.1"))


def test_each_interface_is_in_groups_of_its_own():
    world = World()
    host = Host(world, "us", address="10.0.0.2/24")
    inet = host.inet = Inet(host, udp=Udp)
    module.use(inet)
    module.use(inet)
    nic = Nic(world, "eth1", b"\x02\0\0\0\1\1", wire=1)
    inet.attach(nic, address="10.1.0.2/24")
    world.run(5_000)
    world.frames.clear()
    socket = inet.udp.bind(5353, print)
    socket.join(address(GROUP), address("10.1.0.2"))
    with pytest.raises(ValueError):
        socket.join(address(GROUP), address("10.2.0.2"))
    world.run(5_000)
    assert [name for _, name, frame in world.frames] == ["eth1", "eth1"]
    assert inet.counters["eth1.igmp.reports"] == 2
    world.check()


def test_no_packet_to_report_with_is_counted():
    station = joined()
    taken = []
    pool = station.host.card.pools[1]
    while pool.free:
        taken.append(pool.allocate())
    station.socket.join(address(OTHER))
    for packet in taken:
        packet.release()
    assert station.drops == {"igmp.no_buffer": 1}


@given(st.binary(max_size=40), st.sampled_from([0x11, 0x12, 0x16, 0x17, 0x22, 0x99]))
def test_any_message_is_survived(rest, kind):
    station = joined()
    hear(station, bytes([kind]) + rest if len(rest) > 3 else rest)
    station.pass_time(300_000)
    station.world.check()
