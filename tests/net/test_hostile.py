"""Whatever comes: never an exception, never a lost packet, and every drop has a name."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.dhcp import Dhcp
from tests.support.frames import arp, ethernet, icmp, ip, udp
from tests.support.station import BROADCAST, NO_MAC, PEER, US, Station

HAND = b"\x02\0\0\0\0\x99"
MAC = b"\x02\0\0\0\0\x01"
QUOTE = ip(US, PEER, 17, udp(US, PEER, 7, 9, b"12345678"))


def to_us(payload):
    return ethernet(MAC, HAND, 0x0800, payload)


GOOD = {
    "arp request": ethernet(BROADCAST, HAND, 0x0806, arp(1, HAND, PEER, NO_MAC, US)),
    "arp reply": ethernet(MAC, HAND, 0x0806, arp(2, HAND, PEER, MAC, US)),
    "echo": to_us(ip(PEER, US, 1, icmp(8, 0, b"\0\1\0\1", b"0123456789"))),
    "echo with options": to_us(ip(PEER, US, 1, icmp(8, 0, bytes(4)), options=b"\x01" * 40)),
    "unreachable": to_us(ip(PEER, US, 1, icmp(3, 3, bytes(4), QUOTE))),
    "too big": to_us(ip(PEER, US, 1, icmp(3, 4, b"\0\0\2\0", QUOTE))),
    "datagram": to_us(ip(PEER, US, 17, udp(PEER, US, 9, 7, b"echo me"))),
    "closed": to_us(ip(PEER, US, 17, udp(PEER, US, 9, 70, b"nobody"))),
    "protocol": to_us(ip(PEER, US, 89, bytes(30))),
    "fragment": to_us(ip(PEER, US, 17, bytes(64), flags=1, offset=0)),
    "last fragment": to_us(ip(PEER, US, 17, bytes(64), offset=64)),
    "broadcast": ethernet(BROADCAST, HAND, 0x0800, ip(PEER, "10.0.0.255", 17, bytes(40))),
}


def station():
    it = Station()
    assert it.mac == MAC
    it.inet.udp.bind(7, lambda s, d: s.reply(d, d.buffer, d.payload, d.length))
    return it


def accounted(it, frames):
    """Every frame was answered, delivered, taken in or dropped with a name."""
    it.world.check()
    it.world.run(200_000)
    it.world.check()
    counters = it.inet.counters
    assert all(value >= 0 for value in counters.values())
    good = ["arp.answered", "arp.replies", "arp.learned", "icmp.echoes", "icmp.errors_received"]
    good += ["udp.received", "reassembly.fragments"]
    known = sum(counters[name] for name in good) + sum(it.inet.drops.values())
    assert known >= frames, it.inet.drops


@pytest.mark.parametrize("name", GOOD)
def test_every_prefix_of_a_good_frame(name):
    it = station()
    for length in range(len(GOOD[name]) + 1):
        it.hand.send(GOOD[name][:length])
    accounted(it, len(GOOD[name]) + 1)


@pytest.mark.parametrize("name", GOOD)
def test_every_byte_replaced(name):
    it = station()
    frame = GOOD[name]
    for position in range(len(frame)):
        for value in (0, 0xFF, frame[position] ^ 0x80, frame[position] + 1 & 0xFF):
            it.hand.send(frame[:position] + bytes([value]) + frame[position + 1 :])
    it.world.check()
    it.world.run(200_000)
    it.world.check()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=1514))
def test_random_frames(frame):
    it = station()
    it.hand.send(frame)
    it.hand.send(MAC + frame)
    it.hand.send(MAC + HAND + b"\x08\0" + frame[:1500])
    it.hand.send(MAC + HAND + b"\x08\6" + frame[:1500])
    accounted(it, 0)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([1, 6, 17, 255]), st.binary(max_size=200))
def test_random_payloads_under_a_good_ip_header(protocol, payload):
    it = station()
    it.send_ip(protocol, payload)
    it.send_ip(protocol, payload, options=b"\x01" * 8)
    it.send_ip(protocol, payload, BROADCAST, destination="10.0.0.255")
    accounted(it, 3)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_random_icmp_bodies_under_a_good_checksum(body):
    it = station()
    for kind in (0, 3, 8, 11, 12):
        it.send_ip(1, icmp(kind, 4, (body + bytes(4))[:4], body[4:]))
    accounted(it, 5)


@pytest.mark.parametrize("seed", range(4))
def test_flood_of_mutations(seed):
    """Thousands of frames, mutated in several places at once, to one stack that lives on."""
    dice = random.Random(seed)
    it = station()
    names = list(GOOD)
    for _ in range(3000):
        frame = bytearray(GOOD[dice.choice(names)])
        for _ in range(dice.choice([0, 1, 1, 2, 5])):
            frame[dice.randrange(len(frame))] = dice.randrange(256)
        if dice.random() < 0.2:
            frame = frame[: dice.randrange(len(frame) + 1)]
        if dice.random() < 0.1:
            frame += dice.randbytes(dice.randrange(100))
        it.hand.send(bytes(frame))
    it.world.run(200_000)
    it.world.check()
    it.introduce()
    it.hand.send(GOOD["echo"])
    assert [frame.what for frame in it.hand.take()] == ["icmp"], "still alive"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_random_answers_to_dhcp(payload):
    it = Station(configure=Dhcp, known=False)
    for body in (payload, b"\2\1\6\0" + it.inet.configuration.xid + payload):
        datagram = udp("10.0.0.1", "255.255.255.255", 67, 68, body)
        it.send_ip(17, datagram, BROADCAST, destination="255.255.255.255")
    it.world.check()
