"""Addresses: RFC 4862 with RFC 4429, 7217 and 7527; MLD: RFC 3810 and 2710."""

import struct

import pytest

from net.ip6.opaque import identifier
from tests.support.frames6 import (
    advertisement,
    icmp6,
    ip6,
    mac_option,
    options,
    prefix,
    solicitation,
    solicited_node,
    udp6,
)
from tests.support.station6 import PEER, ROUTER, US, Station6, address

OTHER = b"\x02\0\0\0\0\x77"
KEY = bytes(range(16))


def fresh(**settings):
    return Station6(known=False, address6=None, **settings)


def formed(station):
    return [own for own in station.first.addresses.all if own.origin == 2]


def nonces(station, target):
    """The nonces of our own questions about an address."""
    found = []
    for _, name, frame in station.world.frames:
        if name == "us" and frame[54] == 135 and frame[62:78] == address(target):
            found.append(frame[78:])
    return found


# RFC 7217.


def test_rfc7217_an_identifier_is_that_of_siphash_2_4():
    """As integers of any size make it: another version of us has the same address."""
    key, mac = bytes(range(16)), b"\2\0\0\0\0\1"
    assert identifier(key, address("2001:db8:1::"), mac, 0).hex() == "f2c5ceb8c0341a96"


def test_rfc7217_5_identifiers_are_stable_and_differ():
    mac = b"\2\0\0\0\0\1"
    one = identifier(KEY, address("2001:db8:1::"), mac, 0)
    assert one == identifier(KEY, address("2001:db8:1::7777"), mac, 0)
    every = [
        one,
        identifier(KEY, address("2001:db8:2::"), mac, 0),
        identifier(KEY, address("2001:db8:1::"), OTHER, 0),
        identifier(KEY, address("2001:db8:1::"), mac, 1),
        identifier(bytes(16), address("2001:db8:1::"), mac, 0),
    ]
    assert len(set(every)) == 5
    assert len(one) == 8


def test_a_machine_with_a_secret_has_the_same_addresses_every_time():
    first, second, other = fresh(), fresh(), fresh(secret6="ff" * 16)
    assert first.link_local == second.link_local != other.link_local
    assert first.link_local[:8] == address("fe80::")[:8]


def test_identifier_of_the_settings():
    station = fresh(identifier6="::53")
    station.advertise(prefix("2001:db8:1::"))
    assert station.inet.addresses6 == [address("fe80::53"), address("2001:db8:1::53")]


# Duplicate address detection.


def test_rfc4862_5_4_2_one_question_with_a_nonce():
    station = Station6()
    (nonce,) = nonces(station, US)
    assert nonce[:2] == b"\x0e\x01"


def test_rfc4429_an_optimistic_address_answers_without_override():
    station = Station6(quiet=False, known=False)
    station.send(solicitation(PEER, US, mac_option(1, station.hand.mac)))
    (reply,) = station.hand.take("na")
    assert reply.rest[0] == 0x40
    station.send_icmp(128, 0, bytes(4))
    assert [frame.type for frame in station.hand.take("icmp6")] == [129]
    station.pass_time(2_000)
    station.hand.take()
    station.send(solicitation(PEER, US, mac_option(1, station.hand.mac)))
    assert station.hand.take("na")[0].rest[0] == 0x60


def test_rfc4429_3_3_nobody_is_asked_from_an_optimistic_address():
    station = Station6(quiet=False, known=False)
    station.hand.take()
    socket = station.inet.udp.bind(0, print)
    socket.send_to(b"early", address(PEER), 9)
    station.world.run()
    assert station.hand.take("ns") == []
    station.pass_time(1_500)
    questions = [q for q in station.hand.take("ns") if q.target == address(PEER)]
    assert questions
    assert questions[0].source == address(US)


def test_rfc4861_7_2_6_everybody_is_told_of_a_confirmed_address():
    station = Station6(quiet=False, known=False)
    station.hand.take()
    station.pass_time(2_000)
    news = station.hand.take("na")
    assert {frame.target for frame in news} == {address(US), station.link_local}
    assert {frame.destination for frame in news} == {address("ff02::1")}
    assert {frame.rest[0] for frame in news} == {0x20}


@pytest.mark.parametrize("how", ["advertisement", "solicitation"])
def test_rfc4862_5_4_5_a_duplicate_is_given_up(how):
    station = Station6(quiet=False, known=False)
    if how == "advertisement":
        station.send(advertisement(US, "ff02::1", US, 0x20, mac_option(2, OTHER)))
    else:
        station.send(solicitation("::", US))
    assert address(US) not in station.inet.addresses6
    assert any("is used by" in line for line in station.host.log.lines)
    assert station.drops["addresses.duplicate"] == 1
    station.hand.take()
    station.send_icmp(128, 0, bytes(4))
    assert station.hand.take("icmp6") == []


