"""Addresses as text: what Python's own ipaddress says, and what it refuses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.address import parse, parse_interface, text

SPARSE = st.lists(st.sampled_from([0, 0, 0, 1, 0x10, 0xAB, 0xFF]), min_size=16, max_size=16)


@given(st.one_of(st.binary(min_size=16, max_size=16), SPARSE.map(bytes)))
def test_rfc5952_text_is_canonical(address):
    written = text(address)
    if ipaddress.IPv6Address(address).ipv4_mapped is None:
        assert written == str(ipaddress.IPv6Address(address))
    assert parse(written) == parse(ipaddress.IPv6Address(address).exploded) == address


def test_rfc4291_2_2_ipv4_at_the_end():
    assert parse("::ffff:192.0.2.1") == bytes(10) + b"\xff\xff\xc0\x00\x02\x01"


WRONG = "1::2::3 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 ::12345 :1 1: g:: ::: 1:2:3:4:5:6:7::8 : "
WRONG += "::1.2.3 -1:: 1.2.3.4:: 1.2.3 1.2.3.256 x"


@pytest.mark.parametrize("wrong", WRONG.split())
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(ValueError, match="not an IPv"):
        parse(wrong)


@pytest.mark.parametrize("wrong", ["2001:db8::2", "2001:db8::2/0", "::/129", "10.0.0.2/33"])
def test_interface_needs_its_prefix_length(wrong):
    with pytest.raises(ValueError, match="prefix length"):
        parse_interface(wrong)


def test_interface():
    assert parse_interface("2001:db8::2/64") == (parse("2001:db8::2"), 64)
