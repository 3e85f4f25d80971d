"""Explicit congestion notification end to end: RFC 3168 section 6.1; SHLD-8 of RFC 9293."""

import pytest

from tests.tcp.peer import Peer, pattern

MSS = 1000


def opened(**how):
    """A connection on which both have agreed to ECN, opened by the peer."""
    peer = Peer(ecn="on", **how)
    service = peer.listen()
    peer.send("SEW", mss=MSS)
    peer.expect("S.E")
    peer.send(".")
    return peer, service


def test_rfc3168_6_1_1_a_syn_that_asks_is_granted():
    """MUST: ECE and CWR on the SYN, ECE alone on the SYN-ACK; neither is ECN-capable itself."""
    peer = Peer(ecn="on")
    service = peer.listen()
    peer.send("SEW", mss=MSS)
    peer.expect("S.E", ect=0)
    peer.send(".")
    assert service.connection.info()["ecn"]


@pytest.mark.parametrize("flags", ["S", "SE", "SW"])
def test_rfc3168_6_1_1_a_syn_that_does_not_ask_is_granted_nothing(flags):
    """MUST NOT."""
    peer = Peer(ecn="on")
    service = peer.listen()
    peer.send(flags, mss=MSS)
    peer.expect("S.")
    peer.send(".")
    assert not service.connection.info()["ecn"]
    service.connection.write(b"x")
    peer.expect("P.", ect=0)


def test_rfc3168_6_1_1_we_ask():
    """SHOULD: an active open; the answer decides."""
    for answer, agreed in (("S.E", True), ("S.", False), ("S.EW", False)):
        peer = Peer(ecn="on")
        service = peer.connect()
        peer.expect("SEW", ect=0)
        peer.send(answer, mss=MSS)
        peer.expect(".")
        assert service.connection.info()["ecn"] == agreed


def test_rfc3168_6_1_1_1_a_syn_that_is_lost_is_sent_again():
    """SHOULD: middleboxes may drop it; without ECN at the latest in the end."""
    peer = Peer(ecn="on")
    peer.connect()
    peer.expect("SEW")
    for _ in range(3):
        last = peer.expect(flags_of_next(peer))
    assert last.flags in ("S", "SEW")


def flags_of_next(peer):
    while not peer.heard:
        peer.world.run(1)
    return peer.heard[0].flags


def test_rfc3168_6_1_2_new_data_is_ecn_capable():
    """SHOULD: ECT(0)."""
    peer, service = opened()
    service.connection.write(pattern(500))
    peer.expect("P.", ect=2)


def test_rfc3168_6_1_4_an_acknowledgement_is_not():
    """MUST NOT: pure ACKs."""
    peer, _ = opened()
    peer.send("P.", data=b"x", ect=2)
    peer.expect(".", within=100, ect=0)


def test_rfc3168_6_1_5_a_retransmission_is_not():
    """MUST NOT: retransmitted data."""
    peer, service = opened()
    service.connection.write(b"hello")
    peer.expect("P.", ect=2)
    peer.expect("P.", within=1500, ect=0)


def test_rfc3168_6_1_6_a_window_probe_is_not():
    """SHOULD NOT."""
    peer, service = opened()
    peer.send(".", window=0)
    service.connection.write(b"hello")
    while not peer.heard:
        peer.world.run(10)
    assert peer.take()[0].ect == 0


def test_rfc3168_6_1_3_a_mark_is_echoed_until_cwr():
    """MUST: ECE on every ACK from the mark until the peer says CWR."""
    peer, _ = opened()
    peer.send("P.", data=b"a", ce=True)
    peer.expect(".E", within=100)
    peer.send("P.", data=b"b", ect=2)
    peer.expect(".E", within=100)
    peer.send("P.W", data=b"c", ect=2)
    peer.expect(".", within=100)
    assert peer.count("ecn_marks") == 1


def test_rfc3168_6_1_2_an_echo_halves_the_window_and_is_answered_with_cwr():
    """MUST: as for a loss, once per window; CWR on the first new data after it."""
    peer, service = opened()
    service.connection.write(pattern(30 * MSS))
    sent = peer.take()
    assert len(sent) == 10
    before = service.connection.info()["cwnd"]
    for i in range(10):
        peer.send(".E", ack=1 + (i + 1) * MSS)
    assert service.connection.info()["cwnd"] < before
    assert service.connection.info()["cwnd"] >= before * 6 // 10
    assert service.connection.info()["retransmits"] == 0
    flags = [segment.flags for segment in peer.take()]
    assert [("W" in letters) for letters in flags] == [True] + [False] * (len(flags) - 1)


def test_rfc3168_without_agreement_marks_and_echoes_mean_nothing():
    peer = Peer(ecn="on")
    service = peer.open(mss=MSS)
    service.connection.write(pattern(5 * MSS))
    peer.take()
    before = service.connection.info()["cwnd"]
    peer.send("P.E", ack=1 + MSS, data=b"x", ce=True)
    peer.expect(".", within=100, ack=2)
    assert service.connection.info()["cwnd"] >= before
