"""Router discovery: RFC 4861 section 6.3, RFC 4191, RFC 7559, RFC 8106; redirects: section 8."""

import struct

import pytest

from net.config import ROUTERS6, ROUTES_OF_ROUTER
from tests.support.frames6 import (
    advertisement,
    icmp6,
    ip6,
    mac_option,
    prefix,
    router,
    solicitation,
    to_group,
    udp6,
)
from tests.support.station6 import PEER, ROUTER, US, Station6, address

SECOND = "fe80::2"
FAR = "2001:db8:ff::7"
HIGH, LOW, RESERVED = 0x08, 0x18, 0x10


def mtu(value):
    return struct.pack(">BBHI", 5, 1, 0, value)


def route(text, length, preference=0, life=1800):
    body = address(text)[: 0 if length == 0 else 8 if length <= 64 else 16]
    head = struct.pack(">BBBBI", 24, 1 + len(body) // 8, length, preference, life)
    return head + body


def rdnss(life, *servers):
    head = struct.pack(">BBHI", 25, 1 + 2 * len(servers), 0, life)
    return head + b"".join(address(server) for server in servers)


def dnssl(life, *domains):
    body = b""
    for domain in domains:
        for label in domain.split("."):
            body += bytes([len(label)]) + label.encode()
        body += b"\0"
    body += bytes(-len(body) % 8)
    return struct.pack(">BBHI", 31, 1 + len(body) // 8, 0, life) + body


def fresh(**settings):
    return Station6(known=False, address6=None, **settings)


def hops(station, *destinations):
    return [station.first.routes.next_hop(address(d)) for d in destinations]


def reply_mac(station, destination=FAR):
    """The link-layer address that a datagram to there is sent to, or what is sent instead."""
    socket = getattr(station, "socket", None) or station.inet.udp.bind(0, print)
    station.socket = socket
    station.hand.take()
    socket.send_to(b"x", address(destination), 9)
    station.world.run()
    return [(frame.what, frame.destination_mac) for frame in station.hand.take()]


# Solicitations.


def test_rfc7559_solicitations_are_sent_ever_more_seldom():
    station = fresh(quiet=False)
    station.hand.take()
    start = station.world.time
    station.pass_time(130_000)
    asked = [when - start for when, name, frame in station.world.frames if frame[54] == 133]
    gaps = [asked[i + 1] - asked[i] for i in range(len(asked) - 1)]
    assert gaps == [4000, 8000, 16000, 32000, 64000]


def test_rfc4861_6_3_7_a_solicitation_is_valid():
    station = fresh(quiet=False)
    station.world.run()
    station = Station6(quiet=False, known=False)
    frames = [frame for _, _, frame in station.world.frames if frame[54] == 133]
    assert frames
    assert frames[0][:6] == b"\x33\x33\0\0\0\2"
    assert frames[0][21] == 255


def test_rfc7559_an_advertisement_ends_the_asking():
    station = fresh()
    station.advertise()
    station.hand.take()
    station.pass_time(600_000)
    assert station.hand.take("rs") == []


# Advertisements.


@pytest.mark.parametrize(
    "field", [{"limit": 254}, {"code": 1}, {"source": PEER}, {"source": "2001:db8::9"}]
)
def test_rfc4861_6_1_2_what_is_not_valid_is_dropped(field):
    station = fresh()
    station.advertise(prefix("2001:db8::"), **field)
    assert station.drops == {"routers.malformed": 1}
    assert hops(station, FAR) == [None]


@pytest.mark.parametrize("option", [b"\3\0" + bytes(30), b"\3\4" + bytes(20), b"\3"])
def test_rfc4861_6_1_2_options_that_do_not_fit(option):
    station = fresh()
    station.send(router(ROUTER, option))
    assert station.drops == {"routers.malformed": 1}


def test_rfc4861_6_3_4_a_default_router_for_its_lifetime():
    station = fresh()
    station.advertise(lifetime=100)
    assert hops(station, FAR) == [address(ROUTER)]
    station.pass_time(99_000)
    assert hops(station, FAR) == [address(ROUTER)]
    station.pass_time(2_000)
    assert hops(station, FAR) == [None]


def test_rfc4861_6_3_4_lifetime_zero_ends_it():
    station = fresh()
    station.advertise()
    station.advertise(lifetime=0)
    assert hops(station, FAR) == [None]


def test_rfc4861_6_3_4_parameters():
    station = fresh()
    station.advertise(mtu(1400), hops=50, reachable=20_000, retrans=2_000)
    assert station.first.ip6.mtu == 1400
    assert station.first.neighbours.reachable_ms == 20_000
    assert station.first.neighbours.retrans_ms == 2_000
    station.advertise(mtu(1500), hops=0)
    assert station.first.ip6.mtu == 1500
    station.introduce(target=station.link_local, sender="fe80::99")
    station.send_icmp(128, 0, bytes(4), source="fe80::99", destination=station.link_local)
    assert [frame.limit for frame in station.hand.take() if frame.what == "icmp6"] == [50]


@pytest.mark.parametrize("value", [0, 1279, 1501, 0xFFFFFFFF, 0x01000578])
def test_rfc4861_6_3_4_an_mtu_out_of_reason_is_ignored(value):
    station = fresh()
    station.advertise(mtu(value), hops=1, reachable=0xFFFFFFFF, retrans=0xFFFFFFFF)
    assert station.first.ip6.mtu == 1500
    assert station.first.neighbours.reachable_ms == 30_000
    assert station.first.neighbours.retrans_ms == 1_000


def test_rfc4861_6_3_4_prefixes_on_the_link():
    station = fresh()
    station.advertise(
        prefix("2001:db8:1::", 0x80), prefix("2001:db8:2::", 0x40), prefix("fe80::", 0xC0)
    )
    near, far = "2001:db8:1::7", "2001:db8:2::7"
    assert hops(station, near, far) == [address(near), address(ROUTER)]
    assert len(station.inet.addresses6) == 2
    station.advertise(prefix("2001:db8:1::", 0x80, valid=0, preferred=0))
    assert hops(station, near) == [address(ROUTER)]


def test_rfc4191_3_1_preferences():
    station = fresh()
    station.advertise(source=ROUTER, flags=LOW)
    station.advertise(source=SECOND)
    assert hops(station, FAR) == [address(SECOND)]
    station.advertise(source=ROUTER, flags=HIGH)
    assert hops(station, FAR) == [address(ROUTER)]
    station.advertise(source=ROUTER, flags=RESERVED)
    station.advertise(source=SECOND, flags=HIGH)
    assert hops(station, FAR) == [address(SECOND)]


def test_rfc4191_3_1_routes_longer_than_the_default():
    station = fresh()
    station.advertise(source=ROUTER, flags=HIGH)
    station.advertise(
        route("2001:db8:ff::", 48), route("2001:db8:aa::", 128), route("2001:db8:ff::", 40, 0x10),
        source=SECOND, lifetime=0,
    )  # fmt: skip
    found = hops(station, FAR, "2001:db8:aa::", "2001:db8:aa::1")
    assert found == [address(SECOND), address(SECOND), address(ROUTER)]
    station.advertise(route("2001:db8:ff::", 48, life=0), source=SECOND, lifetime=0)
    assert hops(station, FAR) == [address(ROUTER)]


@pytest.mark.parametrize("body", [b"\x18\x01\x40\0\0\0\x07\x08", b"\x18\x02\x81\0\0\0\x07\x08"])
def test_rfc4191_2_3_routes_that_do_not_fit_are_ignored(body):
    station = fresh()
    station.advertise(body + bytes(8 if body[1] == 2 else 0))
    assert len(station.first.routes.routes) == 1


def test_rfc4861_6_3_6_a_router_that_does_not_answer_is_left_for_another():
    station = fresh()
    other = b"\x02\0\0\0\0\x55"
    station.advertise(source=ROUTER, flags=HIGH)
    station.send(router(SECOND, mac_option(1, other)))
    assert reply_mac(station) == [("udp", station.hand.mac)]
    station.pass_time(10_000)  # DELAY, then three probes without an answer
    assert reply_mac(station)[0] == ("udp", other)
    # It answers again.
    station.send(
        advertisement(ROUTER, station.link_local, ROUTER, 0xC0, mac_option(2, station.hand.mac))
    )
    assert hops(station, FAR) == [address(ROUTER)]


def test_rfc4861_7_2_5_a_router_that_is_none_any_more():
    station = fresh()
    station.advertise()
    station.send(advertisement(ROUTER, "ff02::1", ROUTER, 0x20, mac_option(2, station.hand.mac)))
    assert hops(station, FAR) == [None]


def test_gateway_of_the_settings_stands():
    station = Station6(gateway6=PEER)
    station.advertise(prefix("2001:db8:5::"), route("::", 0))
    assert hops(station, FAR) == [address(PEER)]
    assert US in [US] and len(station.inet.addresses6) == 2


# Floods: flood_router26 of thc-ipv6 and its kin.


def test_a_flood_of_routers_finds_an_end():
    station = fresh()
    station.advertise(prefix("2001:db8:1::"))
    ours = station.inet.addresses6
    for i in range(500):
        options = [prefix(f"2001:db8:{i + 16:x}::"), route(f"2001:{i + 16:x}::", 32, HIGH)]
        station.send(router(f"fe80::1:{i:x}", mac_option(1, b"\2\0\0\0\1\1"), *options))
    assert len(station.first.routes.routers) <= ROUTERS6
    assert len(station.first.addresses.all) <= 9
    assert set(ours) <= set(station.inet.addresses6)
    assert address(ROUTER) in station.first.routes.default_routers
    assert station.first.neighbours.find(address(ROUTER)) >= 0
    assert station.drops["routers.full"] > 0
    assert station.drops["addresses.full"] > 0


def test_one_router_with_many_routes():
    station = fresh()
    for i in range(40):
        station.advertise(route(f"2001:{i + 16:x}::", 32))
    theirs = [r for r in station.first.routes.routes if r.router == address(ROUTER)]
    assert len(theirs) == ROUTES_OF_ROUTER


# Name servers, RFC 8106.


def test_rfc8106_5_1_name_servers_for_their_lifetime():
    station = fresh()
    station.advertise(rdnss(100, "2001:db8::53", "2001:db8::54"))
    assert station.inet.dns == [address("2001:db8::53"), address("2001:db8::54")]
    station.advertise(rdnss(1000, "2001:db8::54"))
    station.pass_time(101_000)
    assert station.inet.dns == [address("2001:db8::54")]
    station.advertise(rdnss(0, "2001:db8::54"))
    assert station.inet.dns == []


def test_rfc8106_5_3_1_they_are_bounded():
    station = fresh()
    station.advertise(*[rdnss(100, f"2001:db8::{i:x}") for i in range(1, 20)])
    assert len(station.inet.dns) == 4


def test_rfc8106_5_2_search_domains():
    station = fresh()
    station.advertise(dnssl(100, "example.com", "sub.example.org"))
    assert station.inet.search == ["example.com", "sub.example.org"]
    station.pass_time(101_000)
    assert station.inet.search == []


@pytest.mark.parametrize("body", [b"\x40" + bytes(7), b"\x07abc" + bytes(4), b"\x03a\0c\0\0\0\0"])
def test_rfc8106_5_2_malformed_domains(body):
    station = fresh()
    station.advertise(struct.pack(">BBHI", 31, 2, 0, 100) + body)
    assert all("\0" not in name for name in station.inet.search)


# Redirects.


def redirect(station, destination, target, *options, source=ROUTER, limit=255):
    body = bytes(4) + address(target) + address(destination) + b"".join(options)
    ours = station.link_local
    station.send(ip6(source, ours, 58, icmp6(source, ours, 137, 0, body), limit=limit))


def test_rfc4861_8_3_a_better_first_hop():
    station = fresh()
    station.advertise(prefix("2001:db8:1::", 0x40))
    other = b"\x02\0\0\0\0\x55"
    assert reply_mac(station) == [("udp", station.hand.mac)]
    redirect(station, FAR, SECOND, mac_option(2, other))
    assert reply_mac(station) == [("udp", other)]
    assert reply_mac(station, "2001:db8:ff::8") == [("udp", station.hand.mac)]


def test_rfc4861_8_3_the_destination_is_on_the_link():
    station = fresh()
    station.advertise(prefix("2001:db8:1::", 0x40))
    other = b"\x02\0\0\0\0\x55"
    redirect(station, FAR, FAR, mac_option(2, other))
    assert reply_mac(station) == [("udp", other)]


@pytest.mark.parametrize(
    ("destination", "target", "field"),
    [
        ("ff02::5", SECOND, {}),
        (FAR, "2001:db8::9", {}),
        (FAR, SECOND, {"source": "2001:db8::1"}),
        (FAR, SECOND, {"source": SECOND}),
        (FAR, SECOND, {"limit": 254}),
    ],
)
def test_rfc4861_8_1_redirects_that_are_not_valid(destination, target, field):
    station = fresh()
    station.advertise(prefix("2001:db8:1::", 0x40))
    redirect(station, destination, target, **field)
    assert hops(station, FAR) == [address(ROUTER)]
    assert sum(station.drops.values()) == 1


def test_redirects_are_bounded_and_end_with_their_hop():
    station = fresh()
    station.advertise()
    for i in range(100):
        redirect(station, f"2001:db8:ff::{i:x}", SECOND, mac_option(2, b"\2\0\0\0\0\x55"))
    assert len(station.first.routes.redirects) == 16
    reply_mac(station, "2001:db8:ff::63")
    station.pass_time(10_000)
    assert station.first.routes.redirects == []


def test_our_own_solicitation_is_no_news():
    station = fresh()
    station.send(solicitation("::", station.link_local))
    station.hand.send(to_group(b"\2\0\0\0\0\7", ip6("fe80::7", "ff02::2", 58, bytes(8))))
    station.send_ip(17, udp6(PEER, "ff02::2", 1, 2, b""), destination="ff02::2")
    assert station.link_local in station.inet.addresses6