def test_rfc7527_4_2_our_own_question_reflected_is_not_a_duplicate():
    station = Station6(quiet=False, known=False)
    (nonce,) = nonces(station, US)
    station.send(solicitation("::", US, nonce))
    assert address(US) in station.inet.addresses6
    station.send(solicitation("::", US, b"\x0e\x01" + bytes(6)))
    assert address(US) not in station.inet.addresses6


def test_rfc4862_5_4_once_it_is_ours_it_is_kept_and_defended():
    station = Station6(known=False)
    station.send(solicitation("::", US))
    (defence,) = station.hand.take("na")
    assert (defence.destination, defence.rest[0]) == (address("ff02::1"), 0x20)
    station.send(advertisement(US, "ff02::1", US, 0x20, mac_option(2, OTHER)))
    assert address(US) in station.inet.addresses6


def test_rfc7217_6_the_next_identifier_is_tried_three_times():
    station = fresh(quiet=False)
    seen = []
    for _ in range(5):
        if station.first.addresses.link_local is None:
            break
        seen.append(station.link_local)
        station.send(solicitation("::", station.link_local))
    assert len(seen) == len(set(seen)) == 3


# Stateless autoconfiguration.


def test_rfc4862_5_5_3_an_address_is_formed():
    station = fresh()
    heard = []
    station.inet.when_configured(lambda inet: heard.append(inet.address))
    station.advertise(prefix("2001:db8:1::"))
    (own,) = formed(station)
    assert own.address[:8] == address("2001:db8:1::")[:8]
    assert heard == [own.address]
    frames = [f for f in station.hand.take("ns") if f.target == own.address]
    assert [(f.source, f.destination) for f in frames] == [(bytes(16), solicited_node(own.address))]
    station.send_icmp(128, 0, bytes(4), source=ROUTER, destination=own.address)
    assert [frame.source for frame in station.hand.take("icmp6")] == [own.address]


@pytest.mark.parametrize(
    "option",
    [
        prefix("fe80::"),
        prefix("ff05::"),
        prefix("2001:db8:1::", flags=0x80),
        prefix("2001:db8:1::", valid=100, preferred=200),
        prefix("2001:db8:1::", valid=0, preferred=0),
        prefix("2001:db8:1::", length=56),
        prefix("2001:db8:1::", length=96),
    ],
)
def test_rfc4862_5_5_3_prefixes_that_form_none(option):
    station = fresh()
    station.advertise(option)
    assert formed(station) == []


def test_rfc4862_5_5_4_deprecated_then_gone():
    station = fresh()
    station.advertise(prefix("2001:db8:1::", valid=200, preferred=100), lifetime=9000)
    station.advertise(prefix("2001:db8:2::", valid=9000, preferred=8000), lifetime=9000)
    one, two = formed(station)
    near = one.address[:15] + b"\x07"
    assert station.inet.source_for(near) == one.address
    station.pass_time(101_000)
    assert one.deprecated
    assert station.inet.source_for(near) == two.address
    station.pass_time(100_000)
    assert formed(station) == [two]
    assert station.drops["addresses.expired"] == 1


@pytest.mark.parametrize(
    ("valid", "after"), [(86_400, 86_400), (7_300, 7_300), (100, 7_200), (0, 7_200)]
)
def test_rfc4862_5_5_3_e_nobody_ends_it_within_two_hours(valid, after):
    station = fresh()
    station.advertise(prefix("2001:db8:1::", valid=50_000, preferred=40_000))
    (own,) = formed(station)
    station.advertise(prefix("2001:db8:1::", valid=valid, preferred=0))
    assert own.until - station.first.seconds.now() == after
    assert own.deprecated
    station.advertise(prefix("2001:db8:1::", valid=valid, preferred=0))
    assert own.until - station.first.seconds.now() == after


def test_lifetimes_without_end():
    station = fresh()
    station.advertise(prefix("2001:db8:1::", valid=0xFFFFFFFF, preferred=0xFFFFFFFF))
    for _ in range(40):
        station.pass_time(86_400_000)
        station.advertise()
    assert len(formed(station)) == 1


def test_lifetimes_longer_than_a_turn_of_the_clock():
    station = fresh()
    station.advertise(prefix("2001:db8:1::", valid=30 * 86_400, preferred=20 * 86_400))
    station.pass_time(19 * 86_400_000)
    assert not formed(station)[0].deprecated
    station.pass_time(2 * 86_400_000)
    assert formed(station)[0].deprecated
    station.pass_time(10 * 86_400_000)
    assert formed(station) == []


def test_static_addresses_are_not_joined_by_formed_ones():
    station = Station6(address6="2001:db8::2/64,fd00::2/48")
    station.advertise(prefix("2001:db8:1::"))
    assert formed(station) == []
    assert address("fd00::2") in station.inet.addresses6
    assert station.first.routes.next_hop(address("fd00::1:0:0:0:9")) == address("fd00::1:0:0:0:9")


def test_link_up_asks_again():
    station = Station6()
    station.hand.take()
    station.host.card.set_link(False)
    station.host.card.set_link(True)
    station.world.run()
    frames = station.hand.take()
    assert {f.target for f in frames if f.what == "ns"} == {address(US), station.link_local}
    assert "rs" in [f.what for f in frames]
    assert "mld2" in [f.what for f in frames]


