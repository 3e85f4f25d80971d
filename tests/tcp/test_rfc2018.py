"""Selective acknowledgement end to end: RFC 2018, RFC 6675 with the whole stack, RFC 3042, 6582."""

import pytest

from tests.tcp.peer import Peer, pattern

MSS = 1000


def number(segment):
    return (segment.seq - 1) // MSS


def opened(segments, sack=True, **how):
    """A connection with so many segments under way."""
    peer = Peer(**how)
    service = peer.open(mss=MSS, sack=sack)
    service.connection.write(pattern(segments * MSS))
    sent = peer.take()
    return peer, service, [number(segment) for segment in sent]


def edges(*segments):
    return [(1 + s * MSS, 1 + (s + 1) * MSS) for s in segments]


def test_rfc2018_2_permission_is_answered_if_it_was_given():
    """MUST NOT: be sent by who has not received it."""
    peer = Peer()
    peer.listen()
    peer.send("S", mss=1460, sack_permitted=True)
    peer.expect("S.", sack_permitted=True)
    other = peer.another(port=40001)
    other.send("S", mss=1460)
    other.expect("S.", sack_permitted=False)


def test_rfc2018_4_the_first_block_is_the_one_that_arrived_last():
    """MUST: then the others, most recent first as far as known; all ACKs carry them."""
    peer = Peer()
    peer.open(mss=MSS, sack=True)
    peer.send(".", seq=1 + 2 * MSS, data=pattern(MSS))
    peer.expect(".", ack=1, sacks=edges(2))
    peer.send(".", seq=1 + 4 * MSS, data=pattern(MSS))
    peer.expect(".", ack=1, sacks=edges(4, 2))
    peer.send(".", seq=1 + 6 * MSS, data=pattern(MSS))
    assert peer.expect(".", ack=1).sacks[0] == edges(6)[0]
    peer.send(".", seq=1 + 3 * MSS, data=pattern(MSS))
    assert peer.expect(".", ack=1).sacks[0] == (1 + 2 * MSS, 1 + 5 * MSS)


def test_rfc2018_4_at_most_three_blocks_beside_timestamps():
    peer = Peer()
    peer.open(mss=MSS, sack=True, ts=True)
    for s in (2, 4, 6, 8, 10):
        peer.send(".", seq=1 + s * MSS, data=pattern(100))
        segment = peer.expect(".", ack=1)
    assert len(segment.sacks) == 3
    assert segment.ts


def test_rfc2018_4_blocks_end_when_the_gap_is_filled():
    peer = Peer()
    peer.open(mss=MSS, sack=True)
    peer.send(".", seq=1 + MSS, data=pattern(MSS))
    peer.expect(".", sacks=edges(1))
    peer.send(".", seq=1, data=pattern(MSS))
    peer.expect(".", ack=1 + 2 * MSS, sacks=[])


def test_rfc2018_without_permission_there_are_none():
    peer = Peer()
    peer.open(mss=MSS)
    peer.send(".", seq=1 + MSS, data=pattern(MSS))
    peer.expect(".", ack=1, sacks=[])


def test_rfc6675_5_holes_are_repaired_in_one_round_trip():
    """Three segments of ten are lost: all three go out again, and the last one for rescue."""
    peer, service, sent = opened(10)
    assert sent == list(range(10))
    lost = {0, 3, 6}
    again = []
    got = []
    for s in range(10):
        if s in lost:
            continue
        got.append(s)
        peer.send(".", ack=1, sacks=edges(*got[::-1])[:4])
        again += [number(segment) for segment in peer.take()]
    assert again[0] == 0
    assert set(again) == lost | {9}
    assert len(again) == 4
    peer.send(".", ack=1 + 10 * MSS)
    assert service.connection.queued == 0
    assert service.connection.info()["cwnd"] == 7 * MSS


def test_rfc6582_without_sack_one_hole_in_a_round_trip():
    peer, service, _ = opened(10, sack=False)
    for _ in range(8):
        peer.send(".", ack=1)
    assert [number(segment) for segment in peer.take()] == [0]
    peer.send(".", ack=1 + 5 * MSS)
    assert [number(segment) for segment in peer.take()] == [5]
    peer.send(".", ack=1 + 10 * MSS)
    assert service.connection.info()["retransmits"] == 2
    assert service.connection.queued == 0


