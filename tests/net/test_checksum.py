"""RFC 1071 and RFC 1624: fast sums mean what the plain ones mean."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from net.checksum import changed, partial
from tests.support.frames import checksum


def network_order(total):
    return (total & 0xFF) << 8 | total >> 8


@given(st.binary(max_size=300))
def test_rfc1071_partial_equals_its_plain_meaning(data):
    total = partial(data, 0, len(data), 0)
    assert network_order(total ^ 0xFFFF) == checksum(data)


@given(st.binary(min_size=2, max_size=100), st.data())
def test_rfc1071_sums_of_parts_add_up(data, draw):
    middle = draw.draw(st.integers(0, len(data) // 2)) * 2
    total = partial(data, middle, len(data), partial(data, 0, middle, 0))
    assert network_order(total ^ 0xFFFF) == checksum(data)


@given(st.binary(min_size=20, max_size=60).filter(lambda d: len(d) % 2 == 0), st.data())
def test_rfc1624_changed_equals_summing_again(data, draw):
    word = draw.draw(st.integers(0, len(data) // 2 - 1)) * 2
    new = draw.draw(st.integers(0, 0xFFFF))
    (old,) = struct.unpack(">H", data[word : word + 2])
    after = data[:word] + struct.pack(">H", new) + data[word + 2 :]
    quick = changed(checksum(data), old, new)
    # Both zeros of ones' complement are the same number.
    assert quick == checksum(after) or {quick, checksum(after)} == {0, 0xFFFF}


def test_64_kilobytes_of_ones_do_not_overflow():
    data = b"\xff" * 65535
    assert network_order(partial(data, 0, len(data), 0xFFFF) ^ 0xFFFF) == checksum(data)
