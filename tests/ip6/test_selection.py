"""Source and destination address selection: the examples of RFC 6724, by number."""

import pytest

from net.ip6.selection import common, policy, scope, sort, source
from tests.support.station6 import address


class Own:
    def __init__(self, text, deprecated=False, length=64):
        self.address = address(text)
        self.deprecated = deprecated
        self.length = length


@pytest.mark.parametrize(
    ("destination", "ours", "chosen"),
    [
        # Section 10.1.
        ("2001:db8:1::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"),
        ("ff05::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"),
        ("2001:db8:1::1", ["2001:db8:1::1!", "2001:db8:2::1"], "2001:db8:1::1"),
        ("fe80::1", ["fe80::2!", "2001:db8:1::1"], "fe80::2"),
        ("2001:db8:1::1", ["2001:db8:1::2", "2001:db8:3::2"], "2001:db8:1::2"),
        ("2002:c633:6401::1", ["2002:c633:6401::d5e3:7953:13eb:22e8", "2001:db8:1::2"],
         "2002:c633:6401::d5e3:7953:13eb:22e8"),
        ("2002:c633:6401::d5e3:0:0:1", ["2001:db8:1::2", "2002:c633:6401::d5e3:7953:13eb:22e8"],
         "2002:c633:6401::d5e3:7953:13eb:22e8"),
        ("ff02::1", ["2001:db8:1::2", "fe80::7"], "fe80::7"),
        ("2001:db8:1::9", ["2001:db8:1::1!", "2001:db8:2::1"], "2001:db8:2::1"),
        ("fd00::9", ["2001:db8:1::1", "fd11::1"], "fd11::1"),
        ("2001:db8::9", ["fd11::1", "2001:db8:1::1"], "2001:db8:1::1"),
    ],
)  # fmt: skip
def test_rfc6724_5_source(destination, ours, chosen):
    for order in (ours, ours[::-1]):
        all_of_them = [Own(text.strip("!"), text.endswith("!")) for text in order]
        assert source(all_of_them, address(destination)).address == address(chosen)


def test_rfc6724_5_none():
    assert source([], address("::1")) is None


def test_rfc6724_5_rule_8_counts_the_prefix_only():
    near, far = Own("2001:db8::8000:0:0:1"), Own("2001:db8::1")
    assert source([far, near], address("2001:db8::8000:0:0:9")) is far
    assert source([near, far], address("2001:db8::8000:0:0:9")) is near


@pytest.mark.parametrize(
    ("destinations", "ours", "best"),
    [
        # Section 10.2: the best of the list, with the source that each would have.
        (["2001:db8:1::1", "198.51.100.121"], ["2001:db8:1::2", "169.254.13.78"], 0),
        (["2001:db8:1::1", "198.51.100.121"], ["fe80::1", "198.51.100.117"], 1),
        (["2001:db8:1::1", "10.1.2.3"], ["2001:db8:1::2", "10.1.2.4"], 0),
        (["2001:db8:1::1", "fe80::1"], ["2001:db8:1::2", "fe80::2"], 1),
        (["2002:c633:6401::1", "2001:db8:1::1"], ["2002:c633:6401::2", "2002:c633:6401::2"], 0),
        (["2002:c633:6401::1", "2001:db8:1::1"], ["2002:c633:6401::2", "2001:db8:1::2"], 1),
        (["2001:db8:1::1", "2001:db8:3ffe::1"], ["2001:db8:1::2", "2001:db8:3f44::2"], 0),
        (["2001:db8:1::1", "2001:db8:2::1"], [None, "2001:db8:2::2"], 1),
        (["fd00::1", "2001:db8::1"], ["2001:db8::2", "2001:db8::2"], 1),
    ],
)
def test_rfc6724_6_destination(destinations, ours, best):
    there = [address(text) for text in destinations]
    here = [address(text) if text else None for text in ours]
    choice = dict(zip(there, here, strict=True))
    assert sort(there, choice.get)[0] == there[best]
    assert sort(there[::-1], choice.get)[0] == there[best]


def test_rfc6724_6_rule_10_otherwise_as_it_was():
    there = [address(f"2001:db8:0:{i:x}::1") for i in (5, 4, 7, 6)]
    assert sort(there, lambda a: address("2001:db8:8000::1")) == there


@pytest.mark.parametrize(
    ("text", "label", "wide"),
    [
        ("::1", 0, 2),
        ("2001:db8::1", 1, 14),
        ("2002::1", 2, 14),
        ("::7", 3, 14),
        ("::ffff:10.0.0.1", 4, 14),
        ("::ffff:169.254.0.1", 4, 2),
        ("2001::1", 5, 14),
        ("fec0::1", 11, 5),
        ("3ffe::1", 12, 14),
        ("fd00::1", 13, 14),
        ("fe80::1", 1, 2),
        ("ff05::1", 1, 5),
    ],
)
def test_rfc6724_2_1_policy_and_scope(text, label, wide):
    assert policy(address(text))[1] == label
    assert scope(address(text)) == wide


@pytest.mark.parametrize("bits", range(129))
def test_common_prefix(bits):
    one = bytearray(16)
    if bits < 128:
        one[bits >> 3] = 0x80 >> (bits & 7)
    assert common(bytes(one), bytes(16)) == bits
