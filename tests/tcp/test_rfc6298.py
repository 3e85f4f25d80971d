"""The retransmission timeout: RFC 6298, and what RFC 7323 says about samples."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.config import TCP_RTO_MAX_MS, TCP_RTO_MIN_MS
from net.tcp import rtt
from tests.tcp.blocks import sender
from tests.tcp.peer import Peer, pattern


def test_rfc6298_2_1_until_a_measurement_the_timeout_is_a_second():
    """SHOULD: RTO starts with one second."""
    assert sender().rto == 1000


@pytest.mark.parametrize("ms", [1, 7, 100, 2000])
def test_rfc6298_2_2_the_first_measurement(ms):
    """MUST: SRTT <- R, RTTVAR <- R/2, RTO <- SRTT + max(G, K*RTTVAR)."""
    words = sender()
    rtt.sample(words.buffer, ms)
    assert words.srtt == 8 * ms
    assert words.rttvar == 2 * ms  # in quarters
    assert words.rto == ms + max(TCP_RTO_MIN_MS, 2 * ms)


@given(st.integers(1, 30_000), st.integers(1, 30_000), st.integers(1, 30_000))
@settings(max_examples=200)
def test_rfc6298_2_3_later_measurements(first, second, third):
    """MUST: RTTVAR <- 3/4 RTTVAR + 1/4 |SRTT - R'|, SRTT <- 7/8 SRTT + 1/8 R', in this order."""
    words = sender()
    rtt.sample(words.buffer, first)
    srtt, rttvar = first, first / 2
    for ms in (second, third):
        rtt.sample(words.buffer, ms)
        rttvar = rttvar * 3 / 4 + abs(srtt - ms) / 4
        srtt = srtt * 7 / 8 + ms / 8
        # The fixed point is a quarter of a millisecond fine, and rounds down.
        assert abs(words.srtt / 8 - srtt) <= 1
        assert abs(words.rttvar / 4 - rttvar) <= 2
        expected = min(words.srtt // 8 + max(TCP_RTO_MIN_MS, words.rttvar), TCP_RTO_MAX_MS)
        assert words.rto == expected


def test_rfc6298_2_4_a_floor_lies_under_the_variance():
    """SHOULD (not as written): not less than a second; here as in Linux, see rtt.py."""
    words = sender()
    for _ in range(100):
        rtt.sample(words.buffer, 50)
    assert words.rto == 50 + TCP_RTO_MIN_MS


def test_rfc6298_2_5_a_ceiling_of_sixty_seconds():
    """MAY: at least 60 seconds."""
    words = sender()
    rtt.sample(words.buffer, 59_000)
    assert words.rto == TCP_RTO_MAX_MS == 60_000


def test_rfc6298_5_5_a_timeout_doubles_it():
    """MUST: back off the timer: RTO <- RTO * 2."""
    words = sender()
    waits = []
    for _ in range(9):
        rtt.backoff(words.buffer)
        waits.append(words.rto)
    assert waits == [2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000, 60000]
    assert words.backoff == 9


def test_rfc6298_5_7_a_lost_syn_makes_it_three_seconds():
    """MUST: RTO is three seconds when data begins, if the timer of the SYN has expired."""
    words = sender()
    rtt.handshake_lost(words.buffer)
    assert words.rto == 3000


def test_rfc6298_3_karn_what_was_sent_twice_is_not_measured():
    """MUST: no samples of segments that were retransmitted, unless by timestamps."""
    words = sender(1000)
    rtt.sent(words.buffer, 100)
    rtt.resent(words.buffer)
    words.snd_una = words.snd_max
    assert rtt.acknowledged(words.buffer, 150, -1) == -1
    assert (words.srtt, words.rto) == (0, 1000)
    assert rtt.acknowledged(words.buffer, 150, 20) == 20, "a timestamp tells which copy it was"


def test_rfc6298_3_a_backoff_lasts_until_a_measurement():
    words = sender(1000)
    rtt.backoff(words.buffer)
    words.snd_una += 1000
    assert rtt.acknowledged(words.buffer, 150, -1) == -1
    assert words.rto == 2000
    words.snd_max += 1000
    rtt.sent(words.buffer, 200)
    words.snd_una += 1000
    assert rtt.acknowledged(words.buffer, 230, -1) == 30
    assert (words.rto, words.backoff) == (30 + TCP_RTO_MIN_MS, 0)


def test_rfc6298_3_one_segment_per_round_trip_is_timed():
    """MUST: at least one measurement per round trip."""
    words = sender(1000)
    rtt.sent(words.buffer, 100)
    words.snd_max += 5000
    rtt.sent(words.buffer, 110)
    words.snd_una += 500
    assert rtt.acknowledged(words.buffer, 130, -1) == -1, "not all of it has arrived"
    words.snd_una += 500
    assert rtt.acknowledged(words.buffer, 140, -1) == 40


def test_rfc7323_4_2_many_timestamps_do_not_forget_faster():
    """SHOULD: the gains are meant for one sample per round trip."""
    words = sender(100_000)
    rtt.sample(words.buffer, 100)
    words.rtt_seq = words.snd_max
    before = words.srtt
    for _ in range(50):
        words.snd_una += 1000
        assert rtt.acknowledged(words.buffer, 0, 300) == 300
    assert words.srtt == before
    words.snd_una += 50_000
    rtt.acknowledged(words.buffer, 0, 300)
    assert words.srtt == before + 200


def test_an_echo_that_cannot_be_is_ignored():
    words = sender(1000)
    words.snd_una += 1000
    assert rtt.acknowledged(words.buffer, 5, 0x3FFFFFFF) == -1
    assert words.srtt == 0


def test_the_clock_may_wrap_while_a_segment_is_timed():
    words = sender(1000)
    rtt.sent(words.buffer, 0x3FFFFFF0)
    words.snd_una += 1000
    assert rtt.acknowledged(words.buffer, 0x10, -1) == 0x20


def test_a_round_trip_of_no_time_counts_as_one_tick():
    words = sender()
    for _ in range(50):
        rtt.sample(words.buffer, 0)
    assert words.srtt >= 8
    assert words.rto == 1 + TCP_RTO_MIN_MS


# The timer, end to end.

MSS = 1000


def two_segments():
    """Two segments under way; the round trip has been measured: the timeout is 201 ms."""
    peer = Peer()
    service = peer.open(mss=MSS)
    service.connection.write(b"x")
    peer.expect("P.")
    peer.send(".")
    service.connection.write(pattern(2 * MSS))
    peer.expect(".", seq=2)
    peer.expect("P.", seq=2 + MSS)
    return peer, service


def test_rfc6298_5_1_a_segment_starts_the_timer():
    """RECOMMENDED."""
    peer, service = two_segments()
    peer.expect(".", seq=2, after=service.connection.info()["rto"])


def test_rfc6298_5_2_when_all_is_acknowledged_it_stops():
    """RECOMMENDED."""
    peer, _ = two_segments()
    peer.send(".")
    peer.silent(10_000)


def test_rfc6298_5_3_new_data_acknowledged_starts_it_again():
    """RECOMMENDED: it expires RTO after the acknowledgement, not after the segment."""
    peer, service = two_segments()
    peer.wait(150)
    peer.send(".", ack=2 + MSS)
    assert peer.take() == []
    rto = service.connection.info()["rto"]
    peer.expect("P.", seq=2 + MSS, after=(rto - 2, rto + 2))


def test_rfc6298_5_4_the_earliest_segment_is_sent_again():
    """RECOMMENDED: (5.4) to (5.6): one segment, twice the time."""
    peer, service = two_segments()
    first = service.connection.info()["rto"]
    peer.expect(".", seq=2, length=MSS, after=first)
    peer.expect(".", seq=2, length=MSS, after=2 * first)


def test_rfc6298_5_7_data_after_a_lost_syn_has_three_seconds():
    """MUST; and RFC 5681 3.1: one segment to begin with."""
    peer = Peer()
    service = peer.connect()
    peer.expect("S")
    peer.expect("S", after=1000)
    peer.send("S.", mss=MSS)
    peer.expect(".")
    service.connection.write(pattern(5 * MSS))
    peer.expect(".", seq=1, length=MSS)
    peer.silent()
    peer.expect(".", seq=1, after=(2900, 3100))
