"""SipHash as its paper has it, and HalfSipHash against its plain meaning."""

import struct

import pytest

from net.siphash import half_siphash, schedule, siphash

MASK = 0xFFFFFFFF


def turn(x, n):
    return (x << n | x >> (32 - n)) & MASK


def plain_half(k0, k1, words, compression, finalization):
    """HalfSipHash with integers of any size, written after its reference."""
    v = [k0, k1, 0x6C796765 ^ k0, 0x74656462 ^ k1]

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[1] = turn(v[1], 5) ^ v[0]
            v[0] = turn(v[0], 16)
            v[2] = (v[2] + v[3]) & MASK
            v[3] = turn(v[3], 8) ^ v[2]
            v[0] = (v[0] + v[3]) & MASK
            v[3] = turn(v[3], 7) ^ v[0]
            v[2] = (v[2] + v[1]) & MASK
            v[1] = turn(v[1], 13) ^ v[2]
            v[2] = turn(v[2], 16)

    for word in [*words, len(words) * 4 << 24 & MASK]:
        v[3] ^= word
        rounds(compression)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(finalization)
    return v[1] ^ v[3]


def hash64(key, message):
    padded = bytes(message) + bytes(8)
    state = bytearray(32)
    siphash(schedule(key), state, padded[: len(padded) & ~7], len(message))
    return bytes(state[:8])


def test_siphash_2_4_gives_the_number_of_its_paper():
    """Appendix A: key 00 to 0f, message 00 to 0e."""
    found = hash64(bytes(range(16)), bytes(range(15)))
    assert found == bytes([0xE5, 0x45, 0xBE, 0x49, 0x61, 0xCA, 0x29, 0xA1])


@pytest.mark.parametrize(
    "length, expected",
    [
        (0, "310e0edd47db6f72"),
        (1, "fd67dc93c539f874"),
        (7, "37d1018bf50002ab"),
        (8, "6224939a79f5f593"),
        (63, "724506eb4c328a95"),
    ],
)
def test_siphash_2_4_gives_the_numbers_of_its_reference(length, expected):
    assert hash64(bytes(range(16)), bytes(range(length))).hex() == expected


def test_plain_half_siphash_is_that_of_the_reference():
    k0, k1 = struct.unpack("<II", bytes(range(8)))
    for words, expected in ((0, 0x5B9F35A9), (1, 0x89466E2A), (2, 0x8F84B8D0)):
        message = struct.unpack(f"<{words}I", bytes(range(4 * words)))
        assert plain_half(k0, k1, message, 2, 4) == expected


@pytest.mark.parametrize("words", range(12))
def test_half_siphash_1_3_equals_its_plain_meaning(words):
    key = bytes([i * 37 & 0xFF for i in range(16)])
    message = bytes([i * 91 + 7 & 0xFF for i in range(4 * words)])
    folded = bytes([key[i] ^ key[8 + i] for i in range(8)])
    k0, k1 = struct.unpack("<II", folded)
    expected = plain_half(k0, k1, struct.unpack(f"<{words}I", message), 1, 3) & 0x3FFFFFFF
    assert half_siphash(schedule(key), message, words) == expected


def test_a_key_of_another_length_is_refused():
    with pytest.raises(ValueError, match="16 bytes"):
        schedule(bytes(8))
