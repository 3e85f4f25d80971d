"""RFC 9293 clause by clause: closing, half-close, TIME-WAIT, resets; RFC 1337, 6191."""

import pytest

from tests.tcp.peer import Peer, pattern

MSL2 = 60_000  # TIME-WAIT, TCP_TIME_WAIT_MS


def closed(peer, service, reason=0):
    assert service.reason == reason
    assert service.state == "CLOSED"


def test_rfc9293_3_6_case_1_we_close_first():
    """Figure 12: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT."""
    peer = Peer()
    service = peer.open()
    service.connection.close()
    peer.expect("F.", seq=1, ack=1)
    assert service.state == "FIN-WAIT-1"
    peer.send(".")
    assert service.state == "FIN-WAIT-2"
    peer.send("F.")
    peer.expect(".", seq=2, ack=2)
    assert service.reason == 0
    assert peer.tcp.counts()["time_wait"] == 1
    peer.silent(2 * MSL2)
    assert set(peer.tcp.counts().values()) == {0}
    assert peer.drops == {}


def test_rfc9293_3_6_case_2_the_peer_closes_first():
    """Figure 12 from the other side: CLOSE-WAIT, LAST-ACK, and no TIME-WAIT."""
    peer = Peer()
    service = peer.open(keep_open=True)
    peer.send("F.")
    peer.expect(".", ack=2)
    assert (service.ended, service.state) == (True, "CLOSE-WAIT")
    service.connection.close()
    peer.expect("F.", seq=1, ack=2)
    assert service.state == "LAST-ACK"
    peer.send(".")
    peer.silent()
    closed(peer, service)
    assert set(peer.tcp.counts().values()) == {0}


def test_rfc9293_3_6_case_3_both_close_at_once():
    """Figure 13: CLOSING, then TIME-WAIT."""
    peer = Peer()
    service = peer.open()
    service.connection.close()
    peer.expect("F.", seq=1, ack=1)
    peer.send("F.", ack=1)
    peer.expect(".", seq=2, ack=2)
    assert service.state == "CLOSING"
    peer.send(".", ack=2)
    peer.silent()
    assert service.reason == 0
    assert peer.tcp.counts()["time_wait"] == 1


def test_rfc9293_3_6_fin_and_its_acknowledgement_in_one_segment():
    """From FIN-WAIT-1 straight to TIME-WAIT."""
    peer = Peer()
    service = peer.open()
    service.connection.close()
    peer.expect("F.")
    peer.send("F.", ack=2)
    peer.expect(".", seq=2, ack=2)
    assert (service.reason, peer.tcp.counts()["time_wait"]) == (0, 1)


def test_rfc9293_3_6_what_was_written_goes_out_before_the_end():
    """Figure 12: CLOSE waits for the queue."""
    peer = Peer()
    service = peer.open(mss=1000)
    service.connection.write(pattern(2500))
    service.connection.close()
    peer.expect(".", length=1000)
    peer.expect(".", length=1000)
    peer.expect("FP.", length=500)


def test_rfc9293_3_6_half_close_the_peer_may_go_on():
    """MUST-12's other half: after CLOSE data still arrives."""
    peer = Peer()
    service = peer.open()
    service.connection.close()
    peer.expect("F.")
    peer.send(".")
    for i in range(5):
        peer.send("P.", data=b"%d" % i)
    peer.wait(100)
    assert service.data == b"01234"
    assert service.state == "FIN-WAIT-2"


def test_rfc9293_3_6_half_close_we_may_go_on():
    peer = Peer()
    service = peer.open(keep_open=True)
    peer.send("F.")
    peer.expect(".", ack=2)
    service.connection.write(b"still here")
    assert peer.expect("P.", seq=1, ack=2).data == b"still here"
    peer.send(".")
    service.connection.close()
    peer.expect("F.", seq=11)


def test_rfc9293_3_6_1_an_orderly_end_and_an_abort_are_told_apart():
    """MUST-12: the service hears 0 for a FIN, ECONNRESET for a reset."""
    peer = Peer()
    service = peer.open()
    peer.send("R", seq=1)
    peer.silent()
    closed(peer, service, 104)


def test_rfc9293_3_10_7_4_data_after_fin_is_ignored():
    """Seventh: CLOSE-WAIT: this should not occur."""
    peer = Peer()
    service = peer.open(keep_open=True)
    peer.send("FP.", data=b"end")
    peer.expect(".", ack=5)
    peer.send("P.", seq=5, data=b"more")
    peer.expect(".", ack=5)
    assert service.data == b"end"


def test_rfc9293_3_10_7_4_fin_out_of_order_waits_for_the_data_before_it():
    peer = Peer()
    service = peer.open(keep_open=True)
    peer.send("FP.", seq=4, data=b"def")
    peer.expect(".", ack=1)
    assert not service.ended
    peer.send("P.", seq=1, data=b"abc")
    peer.expect(".", ack=8)
    assert (service.data, service.ended) == (b"abcdef", True)


