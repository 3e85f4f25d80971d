"""Congestion control: RFC 5681, the initial window of RFC 6928, byte counting of RFC 3465."""

import pytest

from net.tcp import block, congestion, recovery
from tests.tcp.blocks import sender

RENO = block.RENO | block.CWND_LIMITED
MSS = 1000


def ack(words, acked, now=0, ms=-1):
    words.snd_una += acked
    recovery.acknowledged(words.buffer, acked, now, ms)


@pytest.mark.parametrize(
    "mss, window", [(536, 5360), (1220, 12200), (1460, 14600), (2000, 14600), (8940, 17880)]
)
def test_rfc6928_2_the_initial_window(mss, window):
    """MAY: min(10 MSS, max(2 MSS, 14600))."""
    assert sender(mss=mss).cwnd == window


def test_rfc5681_3_1_a_lost_syn_leaves_one_segment():
    """MUST: after a lost SYN or SYN-ACK the initial window is one segment."""
    assert sender(mss=1460, lost=1).cwnd == 1460


def test_rfc5681_3_1_the_first_threshold_is_arbitrarily_high():
    """SHOULD: so that slow start finds the path's limit."""
    assert sender().ssthresh == 0x1FFFFFFF


def test_rfc5681_3_1_slow_start_grows_with_what_is_acknowledged():
    """MUST: at most SMSS for each ACK; RFC 3465 2.3: at most 2 SMSS, by bytes."""
    words = sender(10 * MSS, flags=RENO)
    for acked, window in ((MSS, 11), (2 * MSS, 13), (5 * MSS, 15)):
        ack(words, acked)
        assert words.cwnd == window * MSS


def test_rfc3465_dividing_acknowledgements_gains_nothing():
    """Appropriate byte counting: a segment acknowledged in 100 pieces is one segment."""
    words = sender(10 * MSS, flags=RENO)
    for _ in range(100):
        ack(words, MSS // 100)
    assert words.cwnd == 11 * MSS


def test_rfc5681_3_1_congestion_avoidance_grows_a_segment_per_window():
    """MUST: roughly one segment per round trip."""
    words = sender(10 * MSS, flags=RENO, ssthresh=10 * MSS)
    for _ in range(10):
        assert words.cwnd == 10 * MSS
        ack(words, MSS)
    assert words.cwnd == 11 * MSS
    words.snd_max += 11 * MSS
    ack(words, 11 * MSS)
    assert words.cwnd == 12 * MSS


def test_rfc5681_a_window_that_is_not_used_does_not_grow():
    words = sender(4 * MSS, flags=block.RENO)
    ack(words, 4 * MSS)
    assert words.cwnd == 10 * MSS
    words = sender(4 * MSS, flags=block.RENO, ssthresh=10 * MSS)
    for _ in range(20):
        words.snd_max = words.snd_una + MSS
        ack(words, MSS)
    assert words.cwnd == 10 * MSS


def test_rfc5681_3_1_a_timeout_leaves_one_segment():
    """MUST: cwnd is the loss window of one segment; ssthresh max(FlightSize / 2, 2 SMSS)."""
    words = sender(10 * MSS, flags=RENO)
    recovery.timed_out(words.buffer, 0)
    assert (words.cwnd, words.ssthresh) == (MSS, 5 * MSS)
    words = sender(MSS, flags=RENO)
    recovery.timed_out(words.buffer, 0)
    assert words.ssthresh == 2 * MSS


def test_rfc5681_3_1_a_second_timeout_of_the_same_data_keeps_the_threshold():
    """MUST: ssthresh is held while the same segment is sent again by the timer."""
    words = sender(10 * MSS, flags=RENO)
    for _ in range(3):
        recovery.timed_out(words.buffer, 0)
        assert (words.cwnd, words.ssthresh) == (MSS, 5 * MSS)


def test_rfc3465_2_3_slow_start_after_a_timeout_counts_one_segment():
    """MUST: L = 1 SMSS after a timeout."""
    words = sender(10 * MSS, flags=RENO)
    recovery.timed_out(words.buffer, 0)
    ack(words, 4 * MSS)
    assert words.cwnd == 2 * MSS


def test_rfc5681_4_1_after_silence_the_window_begins_anew():
    """SHOULD: cwnd is at most the restart window after an idle time of more than RTO."""
    words = sender(cwnd=50 * MSS, rto=300, sent_at=0)
    congestion.before_sending(words.buffer, 300)
    assert words.cwnd == 50 * MSS
    congestion.before_sending(words.buffer, 601)
    assert words.cwnd == 10 * MSS
    words = sender(MSS, cwnd=50 * MSS, rto=300, sent_at=0)
    congestion.before_sending(words.buffer, 10_000)
    assert words.cwnd == 50 * MSS, "something is under way: that is no silence"


def test_rfc5681_4_1_a_small_window_is_not_enlarged_by_silence():
    """SHOULD: RW = min(IW, cwnd)."""
    words = sender(cwnd=3 * MSS, rto=300, sent_at=0)
    congestion.before_sending(words.buffer, 1000)
    assert words.cwnd == 3 * MSS


def test_the_window_has_an_end():
    words = sender(10 * MSS, flags=RENO, cwnd=0x1FFFFF00, ssthresh=0x1FFFFFFF, mss=65000)
    words.snd_max = words.snd_una + 0x1FFFFF00
    ack(words, 65000)
    assert words.cwnd == 0x1FFFFFFF
