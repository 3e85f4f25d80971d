"""Recovery with SACK: RFC 6675 section 5, on blocks; test_scoreboard.py has its section 4."""

import pytest

from net.tcp import block, recovery, scoreboard
from tests.tcp.blocks import sacks, sender

MSS = 1000
FLIGHT = 20 * MSS


def connection(sent=FLIGHT, **given):
    given.setdefault("cwnd", sent)
    given.setdefault("ssthresh", 1000 * MSS)
    flags = block.SACK_OK | block.RENO | block.CWND_LIMITED
    return sender(sent, flags=flags, **given)


def duplicate(words, *ranges):
    new = scoreboard.update(words.buffer, sacks(*ranges))
    if new:
        recovery.duplicate(words.buffer, new, 0)


def ack(words, acked, *ranges):
    words.snd_una += acked
    scoreboard.update(words.buffer, sacks(*ranges))
    recovery.acknowledged(words.buffer, acked, 0, -1)


def holes(words, limit=100):
    """All that is to be sent again now, as numbers of segments from the beginning."""
    found = []
    while len(found) < limit:
        length = recovery.next_hole(words.buffer)
        if not length:
            break
        found.append(((words.sequence["snd_una"] + words.hole) / MSS, length / MSS))
        recovery.resent(words.buffer, length)
    return found


def arrivals(*segments):
    return [(s * MSS, (s + 1) * MSS) for s in segments]


def test_rfc6675_5_1_three_duplicates_start_recovery():
    """MUST: (1) DupAcks >= DupThresh."""
    words = connection()
    for s in (1, 2):
        duplicate(words, *arrivals(s))
        assert words.flags & block.RECOVERING == 0
        assert holes(words) == []
    duplicate(words, *arrivals(3))
    assert words.flags & block.RECOVERING
    assert words.sequence["recover"] == FLIGHT
    assert words.ssthresh == words.cwnd == FLIGHT // 2


def test_rfc6675_5_2_one_duplicate_suffices_if_it_shows_enough():
    """(2): IsLost(HighACK + 1), after fewer duplicates."""
    words = connection()
    duplicate(words, (MSS, 4 * MSS))
    assert words.flags & block.RECOVERING


def test_rfc6675_5_3_limited_transmit_is_governed_by_pipe():
    """MAY: (3.2), (3.3): new data as long as cwnd - pipe >= 1 SMSS."""
    words = connection()
    assert recovery.allowed(words.buffer) == 0
    duplicate(words, *arrivals(1))
    assert recovery.allowed(words.buffer) == MSS
    duplicate(words, *arrivals(2))
    assert recovery.allowed(words.buffer) == 2 * MSS


def test_rfc6675_5_4_3_the_first_hole_goes_out_whatever_pipe_says():
    words = connection()
    duplicate(words, (MSS, 4 * MSS))
    assert recovery.allowed(words.buffer) == 0
    assert holes(words) == [(0, 1)]
    assert words.sequence["high_rxt"] == MSS


def test_rfc6675_5_c_holes_go_out_as_pipe_shrinks():
    """MUST: (C) cwnd - pipe >= 1 SMSS for each segment sent."""
    words = connection()
    words.queued = FLIGHT
    lost = [0, 2, 4, 6]
    there = [s for s in range(20) if s not in lost]
    sent = []
    for s in there:
        duplicate(words, *arrivals(s))
        sent += holes(words)
        scoreboard.set_pipe(words.buffer)
        if len(sent) > 1:
            assert words.pipe <= words.cwnd
    assert sent[:4] == [(0, 1), (2, 1), (4, 1), (6, 1)]
    assert sent[4:] == [(19, 1)], "the rescue, while the last one has not been heard of"
    ack(words, 2 * MSS, *arrivals(3))
    assert words.flags & block.RECOVERING
    ack(words, 18 * MSS)
    assert words.flags & block.RECOVERING == 0
    assert words.cwnd == FLIGHT // 2


def test_rfc6675_4_next_seg_2_new_data_goes_before_what_may_not_be_lost():
    words = connection()
    words.queued = FLIGHT + 10 * MSS
    duplicate(words, *arrivals(1, 2, 3))
    assert holes(words) == [(0, 1)]
    words.cwnd = 100 * MSS
    duplicate(words, *arrivals(19))
    # The gap from 4 to 18 is not lost: only one range lies above it.
    assert holes(words) == []
    assert recovery.allowed(words.buffer) > MSS


def test_rfc6675_4_next_seg_3_and_4_without_new_data():
    """(3): what may be lost; (4): once, the last segment."""
    words = connection()
    words.queued = FLIGHT
    duplicate(words, *arrivals(1, 2, 3))
    holes(words)
    words.cwnd = 100 * MSS
    duplicate(words, *arrivals(18))
    assert holes(words) == [(s, 1) for s in range(4, 18)] + [(19, 1)]
    assert words.flags & block.RESCUED
    assert words.sequence["high_rxt"] == 18 * MSS, "the rescue does not move HighRxt"
    assert holes(words) == []


def test_rfc6675_5_a_partial_acknowledgement_does_not_end_recovery():
    words = connection()
    duplicate(words, *arrivals(1, 2, 3))
    holes(words)
    ack(words, 4 * MSS)
    assert words.flags & block.RECOVERING
    assert words.sequence["high_rxt"] == 4 * MSS
    ack(words, 16 * MSS)
    assert words.flags & block.RECOVERING == 0


def test_rfc6675_5_1_after_a_timeout_no_fast_recovery_until_recover():
    """MUST NOT: a new recovery until HighACK has reached RecoveryPoint."""
    words = connection()
    recovery.timed_out(words.buffer, 0)
    for s in range(5, 10):
        duplicate(words, *arrivals(s))
    assert words.flags & block.RECOVERING == 0
    assert words.cwnd == MSS


def test_rfc6675_5_1_after_a_timeout_what_arrived_is_not_sent_again():
    """SHOULD: SACK information decides what is sent after a timeout."""
    words = connection()
    duplicate(words, *arrivals(2, 5))
    recovery.timed_out(words.buffer, 0)
    words.cwnd = 100 * MSS
    assert holes(words) == [(s, 1) for s in range(20) if s not in (2, 5)]


def test_rfc2018_8_the_second_timeout_forgets_what_was_said():
    """SHOULD: SACKed bits are turned off after a timeout, for a receiver may renege."""
    words = connection()
    duplicate(words, *arrivals(2, 5))
    recovery.timed_out(words.buffer, 0)
    assert words.sacked == 2
    recovery.timed_out(words.buffer, 0)
    assert words.sacked == 0


def test_rfc2018_8_reneging_that_shows_is_acted_upon():
    words = connection()
    duplicate(words, *arrivals(1, 2))
    ack(words, MSS)
    assert words.ranges == []


@pytest.mark.parametrize("count", [1, 2])
def test_rfc6675_a_lost_retransmission_is_left_to_the_timer(count):
    words = connection()
    words.queued = FLIGHT
    for s in range(count, 20):
        duplicate(words, *arrivals(s))
    first = holes(words)
    assert first == [(s, 1) for s in range(count)]
    assert holes(words) == []
    recovery.timed_out(words.buffer, 0)
    assert holes(words) == [(0, 1)]


def test_duplicates_without_ranges_count_as_well():
    """A peer that agreed to SACK need not send it: three duplicates are three (RFC 5681)."""
    words = connection()
    for _ in range(3):
        recovery.duplicate(words.buffer, 0, 0)
    assert words.flags & block.RECOVERING
    assert holes(words)[0] == (0, 1)
