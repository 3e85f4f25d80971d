"""ARP: neighbours are found, kept, confirmed and forgotten (RFC 826, RFC 1122 2.3.2, RFC 5227)."""

import pytest

from net.config import NEIGHBOURS, WAITING
from net.ip4 import arp as module
from tests.support.frames import arp, ethernet, icmp, udp
from tests.support.station import BROADCAST, NO_MAC, PEER, US, Station, address

REQUEST, REPLY = 1, 2
OTHER_MAC = b"\x02\0\0\0\0\x55"


def send(station, destination=PEER, data=b"data"):
    station.socket = getattr(station, "socket", None) or station.inet.udp.bind(0, print)
    station.socket.send_to(data, address(destination), 9)
    station.world.run()
    return station.hand.take()


def hear_arp(station, operation, sender_mac, sender, target_mac, target, to=None):
    packet = arp(operation, sender_mac, sender, target_mac, target)
    station.hand.send(ethernet(to or station.mac, sender_mac, 0x0806, packet))
    return station.hand.take()


def reply(station, mac=None, sender=PEER):
    return hear_arp(station, REPLY, mac or station.hand.mac, sender, station.mac, US)


def test_rfc826_request_for_us_is_answered():
    station = Station(known=False)
    (answer,) = hear_arp(station, REQUEST, station.hand.mac, PEER, NO_MAC, US, BROADCAST)
    assert (answer.operation, answer.destination_mac) == (REPLY, station.hand.mac)
    assert (answer.sender_mac, answer.sender) == (station.mac, address(US))
    assert (answer.target_mac, answer.target) == (station.hand.mac, address(PEER))


def test_rfc826_request_for_another_is_not_answered():
    station = Station(known=False)
    assert hear_arp(station, REQUEST, station.hand.mac, PEER, NO_MAC, "10.0.0.9", BROADCAST) == []
    (question,) = send(station)  # and taught us nothing
    assert question.what == "arp"


def test_rfc826_who_asks_for_us_is_known():
    station = Station()
    (frame,) = send(station)
    assert (frame.what, frame.destination_mac) == ("udp", station.hand.mac)


def test_packet_waits_for_the_answer():
    station = Station(known=False)
    (question,) = send(station, data=b"patience")
    assert (question.operation, question.destination_mac) == (REQUEST, BROADCAST)
    assert (question.sender, question.target) == (address(US), address(PEER))
    assert question.target_mac == NO_MAC
    (frame,) = reply(station)
    assert frame.payload == b"patience"
    assert station.drops == {}


def test_rfc1122_2_3_2_2_the_latest_packets_are_kept():
    station = Station(known=False)
    sent = [bytes([n]) for n in range(WAITING + 2)]
    for data in sent:
        send(station, data=data)
    assert [frame.payload for frame in reply(station)] == sent[2:]
    assert station.drops == {"arp.superseded": 2}
    assert station.count("arp.requests") == 1


def test_a_whole_datagram_in_fragments_waits_for_a_stranger():
    station = Station(known=False)
    station.inet.udp.bind(0, print).send_to(bytes(8000), address(PEER), 7)
    station.world.run()
    station.hand.take()
    assert [frame.offset for frame in reply(station)] == [0, 1480, 2960, 4440, 5920, 7400]
    assert station.drops == {}


def test_who_has_most_packets_waiting_makes_room_for_others():
    station = Station(known=False)
    for n in range(WAITING):
        send(station, data=bytes([n]))
    send(station, "10.0.0.77", data=b"another")
    arp = station.inet.arp
    waiting = [arp.waiting.hop(packet) for packet in arp.waiting.packets]
    assert waiting == [address(PEER)] * (WAITING - 1) + [address("10.0.0.77")]
    assert station.drops == {"arp.superseded": 1}
    station.pass_time(20_000)


def test_rfc1122_2_3_2_1_requests_are_repeated_then_held_down():
    station = Station(known=False)
    send(station)
    station.pass_time(module.RETRY_MS * module.TRIES + 10)
    assert len(station.hand.take("arp")) == module.TRIES - 1
    assert station.drops == {"arp.unresolved": 1}
    assert send(station) == []  # held down: not even a question
    assert station.drops == {"arp.unresolved": 2}
    station.pass_time(module.HOLD_MS)
    (question,) = send(station)
    assert question.what == "arp"


