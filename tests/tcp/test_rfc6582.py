"""NewReno, where the peer has no SACK: RFC 6582, 5681 section 3.2, 3042."""

from net.tcp import block, recovery
from tests.tcp.blocks import BASE, sender

MSS = 1000
FLIGHT = 10 * MSS


def reno(**given):
    return sender(FLIGHT, flags=block.RENO | block.CWND_LIMITED, **given)


def duplicates(words, count):
    for _ in range(count):
        recovery.duplicate(words.buffer, 0, 0)


def ack(words, acked):
    words.snd_una += acked
    recovery.acknowledged(words.buffer, acked, 0, -1)


def hole(words):
    """What is to be sent again, and that it was: (offset, length) or None."""
    length = recovery.next_hole(words.buffer)
    if length:
        recovery.resent(words.buffer, length)
        return words.hole, length
    return None


def test_rfc3042_the_first_two_duplicates_let_new_segments_out():
    """SHOULD: limited transmit: two segments beyond cwnd, which does not change."""
    words = reno()
    assert recovery.allowed(words.buffer) == 0
    for count in (1, 2):
        duplicates(words, 1)
        assert recovery.allowed(words.buffer) == count * MSS
    assert words.cwnd == FLIGHT
    assert hole(words) is None


def test_rfc5681_3_2_the_third_duplicate_sends_again_at_once():
    """SHOULD: the segment at snd_una, without waiting for the timer."""
    words = reno()
    duplicates(words, 2)
    assert hole(words) is None
    duplicates(words, 1)
    assert words.flags & block.RECOVERING
    assert hole(words) == (0, MSS)
    assert hole(words) is None
    assert words.ssthresh == FLIGHT // 2
    assert words.cwnd == FLIGHT // 2 + 3 * MSS
    assert words.recover == words.snd_max


def test_rfc6582_3_2_4_more_duplicates_inflate_the_window():
    words = reno()
    duplicates(words, 3)
    hole(words)
    duplicates(words, 6)
    assert words.cwnd == FLIGHT // 2 + 9 * MSS
    assert recovery.allowed(words.buffer) == 4 * MSS


def test_rfc6582_3_2_3_a_partial_acknowledgement_repairs_the_next_hole():
    words = reno()
    duplicates(words, 3)
    hole(words)
    ack(words, 4 * MSS)
    assert words.flags & block.RECOVERING
    assert hole(words) == (0, MSS)
    assert hole(words) is None
    assert words.cwnd == 8 * MSS - 4 * MSS + MSS, "deflated by what arrived, plus one"


def test_rfc6582_3_2_3_a_full_acknowledgement_ends_recovery():
    words = reno()
    duplicates(words, 7)
    hole(words)
    words.snd_max += 2 * MSS
    ack(words, FLIGHT)
    assert words.flags & block.RECOVERING == 0
    assert words.cwnd == min(words.ssthresh, max(2 * MSS, MSS) + MSS)
    assert words.dupacks == 0


def test_rfc6582_3_2_2_duplicates_for_what_is_repaired_start_nothing():
    """The cumulative acknowledgement must cover more than RECOVER."""
    words = reno()
    duplicates(words, 3)
    hole(words)
    ack(words, FLIGHT)
    words.snd_max += FLIGHT
    threshold = words.ssthresh
    duplicates(words, 3)
    assert words.flags & block.RECOVERING == 0
    assert words.ssthresh == threshold
    ack(words, MSS)
    duplicates(words, 3)
    assert words.flags & block.RECOVERING


def test_rfc6582_4_after_a_timeout_duplicates_start_nothing():
    """SHOULD: RECOVER is the highest number sent when the timer fired."""
    words = reno()
    recovery.timed_out(words.buffer, 0)
    assert words.sequence["recover"] == FLIGHT
    duplicates(words, 5)
    assert words.flags & block.RECOVERING == 0
    assert words.cwnd == MSS


def test_rfc5681_3_1_after_a_timeout_all_goes_out_again_in_slow_start():
    words = reno()
    recovery.timed_out(words.buffer, 0)
    assert [hole(words), hole(words)] == [(0, MSS), None]
    ack(words, MSS)
    assert [hole(words), hole(words), hole(words)] == [(0, MSS), (MSS, MSS), None]
    assert words.cwnd == 2 * MSS
    ack(words, 2 * MSS)
    ack(words, 7 * MSS)
    assert hole(words) is None
    assert words.flags & block.TIMED_OUT == 0
    assert words.snd_nxt == words.snd_max


def test_an_acknowledgement_may_overtake_the_repair_after_a_timeout():
    """The originals were only late: what has arrived is not sent again."""
    words = reno()
    recovery.timed_out(words.buffer, 0)
    assert hole(words) == (0, MSS)
    ack(words, 6 * MSS)
    assert words.sequence["snd_nxt"] == 6 * MSS
    assert hole(words) == (0, MSS)
    assert words.sequence["snd_nxt"] == 7 * MSS


def test_a_segment_shorter_than_the_window_is_repaired_whole():
    words = sender(300, flags=block.RENO)
    duplicates(words, 3)
    assert hole(words) == (0, 300)
    assert words.sequence["high_rxt"] == 300
    assert words.snd_una == BASE - (1 << 32)
