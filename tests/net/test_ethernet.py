"""Frames rise to whom they concern."""

import pytest

from tests.support.frames import ethernet, icmp, ip
from tests.support.station import BROADCAST, PEER, US, Station

ECHO = ip(PEER, US, 1, icmp(8, 0, b"\0\1\0\1", b"x"))


def test_frame_for_us_rises_and_padding_is_ignored():
    station = Station()
    station.hand.send(ethernet(station.mac, station.hand.mac, 0x0800, ECHO + b"\xaa" * 17))
    (reply,) = station.hand.take("icmp")
    assert reply.payload == b"x"
    assert station.drops == {}


def test_frame_for_another_station_is_dropped():
    station = Station()
    station.hand.send(ethernet(b"\2\0\0\0\0\x77", station.hand.mac, 0x0800, ECHO))
    assert station.hand.take() == []
    assert station.drops == {"ethernet.address": 1}


@pytest.mark.parametrize("kind", [0x86DD, 0x8100, 0x0026, 0x88CC])
def test_unknown_type_is_dropped(kind):
    station = Station()
    station.hand.send(ethernet(station.mac, station.hand.mac, kind, bytes(46)))
    assert station.drops == {"ethernet.unknown": 1}


@pytest.mark.parametrize("length", range(14))
def test_short_frame_is_dropped(length):
    station = Station()
    station.hand.send(bytes(14)[:length])
    assert station.drops == {"ethernet.short": 1}


def test_rfc1122_unicast_datagram_in_broadcast_frame_is_dropped():
    """3.3.6: the link must not turn one sender's mistake into everybody's answer."""
    station = Station()
    for mac in (BROADCAST, b"\x01\0\x5e\0\0\1"):
        station.hand.send(ethernet(mac, station.hand.mac, 0x0800, ECHO))
    assert station.hand.take() == []
    assert station.drops == {"ip4.destination": 2}