def test_answer_after_the_hold_began_counts():
    station = Station(known=False)
    send(station)
    station.pass_time(module.RETRY_MS * module.TRIES + 10)
    station.hand.take()
    reply(station)
    (frame,) = send(station)
    assert frame.what == "udp"


@pytest.mark.parametrize("lost", range(module.TRIES))
def test_neighbour_is_found_if_any_request_is_answered(lost):
    station = Station(known=False)
    send(station)
    station.pass_time(module.RETRY_MS * lost + 10)
    assert len(station.hand.take("arp")) == lost
    (frame,) = reply(station)
    assert frame.payload == b"data"
    assert station.drops == {}


def test_unused_neighbour_is_forgotten():
    station = Station()
    station.pass_time(module.REACHABLE_MS + 10)
    assert station.hand.take() == []
    assert station.host.timers.next() == -1, "an idle machine sleeps for good"
    (question,) = send(station)
    assert question.what == "arp"


def test_rfc1122_2_3_2_1_used_neighbour_is_polled_by_unicast():
    station = Station()
    send(station)
    station.pass_time(module.REACHABLE_MS + 10)
    (poll,) = station.hand.take()
    assert (poll.what, poll.destination_mac) == ("arp", station.hand.mac)
    (frame,) = send(station)
    assert frame.what == "udp", "used while it is confirmed"
    reply(station)
    station.pass_time(module.RETRY_MS * 5)
    assert station.hand.take() == []


def test_neighbour_that_does_not_answer_the_poll_is_forgotten():
    station = Station()
    send(station)
    station.pass_time(module.REACHABLE_MS + module.RETRY_MS * (module.TRIES + 1))
    polls = station.hand.take()
    assert [poll.destination_mac for poll in polls] == [station.hand.mac] * module.TRIES
    (question,) = send(station)
    assert (question.what, question.destination_mac) == ("arp", BROADCAST)


def test_busy_neighbour_stays_known_for_hours():
    station = Station()
    send(station)
    for _ in range(120):
        station.pass_time(60_000)
        for frame in station.hand.take("arp"):
            assert frame.destination_mac == station.hand.mac
            reply(station)
        assert [frame.what for frame in send(station)] == ["udp"]
    assert station.drops == {}


def test_known_neighbour_may_move():
    station = Station()
    send(station)
    reply(station, OTHER_MAC)
    (frame,) = send(station)
    assert frame.destination_mac == OTHER_MAC


def test_gratuitous_announcement_updates_but_does_not_create():
    station = Station()
    send(station)
    hear_arp(station, REQUEST, OTHER_MAC, PEER, NO_MAC, PEER, BROADCAST)
    assert send(station)[0].destination_mac == OTHER_MAC
    hear_arp(station, REQUEST, OTHER_MAC, "10.0.0.7", NO_MAC, "10.0.0.7", BROADCAST)
    assert send(station, "10.0.0.7")[0].what == "arp"


def test_unasked_reply_teaches_nothing():
    station = Station(known=False)
    reply(station, OTHER_MAC)
    assert send(station)[0].what == "arp"


def test_a_group_address_is_not_learned():
    station = Station(known=False)
    send(station)
    for mac in (BROADCAST, b"\x01\0\x5e\0\0\1", NO_MAC):
        reply(station, mac)
    assert station.hand.take() == []
    assert station.inet.drops == {"arp.malformed": 3}


@pytest.mark.parametrize("sender", ["224.0.0.1", "255.255.255.255", "127.0.0.1"])
def test_a_martian_is_not_learned(sender):
    station = Station()
    hear_arp(station, REQUEST, OTHER_MAC, sender, NO_MAC, US, BROADCAST)
    assert station.drops == {"arp.malformed": 1}


@pytest.mark.parametrize(("at", "value"), [(1, 6), (2, 9), (4, 5), (5, 16), (6, 1), (7, 3), (7, 0)])
def test_malformed_packet_is_dropped(at, value):
    station = Station()
    packet = bytearray(arp(REQUEST, station.hand.mac, PEER, NO_MAC, US))
    packet[at] = value
    station.hand.send(ethernet(station.mac, station.hand.mac, 0x0806, bytes(packet)))
    assert station.hand.take() == []
    assert station.drops == {"arp.malformed": 1}


