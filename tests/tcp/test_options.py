"""Options: whatever a peer sends is read without harm, and what we write is in Linux's order."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.tcp import block, options

EVERYTHING = block.TIMESTAMPS | block.SACK_OK | block.SCALED


def parse(data, before=b"", behind=b""):
    """(flags, out) of options that lie between other bytes."""
    out = bytearray(options.OUT_SIZE)
    flags = options.parse(
        bytearray(before + data + behind), len(before), len(before) + len(data), out
    )
    return flags, struct.unpack("<13I", out)


def plain(data):
    """The same, as the RFCs say it: a dict."""
    found = {}
    i = 0
    while i < len(data):
        kind = data[i]
        if kind == 0:
            break
        if kind == 1:
            i += 1
            continue
        if i + 1 >= len(data) or data[i + 1] < 2 or i + data[i + 1] > len(data):
            found["malformed"] = True
            break
        value = bytes(data[i + 2 : i + data[i + 1]])
        i += data[i + 1]
        if kind == 2 and len(value) == 2:
            found["mss"] = struct.unpack(">H", value)[0]
        elif kind == 3 and len(value) == 1:
            found["scale"] = min(value[0], 14)
        elif kind == 4 and not value:
            found["sack_permitted"] = True
        elif kind == 8 and len(value) == 8:
            found["ts"] = struct.unpack(">II", value)
        elif kind == 5 and len(value) in (8, 16, 24, 32):
            found["sacks"] = struct.unpack(f">{len(value) // 4}I", value)
    return found


def as_dict(flags, out):
    found = {}
    if flags & options.HAS_MSS:
        found["mss"] = out[options.OUT_MSS]
    if flags & options.HAS_SCALE:
        found["scale"] = out[options.OUT_SCALE]
    if flags & options.HAS_SACK_PERMITTED:
        found["sack_permitted"] = True
    if flags & options.HAS_TIMESTAMPS:
        found["ts"] = (out[options.OUT_TS_VALUE], out[options.OUT_TS_ECHO])
    if flags & options.HAS_SACK:
        end = options.OUT_RANGES + 2 * out[options.OUT_SACKS]
        found["sacks"] = out[options.OUT_RANGES : end]
    if flags & options.MALFORMED:
        found["malformed"] = True
    return found


OPTION = st.one_of(
    st.binary(max_size=12),
    st.tuples(st.integers(0, 9), st.binary(max_size=34)).map(
        lambda pair: bytes([pair[0], len(pair[1]) + 2]) + pair[1]
    ),
)


@given(st.lists(OPTION, max_size=8), st.binary(max_size=5), st.binary(max_size=5))
@settings(max_examples=500)
def test_any_options_are_read_as_their_plain_meaning(parts, before, behind):
    data = b"".join(parts)[:40]
    assert as_dict(*parse(data, before, behind)) == plain(data)


@given(st.binary(max_size=40))
@settings(max_examples=300)
def test_nothing_behind_the_end_is_read(data):
    """The buffer ends with the options: CPython would raise at the first byte too many."""
    assert as_dict(*parse(data)) == plain(data)


@pytest.mark.parametrize("cut", range(20))
def test_rfc9293_3_1_every_prefix_of_good_options_is_read(cut):
    good = b"\2\4\5\xb4\4\2\x08\x0a\1\2\3\4\5\6\7\x08\1\3\3\7"[:cut]
    assert as_dict(*parse(good)) == plain(good)


@pytest.mark.parametrize("length", [0, 1])
def test_rfc9293_3_1_an_illegal_length_ends_the_list(length):
    """MUST-7: an option length of zero or one does not make us loop or crash."""
    flags, out = parse(bytes([2, 4, 5, 180, 3, length, 8, 10]))
    assert flags == options.HAS_MSS | options.MALFORMED
    assert out[options.OUT_MSS] == 1460


def test_rfc9293_3_1_unknown_options_are_skipped():
    """MUST-6: an option that is not implemented is ignored, by its length."""
    flags, out = parse(bytes([254, 5, 1, 2, 3, 2, 4, 2, 0x18, 19, 2]))
    assert (flags, out[options.OUT_MSS]) == (options.HAS_MSS, 536)


def test_rfc7323_2_3_a_shift_above_14_is_14():
    """MUST: a shift count above 14 is logged and 14 used."""
    flags, out = parse(b"\3\3\xff")
    assert (flags, out[options.OUT_SCALE]) == (options.HAS_SCALE, 14)


def fresh(flags, scale=7, offset=0xFFFFFFF0, recent=0x81020304):
    tcb = bytearray(block.SIZE)
    for word, value in (
        (block.FLAGS, flags),
        (block.RCV_SCALE, scale),
        (block.TS_OFFSET, offset),
        (block.TS_RECENT, recent),
    ):
        tcb[4 * word : 4 * word + 4] = value.to_bytes(4, "little")
    return tcb


def syn(flags, mss=1460):
    buffer = bytearray(60)
    length = options.write_syn(fresh(flags), buffer, 20, 0x30, mss)
    assert not any(buffer[20 + length :])
    return bytes(buffer[20 : 20 + length])


def test_options_of_a_syn_have_the_order_of_linux():
    ts = struct.pack(">BBII", 8, 10, 0x20, 0x81020304)
    assert syn(EVERYTHING) == b"\2\4\5\xb4" + b"\4\2" + ts + b"\1\3\3\7"


@pytest.mark.parametrize("flags", range(8))
def test_a_syn_carries_what_is_allowed_and_whole_words(flags):
    chosen = 0
    for i, flag in enumerate((block.TIMESTAMPS, block.SACK_OK, block.SCALED)):
        if flags >> i & 1:
            chosen |= flag
    data = syn(chosen)
    assert len(data) % 4 == 0
    found = plain(data)
    assert found["mss"] == 1460
    assert ("ts" in found) == bool(chosen & block.TIMESTAMPS)
    assert ("sack_permitted" in found) == bool(chosen & block.SACK_OK)
    assert ("scale" in found) == bool(chosen & block.SCALED)


def written(flags, *ranges):
    sacks = bytearray(40)
    struct.pack_into(f"<{1 + 2 * len(ranges)}I", sacks, 0, len(ranges), *sum(ranges, ()))
    buffer = bytearray(80)
    length = options.write(fresh(flags), buffer, 20, 0x30, sacks)
    assert not any(buffer[20 + length :])
    return bytes(buffer[20 : 20 + length])


def test_expected_segments_begin_with_one_word():
    data = written(EVERYTHING)
    assert data == struct.pack(">BBBBII", 1, 1, 8, 10, 0x20, 0x81020304)
    assert int.from_bytes(data[:4], "little") == options.TIMESTAMPS_WORD


RANGES = [(0xFFFFFF00, 0x10), (0x100, 0x200), (0x300, 0x400), (0x500, 0x600)]


@pytest.mark.parametrize("count", range(5))
def test_rfc2018_3_as_many_ranges_as_fit(count):
    """SHOULD: as many SACK blocks as the room allows: three beside timestamps, else four."""
    with_ts = plain(written(EVERYTHING, *RANGES[:count]))
    without = plain(written(block.SACK_OK, *RANGES[:count]))
    assert with_ts.get("sacks", ()) == sum(RANGES[: min(count, 3)], ())
    assert without.get("sacks", ()) == sum(RANGES[:count], ())


def test_rfc2018_2_no_sack_without_permission():
    """MUST NOT: SACK is sent only to who has said SACK-permitted."""
    assert list(plain(written(block.TIMESTAMPS, *RANGES))) == ["ts"]
    assert written(0, *RANGES) == b""
