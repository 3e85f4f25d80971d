"""Explicit congestion notification on blocks: RFC 3168 section 6.1."""

import pytest

from net.tcp import block, congestion, ecn, recovery
from tests.tcp.blocks import sender

MSS = 1000
FLAGS = block.ECN | block.CWND_LIMITED


@pytest.mark.parametrize("reno, part", [(block.RENO, 500), (0, 700)])
def test_rfc3168_6_1_2_an_echo_reduces_the_window(reno, part):
    """MUST, RFC 9293 SHLD-8: as a single dropped packet would."""
    words = sender(10 * MSS, flags=FLAGS | reno)
    ecn.received(words.buffer, ecn.TCP_ACK | ecn.TCP_ECE, 0, 0)
    assert words.cwnd == words.ssthresh == 10 * part
    assert ecn.announce(words.buffer) == ecn.TCP_CWR
    assert ecn.announce(words.buffer) == 0, "once"


def test_rfc3168_6_1_2_once_per_window_of_data():
    """SHOULD NOT: react more than once per round trip."""
    words = sender(10 * MSS, flags=FLAGS | block.RENO)
    for _ in range(5):
        ecn.received(words.buffer, ecn.TCP_ACK | ecn.TCP_ECE, 0, 0)
    assert words.cwnd == 5 * MSS
    words.snd_una += 10 * MSS
    words.snd_max += 5 * MSS
    ecn.received(words.buffer, ecn.TCP_ACK | ecn.TCP_ECE, 0, 0)
    assert words.cwnd == max(5 * MSS // 2, 2 * MSS)


def test_rfc3168_6_1_2_not_in_addition_to_a_loss():
    words = sender(10 * MSS, flags=FLAGS | block.RENO)
    congestion.on_loss(words.buffer)
    words.flags |= block.RECOVERING
    ecn.received(words.buffer, ecn.TCP_ACK | ecn.TCP_ECE, 0, 0)
    assert words.cwnd == 5 * MSS


def test_rfc3168_6_1_3_a_mark_is_echoed_until_the_peer_has_reacted():
    """MUST: ECE on every ACK until a segment with CWR arrives."""
    words = sender(flags=FLAGS)
    assert ecn.answer(words.buffer) == 0
    ecn.received(words.buffer, ecn.TCP_ACK, 1, 1000)
    ecn.received(words.buffer, ecn.TCP_ACK, 0, 1000)
    assert ecn.answer(words.buffer) == ecn.answer(words.buffer) == ecn.TCP_ECE
    ecn.received(words.buffer, ecn.TCP_ACK | ecn.TCP_CWR, 0, 1000)
    assert ecn.answer(words.buffer) == 0
    ecn.received(words.buffer, ecn.TCP_ACK | ecn.TCP_CWR, 1, 1000)
    assert ecn.answer(words.buffer) == ecn.TCP_ECE, "a mark on the segment with CWR is a new one"


def test_rfc3168_6_1_1_who_has_not_agreed_hears_nothing():
    """MUST NOT: set ECT, or react, without ECN on both SYNs."""
    words = sender(10 * MSS)
    ecn.received(words.buffer, ecn.TCP_ACK | ecn.TCP_ECE, 1, 1000)
    assert (words.cwnd, ecn.answer(words.buffer)) == (10 * MSS, 0)
    assert ecn.codepoint(words.buffer) == 0
    words.flags |= block.ECN
    assert ecn.codepoint(words.buffer) == ecn.ECT0


def test_a_syn_with_its_flags_of_negotiation_is_no_echo():
    words = sender(10 * MSS, flags=FLAGS)
    ecn.received(words.buffer, ecn.TCP_SYN | ecn.TCP_ACK | ecn.TCP_ECE, 0, 0)
    assert words.cwnd == 10 * MSS


def test_the_window_never_falls_below_two_segments():
    words = sender(2 * MSS, flags=FLAGS)
    for _ in range(10):
        ecn.received(words.buffer, ecn.TCP_ACK | ecn.TCP_ECE, 0, 0)
        words.snd_una = words.snd_max
        words.snd_max += MSS
    assert words.cwnd == 2 * MSS
    recovery.timed_out(words.buffer, 0)
    assert words.cwnd == MSS