@pytest.mark.parametrize("length", range(28))
def test_short_packet_is_dropped(length):
    station = Station()
    packet = arp(REQUEST, station.hand.mac, PEER, NO_MAC, US)[:length]
    station.hand.send(ethernet(station.mac, station.hand.mac, 0x0806, packet))
    assert station.drops == {"arp.short": 1}


def test_table_is_bounded_and_used_entries_survive_a_scan():
    station = Station()
    send(station)
    for last in range(3, 255):
        hear_arp(station, REQUEST, OTHER_MAC, f"10.0.0.{last}", NO_MAC, US, BROADCAST)
    assert send(station)[0].what == "udp"
    states = station.inet.arp.table[module.STATE :: module.ROW]
    assert len(states) == NEIGHBOURS
    station.pass_time(module.REACHABLE_MS + 10_000)
    station.world.check()


def test_sending_to_everybody_at_once_loses_packets_but_not_buffers():
    station = Station(known=False)
    for last in range(3, 255):
        send(station, f"10.0.0.{last}")
    assert len(station.inet.arp.waiting.packets) == WAITING
    assert station.drops["arp.crowded"] > 100
    station.pass_time(20_000)
    assert station.inet.arp.waiting.packets == []
    station.world.check()


def test_flood_from_addresses_where_nobody_is_does_not_displace_a_neighbour_in_use():
    """Spoofed datagrams make us ask for their senders; the gateway stays known meanwhile."""
    station = Station()
    station.inet.udp.bind(7, lambda s, d: s.reply(d, b"x", 0, 1))
    send(station)
    for turn in range(4):
        for last in range(3, 255):
            source = f"10.0.0.{last}"
            station.send_ip(17, udp(source, US, 9, 7, b""), source=source)
        station.pass_time(500)
        station.hand.take()
        assert [frame.what for frame in send(station)] == ["udp"], turn


def test_rfc5227_address_is_announced_twice_when_configured():
    station = Station(known=False, quiet=False)
    frames = [frame for _, sender, frame in station.world.frames if sender == "us"]
    station.pass_time(10_000)
    (second,) = station.hand.take()
    assert len(frames) == 1
    assert second.data == frames[0]
    assert (second.operation, second.sender, second.target) == (1, address(US), address(US))


def test_rfc5227_2_1_1_probe_is_answered_and_not_learned():
    station = Station(known=False)
    (answer,) = hear_arp(station, REQUEST, OTHER_MAC, "0.0.0.0", NO_MAC, US, BROADCAST)
    assert answer.operation == REPLY
    assert bytes(station.inet.arp.table) == bytes(len(station.inet.arp.table))


def test_rfc5227_2_4_conflict_is_noticed_and_defended_once_in_ten_seconds():
    station = Station()
    for _ in range(3):
        hear_arp(station, REQUEST, OTHER_MAC, US, NO_MAC, US, BROADCAST)
    station.pass_time(module.DEFEND_MS)
    defence = hear_arp(station, REPLY, OTHER_MAC, US, station.mac, PEER)
    assert len(defence) == 1
    assert station.count("arp.announced") == 2 + 2
    assert station.drops == {"arp.conflict": 4}
    assert "is used by 02:00:00:00:00:55, too" in station.host.log.lines[-1]


def test_our_own_frames_are_no_conflict():
    station = Station()
    hear_arp(station, REQUEST, station.mac, US, NO_MAC, US, BROADCAST)
    assert station.drops == {}


def test_link_that_comes_back_forgets_and_announces():
    station = Station()
    station.host.card.set_link(False)
    station.host.card.set_link(True)
    station.world.run()
    (announcement,) = station.hand.take()
    assert announcement.what == "arp"
    assert send(station)[0].what == "arp"


def test_ping_from_an_unknown_neighbour():
    """The echo arrives, we do not know its sender, ask, and then answer."""
    station = Station(known=False)
    station.send_ip(1, icmp(8, 0, b"\0\1\0\1", b"x"))
    (question,) = station.hand.take()
    assert question.what == "arp"
    (answer,) = reply(station)
    assert answer.what == "icmp"


def test_reply_to_a_stranger_beyond_the_gateway_asks_for_the_gateway():
    station = Station(known=False, gateway="10.0.0.254")
    station.inet.udp.bind(7, lambda s, d: s.reply(d, b"x", 0, 1))
    station.send_ip(17, udp("192.0.2.1", US, 9, 7, b""), source="192.0.2.1")
    (question,) = station.hand.take()
    assert question.target == address("10.0.0.254")
