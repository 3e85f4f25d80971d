"""Whatever comes: never an exception, never a lost packet, and every table finds an end."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.ip6.dhcp6 import Dhcp6
from tests.support.frames import ethernet
from tests.support.frames6 import (
    advertisement,
    fragment,
    icmp6,
    ip6,
    mac_option,
    options,
    prefix,
    router,
    solicitation,
    to_group,
    udp6,
)
from tests.support.station6 import PEER, US, Station6
from tests.support.wire import Random

HAND = b"\x02\0\0\0\0\x99"
MAC = b"\x02\0\0\0\0\x01"
QUOTE = ip6(US, PEER, 17, udp6(US, PEER, 7, 9, b"12345678"))


def to_us(payload):
    return ethernet(MAC, HAND, 0x86DD, payload)


def message(kind, body, destination=US):
    return ip6(PEER, destination, 58, icmp6(PEER, destination, kind, 0, body), limit=255)


GOOD = {
    "echo": to_us(message(128, b"\0\1\0\1" + b"0123456789")),
    "datagram": to_us(ip6(PEER, US, 17, udp6(PEER, US, 9, 7, b"echo me"))),
    "closed": to_us(ip6(PEER, US, 17, udp6(PEER, US, 9, 70, b"nobody"))),
    "unreachable": to_us(message(1, bytes(4) + QUOTE)),
    "too big": to_us(message(2, b"\0\0\5\0" + QUOTE)),
    "chain": to_us(
        ip6(PEER, US, 0, options(60) + options(43) + bytes([17, 0]) + bytes(6) + QUOTE[40:])
    ),
    "fragment": to_us(ip6(PEER, US, 44, fragment(17, 0, True) + bytes(64))),
    "last fragment": to_us(ip6(PEER, US, 44, fragment(17, 64, False) + bytes(64))),
    "solicitation": to_group(HAND, solicitation(PEER, US, mac_option(1, HAND))),
    "advertisement": to_us(advertisement(PEER, US, PEER, 0x60, mac_option(2, HAND))),
    "router": to_group(
        HAND,
        router(
            "fe80::1",
            mac_option(1, HAND),
            prefix("2001:db8:1::"),
            b"\5\1\0\0\0\0\5\xdc",
            b"\x18\2\x30\0\0\0\1\0" + bytes(8),
            b"\x19\3\0\0\0\0\1\0" + bytes(15) + b"\1",
            b"\x1f\2\0\0\0\0\1\0\3abc\0\0\0\0",
        ),
    ),
    "redirect": to_us(ip6("fe80::1", US, 58, icmp6("fe80::1", US, 137, 0, bytes(36)), limit=255)),
    "query": to_group(
        HAND,
        ip6(
            "fe80::1",
            "ff02::1",
            0,
            options(58, b"\5\2\0\0") + icmp6("fe80::1", "ff02::1", 130, 0, b"\3\xe8" + bytes(22)),
            limit=1,
        ),
    ),
}


def station():
    it = Station6(configure=Dhcp6)
    assert it.mac == MAC
    it.inet.udp.bind(7, lambda s, d: s.reply(d, d.buffer, d.payload, d.length))
    it.hand.nic.hear = lambda data: None
    return it


def alive(it):
    """It still answers, and nothing is lost or without bounds."""
    it.world.run(200_000)
    it.world.check()
    first = it.first
    assert len(first.addresses.all) <= 12
    assert len(first.routes.routes) <= 24
    assert len(first.routes.redirects) <= 16
    assert len(first.reassembly.datagrams) <= 4
    assert len(first.mld.left) <= 32
    assert 0 <= first.neighbours.waiting <= 8
    states = [first.neighbours.table[row] for row in range(16, len(first.neighbours.table), 40)]
    assert first.neighbours.unsure == len([state for state in states if 4 <= state <= 6])
    answered = it.count("icmp6.echoes")
    it.hand.send(GOOD["solicitation"])
    it.hand.send(GOOD["echo"])
    assert it.count("icmp6.echoes") == answered + 1


@pytest.mark.parametrize("name", GOOD)
def test_every_prefix_of_a_good_frame(name):
    it = station()
    for length in range(len(GOOD[name]) + 1):
        it.hand.send(GOOD[name][:length])
    alive(it)


@pytest.mark.parametrize("name", GOOD)
def test_every_byte_replaced(name):
    it = station()
    frame = GOOD[name]
    for position in range(14, len(frame)):
        for value in (0, 0xFF, frame[position] ^ 0x80, frame[position] + 1 & 0xFF):
            it.hand.send(frame[:position] + bytes([value]) + frame[position + 1 :])
    alive(it)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=1500))
def test_random_datagrams(datagram):
    it = station()
    it.hand.send(to_us(datagram))
    it.hand.send(to_us(b"\x60\0\0\0" + datagram))
    it.world.check()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([0, 43, 44, 60, 58, 17, 99]), st.binary(max_size=200))
def test_random_payloads_under_a_good_header(protocol, payload):
    it = station()
    for inner in (payload, bytes([17, 0]) + payload, bytes([58, len(payload) >> 3]) + payload):
        it.send_ip(protocol, inner)
        it.send_ip(protocol, inner, destination="ff02::1")
    it.world.check()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_messages_under_a_good_checksum(body):
    it = station()
    for kind in (1, 2, 3, 4, 128, 129, 130, 133, 134, 135, 136, 137, 143, 200):
        for source, destination in ((PEER, US), ("fe80::1", "ff02::1"), ("::", US)):
            for limit in (1, 255):
                it.send(
                    ip6(
                        source,
                        destination,
                        58,
                        icmp6(source, destination, kind, 0, body),
                        limit=limit,
                    )
                )
    it.world.check()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_random_answers_of_dhcp(body):
    it = Station6(known=False, address6=None, configure=Dhcp6)
    it.advertise(flags=0x40)
    it.pass_time(1_100)
    client = it.first.configuration
    for data in (body, b"\7" + client.xid + body, b"\7" + client.xid + b"\0\2\0\0" + body):
        ours = it.link_local
        it.send_ip(17, udp6("fe80::1", ours, 547, 546, data), source="fe80::1", destination=ours)
    it.world.check()


@pytest.mark.parametrize("seed", range(4))
def test_flood_of_mutations(seed):
    """Thousands of frames, mutated in several places at once; half with checksums put right."""
    dice = random.Random(seed)
    it = station()
    names = list(GOOD)
    for _ in range(3000):
        frame = bytearray(GOOD[dice.choice(names)])
        for _ in range(dice.choice([0, 1, 1, 2, 5])):
            frame[dice.randrange(14, len(frame))] = dice.randrange(256)
        if frame[20] == 58 and dice.random() < 0.5:
            source, destination = bytes(frame[22:38]), bytes(frame[38:54])
            frame[54:] = icmp6(source, destination, frame[54], frame[55], bytes(frame[58:]))
        if dice.random() < 0.2:
            frame = frame[: dice.randrange(len(frame) + 1)]
        it.hand.send(bytes(frame))
    it.introduce(sender=PEER, target=US)
    assert it.count("icmp6.echoes") > 0
    it.world.run(200_000)
    it.world.check()


def test_fragments_of_many_senders_hold_bounded_memory():
    it = station()
    dice = Random(5)
    for i in range(500):
        head = fragment(17, dice.below(100) * 8, True, dice.bits(30))
        it.send_ip(44, head + bytes(64), source=f"2001:db8::1:{i:x}")
    assert len(it.first.reassembly.datagrams) == 4
    alive(it)