def test_rfc9293_3_10_7_4_a_lost_fin_is_sent_again():
    peer = Peer()
    service = peer.open()
    service.connection.close()
    peer.expect("F.", seq=1)
    peer.expect("F.", seq=1, within=1500)
    peer.send(".", ack=2)
    assert service.state == "FIN-WAIT-2"


def test_fin_wait_2_does_not_last_for_ever():
    """RFC 1122 4.2.2.13 leaves it open; a peer that never closes costs a minute."""
    peer = Peer()
    service = peer.open()
    service.connection.close()
    peer.expect("F.")
    peer.send(".")
    peer.wait(130_000)
    assert service.reason is not None
    assert set(peer.tcp.counts().values()) == {0}


def test_rfc9293_3_10_4_close_before_anything_was_sent():
    """CLOSE in SYN-SENT: the connection is gone."""
    peer = Peer()
    service = peer.connect()
    peer.expect("S")
    service.connection.close()
    peer.wait(1)
    assert service.reason is not None
    peer.take()
    peer.send("S.", seq=0, ack=1, mss=1460)
    peer.expect("R", seq=1)


def test_rfc9293_3_10_5_abort_resets():
    """ABORT in a synchronized state: <SEQ=SND.NXT><CTL=RST>."""
    peer = Peer()
    service = peer.open()
    service.connection.write(b"12345")
    peer.expect("P.")
    service.connection.abort()
    peer.expect("R.", seq=6, within=1)
    assert service.connection.write(b"more") == 0
    assert set(peer.tcp.counts().values()) == {0}


def test_rfc9293_3_10_5_after_close_nothing_can_be_written():
    """SEND in FIN-WAIT: "connection closing"."""
    peer = Peer()
    service = peer.open()
    service.connection.close()
    assert service.connection.write(b"more") == 0


# TIME-WAIT


def in_time_wait(peer, **how):
    service = peer.open(**how)
    service.connection.close()
    peer.expect("F.")
    peer.send("F.", ack=2)
    peer.expect(".", seq=2, ack=2)
    return service


def test_rfc9293_3_6_1_time_wait_lasts_two_msl():
    """MUST-13: and no longer."""
    peer = Peer()
    in_time_wait(peer)
    peer.silent(MSL2 - 1000)
    assert peer.tcp.counts()["time_wait"] == 1
    peer.silent(2000)
    assert peer.tcp.counts()["time_wait"] == 0


def test_rfc9293_3_10_7_4_time_wait_answers_a_repeated_fin_and_waits_anew():
    """First, eighth: acknowledge, restart the 2 MSL timeout."""
    peer = Peer()
    in_time_wait(peer)
    peer.silent(MSL2 - 1000)
    peer.send("F.", seq=1, ack=2)
    peer.expect(".", seq=2, ack=2)
    peer.silent(MSL2 - 1000)
    assert peer.tcp.counts()["time_wait"] == 1
    peer.silent(3000)
    assert peer.tcp.counts()["time_wait"] == 0


@pytest.mark.parametrize("seq", [1, 2, 100])
def test_rfc1337_a_reset_does_not_end_time_wait(seq):
    """Section 3, F1: RST is ignored in TIME-WAIT (the assassination)."""
    peer = Peer()
    in_time_wait(peer)
    peer.send("R", seq=seq)
    peer.silent(100)
    assert peer.tcp.counts()["time_wait"] == 1


def test_rfc1337_old_data_in_time_wait_is_acknowledged_and_forgotten():
    peer = Peer()
    service = in_time_wait(peer)
    peer.send("P.", seq=2, ack=2, data=b"old")
    peer.expect(".", seq=2, ack=2)
    assert service.data == b""


def test_rfc9293_3_6_1_a_new_syn_may_reopen_from_time_wait():
    """MAY-2: its number is larger than the last of the previous connection; ours, too."""
    peer = Peer(iss=5000)
    service = in_time_wait(peer)
    last = (peer.us + 2) & 0xFFFFFFFF
    peer.wait(100)
    peer.restart(5000 + 10_000)
    peer.open(service=service)
    assert (peer.us - last) & 0x80000000 == 0
    assert len(service.connections) == 2
    assert peer.count("time_waits_reused") == 1


def test_rfc9293_3_6_1_an_old_syn_does_not_reopen():
    """MAY-2: SEG.SEQ is not beyond what was received: it is answered as any old segment."""
    peer = Peer(iss=5000)
    in_time_wait(peer)
    peer.send("S", seq=-3000, ack=None, mss=1460)
    peer.expect(".", seq=2, ack=2)
    assert peer.tcp.counts()["time_wait"] == 1


def test_rfc6191_2_a_later_timestamp_reopens_whatever_the_number():
    """SHLD-4: a SYN with a larger timestamp begins a new connection."""
    peer = Peer(iss=5000)
    service = in_time_wait(peer, ts=True)
    peer.wait(1000)
    peer.timestamps = False
    peer.restart(1000)
    peer.open(service=service, ts=True)
    assert len(service.connections) == 2


