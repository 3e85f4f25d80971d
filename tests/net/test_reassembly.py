"""Reassembly: any order, exact repetitions ignored, overlaps fatal, everything bounded."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.config import REASSEMBLIES, REASSEMBLY_MS, REASSEMBLY_SIZE
from tests.support.frames import icmp, ip, udp
from tests.support.station import PEER, US, Station, address, bind_recorder

DATA = bytes(i * 37 + (i >> 8) & 0xFF for i in range(65536))


def pieces(datagram, cuts):
    """(offset, more, bytes) of a datagram cut at these multiples of 8."""
    edges = [0, *sorted(set(cuts)), len(datagram)]
    return [
        (low, high < len(datagram), datagram[low:high])
        for low, high in pairwise(edges)
        if low < high
    ]


def even(length, size=1480):
    return range(size, length, size)


def send(station, piece, identification=7, **field):
    offset, more, body = piece
    flags = 1 if more else 0
    station.send_ip(17, body, offset=offset, flags=flags, identification=identification, **field)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_rfc815_any_cut_any_order_any_repetition(draw):
    length = draw.draw(st.integers(1, 4000))
    datagram = udp(PEER, US, 9, 7, DATA[:length])
    cuts = draw.draw(st.lists(st.integers(1, max(1, len(datagram) // 8 - 1)), max_size=8))
    cuts = sorted({cut * 8 for cut in cuts} | set(even(len(datagram))))
    parts = pieces(datagram, [cut for cut in cuts if cut < len(datagram)])
    if len(parts) == 1:
        return
    order = draw.draw(st.permutations(parts))
    repeated = draw.draw(st.lists(st.sampled_from(order[:-1] or order), max_size=3))
    station = Station()
    _, heard = bind_recorder(station.inet, 7)
    for part in [*order[:-1], *repeated, order[-1]]:
        send(station, part)
    assert heard == [(DATA[:length], address(PEER), 9)]
    assert station.drops == {}
    assert station.count("reassembly.repeated") == len(repeated)


@pytest.mark.parametrize("lost", range(3))
def test_datagram_with_a_hole_never_rises(lost):
    station = Station()
    _, heard = bind_recorder(station.inet, 7)
    parts = pieces(udp(PEER, US, 9, 7, DATA[:4000]), even(4008))
    for nth, part in enumerate(parts):
        if nth != lost:
            send(station, part)
    station.pass_time(REASSEMBLY_MS + 1)
    assert heard == []
    assert station.drops == {"reassembly.expired": 1}


def test_rfc1122_3_3_2_time_exceeded_is_sent_if_the_first_fragment_came():
    station = Station()
    parts = pieces(udp(PEER, US, 9, 7, DATA[:4000]), even(4008))
    send(station, parts[1], identification=1)
    send(station, parts[0], identification=2)
    station.pass_time(REASSEMBLY_MS + 1)
    (error,) = station.hand.take("icmp")
    assert (error.type, error.code) == (11, 1)
    assert error.payload[20:28] == parts[0][2][:8]
    assert error.payload[4:6] == b"\0\2"
    station.pass_time(10 * REASSEMBLY_MS)
    assert station.host.timers.next() == -1, "an idle machine sleeps for good"


@pytest.mark.parametrize(
    "evil",
    [
        (0, True, b"\xff" * 1480),  # another first fragment
        (8, True, b"\xff" * 8),  # rewrites a port
        (1472, True, b"\xff" * 16),  # across the border
        (16, False, b"\xff" * 8),  # an end before what is here
        (3000, True, b"\xff" * 1480),  # behind the end
        (4100, False, b"\xff" * 4),  # another end
    ],
)
def test_rfc5722_overlap_costs_the_datagram_and_all_that_follows(evil):
    station = Station()
    _, heard = bind_recorder(station.inet, 7)
    parts = pieces(udp(PEER, US, 9, 7, DATA[:4000]), even(4008))
    send(station, parts[0])
    send(station, parts[2])
    send(station, (evil[0] & ~7, *evil[1:]))
    send(station, parts[1])
    assert heard == []
    assert station.drops["reassembly.overlap"] == 1
    for part in parts:
        send(station, part)
    assert heard == []
    station.pass_time(REASSEMBLY_MS + 1)
    for part in parts:
        send(station, part)
    assert len(heard) == 1


def test_fragments_of_different_datagrams_do_not_mix():
    station = Station()
    station.introduce(mac=b"\2\0\0\0\0\x44", sender="10.0.0.4")
    _, heard = bind_recorder(station.inet, 7)
    one = pieces(udp(PEER, US, 9, 7, b"1" * 3000), even(3008))
    two = pieces(udp(PEER, US, 9, 7, b"2" * 3000), even(3008))
    three = pieces(udp("10.0.0.4", US, 9, 7, b"3" * 3000), even(3008))
    for a, b, c in zip(one, two, three, strict=True):
        send(station, a, identification=1)
        send(station, b, identification=2)
        send(station, c, identification=1, source="10.0.0.4")
    assert sorted(data[:1] for data, _, _ in heard) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("part", [(0, True, b"x" * 13), (8, True, b""), (8, False, b"")])
def test_senseless_fragment_is_dropped(part):
    station = Station()
    send(station, part)
    assert station.drops == {"reassembly.malformed": 1}


def test_datagram_longer_than_the_buffer_is_dropped():
    station = Station()
    send(station, (REASSEMBLY_SIZE & ~7, False, b"x"))
    send(station, (65528, False, b"x" * 1400))  # the ping of death
    assert station.drops == {"reassembly.too_long": 2}


def test_largest_datagram_fits():
    station = Station()
    _, heard = bind_recorder(station.inet, 7)
    length = REASSEMBLY_SIZE - 8
    for part in pieces(udp(PEER, US, 9, 7, DATA[:length]), even(length + 8)):
        send(station, part)
    assert heard[0][0] == DATA[:length]


def test_number_is_bounded_and_the_oldest_makes_room():
    station = Station()
    _, heard = bind_recorder(station.inet, 7)
    parts = pieces(udp(PEER, US, 9, 7, DATA[:3000]), even(3008))
    for identification in range(100):
        send(station, parts[0], identification=identification)
    assert len(station.inet.reassembly.datagrams) == REASSEMBLIES
    assert station.drops == {"reassembly.evicted": 100 - REASSEMBLIES}
    for identification in range(100 - REASSEMBLIES, 100):
        for part in parts[1:]:
            send(station, part, identification=identification)
    assert len(heard) == REASSEMBLIES


def test_flood_of_first_fragments_does_not_stop_whole_datagrams():
    station = Station()
    _, heard = bind_recorder(station.inet, 7)
    first = pieces(udp(PEER, US, 9, 7, DATA[:3000]), even(3008))[0]
    good = pieces(udp(PEER, US, 9, 7, DATA[:3000]), even(3008))
    for identification in range(50):
        send(station, first, identification=identification)
        for part in good:
            send(station, part, identification=1000 + identification)
    assert len(heard) == 50


def test_options_of_the_first_fragment_stay():
    station = Station()
    message = icmp(8, 0, b"\0\1\0\1", DATA[:3000])
    options = b"\x07\x07\x04\0\0\0\0\0"
    for nth, (offset, more, body) in enumerate(pieces(message, even(len(message)))):
        datagram_options = options if nth == 0 else b""
        field = {"flags": 1 if more else 0, "offset": offset, "options": datagram_options}
        if nth == 0:
            body = body[:1472]  # makes room for the options
        station.send(ip(PEER, US, 1, body, **field))
    station.send(ip(PEER, US, 1, message[1472:1480], flags=1, offset=1472))
    assert len(station.hand.take("fragment")) == 3


def test_no_memory_for_reassembly(monkeypatch):
    station = Station()
    monkeypatch.setattr("net.reassembly.Datagram", no_memory)
    send(station, (0, True, bytes(16)))
    assert station.drops == {"reassembly.no_memory": 1}


def no_memory(size, data):
    raise MemoryError


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_random_fragments_never_raise_and_never_leak(seed):
    dice = random.Random(seed)
    station = Station()
    heard = bind_recorder(station.inet, 7)[1]
    for _ in range(60):
        length = dice.choice([0, 1, 8, 16, 24, 64, 1480])
        offset = dice.choice([0, 8, 16, 24, 64, 1480, 65528]) + dice.choice([0, 0, 8])
        station.send_ip(
            dice.choice([1, 6, 17]),
            dice.randbytes(length),
            flags=dice.choice([0, 1, 2, 3]),
            offset=min(offset, 65528),
            identification=dice.choice([1, 2]),
        )
    assert heard == []
    station.pass_time(120_000)
    station.world.check()
