"""The neighbour cache and neighbour discovery: RFC 4861 section 7, RFC 7048, RFC 6583."""

import pytest

from net.ip6 import neighbours
from tests.support.frames6 import (
    advertisement,
    icmp6,
    ip6,
    mac_option,
    solicitation,
    solicited_node,
)
from tests.support.station6 import LINK_PEER, PEER, US, Station6, address

OTHER = b"\x02\0\0\0\0\x77"
SOLICITED, OVERRIDE, ROUTER = 0x40, 0x20, 0x80
STATES = ["FREE", "INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "UNREACHABLE", "FAILED"]
FAR = "2001:db8::7"


def state(station, who=PEER):
    cache = station.first.neighbours
    row = cache.find(address(who))
    return "FREE" if row < 0 else STATES[cache.table[row + neighbours.STATE]]


def mac_of(station, who=PEER):
    cache = station.first.neighbours
    header = cache.find(address(who)) + neighbours.HEADER
    return bytes(cache.table[header : header + 6])


def send(station, destination=PEER, data=b"data"):
    socket = getattr(station, "socket", None) or station.inet.udp.bind(0, print)
    station.socket = socket
    socket.send_to(data, address(destination), 9)
    station.world.run()
    return station.hand.take()


def answer(station, target=PEER, flags=SOLICITED | OVERRIDE, mac=None, **field):
    options = [mac_option(2, mac or station.hand.mac)] if mac != b"" else []
    station.send(advertisement(target, US, target, flags, *options, **field))


def make(station, wanted, who=PEER):
    """Bring a neighbour into a state."""
    send(station, who)
    if wanted == "INCOMPLETE":
        return
    if wanted == "FAILED":
        station.pass_time(3_500)
        station.hand.take()
        return
    answer(station, who)
    if wanted == "REACHABLE":
        return
    station.pass_time(46_000)
    if wanted == "STALE":
        return
    send(station, who)
    if wanted == "DELAY":
        return
    station.pass_time(5_500)
    if wanted == "PROBE":
        return
    station.pass_time(3_000)


@pytest.mark.parametrize("wanted", STATES[1:])
def test_rfc4861_7_3_2_every_state_is_reached(wanted):
    station = Station6(known=False)
    make(station, wanted)
    assert state(station) == wanted
    assert station.first.neighbours.unsure == (wanted in ("DELAY", "PROBE", "UNREACHABLE"))


def test_rfc4861_7_2_2_three_questions_a_second_apart_then_unreachable():
    station = Station6(known=False)
    told = []
    (question,) = send(station)
    station.socket.unreachable = lambda s, a, port, kind: told.append((a, port, kind))
    assert (question.what, question.target) == ("ns", address(PEER))
    assert question.source == address(US)
    assert question.destination == solicited_node(PEER)
    assert question.options == mac_option(1, station.mac)
    station.pass_time(10_000)
    assert len(station.hand.take("ns")) == 2
    assert told == [(address(PEER), 9, 0x103)]
    assert station.drops == {"neighbours.unresolved": 1}


def test_rfc4861_7_2_2_the_latest_packet_waits():
    station = Station6(known=False)
    for i in range(3):
        send(station, data=bytes([i]))
    answer(station)
    assert [frame.payload for frame in station.hand.take()] == [b"\2"]
    assert station.drops == {"neighbours.superseded": 2}


@pytest.mark.parametrize("flags", [SOLICITED, SOLICITED | OVERRIDE])
def test_rfc4861_7_2_5_incomplete_becomes_reachable_by_a_solicited_answer(flags):
    station = Station6(known=False)
    send(station)
    answer(station, flags=flags)
    assert state(station) == "REACHABLE"
    assert [frame.what for frame in station.hand.take()] == ["udp"]


def test_rfc4861_7_2_5_incomplete_is_stale_by_an_unsolicited_one():
    station = Station6(known=False)
    send(station)
    answer(station, flags=OVERRIDE)
    assert state(station) == "DELAY"  # the packet that waited has gone
    assert [frame.what for frame in station.hand.take()] == ["udp"]


def test_rfc4861_7_2_5_without_an_option_an_incomplete_stays_so():
    station = Station6(known=False)
    send(station)
    answer(station, mac=b"")
    assert state(station) == "INCOMPLETE"


def test_rfc4861_7_2_5_nobody_asked():
    station = Station6(known=False)
    answer(station)
    assert state(station) == "FREE"


@pytest.mark.parametrize(
    ("before", "flags", "mac", "after", "taken"),
    [
        ("REACHABLE", 0, OTHER, "STALE", False),
        ("STALE", SOLICITED, OTHER, "STALE", False),
        ("PROBE", SOLICITED, OTHER, "PROBE", False),
        ("REACHABLE", OVERRIDE, OTHER, "STALE", True),
        ("STALE", SOLICITED | OVERRIDE, OTHER, "REACHABLE", True),
        ("PROBE", SOLICITED, None, "REACHABLE", False),
        ("UNREACHABLE", SOLICITED, None, "REACHABLE", False),
        ("STALE", 0, None, "STALE", False),
        ("REACHABLE", 0, None, "REACHABLE", False),
        ("STALE", SOLICITED, b"", "REACHABLE", False),
    ],
)
def test_rfc4861_7_2_5_table_of_flags(before, flags, mac, after, taken):
    station = Station6(known=False)
    make(station, before)
    answer(station, flags=flags, mac=mac)
    assert state(station) == after
    assert mac_of(station) == (OTHER if taken else station.hand.mac)


def test_rfc4861_7_3_3_probe_asks_by_unicast_and_goes_on_sending():
    station = Station6(known=False)
    make(station, "PROBE")
    questions = [frame for frame in station.hand.take() if frame.what == "ns"]
    assert [(q.destination, q.destination_mac) for q in questions[-1:]] == [
        (address(PEER), station.hand.mac)
    ]
    assert [frame.what for frame in send(station)] == ["udp"]


def test_rfc7048_who_does_not_answer_is_asked_on_and_not_forgotten_while_used():
    station = Station6(known=False)
    make(station, "UNREACHABLE")
    station.hand.take()
    for _ in range(30):
        assert "udp" in [frame.what for frame in send(station)]
        station.pass_time(1_000)
    assert state(station) == "UNREACHABLE"
    station.pass_time(130_000)
    assert state(station) == "FREE"


def test_stale_neighbours_cost_no_timer():
    station = Station6(known=False)
    make(station, "STALE")
    station.pass_time(600_000)
    assert state(station) == "STALE"
    assert not station.first.neighbours.timer.active


def test_rfc4861_7_3_1_a_hint_from_above_confirms():
    station = Station6(known=False)
    for before in ("DELAY", "PROBE", "UNREACHABLE"):
        make(station, before)
        station.inet.internet6.confirm(address(PEER))
        assert state(station) == "REACHABLE"
        station.pass_time(46_000)
    station.hand.take()
    make(station, "DELAY")
    station.inet.internet6.confirm(address(PEER))
    station.hand.take()
    station.pass_time(20_000)
    assert station.hand.take("ns") == []


def test_a_changed_mac_is_used_at_once():
    station = Station6(known=False)
    make(station, "REACHABLE")
    send(station)
    answer(station, mac=OTHER)
    assert send(station)[0].destination_mac == OTHER


# Questions about us.


def test_rfc4861_7_2_4_a_question_is_answered():
    station = Station6(known=False)
    station.introduce()
    station.send(solicitation(PEER, US, mac_option(1, station.hand.mac)))
    (reply,) = station.hand.take()
    assert (reply.what, reply.target, reply.rest[0]) == ("na", address(US), SOLICITED | OVERRIDE)
    assert (reply.source, reply.destination) == (address(US), address(PEER))
    assert reply.options == mac_option(2, station.mac)
    assert state(station) == "DELAY"


def test_rfc4861_7_2_4_a_question_without_a_mac_makes_us_ask():
    station = Station6(known=False)
    station.send(solicitation(PEER, US, destination=US))
    assert [frame.what for frame in station.hand.take()] == ["ns"]


def test_rfc4861_7_2_3_a_new_mac_is_believed():
    station = Station6(known=False)
    make(station, "REACHABLE")
    station.introduce(mac=OTHER)
    assert mac_of(station) == OTHER
    assert state(station) in ("STALE", "DELAY")


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ({"limit": 254}, [mac_option(1, OTHER)]),
        ({"code": 1}, [mac_option(1, OTHER)]),
        ({}, [bytes([1, 0]) + OTHER]),
        ({}, [bytes([1, 2]) + OTHER]),
        ({}, [b"\1\1"]),
    ],
)
def test_rfc4861_7_1_1_what_is_not_valid_is_dropped(field, options):
    station = Station6(known=False)
    station.send(solicitation(PEER, US, *options, **field))
    assert station.hand.take() == []
    assert station.drops == {"discovery.malformed": 1}


