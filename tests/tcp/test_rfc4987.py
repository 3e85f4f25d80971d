"""SYN cookies: RFC 4987 section 3.6.  A flood of SYNs: test_flood.py."""

import struct

import pytest

from net.tcp import block as layout
from net.tcp import cookies

KEY = bytes(range(16))
SLOT = 1 << cookies.SLOT_SHIFT
PEER = 0x89ABCDEF
ENDS = b"12345678"  # what isn.py says of addresses and ports


def block(**words):
    made = bytearray(layout.SIZE)
    for name, value in words.items():
        struct.pack_into("<I", made, 4 * getattr(layout, name), value)
    return made


def make(keeper, now=0, mss=1460, peer=PEER):
    made = block(IRS=peer, PEER_MSS=mss)
    keeper.make(ENDS, made, now)
    return struct.unpack_from("<I", made, 4 * layout.ISS)[0]


def check(keeper, cookie, now=0, peer=PEER, ends=ENDS):
    return keeper.check(ends, block(IRS=peer, ISS=cookie), now)


@pytest.mark.parametrize(
    "mss, kept",
    [(536, 536), (1000, 536), (1220, 1220), (1459, 1440), (1460, 1460), (9000, 8940), (100, 536)],
)
def test_rfc4987_3_6_the_mss_is_remembered_roughly(mss, kept):
    """The largest of a table that is not above the peer's."""
    keeper = cookies.Cookies(KEY)
    assert check(keeper, make(keeper, mss=mss)) == kept


@pytest.mark.parametrize("begin", [0, 12345, 31 * SLOT, 16383 * SLOT])
def test_rfc4987_3_6_a_cookie_is_good_for_two_slots(begin):
    keeper = cookies.Cookies(KEY)
    cookie = make(keeper, begin)
    turn = 0x3FFFFFFF
    assert check(keeper, cookie, begin) == 1460
    assert check(keeper, cookie, begin + SLOT & turn) == 1460
    assert check(keeper, cookie, begin + 2 * SLOT & turn) == 0
    assert check(keeper, cookie, begin - SLOT & turn) == 0


def test_rfc4987_3_6_a_cookie_belongs_to_one_connection_and_one_key():
    keeper = cookies.Cookies(KEY)
    cookie = make(keeper)
    assert check(keeper, cookie) == 1460
    assert check(keeper, cookie, peer=PEER - 1) == 0
    assert check(keeper, cookie, ends=b"12345679") == 0
    assert check(keeper, cookie, ends=b"02345678") == 0
    assert check(cookies.Cookies(bytes(16)), cookie) == 0


def test_rfc4987_a_guess_is_hardly_ever_right():
    keeper = cookies.Cookies(KEY)
    cookie = make(keeper)
    for bit in range(32):
        assert check(keeper, cookie ^ 1 << bit) == 0
    right = 0
    for guess in range(3000):
        right += check(keeper, guess * 2654435761 & 0xFFFFFFFF) != 0
    assert right == 0


@pytest.mark.parametrize("options", [0, 7, 15, 14 | cookies.WITH_SACK, 63])
@pytest.mark.parametrize("now", [0, 63, 64, 1000, 0x3FFFFFFF])
@pytest.mark.parametrize("offset", [0, 0xFFFFFFFF, 0x80000001])
def test_rfc4987_the_timestamp_carries_scale_and_sack(options, now, offset):
    """As Linux does; the stamp never runs ahead of the clock."""
    made = block(TS_OFFSET=offset)
    cookies.stamp(made, options, now)
    stamp = now + struct.unpack_from("<I", made, 4 * layout.TS_OFFSET)[0] & 0xFFFFFFFF
    assert 0 <= (now + offset - stamp) & 0xFFFFFFFF < 64
    assert cookies.unstamp(struct.pack("<I", stamp)) == options
