"""The scoreboard against a set of bytes: RFC 2018, RFC 6675 sections 3 and 4."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.tcp import block, scoreboard
from tests.tcp.blocks import BASE, sacks, sender

FLIGHT = 60  # bytes in the properties; a segment has 4 of them


def update(words, *ranges):
    return scoreboard.update(words.buffer, sacks(*ranges))


def covered(words):
    return {byte for start, end in words.ranges for byte in range(start, end)}


def plain_lost(byte, words, mss):
    """IsLost of RFC 6675 4, from the ranges."""
    above = [(start, end) for start, end in words.ranges if start > byte]
    return len(above) >= 3 or sum([end - start for start, end in above]) > 2 * mss


EDGE = st.integers(0, FLIGHT + 10)
PAIRS = st.lists(st.tuples(EDGE, EDGE), max_size=4)


@given(st.lists(PAIRS, min_size=1, max_size=8))
@settings(max_examples=300)
def test_ranges_are_the_union_of_what_was_said_and_can_be_true(segments):
    words = sender(FLIGHT, mss=4)
    said = set()
    for ranges in segments:
        before = covered(words)
        new = update(words, *ranges)
        for start, end in ranges:
            if 0 < start < end <= FLIGHT:
                said |= set(range(start, end))
        found = covered(words)
        assert found <= said, "nothing is invented"
        if words.sacked < block.SACKS:
            assert found == said
            assert new == len(found - before)
        edges = [edge for pair in words.ranges for edge in pair]
        assert edges == sorted(set(edges)), "ascending, and apart"
        if len(words.ranges) == block.SACKS:
            return  # from here on the highest may be forgotten


@given(PAIRS, st.integers(0, FLIGHT))
@settings(max_examples=300)
def test_trim_forgets_what_is_acknowledged(ranges, una):
    words = sender(FLIGHT, mss=4)
    update(words, *ranges)
    before = covered(words)
    words.snd_una += una
    reneged = any(start <= una < end for start, end in words.ranges)
    assert scoreboard.trim(words.buffer) == reneged
    assert covered(words) == (set() if reneged else {byte for byte in before if byte >= una})


@given(PAIRS, PAIRS, st.integers(0, FLIGHT))
@settings(max_examples=300)
def test_rfc6675_4_set_pipe_counts_each_byte_as_written(first, second, high_rxt):
    """SetPipe (a) and (b), byte by byte."""
    mss = 4
    words = sender(FLIGHT, mss=mss, flags=block.SACK_OK | block.RECOVERING)
    words.high_rxt = BASE + high_rxt
    update(words, *first)
    update(words, *second)
    arrived = covered(words)
    pipe = 0
    for byte in range(FLIGHT):
        if byte not in arrived:
            pipe += not plain_lost(byte, words, mss)
            pipe += byte < high_rxt
    assert scoreboard.set_pipe(words.buffer) == pipe == words.pipe


@given(PAIRS, PAIRS, st.integers(0, FLIGHT))
@settings(max_examples=300)
def test_rfc6675_4_the_next_hole_is_the_first_byte_that_is_missing(first, second, start):
    mss = 4
    words = sender(FLIGHT, mss=mss)
    update(words, *first)
    update(words, *second)
    arrived = covered(words)
    top = max(arrived) if arrived else -1
    missing = [byte for byte in range(start, top) if byte not in arrived]
    kind = scoreboard.hole_at(words.buffer, start)
    if not missing:
        assert kind == 0
        return
    assert kind == (2 if plain_lost(missing[0], words, mss) else 1)
    assert words.hole == missing[0]
    assert 0 < words.hole_length <= mss
    assert not arrived & set(range(words.hole, words.hole + words.hole_length))


@given(PAIRS, PAIRS, st.integers(0, FLIGHT), st.integers(0, FLIGHT))
@settings(max_examples=300)
def test_after_a_timeout_everything_that_is_not_covered_is_sent_again(first, second, sent, recover):
    """Up to RECOVER: what was sent first since then is not lost."""
    mss = 4
    words = sender(FLIGHT, mss=mss, flags=block.SACK_OK | block.TIMED_OUT)
    words.snd_nxt = BASE + sent
    words.recover = BASE + recover
    update(words, *first)
    update(words, *second)
    arrived = covered(words)
    under_way = set(range(min(sent, recover))) | set(range(recover, FLIGHT))
    assert scoreboard.set_pipe(words.buffer) == len(under_way - arrived)
    repaired = set()
    at = sent
    while scoreboard.beyond(words.buffer, at):
        piece = set(range(words.hole, words.hole + words.hole_length))
        assert len(piece) <= mss
        assert not piece & (arrived | repaired)
        repaired |= piece
        at = words.hole + words.hole_length
    assert repaired == set(range(sent, recover)) - arrived


@pytest.mark.parametrize("ranges", [[(-10, -5)], [(0, 10)], [(5, 5)], [(9, 5)], [(50, 61)]])
def test_rfc2018_what_cannot_be_true_is_not_believed(ranges):
    """Below, at or beyond what is outstanding, or empty; a D-SACK (RFC 2883) is one of them."""
    words = sender(FLIGHT)
    assert update(words, *ranges) == 0
    assert words.ranges == []


def test_numbers_far_away_are_not_taken_for_near_ones():
    words = sender(FLIGHT)
    for far in (1 << 30, 1 << 31, 3 << 30):
        assert update(words, (far + 10, far + 20)) == 0
    assert words.ranges == []


def test_the_lowest_ranges_are_kept_when_there_are_too_many():
    words = sender(1000)
    pairs = [(10 * i + 5, 10 * i + 10) for i in range(1, 12)]
    for pair in reversed(pairs):
        update(words, pair)
    assert words.ranges == pairs[: block.SACKS]
    assert update(words, (500, 600)) == 0
    assert update(words, (15, 25)) == 5, "what joins two makes room"
    assert words.ranges == [(15, 30), *pairs[2 : block.SACKS]]


def test_rfc6675_4_is_lost_by_three_ranges_or_by_bytes():
    """DupThresh discontiguous ranges, or more than (DupThresh - 1) * SMSS bytes, above it."""
    words = sender(100_000)
    assert not scoreboard.first_lost(words.buffer)
    update(words, (1000, 1001), (2000, 2001))
    assert not scoreboard.first_lost(words.buffer)
    update(words, (3000, 3001))
    assert scoreboard.first_lost(words.buffer)
    words = sender(100_000)
    update(words, (1000, 3000))
    assert not scoreboard.first_lost(words.buffer)
    update(words, (3000, 3001))
    assert scoreboard.first_lost(words.buffer)


def test_rfc2018_8_a_receiver_that_reneges_is_believed_no_more():
    """MUST: data is kept until it is acknowledged cumulatively, and sent again if need be."""
    words = sender(10_000)
    update(words, (2000, 4000), (6000, 7000))
    words.snd_una += 2000
    assert scoreboard.trim(words.buffer) == 1
    assert words.ranges == []
