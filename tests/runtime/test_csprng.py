"""The generator: RFC 8439's numbers, what counts as a seed, what is wiped."""

import pytest

from runtime import csprng
from runtime.csprng import BLOCK, QUARTERS, Entropy, chacha20


class Clock:
    ms = 0

    def __call__(self):
        return self.ms


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def entropy(clock):
    return Entropy(clock, lambda: 7)


def test_rfc8439_2_3_2_block_function():
    state = bytearray(csprng.CONSTANTS) + bytearray(range(32)) + bytearray(b"\1\0\0\0")
    state += bytes.fromhex("000000090000004a00000000")
    out = bytearray(BLOCK)
    chacha20(state, out, QUARTERS)
    assert out.hex() == (
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )


def test_rfc8439_a_1_zero_key():
    out = bytearray(BLOCK)
    chacha20(bytearray(csprng.CONSTANTS) + bytearray(48), out, QUARTERS)
    assert out.hex().startswith("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7")


def test_32_bytes_of_seed_are_enough_and_jitter_is_none(entropy):
    entropy.stir(bytes(1000))
    assert not entropy.seeded
    entropy.seed(bytes(31), "a")
    assert not entropy.seeded
    entropy.seed(b"x", "b")
    assert entropy.seeded
    assert entropy.names == ["a", "b"]


def test_every_byte_of_a_seed_matters(clock):
    seen = set()
    for at in range(0, 80, 5):
        entropy = Entropy(clock, lambda: 7)
        entropy.seed(bytes(at) + b"\1" + bytes(79 - at), "test")
        seen.add(entropy.bytes(16))
    assert len(seen) == 16


@pytest.mark.parametrize("sizes", [[1000], [1] * 1000, [224, 1, 775], [0, 500, 500]])
def test_the_stream_does_not_depend_on_how_it_is_asked_for(entropy, sizes):
    entropy.seed(bytes(range(64)), "test")
    other = Entropy(Clock(), lambda: 7)
    other.seed(bytes(range(64)), "test")
    out = b"".join(entropy.bytes(size) for size in sizes)
    assert out == other.bytes(1000)
    assert len({out[i : i + 4] for i in range(0, 1000, 4)}) == 250


def test_what_was_handed_out_is_nowhere_in_memory(entropy):
    entropy.seed(bytes(range(64)), "test")
    out = entropy.bytes(100)
    memory = bytes(entropy.state) + bytes(entropy.stream)
    assert not any(out[i : i + 8] in memory for i in range(93))
    # Nor is the key in the stream that will be handed out.
    assert bytes(entropy.state[16:48]) not in bytes(entropy.stream)


def test_old_seeds_are_renewed_when_numbers_are_wanted(entropy, clock):
    asked = []
    entropy.sources.append(lambda: asked.append(clock.ms))
    for ms in (0, 300_000, 300_001, 300_002, 600_001, 600_002):
        clock.ms = ms
        entropy.bytes(1)
    assert asked == [300_001, 600_002]