# Multicast listener discovery.

GROUP = "ff05::77"


def query(group="::", code=1000, version=2, **field):
    body = struct.pack(">HH", code, 0) + address(group) + (bytes(4) if version == 2 else b"")
    destination = "ff02::1" if group == "::" else group
    message = icmp6("fe80::1", destination, 130, 0, body)
    alert = options(58, b"\5\2\0\0")
    return ip6("fe80::1", destination, 0, alert + message, limit=field.get("limit", 1))


def records(station):
    return [record for frame in station.hand.take("mld2") for record in frame.records]


def test_rfc3810_6_1_a_join_is_told_twice_and_a_leave_too():
    station = Station6()
    station.inet.join(address(GROUP))
    station.pass_time(3_000)
    assert records(station) == [(4, address(GROUP))] * 2
    station.inet.leave(address(GROUP))
    station.pass_time(3_000)
    assert records(station) == [(3, address(GROUP))] * 2


def test_joins_are_counted():
    station = Station6()
    for _ in range(2):
        station.inet.join(address(GROUP))
    station.inet.leave(address(GROUP))
    assert (address(GROUP), 2) in station.first.ip6.locals
    station.inet.leave(address(GROUP))
    assert (address(GROUP), 2) not in station.first.ip6.locals


def test_rfc4861_7_2_1_the_groups_in_which_we_are_asked_for_are_told():
    station = Station6(quiet=False)
    frames = [f for _, name, f in station.world.frames if name == "us" and f[20] == 0]
    assert any(solicited_node(US) in frame for frame in frames)
    assert frames[0][22:38] == bytes(16)  # RFC 3590: there is no address yet


def test_rfc3810_5_1_a_general_query_is_answered_within_its_time():
    station = Station6()
    station.inet.join(address(GROUP))
    station.inet.join(address("ff01::5"))  # does not leave a host
    station.pass_time(3_000)
    station.hand.take()
    station.send(query(code=1000))
    station.pass_time(1_000)
    found = records(station)
    assert {kind for kind, _ in found} == {2}
    assert {group for _, group in found} == {
        address(GROUP),
        solicited_node(US),
        solicited_node(station.link_local),
    }


def test_rfc3810_5_1_a_query_for_one_group():
    station = Station6()
    station.inet.join(address(GROUP))
    station.pass_time(3_000)
    station.hand.take()
    station.send(query(GROUP))
    station.pass_time(1_000)
    assert records(station) == [(2, address(GROUP))]


@pytest.mark.parametrize("datagram", [query(limit=2), query()[:-6]])
def test_rfc3810_6_2_queries_that_are_not_valid(datagram):
    station = Station6()
    station.send(datagram[:4] + struct.pack(">H", len(datagram) - 40) + datagram[6:])
    station.pass_time(2_000)
    assert station.hand.take("mld2") == []
    assert sum(station.drops.values()) == 1


def test_rfc3810_8_2_1_version_1_is_spoken_while_it_is_heard():
    station = Station6()
    station.inet.join(address(GROUP))
    station.pass_time(3_000)
    station.hand.take()
    station.send(query(version=1))
    station.pass_time(1_100)
    reports = station.hand.take("mld1")
    assert address(GROUP) in [frame.destination for frame in reports]
    assert reports[0].payload == reports[0].destination
    station.inet.leave(address(GROUP))
    station.world.run()
    (done,) = station.hand.take("done")
    assert (done.destination, done.payload) == (address("ff02::2"), address(GROUP))
    station.pass_time(261_000)
    station.inet.join(address(GROUP))
    station.world.run()
    assert records(station) == [(4, address(GROUP))]


def test_a_socket_hears_its_groups_until_it_is_closed():
    station = Station6()
    heard = []
    socket = station.inet.udp.bind(9, lambda s, d: heard.append(d.data))
    socket.join(address(GROUP))
    station.send_ip(17, udp6(PEER, GROUP, 5, 9, b"all"), destination=GROUP)
    socket.close()
    station.send_ip(17, udp6(PEER, GROUP, 5, 9, b"all"), destination=GROUP)
    assert heard == [b"all"]
    assert station.drops == {"ip6.destination": 1}


def test_groups_are_bounded():
    station = Station6()
    with pytest.raises(OSError, match="LOCALS6"):
        for i in range(40):
            station.inet.join(address(f"ff05::{i + 1:x}"))
    assert station.drops["mld.full"] == 1


def test_rfc4861_7_2_6_an_announcement_waits_for_a_packet():
    """A connection that sends may have all of them with the device."""
    station = Station6(quiet=False)
    held = []
    while packet := station.host.nic.allocate():
        held.append(packet)
    station.pass_time(1_500)
    assert station.hand.take("na") == []
    for packet in held:
        packet.release()
    station.pass_time(100)
    told = {frame.target for frame in station.hand.take("na")}
    assert told == set(station.inet.addresses6)
