"""CUBIC against its formulas with fractions (RFC 9438), and HyStart++ (RFC 9406)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.tcp import block, congestion, cubic, hystart, recovery
from tests.tcp.blocks import sender

MSS = 1460
LIMITED = block.CWND_LIMITED


def connection(cwnd, **given):
    given.setdefault("ssthresh", cwnd)
    return sender(cwnd, mss=MSS, flags=LIMITED, cwnd=cwnd, **given)


def run(words, ms, rtt=100, start=0):
    """Let time pass with a full window per round trip; the window at its end, in segments."""
    words.srtt = rtt * 8
    now = start
    left = 0
    while now < start + ms:
        now += 1
        # As many segments are acknowledged in a millisecond as the window allows.
        left += words.cwnd
        acked = left // rtt // MSS * MSS
        left -= acked * rtt
        if acked:
            words.snd_max = words.snd_una + words.cwnd
            words.snd_una += acked
            congestion.on_ack(words.buffer, acked, now & 0x3FFFFFFF, -1)
    return words.cwnd / MSS


@given(st.integers(0, 131_000), st.integers(100, 9000))
@settings(max_examples=300)
def test_the_cube_is_that_of_real_numbers(ms, mss):
    exact = 0.4 * (ms / 1000) ** 3 * mss
    found = cubic.cube(ms, mss)
    if exact > 0x1FFFFFFF:
        assert found > 0x1F000000
    else:
        assert abs(found - exact) <= 2 + exact / 100


def test_the_cube_grows_with_its_argument():
    values = [cubic.cube(ms, MSS) for ms in range(0, 20_000, 7)]
    assert values == sorted(values)


def test_rfc9438_4_6_the_window_comes_down_to_seven_tenths():
    """SHOULD: beta_cubic is 0.7 (RFC 9293 MAY-18: another algorithm than RFC 5681's)."""
    words = connection(100 * MSS)
    congestion.on_loss(words.buffer)
    assert words.cwnd == words.ssthresh == 70 * MSS
    assert words.cubic == 100 * MSS, "W_max"


def test_rfc9438_4_7_a_flow_that_gets_less_makes_room():
    """SHOULD: fast convergence: W_max is cwnd (1 + beta) / 2."""
    words = connection(100 * MSS)
    congestion.on_loss(words.buffer)
    congestion.on_loss(words.buffer)
    assert words.cwnd == 49 * MSS
    assert words.cubic == 70 * MSS * 85 // 100


def test_rfc9438_4_2_after_k_the_window_is_what_it_was():
    """W_cubic(K) = W_max, K = cbrt(W_max (1 - beta) / C)."""
    words = connection(1000 * MSS)
    congestion.on_loss(words.buffer)
    k = (1000 * 0.3 / 0.4) ** (1 / 3)  # 9.1 s
    before = run(words, int(k * 500))
    after = run(words, int(k * 500), start=int(k * 500))
    assert before == pytest.approx(1000 - 0.4 * (k / 2) ** 3, rel=0.03)
    assert after == pytest.approx(1000, rel=0.02)
    assert run(words, 5_000, start=int(k * 1000)) == pytest.approx(1000 + 0.4 * 5**3, rel=0.03)


def test_rfc9438_4_3_on_a_short_path_it_is_as_fast_as_reno():
    """The Reno-friendly region: 9/17 of a segment per round trip until W_max, then one."""
    words = connection(20 * MSS)
    congestion.on_loss(words.buffer)
    rounds = 10
    assert run(words, 10 * rounds, rtt=10) == pytest.approx(14 + rounds * 9 / 17, abs=1.5)


def test_rfc9438_4_4_the_window_never_grows_by_more_than_half_in_a_round_trip():
    """MUST: the target is at most 1.5 cwnd."""
    words = connection(10 * MSS)
    congestion.on_loss(words.buffer)
    before = words.cwnd / MSS
    assert run(words, 1000, rtt=1000) <= before * 1.5 + 1


def test_rfc9438_4_8_after_a_timeout():
    """ssthresh is 0.7 of the window, and the cubic begins anew when slow start ends."""
    words = connection(100 * MSS)
    recovery.timed_out(words.buffer, 0)
    assert (words.cwnd, words.ssthresh) == (MSS, 70 * MSS)


def test_rfc9438_5_8_silence_is_not_time():
    """SHOULD NOT: a window that was not used grows when data flows again."""
    words = connection(100 * MSS)
    congestion.on_loss(words.buffer)
    run(words, 1000)
    words.snd_una = words.snd_max
    window = words.cwnd
    words.rto, words.sent_at = 300, 1000
    congestion.before_sending(words.buffer, 61_000)
    words.cwnd = window
    assert run(words, 200, start=61_000) - window / MSS < 5


def test_rfc9438_without_a_loss_the_plateau_is_here():
    """Slow start that ended by itself: K is 0 and W_max is cwnd; here Reno is faster."""
    words = connection(50 * MSS)
    assert run(words, 2000) == pytest.approx(50 + 20, abs=1.5)
    words = connection(50 * MSS)
    assert run(words, 10_000, rtt=300) == pytest.approx(50 + 0.4 * 10.2**3, rel=0.07)


@pytest.mark.parametrize("cwnd", [2 * 536, 1 << 20, 1 << 28, 0x1FFFFFFF])
@pytest.mark.parametrize("mss", [536, 1460, 9000, 65000])
def test_no_window_is_too_small_or_too_large_for_31_bits(cwnd, mss):
    words = sender(cwnd, mss=mss, flags=LIMITED, cwnd=cwnd, ssthresh=cwnd)
    congestion.on_loss(words.buffer)
    low = words.cwnd
    assert 0 < low <= max(cwnd, 2 * mss)
    for now in (0, 1, 1000, 10_000, 100_000, 1_000_000):
        words.snd_max = words.snd_una + min(words.cwnd, 0x1FFFFFFF)
        words.snd_una += mss
        congestion.on_ack(words.buffer, mss, now, -1)
        assert low <= words.cwnd <= 0x1FFFFFFF


# HyStart++


def round_trips(words, ms, growth=None):
    """One round of slow start, each of whose acknowledgements took `ms`; its growth in segments."""
    before = words.cwnd
    for left in range(before // MSS, 0, -1):
        words.snd_max = words.snd_una + words.cwnd
        words.snd_una += MSS
        # The last ones may belong to the next round already.
        congestion.on_ack(words.buffer, MSS, 0, ms if left > before // MSS // 4 else -1)
    return (words.cwnd - before) / (before // MSS * MSS)


def beginner():
    return sender(10 * MSS, mss=MSS, flags=LIMITED)


def test_rfc9406_4_2_a_growing_round_trip_slows_slow_start_down():
    """A quarter of the growth for five rounds, then congestion avoidance."""
    words = beginner()
    assert [round_trips(words, ms) for ms in (50, 51)] == [1, 1]
    assert round_trips(words, 60) < 0.7
    for _ in range(4):
        assert round_trips(words, 60) == 0.25
        assert words.ssthresh == 0x1FFFFFFF
    round_trips(words, 60)
    assert words.ssthresh <= words.cwnd
    assert round_trips(words, 60) < 0.1


def test_rfc9406_4_2_a_coincidence_is_taken_back():
    words = beginner()
    assert round_trips(words, 50) == 1
    assert round_trips(words, 60) < 0.9
    assert round_trips(words, 60) == 0.25
    assert round_trips(words, 50) > 0.5
    assert round_trips(words, 50) == 1
    assert words.ssthresh == 0x1FFFFFFF


def test_rfc9406_without_samples_it_never_intervenes():
    words = beginner()
    assert [round_trips(words, -1) for _ in range(8)] == [1] * 8


def test_rfc9406_4_3_the_threshold_lies_between_4_and_16_ms():
    for least, most in ((8, 12), (80, 90), (1000, 1016)):
        words = sender(20 * MSS, mss=MSS, flags=LIMITED)
        hystart.reset(words.buffer)
        for ms in (least, most - 1):
            words.snd_una = words.snd_max
            words.snd_max += 20 * MSS
            divisors = [hystart.on_ack(words.buffer, ms) for _ in range(10)]
        assert divisors[-1] == 1
        words.snd_una = words.snd_max
        words.snd_max += 20 * MSS
        higher = most - 1 + max(4, min((most - 1) // 8, 16))
        divisors = [hystart.on_ack(words.buffer, higher) for _ in range(10)]
        assert divisors[-1] == 4
