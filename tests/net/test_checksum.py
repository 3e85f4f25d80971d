"""RFC 1071 and RFC 1624: fast sums mean what the plain ones mean."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from net.checksum import changed, partial, piece
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


@given(
    st.binary(max_size=80), st.lists(st.integers(0, 80), max_size=4), st.lists(st.integers(0, 3))
)
def test_rfc1071_pieces_may_begin_anywhere(data, cuts, offsets):
    """Cut anywhere, each piece at any offset of an object of its own: the same sum."""
    cuts = sorted([min(cut, len(data)) for cut in cuts] + [0, len(data)])
    total = 0
    for n in range(len(cuts) - 1):
        at, end = cuts[n], cuts[n + 1]
        offset = offsets[n] if n < len(offsets) else 0
        total = piece(b"\xee" * offset + data[at:end] + b"\xdd", offset, end - at, at, total)
    assert network_order(total ^ 0xFFFF) == checksum(data)


@given(st.binary(max_size=80), st.integers(0, 80), st.integers(0, 0xFFFF))
def test_piece_at_an_even_place_is_partial(data, start, total):
    start = min(start, len(data)) & ~1
    whole = partial(data, start, len(data), total)
    assert piece(data, start, len(data) - start, 0, total) % 0xFFFF == whole % 0xFFFF


def test_pieces_of_64_kilobytes_of_ones_do_not_overflow():
    data = b"\xff" * 65536
    assert network_order(piece(data, 1, 65534, 0, 0) ^ 0xFFFF) == checksum(data[:65534])
    assert network_order(piece(data, 1, 65535, 1, 0) ^ 0xFFFF) == checksum(b"\0" + data[:65535])