def test_rfc4861_7_1_1_target_and_source():
    station = Station6(known=False)
    group = solicited_node(US)
    station.send(solicitation(PEER, "ff02::1", destination=group))
    station.send(solicitation("::", US, destination=US))
    station.send(solicitation("::", US, mac_option(1, OTHER)))
    assert station.drops == {"discovery.malformed": 3}
    station.send(solicitation(PEER, "2001:db8::ff00:2", destination=group))
    assert station.drops["discovery.not_ours"] == 1
    assert station.hand.take() == []


@pytest.mark.parametrize(
    "field", [{"limit": 64}, {"code": 9}, {"target": "ff02::1"}, {"destination": "ff02::1"}]
)
def test_rfc4861_7_1_2_advertisements_that_are_not_valid(field):
    station = Station6(known=False)
    send(station)
    destination = field.pop("destination", US)
    target = field.pop("target", PEER)
    station.send(
        advertisement(
            PEER, destination, target, SOLICITED, mac_option(2, station.hand.mac), **field
        )
    )
    assert state(station) == "INCOMPLETE"
    assert station.drops == {"discovery.malformed": 1}


def test_a_group_cannot_be_a_neighbours_mac():
    station = Station6(known=False)
    send(station)
    answer(station, mac=b"\x33\x33\0\0\0\1")
    assert state(station) == "INCOMPLETE"


