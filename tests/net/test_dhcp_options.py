"""The DHCP client: what comes with an address, rapid commit, INFORM, probes, release."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.dhcp import Dhcp
from net.dhcp import client as dhcp
from net.dhcp.facts import parse_search
from net.dhcp.inform import Inform
from net.dhcp.message import Malformed
from net.inet import Inet
from net.ip4 import acd
from net.udp import Udp
from tests.support.dhcp_server import (
    ACK,
    DECLINE,
    DISCOVER,
    LEASE,
    NAK,
    OFFER,
    REQUEST,
    SERVER,
    YOURS,
    Message,
    Server,
    answer_arp,
    option,
    seconds,
    standard,
)
from tests.support.frames import arp, ethernet, ip, udp
from tests.support.station import BROADCAST, NO_MAC, Station, address
from tests.support.wire import Host, Nic, World

RELEASE, INFORM = 7, 8


# What comes with it.


def test_rfc2132_name_time_domain_and_captive_portal_are_learnt():
    server = Server().bind(
        _12=b"box",
        _15=b"example.net\0",
        _42=address("10.0.0.123") + address("10.0.0.124"),
        _114=b"https://portal.example/api",
    )
    inet = server.inet
    assert inet.hostname == "box"
    assert inet.domain == "example.net"
    assert inet.search == ["example.net"], "as long as no list is given"
    assert inet.ntp == [address("10.0.0.123"), address("10.0.0.124")]
    assert inet.captive == "https://portal.example/api"
    assert inet.dns == [address("10.0.0.53"), address("10.0.0.54")]


def test_they_go_with_the_lease():
    server = Server().bind(_15=b"example.net", _51=seconds(600))
    server.wait(700_000)
    assert (server.inet.address, server.inet.domain, server.inet.dns) == (None, "", [])


def test_settings_come_first():
    server = Server(dns="10.9.9.9", domain="mine", search="a,b", hostname="me", ntp="10.9.9.8")
    server.bind(_15=b"yours", _12=b"you", _42=address("10.0.0.123"))
    inet = server.inet
    assert inet.dns == [address(a) for a in ("10.9.9.9", "10.0.0.53", "10.0.0.54")]
    assert (inet.domain, inet.hostname) == ("mine", "me")
    assert inet.search == ["a", "b", "yours"]
    assert inet.ntp == [address("10.9.9.8"), address("10.0.0.123")]


def test_rfc3397_search_list_with_compression():
    # The example of RFC 3397 section 2.
    value = b"\3eng\5apple\3com\0\tmarketing\xc0\4"
    assert parse_search(value) == ["eng.apple.com", "marketing.apple.com"]
    server = Server().bind(_119=value, _15=b"apple.com")
    assert server.inet.search == ["eng.apple.com", "marketing.apple.com"]


def test_rfc3397_search_list_in_two_options():
    server = Server()
    server.take()
    for kind in (OFFER, ACK):
        extra = option(119, b"\3eng\5app") + option(119, b"le\3com\0\tmarketing\xc0\4")
        server.say(kind, standard(kind) + extra)
    assert server.inet.search == ["eng.apple.com", "marketing.apple.com"]


@pytest.mark.parametrize(
    "value",
    [
        b"\3en",
        b"\3eng",
        b"\0",
        b"\xc0\0",
        b"\1a\xc0\0",
        b"\xc0",
        b"\1a\xc0\x09",
        b"\x40" + bytes(64),
        b"\1 \0",
        b"\1\xff\0",
    ],
)
def test_bad_search_lists_are_refused(value):
    with pytest.raises(Malformed):
        parse_search(value)


@given(st.binary(max_size=60))
def test_any_search_list_ends(value):
    try:
        names = parse_search(value)
    except Malformed:
        return
    assert all(names)


def test_rfc2132_5_8_static_routes_by_class():
    pairs = ["192.0.2.0", "10.0.0.9", "172.16.1.1", "10.0.0.8", "0.0.0.0", "10.0.0.7"]
    server = Server().bind(_33=b"".join([address(part) for part in pairs]))
    assert server.inet.routes.items() == [
        ("172.16.1.1/32", "10.0.0.8"),
        ("10.0.0.0/24", "on-link"),
        ("192.0.2.0/24", "10.0.0.9"),
        ("0.0.0.0/0", "10.0.0.254"),
    ]


def test_rfc3442_static_routes_do_not_count_beside_classless_ones():
    server = Server().bind(_33=address("192.0.2.0") + address("10.0.0.9"), _121=b"")
    assert server.inet.routes.items() == [("10.0.0.0/24", "on-link")]


@pytest.mark.parametrize(
    "change",
    [
        {"_33": bytes(7)},
        {"_42": bytes(3)},
        {"_15": b"two words"},
        {"_12": b"\x1b[2J"},
        {"_114": b"\xff\xfe"},
        {"_119": b"\3en"},
    ],
)
def test_malformed_options_spoil_the_message(change):
    server = Server()
    server.take()
    server.say(OFFER, standard(OFFER, **change))
    assert server.state == dhcp.SELECTING
    assert server.station.drops == {"dhcp.malformed": 1}


def test_what_is_asked_for_and_who_asks():
    discover = Server().one()
    assert {12, 15, 33, 42, 114, 119, 249} <= set(discover.options[55])
    assert discover.options[60] == b"ImportOS"
    assert discover.options[57] == b"\x05\xdc"
    assert discover.options[80] == b""


def test_rfc6842_an_answer_for_another_client_identifier_is_not_ours():
    server = Server()
    server.take()
    server.say(OFFER, standard(OFFER) + option(61, b"\1\2\0\0\0\0\x55"))
    assert server.station.drops == {"dhcp.foreign": 1}
    server.say(OFFER, standard(OFFER) + option(61, b"\1" + server.station.mac))
    assert server.state == dhcp.REQUESTING


def test_rfc4039_rapid_commit_needs_two_messages():
    server = Server()
    server.take()
    server.say(ACK, standard(ACK) + option(80, b""))
    assert server.state == dhcp.BOUND
    assert server.inet.address == address(YOURS)
    assert server.take() == []
    server.wait(LEASE // 2 * 1000 - 5000)
    assert server.state == dhcp.BOUND


def test_refusal_with_reason_is_logged():
    server = Server().bind()
    server.client.link(True)
    server.wait(10)
    server.one()
    text = option(56, b"wrong\x1bnet")
    server.say(NAK, option(53, b"\6") + option(54, address(SERVER)) + text)
    assert "dhcp: refused: wrong?net" in server.station.host.log.lines


# INIT-REBOOT from a setting.


def test_rfc2131_3_2_a_remembered_address_is_asked_for_first():
    server = Server(**{"last-address": YOURS})
    request = server.one()
    assert request.kind == REQUEST
    assert request.options[50] == address(YOURS)
    assert 54 not in request.options
    assert request.ciaddr == bytes(4)
    server.say(ACK)
    assert server.state == dhcp.BOUND
    assert server.inet.address == address(YOURS)


def test_a_remembered_address_that_nobody_confirms_is_forgotten():
    server = Server(**{"last-address": YOURS})
    server.wait(14_000)
    kinds = [message.kind for message in server.take()]
    assert kinds == [REQUEST, REQUEST, DISCOVER]
    server.bind()


def test_a_remembered_address_that_is_refused_is_forgotten():
    server = Server(**{"last-address": YOURS})
    server.take()
    server.say(NAK, option(53, b"\6") + option(54, address(SERVER)))
    server.wait(3_000)
    assert server.take()[0].kind == DISCOVER


# The link.


def test_nothing_is_sent_while_the_link_is_down():
    server = Server()
    server.take()
    server.station.host.card.set_link(False)
    server.wait(60_000)
    assert server.take() == []
    assert server.station.host.timers.next() == -1 or server.inet.counters["dhcp.sent"] == 1
    server.station.host.card.set_link(True)
    server.wait(10)
    assert server.one().kind == DISCOVER


def test_a_lease_ends_while_the_link_is_down():
    server = Server().bind(_51=seconds(600))
    server.station.host.card.set_link(False)
    server.wait(700_000)
    assert server.inet.address is None
    server.take()
    server.station.host.card.set_link(True)
    server.wait(10)
    assert server.take()[-1].kind == DISCOVER


# RELEASE.


def test_rfc2131_4_4_6_release_when_the_machine_ends():
    server = Server().bind()
    server.inet.stop()
    server.station.world.run()
    answer_arp(server)
    release = server.one()
    assert release.kind == RELEASE
    assert release.ciaddr == release.frame.source == address(YOURS)
    assert release.frame.destination == address(SERVER)
    assert release.options[54] == address(SERVER)
    assert 55 not in release.options and 50 not in release.options
    server.inet.stop()
    server.wait(LEASE * 1000)
    assert server.take() == [], "nothing more"


def test_no_release_without_an_address_or_if_the_setting_says_so():
    server = Server()
    server.take()
    server.inet.stop()
    server.wait(100_000)
    assert server.take() == []
    server = Server(release="no").bind()
    server.inet.stop()
    server.wait(1_000)
    assert server.take() == []


def test_stop_without_dhcp_does_nothing():
    Station().inet.stop()


# Probes before use.


def claim(server, operation=1, sender=YOURS, target=YOURS, mac=b"\2\0\0\0\0\x66"):
    body = arp(operation, mac, sender, NO_MAC, target)
    server.hand.send(ethernet(BROADCAST, mac, 0x0806, body))


def checking():
    server = Server(probe="yes")
    server.take()
    server.say(OFFER)
    server.one()
    server.say(ACK)
    assert server.state == dhcp.CHECKING
    return server


def test_rfc5227_2_1_probes_before_use():
    server = checking()
    start = server.station.world.time
    probes = []
    while server.state == dhcp.CHECKING:
        server.wait(10)
        probes += [(server.station.world.time, frame) for frame in server.hand.take("arp")]
        assert server.station.world.time - start < 8_000
    probes, announcement = probes[:-1], probes[-1][1]
    assert len(probes) == acd.PROBES
    for _, probe in probes:
        assert (probe.operation, probe.sender, probe.target) == (1, bytes(4), address(YOURS))
        assert probe.target_mac == NO_MAC
    times = [time for time, _ in probes]
    assert times[0] - start <= 1_010
    assert all(990 <= b - a <= 2_020 for a, b in pairwise(times))
    assert server.station.world.time - times[-1] >= 1_980
    assert (announcement.sender, announcement.target) == (address(YOURS), address(YOURS))
    assert server.state == dhcp.BOUND
    assert server.inet.address == address(YOURS)


@pytest.mark.parametrize(
    "conflict",
    [
        {"operation": 2},  # an answer
        {"operation": 1, "target": "10.0.0.9"},  # any packet from that address
        {"operation": 1, "sender": "0.0.0.0"},  # a probe for the same
    ],
)
def test_rfc5227_2_1_1_a_conflict_is_declined(conflict):
    server = checking()
    server.wait(1_500)
    server.take()
    claim(server, **conflict)
    server.wait(10)
    assert server.one().kind == DECLINE
    assert server.inet.address is None
    server.wait(9_900)
    assert server.take() == []
    server.wait(200)
    assert server.one().kind == DISCOVER


def test_rfc5227_2_1_1_a_probe_for_another_address_is_no_conflict():
    server = checking()
    claim(server, sender="0.0.0.0", target="10.0.0.51")
    claim(server, sender="10.0.0.51", target=YOURS)
    server.wait(8_000)
    assert server.state == dhcp.BOUND


def test_rfc5227_2_1_1_after_ten_conflicts_a_minute_passes():
    server = Server(probe="yes")
    server.client.declines = 9
    server.take()
    server.say(OFFER)
    server.one()
    server.say(ACK)
    claim(server)
    server.wait(10)
    assert server.one().kind == DECLINE
    server.wait(59_000)
    assert server.take() == []
    server.wait(1_500)
    assert server.one().kind == DISCOVER


def test_link_down_ends_the_probes():
    server = checking()
    server.station.host.card.set_link(False)
    server.wait(20_000)
    assert server.inet.address is None
    server.station.host.card.set_link(True)
    server.wait(10)
    assert server.take()[-1].kind == DISCOVER


# INFORM.


def informing(**settings):
    station = Station(known=True, **settings)
    client = Inform(station.inet.first)
    station.world.run()
    return station, client


def answer(station, client, options, yiaddr=bytes(4)):
    body = b"\2\1\6\0" + client.xid + bytes(4) + station.inet.address + yiaddr + bytes(8)
    body += station.mac + bytes(10 + 192) + b"\x63\x82\x53\x63" + options + b"\xff"
    us = "10.0.0.2"
    station.send_ip(17, udp(SERVER, us, 67, 68, body), source=SERVER, destination=us)


def test_rfc2131_3_4_inform_learns_without_an_address():
    station, client = informing()
    (frame,) = station.hand.take("udp")
    message = Message(frame)
    assert message.kind == INFORM
    assert message.ciaddr == frame.source == address("10.0.0.2")
    assert 50 not in message.options and 51 not in message.options
    told = []
    station.inet.on_configured = lambda inet: told.append(inet.dns)
    answer(
        station, client, option(53, b"\5") + option(6, address("10.0.0.53")) + option(15, b"a.b")
    )
    assert told == [[address("10.0.0.53")]]
    assert station.inet.domain == "a.b"
    assert station.inet.address == address("10.0.0.2")
    station.pass_time(200_000)
    assert station.hand.take("udp") == []
    assert station.drops == {}


def test_inform_gives_up_and_asks_again_when_the_link_comes_back():
    station, _ = informing()
    station.pass_time(200_000)
    assert len(station.hand.take("udp")) == 4
    station.host.card.set_link(False)
    station.host.card.set_link(True)
    station.pass_time(10)
    assert len(station.hand.take("udp")) == 1


# Two interfaces, one port.


def test_each_interface_has_a_lease_of_its_own():
    world = World()
    us = Host(world, "us")
    inet = us.inet = Inet(us, udp=Udp, configure=Dhcp)
    nic = Nic(world, "eth1", b"\2\0\0\0\1\1", wire=1)
    interface = inet.attach(nic, configure=Dhcp)
    first, second = inet.configuration, interface.configuration
    world.run(10)
    assert {name for _, name, _ in world.frames} == {"us", "eth1"}

    def say(card, client, kind, yours):
        body = b"\2\1\6\0" + client.xid + bytes(8) + address(yours) + bytes(8)
        body += card.mac + bytes(10 + 192) + b"\x63\x82\x53\x63" + standard(kind) + b"\xff"
        datagram = udp(SERVER, "255.255.255.255", 67, 68, body)
        packet = ip(SERVER, "255.255.255.255", 17, datagram)
        card.hear(ethernet(BROADCAST, b"\2\0\0\0\0\x99", 0x0800, packet))
        world.run(10)

    for kind in (OFFER, ACK):
        say(nic, second, kind, "10.1.0.50")
    assert (first.state, second.state) == (dhcp.SELECTING, dhcp.BOUND)
    for kind in (OFFER, ACK):
        say(us.card, first, kind, YOURS)
    assert (inet.address, interface.address) == (address(YOURS), address("10.1.0.50"))
    world.check()
