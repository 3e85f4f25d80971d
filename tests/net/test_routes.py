"""Routes and addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from net import address
from net.config import ROUTES
from net.ip4.routes import Routes
from net.packet import Pool


def find(routes, destination):
    packet = Pool("p", 1).allocate()
    packet.buffer[32:36] = destination
    return bytes(packet.buffer[48:52]) if routes.find(packet) else None


quads = st.binary(min_size=4, max_size=4)
many = st.lists(st.tuples(quads, st.integers(0, 32), quads), max_size=ROUTES)


@given(many, st.lists(quads, max_size=10))
def test_longest_prefix_wins(rows, destinations):
    routes = Routes()
    known = {}
    for prefix, length, gateway in rows:
        assert routes.add(prefix, length, gateway)
        known[(int.from_bytes(prefix, "big") >> 32 - length, length)] = gateway
    for destination in destinations + [row[0] for row in rows]:
        number = int.from_bytes(destination, "big")
        matching = [k for k in known if number >> 32 - k[1] == k[0]]
        expected = None
        if matching:
            gateway = known[max(matching, key=lambda k: k[1])]
            expected = destination if gateway == bytes(4) else gateway
        assert find(routes, destination) == expected


def test_table_is_bounded():
    routes = Routes()
    assert all(routes.add(bytes([10, i, 0, 0]), 16) for i in range(ROUTES))
    assert not routes.add(bytes([11, 0, 0, 0]), 8)
    assert routes.add(bytes([10, 3, 0, 0]), 16, b"\x0a\0\0\1"), "replacing needs no room"


def test_routes_are_told():
    routes = Routes()
    routes.add(bytes(4), 0, b"\x0a\0\0\1")
    routes.add(b"\x0a\0\0\2", 24)
    assert routes.items() == [("10.0.0.0/24", "on-link"), ("0.0.0.0/0", "10.0.0.1")]


@given(quads)
def test_text_of_an_address_reads_back(quad):
    assert address.parse(address.text(quad)) == quad


@given(st.integers(0, 32))
def test_mask_and_length(length):
    mask = address.mask(length)
    assert int.from_bytes(mask, "big") == (0xFFFFFFFF << 32 - length) & 0xFFFFFFFF
    assert address.length(mask) == length


def test_mask_with_holes_has_no_length():
    assert address.length(b"\xff\0\xff\0") == -1


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.4.5", "1.2.3.x", "1.2.3.256", "1..2.3"])
def test_bad_address_is_said(text):
    with pytest.raises(ValueError, match="not an IPv4 address"):
        address.parse(text)