# Floods, RFC 6583.


def test_rfc6583_questions_from_everywhere_do_not_drive_out_who_is_in_use():
    station = Station6()
    make(station, "REACHABLE")
    for i in range(600):
        station.send(solicitation(f"2001:db8::1:{i:x}", US, mac_option(1, OTHER)))
    assert state(station) == "REACHABLE"
    cache = station.first.neighbours
    used = [cache.table[row] for row in range(16, len(cache.table), 40)]
    assert len(used) == 64
    station.hand.take()
    assert [frame.what for frame in send(station)] == ["udp"]
    station.world.check()


def test_rfc6583_answers_to_nobody_hold_few_packets():
    station = Station6(packets=16)
    make(station, "REACHABLE")
    for i in range(300):
        source = f"2001:db8::1:{i:x}"
        message = icmp6(source, US, 128, 0, bytes(8))
        station.send(ip6(source, US, 58, message))
    assert state(station) == "REACHABLE"
    assert station.first.neighbours.waiting <= 8
    station.hand.take()
    station.send_icmp(128, 0, bytes(8))
    assert [f.type for f in station.hand.take() if f.what == "icmp6"] == [129]
    station.pass_time(60_000)
    assert station.first.neighbours.waiting == 0
    station.world.check()


def test_link_local_neighbours_are_always_on_the_link():
    station = Station6(known=False, address6=None)
    (question,) = send(station, LINK_PEER)
    assert (question.what, question.source) == ("ns", station.link_local)


def test_link_up_forgets_everybody():
    station = Station6(known=False)
    make(station, "REACHABLE")
    station.host.card.set_link(False)
    station.host.card.set_link(True)
    assert state(station) == "FREE"
