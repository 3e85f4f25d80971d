"""SYN cookies: RFC 4987 section 3.6.  A flood of SYNs: test_flood.py."""

import struct

import pytest

from net.tcp import cookies

LOCAL, REMOTE = b"\x0a\0\0\2", b"\x0a\0\0\1"
KEY = bytes(range(16))
SLOT = 1 << cookies.SLOT_SHIFT
PEER = struct.pack("<I", 0x89ABCDEF)


def make(keeper, now=0, mss=1460, peer=PEER):
    out = bytearray(4)
    keeper.make(LOCAL, 80, REMOTE, 1234, peer, mss, now, out)
    return bytes(out)


def check(keeper, cookie, now=0, peer=PEER, remote_port=1234, remote=REMOTE):
    return keeper.check(LOCAL, 80, remote, remote_port, peer, cookie, now)


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
    assert check(keeper, cookie, peer=struct.pack("<I", 0x89ABCDEE)) == 0
    assert check(keeper, cookie, remote_port=1235) == 0
    assert check(keeper, cookie, remote=b"\x0a\0\0\3") == 0
    assert check(cookies.Cookies(bytes(16)), cookie) == 0


def test_rfc4987_a_guess_is_hardly_ever_right():
    keeper = cookies.Cookies(KEY)
    cookie = struct.unpack("<I", make(keeper))[0]
    for bit in range(32):
        assert check(keeper, struct.pack("<I", cookie ^ 1 << bit)) == 0
    right = 0
    for guess in range(3000):
        right += check(keeper, struct.pack("<I", guess * 2654435761 & 0xFFFFFFFF)) != 0
    assert right == 0


@pytest.mark.parametrize("options", [0, 7, 15, 14 | cookies.WITH_SACK, 63])
@pytest.mark.parametrize("now", [0, 63, 64, 1000, 0x3FFFFFFF])
@pytest.mark.parametrize("offset", [0, 0xFFFFFFFF, 0x80000001])
def test_rfc4987_the_timestamp_carries_scale_and_sack(options, now, offset):
    """As Linux does; the stamp never runs ahead of the clock."""
    out = bytearray(8)
    cookies.stamp(now, struct.pack("<I", offset), options, out)
    stamp = struct.unpack("<I", out[:4])[0]
    assert 0 <= (now + offset - stamp) & 0xFFFFFFFF < 64
    assert cookies.unstamp(out) == options