def test_rfc6191_2_an_earlier_timestamp_does_not():
    peer = Peer(iss=5000)
    in_time_wait(peer, ts=True)
    peer.send("S", seq=20_000, mss=1460, ts=(peer.clock() - 5000, 0))
    peer.expect(".", seq=2, ack=2)


def test_ports_in_time_wait_are_not_taken_for_new_connections():
    """An active open chooses another port, or the same one with a larger number."""
    peer = Peer()
    first = peer.connect()
    peer.expect("S")
    assert first.connection.local_port == 80
    second = peer.tcp.connect(b"\x0a\0\0\1", peer.port, print)
    assert second.local_port != 80


# Resets


def test_rfc9293_3_5_2_a_reset_may_carry_data():
    """SHLD-2."""
    peer = Peer()
    service = peer.open()
    peer.send("R.", seq=1, data=b"because")
    peer.silent()
    closed(peer, service, 104)


@pytest.mark.parametrize("state", ["ESTABLISHED", "CLOSE-WAIT", "FIN-WAIT-1", "FIN-WAIT-2"])
def test_rfc9293_3_10_7_4_a_reset_ends_every_synchronized_state(state):
    """Second: the service is told, the connection is gone, nothing is answered."""
    peer = Peer()
    service = peer.open(keep_open=True)
    if state == "CLOSE-WAIT":
        peer.send("F.")
        peer.expect(".")
    if state.startswith("FIN"):
        service.connection.close()
        peer.expect("F.")
    if state == "FIN-WAIT-2":
        peer.send(".")
    assert service.state == state
    peer.send("R", seq=peer.next)
    peer.silent(2000)
    assert service.reason == 104
    assert set(peer.tcp.counts().values()) == {0}


@pytest.mark.parametrize("state", ["CLOSING", "LAST-ACK"])
def test_rfc9293_3_10_7_4_a_reset_after_both_ends_is_no_news(state):
    """Second: CLOSING, LAST-ACK: enter CLOSED."""
    peer = Peer()
    service = peer.open()
    if state == "CLOSING":
        service.connection.close()
        peer.expect("F.")
        peer.send("F.", ack=1)
        peer.expect(".")
    else:
        peer.send("F.")
        peer.expect("F.", ack=2)
    assert service.state == state
    peer.send("R", seq=peer.next)
    peer.silent(2000)
    assert service.state == "CLOSED"
    assert set(peer.tcp.counts().values()) == {0}


# RFC 5961: blind attacks


@pytest.mark.parametrize("seq", [2, 100, 20_000])
def test_rfc5961_3_2_a_reset_in_the_window_is_challenged(seq):
    """MUST, RFC 9293 MAY-12: only RCV.NXT exactly resets; in the window a challenge ACK answers."""
    peer = Peer()
    service = peer.open()
    peer.send("R", seq=seq)
    peer.expect(".", seq=1, ack=1)
    assert service.state == "ESTABLISHED"
    assert peer.count("challenges") == 1


@pytest.mark.parametrize("seq", [-1, 0, 600_000, 1 << 31])
def test_rfc5961_3_2_a_reset_outside_of_the_window_is_dropped(seq):
    """MUST: silently."""
    peer = Peer()
    service = peer.open()
    peer.send("R", seq=seq)
    peer.silent(100)
    assert service.state == "ESTABLISHED"


@pytest.mark.parametrize("seq", [-1, 0, 1, 100, 1 << 31])
@pytest.mark.parametrize("flags", ["S", "S."])
def test_rfc5961_4_2_a_syn_is_challenged_wherever_it_is(flags, seq):
    """MUST: a challenge ACK, whatever the number; the connection goes on."""
    peer = Peer()
    service = peer.open()
    peer.send(flags, seq=seq, ack=1 if flags == "S." else None, mss=1460)
    peer.expect(".", seq=1, ack=1)
    assert service.state == "ESTABLISHED"


@pytest.mark.parametrize("ack", [-70_000 * 16, 1 << 31])
def test_rfc5961_5_2_an_acknowledgement_far_in_the_past_is_not_taken(ack):
    """MUST: SEG.ACK >= SND.UNA - MAX.SND.WND, else discard and answer."""
    peer = Peer()
    service = peer.open()
    peer.send("P.", seq=1, ack=ack, data=b"inject")
    peer.expect(".", seq=1, ack=1)
    assert service.data == b""


def test_rfc5961_7_challenges_have_a_budget():
    """MUST: they are throttled; then nothing answers until the second is over."""
    peer = Peer()
    service = peer.open()
    for _ in range(300):
        peer.send("R", seq=500)
    answers = len(peer.take())
    assert 10 <= answers <= 150
    assert peer.drops == {"tcp.challenge_limit": 300 - answers}
    peer.wait(2500)
    peer.send("R", seq=500)
    peer.expect(".", ack=1)
    assert service.state == "ESTABLISHED"