@pytest.mark.parametrize("sack", [True, False])
def test_rfc3042_two_duplicates_let_two_new_segments_out(sack):
    """SHOULD: limited transmit, so that short windows have a third duplicate."""
    peer, _, sent = opened(20, sack)
    assert len(sent) == 10
    for s in (1, 2):
        peer.send(".", ack=1, sacks=edges(*range(1, s + 1)) if sack else None)
        assert [number(segment) for segment in peer.take()] == [9 + s]


@pytest.mark.parametrize("change", ["window", "data", "nothing out"])
def test_rfc5681_2_what_is_no_duplicate(change):
    """A duplicate has no data, no change of the window, and something is under way."""
    peer, service, _ = opened(0 if change == "nothing out" else 10, sack=False)
    for i in range(5):
        if change == "window":
            peer.send(".", ack=1, window=60_000 + i)
        elif change == "data":
            peer.send("P.", ack=1, data=b"x")
        else:
            peer.send(".", ack=1)
    assert [s for s in peer.take() if s.length] == []
    assert service.connection.info()["retransmits"] == 0


def test_rfc6928_2_ten_segments_to_begin_with():
    """MAY: the initial window."""
    assert opened(30)[2] == list(range(10))


def test_rfc5681_3_1_slow_start_doubles():
    peer, service, sent = opened(60)
    rounds = [len(sent)]
    for _ in range(2):
        base = sum(rounds[:-1])
        for s in range(rounds[-1]):
            peer.send(".", ack=1 + (base + s + 1) * MSS)
        rounds.append(len(peer.take()))
    assert rounds == [10, 20, 30]
    assert service.connection.info()["ssthresh"] == 0x1FFFFFFF


def test_rfc5681_3_1_after_a_timeout_one_segment():
    peer, service, _ = opened(20)
    peer.wait(1100)
    assert [number(segment) for segment in peer.take()] == [0]
    assert service.connection.info()["cwnd"] == MSS
    peer.send(".", ack=1 + MSS)
    assert [number(segment) for segment in peer.take()] == [1, 2]


def test_rfc6675_5_1_after_a_timeout_what_has_arrived_is_skipped():
    peer, _, _ = opened(10)
    peer.send(".", ack=1, sacks=edges(2, 5))
    peer.take()
    peer.wait(1300)
    again = [number(segment) for segment in peer.take()]
    acked = 1
    for _ in range(10):
        peer.send(".", ack=1 + acked * MSS)
        again += [number(segment) for segment in peer.take()]
        acked = {1: 3, 3: 4, 4: 6, 6: 10, 10: 10}[acked]
    assert again == [0, 1, 3, 4, 6, 7, 8, 9]


def test_rfc2018_8_data_that_was_reneged_is_sent_again():
    """MUST NOT: discard what is only selectively acknowledged."""
    peer, service, _ = opened(10)
    peer.send(".", ack=1, sacks=[(1 + MSS, 1 + 10 * MSS)])
    peer.take()
    seen = set()
    acked = 0
    for _ in range(400):
        peer.wait(500)
        for segment in peer.take():
            seen.add(number(segment))
        while acked in seen:
            acked += 1
        peer.send(".", ack=1 + acked * MSS)
        if acked == 10:
            break
    assert seen == set(range(10))
    assert service.connection.queued == 0


def test_rfc2883_a_duplicate_report_does_no_harm():
    """D-SACK below the cumulative acknowledgement, and inside another block."""
    peer, service, _ = opened(10)
    peer.send(".", ack=1 + 2 * MSS, sacks=edges(0))
    peer.send(".", ack=1 + 2 * MSS, sacks=[*edges(4), (1 + 4 * MSS, 1 + 6 * MSS)])
    assert service.connection.info()["retransmits"] == 0
    peer.send(".", ack=1 + 10 * MSS)
    assert service.connection.queued == 0


def test_rfc5681_a_service_may_choose_reno():
    """MAY-18 the other way round: CUBIC unless the service says otherwise."""
    peer, service, _ = opened(10)
    assert service.connection.info()["congestion"] == "cubic"
    service.connection.set(congestion="reno")
    assert service.connection.info()["congestion"] == "reno"
    for s in (1, 2, 3):
        peer.send(".", ack=1, sacks=edges(*range(1, s + 1)))
    assert service.connection.info()["cwnd"] == 5 * MSS
    with pytest.raises(ValueError, match="cubic or reno"):
        service.connection.set(congestion="vegas")
