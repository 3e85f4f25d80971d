"""The DHCP client against a server that does what the test says (RFC 2131)."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.dhcp import Dhcp
from net.dhcp import client as dhcp
from tests.support.dhcp_server import (
    ACK,
    DAY,
    DECLINE,
    DISCOVER,
    LEASE,
    NAK,
    OFFER,
    REQUEST,
    ROUTER,
    SERVER,
    YOURS,
    Server,
    answer_arp,
    collect,
    option,
    seconds,
    standard,
)
from tests.support.frames import arp, ethernet
from tests.support.station import BROADCAST, NO_MAC, Station, address

# The straight way.


def test_rfc2131_3_1_discover_offer_request_ack():
    server = Server(hostname="box")
    discover = server.one()
    assert discover.kind == DISCOVER
    assert discover.chaddr == server.station.mac
    assert discover.ciaddr == bytes(4)
    assert discover.frame.source == bytes(4)
    assert discover.frame.destination_mac == BROADCAST
    assert discover.options[61] == b"\1" + server.station.mac
    assert discover.options[12] == b"box"
    wanted = discover.options[55]
    assert {1, 3, 6, 26, 51, 58, 59, 121} <= set(wanted)
    assert wanted.index(121) < wanted.index(3), "RFC 3442"

    server.say(OFFER)
    request = server.one()
    assert request.kind == REQUEST
    assert request.xid == discover.xid
    assert request.options[50] == address(YOURS)
    assert request.options[54] == address(SERVER)
    assert (request.ciaddr, request.frame.source) == (bytes(4), bytes(4))
    assert server.inet.address is None

    server.say(ACK)
    assert server.state == dhcp.BOUND
    assert server.inet.address == address(YOURS)
    assert server.inet.gateway == address(ROUTER)
    assert server.inet.dns == [address("10.0.0.53"), address("10.0.0.54")]
    assert server.inet.routes.items() == [("10.0.0.0/24", "on-link"), ("0.0.0.0/0", ROUTER)]
    (announcement,) = server.hand.take("arp")
    assert announcement.sender == announcement.target == address(YOURS)
    assert server.station.drops == {}
    assert "by DHCP from 10.0.0.1 for 86400 s" in server.station.host.log.lines[-1]


def test_rfc2131_4_1_answers_may_be_unicast_to_the_address_they_offer():
    server = Server()
    server.take()
    server.say(OFFER, unicast=True)
    server.say(ACK, unicast=True)
    assert server.state == dhcp.BOUND


def test_service_is_told():
    server = Server()
    told = []
    server.inet.on_configured = lambda inet: told.append(inet.address)
    server.bind()
    assert told == [address(YOURS)]


def test_static_settings_win():
    station = Station(configure=Dhcp, address="10.0.0.9/24")
    assert station.inet.address == address("10.0.0.9")
    assert station.hand.take() == []


def test_without_udp_it_says_so():
    with pytest.raises(ValueError, match="DHCP needs UDP"):
        Station(configure=Dhcp, udp=None)


# Loss and patience.


def test_rfc2131_4_1_discover_is_repeated_with_back_off():
    server = Server()
    first = server.one()
    now = server.station.world.time
    waits = []
    for _ in range(8):
        while not (messages := server.take()):
            server.wait(10)
        waits.append(server.station.world.time - now)
        now = server.station.world.time
        assert messages[0].kind == DISCOVER
        assert messages[0].xid == first.xid
    for wait, expected in zip(waits, [4, 8, 16, 32, 64, 64, 64, 64], strict=True):
        assert abs(wait - expected * 1000) <= 1100
    assert len({wait % 1000 for wait in waits}) > 3, "each more or less a random part of a second"
    assert messages[0].secs > 200


@pytest.mark.parametrize("lost", range(4))
def test_any_of_four_requests_may_be_answered(lost):
    server = Server()
    server.take()
    server.say(OFFER)
    assert server.one().kind == REQUEST
    for _ in range(lost):
        while not (said := server.take()):
            server.wait(100)
        assert [message.kind for message in said] == [REQUEST]
    server.say(ACK)
    assert server.state == dhcp.BOUND


def test_rfc2131_3_1_5_unanswered_request_begins_anew():
    server = Server()
    first = server.one()
    server.say(OFFER)
    server.take()
    server.wait(62_000)
    kinds = [message.kind for message in server.take()]
    assert kinds == [REQUEST] * 3 + [DISCOVER]
    assert server.xid != first.xid
    server.bind()


# Renewal.


def test_rfc2131_4_4_5_t1_asks_the_server_by_unicast():
    server = Server().bind()
    server.wait(LEASE // 2 * 1000 - 2000)
    assert server.take() == []
    ((_, request),) = collect(server, server.station.world.time + 4000)
    assert server.state == dhcp.RENEWING
    assert request.kind == REQUEST
    assert request.ciaddr == request.frame.source == address(YOURS)
    assert request.frame.destination == address(SERVER)
    assert 50 not in request.options
    assert 54 not in request.options
    server.say(ACK, unicast=True)
    assert server.state == dhcp.BOUND
    # The lease counts from when it was asked for, a little before now.
    server.wait(LEASE // 2 * 1000 - 5000)
    assert server.state == dhcp.BOUND
    server.wait(5000)
    assert server.state == dhcp.RENEWING


def test_rfc2131_4_4_5_renewing_then_rebinding_then_the_end():
    server = Server().bind(_51=seconds(3600))
    start = server.station.world.time
    said = collect(server, start + 3_590_000)
    renewals = [at - start for at, message in said if message.unicast]
    rebinds = [at - start for at, message in said if not message.unicast]
    assert 1_799_000 <= renewals[0] <= 1_803_000
    assert all(at < 3_153_000 for at in renewals)
    assert 3_149_000 <= rebinds[0] <= 3_153_000
    gaps = [b - a for a, b in pairwise(renewals)]
    assert all(gap >= 59_000 for gap in gaps), "not within a minute"
    assert gaps[0] == pytest.approx((3150 - 1800) * 1000 / 2, abs=3000), "half of what is left"
    assert 2 <= len(rebinds) <= 5
    assert all(message.ciaddr == address(YOURS) for _, message in said)
    assert server.inet.address == address(YOURS)
    server.wait(15_000)
    assert server.inet.address is None
    assert server.state == dhcp.SELECTING
    assert "is over" in " ".join(server.station.host.log.lines)
    assert server.take()[-1].kind == DISCOVER
    server.bind()


@pytest.mark.parametrize("silent", [0, 1, 2, 3, 4])
def test_renewal_succeeds_whichever_request_is_answered(silent):
    server = Server().bind(_51=seconds(3600))
    said = []
    while len(said) <= silent:
        said += collect(server, server.station.world.time + 1000)
    server.say(ACK, standard(ACK, _51=seconds(3600)))
    assert server.state == dhcp.BOUND
    start = server.station.world.time
    assert collect(server, start + 1_700_000) == []
    assert server.inet.address == address(YOURS)


def stop_for(server, seconds, counted):
    """The machine stood still; `counted`: its clock went on, and timers are late."""
    if counted:
        server.station.world.time += seconds * 1000
    else:
        server.client.away(seconds)
    server.station.world.run(1)
    if server.state == dhcp.RENEWING:
        answer_arp(server)


@pytest.mark.parametrize("counted", [True, False], ids=["late", "away"])
@pytest.mark.parametrize(
    ("stopped", "state"),
    [
        (1_000, dhcp.BOUND),
        (1_900, dhcp.RENEWING),
        (3_200, dhcp.REBINDING),
        (3_700, dhcp.SELECTING),
        (86_400, dhcp.SELECTING),
    ],
)
def test_a_lease_goes_on_while_the_machine_stands_still(stopped, state, counted):
    server = Server().bind(_51=seconds(3600))
    stop_for(server, stopped, counted)
    assert server.state == state
    lost = state == dhcp.SELECTING
    assert (server.inet.address is None) == lost
    said = server.take()
    assert [message.kind for message in said] == {dhcp.BOUND: [], dhcp.SELECTING: [DISCOVER]}.get(
        state, [REQUEST]
    )
    if state in (dhcp.RENEWING, dhcp.REBINDING):
        # And what is left is right, too.
        left = 3600 - stopped
        server.wait((left - 20) * 1000)
        assert server.inet.address
        server.wait(30_000)
        assert server.inet.address is None


@pytest.mark.parametrize("first", [True, False])
def test_two_stops_of_one_lease_add_up(first):
    server = Server().bind(_51=seconds(3600))
    stop_for(server, 1_000, counted=first)
    assert server.state == dhcp.BOUND
    stop_for(server, 1_000, counted=not first)
    assert server.state == dhcp.RENEWING
    server.take()
    server.say(ACK, standard(ACK, _51=seconds(3600)))
    assert server.state == dhcp.BOUND
    stop_for(server, 1_700, counted=first)
    assert server.state == dhcp.BOUND


def test_an_infinite_lease_survives_everything():
    server = Server().bind(_51=seconds(0xFFFFFFFF))
    stop_for(server, 10**9, counted=False)
    assert server.state == dhcp.BOUND


def test_options_58_and_59_give_the_times():
    server = Server().bind(_51=seconds(3600), _58=seconds(600), _59=seconds(1200))
    start = server.station.world.time
    said = collect(server, start + 1_300_000)
    assert 598_000 <= said[0][0] - start <= 602_000
    first_rebind = next(at for at, message in said if not message.unicast)
    assert 1_198_000 <= first_rebind - start <= 1_202_000


@pytest.mark.parametrize(("t1", "t2"), [(0, 100), (200, 100), (100, 5000), (3600, 3600)])
def test_senseless_t1_and_t2_are_replaced(t1, t2):
    server = Server().bind(_51=seconds(3600), _58=seconds(t1), _59=seconds(t2))
    assert (server.client.t1, server.client.t2) == (1800, 3150)


def test_infinite_lease_is_never_renewed():
    server = Server().bind(_51=seconds(0xFFFFFFFF))
    server.wait(40 * DAY)
    assert server.take() == []
    assert server.station.host.timers.next() == -1


def test_long_lease_is_renewed_in_time():
    """Half a year is more than the clock of the machine counts (2^30 ms)."""
    server = Server().bind(_51=seconds(365 * 86400))
    server.wait(182 * DAY)
    assert server.take() == []
    server.wait(DAY)
    answer_arp(server)
    assert server.state == dhcp.RENEWING


def test_renewal_may_change_everything():
    server = Server().bind(_51=seconds(3600))
    collect(server, server.station.world.time + 1_801_000)
    options = standard(ACK, _3=address("10.0.0.77"), _26=b"\x05\x00", _51=seconds(3600))
    server.say(ACK, options, yiaddr="10.0.0.60")
    assert server.inet.address == address("10.0.0.60")
    assert server.inet.gateway == address("10.0.0.77")
    assert server.inet.ip4.mtu == 1280


def test_renewal_that_changes_nothing_does_not_disturb():
    server = Server()
    told = []
    server.inet.on_configured = told.append
    server.bind(_51=seconds(3600))
    collect(server, server.station.world.time + 1_801_000)
    server.say(ACK, standard(ACK, _51=seconds(3600)))
    assert len(told) == 1


# NAK.


@pytest.mark.parametrize("state", ["REQUESTING", "RENEWING", "REBINDING"])
def test_rfc2131_nak_begins_anew(state):
    server = Server()
    server.take()
    if state == "REQUESTING":
        server.say(OFFER)
    else:
        server.bind(_51=seconds(3600))
        passed = 1_801_000 if state == "RENEWING" else 3_151_000
        collect(server, server.station.world.time + passed)
    assert server.state == state
    xid = server.client.xid
    server.xid = xid
    server.take()
    server.xid = xid
    server.say(NAK, option(53, b"\6") + option(54, address(SERVER)))
    assert server.inet.address is None
    assert server.inet.routes.items() == []
    server.wait(5_000)
    assert server.take()[0].kind == DISCOVER
    assert server.client.xid != xid
    server.bind()


def test_nak_of_another_server_is_not_ours():
    server = Server()
    server.take()
    server.say(OFFER)
    server.take()
    server.say(NAK, option(53, b"\6") + option(54, address("10.0.0.66")))
    assert server.state == dhcp.REQUESTING
    assert server.station.drops == {"dhcp.unexpected": 1}


def test_ack_of_another_server_is_not_ours():
    server = Server()
    server.take()
    server.say(OFFER)
    server.take()
    server.say(ACK, standard(ACK, _54=address("10.0.0.66")))
    assert server.state == dhcp.REQUESTING


# The link.


def test_rfc2131_3_2_link_that_comes_back_asks_whether_the_address_is_still_good():
    server = Server().bind()
    server.station.host.card.set_link(False)
    server.station.host.card.set_link(True)
    server.wait(10)
    request = server.one()
    assert request.kind == REQUEST
    assert request.options[50] == address(YOURS)
    assert 54 not in request.options
    assert request.ciaddr == bytes(4)
    assert server.inet.address == address(YOURS), "in use meanwhile"
    server.say(ACK)
    assert server.state == dhcp.BOUND


def test_rebooting_without_an_answer_keeps_the_lease():
    server = Server().bind()
    server.client.link(True)
    server.wait(70_000)
    assert [message.kind for message in server.take()] == [REQUEST] * 4
    assert server.state == dhcp.BOUND
    assert server.inet.address == address(YOURS)
    server.wait(LEASE // 2 * 1000)
    assert server.state == dhcp.RENEWING


def test_rebooting_on_another_link_is_refused_and_begins_anew():
    server = Server().bind()
    server.client.link(True)
    server.wait(10)
    server.one()
    server.say(NAK, option(53, b"\6") + option(54, address("10.0.0.7")))
    assert server.inet.address is None
    server.wait(5_000)
    assert server.take()[0].kind == DISCOVER


# Conflict.


def claim(server, mac=b"\2\0\0\0\0\x66"):
    body = arp(1, mac, YOURS, NO_MAC, YOURS)
    server.hand.send(ethernet(BROADCAST, mac, 0x0806, body))


def test_rfc2131_3_1_5_address_that_somebody_uses_is_declined():
    server = Server().bind()
    claim(server)
    decline = server.one()
    assert decline.kind == DECLINE
    assert decline.options[50] == address(YOURS)
    assert decline.options[54] == address(SERVER)
    assert 55 not in decline.options
    assert decline.ciaddr == bytes(4)
    assert server.inet.address is None
    server.wait(9_900)
    assert server.take() == []
    server.wait(200)
    assert server.one().kind == DISCOVER


def test_rfc5227_2_4_later_conflict_is_defended_and_a_second_one_declined():
    server = Server().bind()
    server.wait(60_000)
    claim(server)
    assert server.inet.address == address(YOURS)
    assert server.take() == []
    server.wait(2_000)
    claim(server)
    assert server.inet.address is None
    assert server.one().kind == DECLINE


# What a server may say.


def test_rfc3442_classless_routes_replace_the_router():
    routes = b"\0\x0a\0\0\xfd" + b"\x18\xc0\0\2\x0a\0\0\x09" + b"\x20\x0a\1\1\1\0\0\0\0"
    server = Server().bind(_121=routes)
    assert server.inet.gateway == address("10.0.0.253")
    assert server.inet.routes.items() == [
        ("10.1.1.1/32", "on-link"),
        ("10.0.0.0/24", "on-link"),
        ("192.0.2.0/24", "10.0.0.9"),
        ("0.0.0.0/0", "10.0.0.253"),
    ]


def test_option_249_is_used_if_121_is_not_there():
    server = Server().bind(_249=b"\0\x0a\0\0\xfd")
    assert server.inet.gateway == address("10.0.0.253")
    server = Server().bind(_249=b"\0\x0a\0\0\xfd", _121=b"\0\x0a\0\0\xfc")
    assert server.inet.gateway == address("10.0.0.252")


def test_rfc3442_empty_routes_mean_no_gateway():
    server = Server().bind(_121=b"")
    assert server.inet.gateway is None


def test_more_routes_than_room():
    routes = b"".join(b"\x18\xc0\0" + bytes([i]) + b"\x0a\0\0\x09" for i in range(25))
    server = Server().bind(_121=routes)
    assert server.state == dhcp.BOUND
    assert any("no room" in line for line in server.station.host.log.lines)


def test_host_mask_with_a_gateway_elsewhere():
    """As some clouds do: the gateway is a neighbour by definition."""
    server = Server()
    server.take()
    change = {"_1": address("255.255.255.255"), "_3": address("172.16.0.1")}
    server.say(OFFER, standard(OFFER, **change))
    server.take()
    server.say(ACK, standard(ACK, **change))
    server.hand.take()
    socket = server.inet.udp.bind(0, print)
    socket.send_to(b"x", address("192.0.2.1"), 9)
    server.station.world.run()
    (question,) = server.hand.take()
    assert question.target == address("172.16.0.1")


@pytest.mark.parametrize(
    ("value", "mtu"), [(b"\x05\x78", 1400), (b"\x23\x28", 1500), (b"\0\x20", 1500)]
)
def test_option_26_gives_the_mtu_within_reason(value, mtu):
    assert Server().bind(_26=value).inet.ip4.mtu == mtu


@pytest.mark.parametrize(
    ("yours", "length"), [("10.1.2.3", 8), ("172.16.2.3", 16), ("192.168.1.2", 24)]
)
def test_without_a_mask_the_class_tells(yours, length):
    server = Server()
    server.take()
    server.say(OFFER, standard(OFFER, _1=None, _3=None), yiaddr=yours)
    server.say(ACK, standard(ACK, _1=None, _3=None), yiaddr=yours)
    assert server.inet.routes.items()[0][0].endswith(f"/{length}")


def test_rfc2132_9_3_overloaded_fields_are_read():
    server = Server()
    server.take()
    for kind in (OFFER, ACK):
        options = option(53, bytes([kind])) + option(52, b"\3") + option(51, seconds(LEASE))
        server.say(
            kind,
            options,
            file=(option(54, address(SERVER)) + b"\xff").ljust(128, b"\0"),
            sname=(option(1, address("255.255.0.0")) + option(3, address(ROUTER))).ljust(64, b"\0"),
        )
    assert server.inet.routes.items()[0] == ("10.0.0.0/16", "on-link")


def test_rfc3396_split_option_is_joined():
    server = Server()
    server.take()
    for kind in (OFFER, ACK):
        routes = b"\0\x0a\0\0\xfd" + b"\x18\xc0\0\2\x0a\0\0\x09"
        server.say(kind, standard(kind) + option(121, routes[:7]) + option(121, routes[7:]))
    assert server.inet.gateway == address("10.0.0.253")
    assert ("192.0.2.0/24", "10.0.0.9") in server.inet.routes.items()


def test_padding_and_a_missing_end_are_forgiven():
    server = Server()
    server.take()
    server.say(OFFER, b"\0\0" + standard(OFFER) + b"\0" * 7, end=b"")
    assert server.state == dhcp.REQUESTING


MALFORMED = {
    "length beyond the end": standard(OFFER) + b"\x0c\x50abc",
    "no length": standard(OFFER) + b"\x0c",
    "no message type": standard(OFFER, _53=None),
    "empty message type": standard(OFFER, _53=b""),
    "long message type": standard(OFFER, _53=b"\2\2"),
    "no server": standard(OFFER, _54=None),
    "short server": standard(OFFER, _54=b"\x0a\0\0"),
    "short lease": standard(OFFER, _51=b"\0\0\1"),
    "short mask": standard(OFFER, _1=b"\xff\xff\xff"),
    "half a router": standard(OFFER, _3=b"\x0a\0\0\1\x0a"),
    "half a name server": standard(OFFER, _6=b"\x0a\0"),
    "long mtu": standard(OFFER, _26=b"\0\0\5\0"),
    "short t1": standard(OFFER, _58=b"\1"),
    "route with 33 bits": standard(OFFER, _121=b"\x21\x0a\0\0\0\0\x0a\0\0\1"),
    "route without a router": standard(OFFER, _121=b"\x18\x0a\0\0\x0a"),
    "overload of four": standard(OFFER) + option(52, b"\4"),
    "long overload": standard(OFFER) + option(52, b"\1\1"),
}
UNUSABLE = {
    "no lease": {"options": standard(OFFER, _51=None)},
    "lease of nothing": {"options": standard(OFFER, _51=seconds(0))},
    "mask with holes": {"options": standard(OFFER, _1=b"\xff\0\xff\0")},
    "mask of zero": {"options": standard(OFFER, _1=bytes(4))},
    "no address": {"yiaddr": "0.0.0.0"},
    "group address": {"yiaddr": "224.0.0.9"},
    "loopback address": {"yiaddr": "127.0.0.1"},
}
FOREIGN = {
    "another transaction": {"xid": b"\0\0\0\0"},
    "another client": {"chaddr": b"\2\0\0\0\0\x77"},
    "a request": {"op": b"\1"},
    "no cookie": {"cookie": bytes(4)},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_message_is_dropped_whole(name):
    server = Server()
    server.take()
    server.say(OFFER, MALFORMED[name], end=b"" if "length" in name else b"\xff")
    assert server.state == dhcp.SELECTING
    assert server.station.drops == {"dhcp.malformed": 1}
    server.bind()


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_offer_is_dropped(name):
    server = Server()
    server.take()
    server.say(OFFER, **UNUSABLE[name])
    assert server.state == dhcp.SELECTING
    assert server.station.drops == {"dhcp.unusable": 1}
    server.bind()


@pytest.mark.parametrize("name", FOREIGN)
def test_message_for_another_is_dropped(name):
    server = Server()
    server.take()
    server.say(OFFER, **FOREIGN[name])
    assert server.state == dhcp.SELECTING
    assert server.station.drops == {"dhcp.foreign": 1}


@pytest.mark.parametrize("kind", [DISCOVER, REQUEST, DECLINE, ACK, NAK, 7, 8, 99])
def test_message_that_the_state_does_not_expect_is_dropped(kind):
    server = Server()
    server.take()
    server.say(kind, standard(kind))
    assert server.state == dhcp.SELECTING
    assert server.station.drops == {"dhcp.unexpected": 1}


def test_bound_client_does_not_listen():
    server = Server().bind()
    for kind in (OFFER, ACK, NAK):
        server.xid = server.client.xid
        server.say(kind)
    assert server.state == dhcp.BOUND
    assert server.station.drops == {"dhcp.unexpected": 3}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_offers_and_acks(draw):
    """Whatever a server sends: the client survives, and a good server still configures it."""
    server = Server()
    server.take()
    for kind in (OFFER, ACK):
        options = bytearray(standard(kind, _121=b"\0\x0a\0\0\xfd", _58=seconds(100)))
        for _ in range(draw.draw(st.integers(0, 3))):
            at = draw.draw(st.integers(0, len(options) - 1))
            options[at] = draw.draw(st.integers(0, 255))
        server.say(kind, bytes(options))
    server.station.world.check()
    server.wait(100_000)
    server.station.world.check()


def test_no_packet_for_a_message_is_counted_and_tried_again():
    server = Server()
    server.take()
    nic = server.station.host.card
    taken = [nic.allocate() for _ in range(16)]
    server.wait(6_000)
    for packet in taken:
        packet.release()
    assert server.station.inet.drops == {"dhcp.no_buffer": 1}
    server.wait(20_000)
    assert server.take()[0].kind == DISCOVER


def test_state_table_and_picture_agree():
    """The table in the docstring names every pair that the code knows."""
    server = Server()
    names = {OFFER: "OFFER", ACK: "ACK", NAK: "NAK"}
    known = {(state, names[kind]) for state, kind in server.client.on}
    told = set()
    state = None
    for line in dhcp.__doc__.splitlines():
        words = line.split()
        if words and words[0] in (*dhcp_states(), *names.values()):
            state = words.pop(0) if words[0] in dhcp_states() else state
            if words and words[0] in names.values():
                told.add((state, words[0]))
    assert told == known


def dhcp_states():
    return ["INIT", "SELECTING", "REQUESTING", "BOUND", "RENEWING", "REBINDING", "REBOOTING"]
