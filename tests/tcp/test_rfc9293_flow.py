"""RFC 9293 clause by clause: acknowledgements, windows, Nagle, timers, keepalive, ICMP."""

import struct

import pytest

from tests.support.frames import checksum, ethernet, ip
from tests.tcp.peer import THEM, US, Peer, pattern

MSS = 1000


# Acknowledgements


def test_rfc9293_3_8_6_3_an_acknowledgement_is_delayed():
    """SHLD-18, MUST-40: less than half a second."""
    peer = Peer()
    peer.open()
    peer.send("P.", data=b"x")
    peer.expect(".", after=40, ack=2)


def test_rfc9293_3_8_6_3_every_second_full_segment_is_acknowledged():
    """SHLD-19."""
    peer = Peer()
    peer.open(mss=MSS)
    peer.send(".", data=pattern(MSS))
    peer.silent()
    peer.send(".", data=pattern(MSS))
    peer.expect(".", ack=2 * MSS + 1)


def test_rfc9293_3_8_6_3_the_answer_carries_the_acknowledgement():
    """SHLD-18: a delayed acknowledgement rides with data."""
    peer = Peer()
    service = peer.open()
    peer.send("P.", data=b"ping")
    service.connection.write(b"pong")
    peer.expect("P.", ack=5, data=b"pong")
    peer.send(".")
    peer.silent(1000)


def test_rfc9293_3_10_7_4_segments_that_wait_are_acknowledged_together():
    """MUST-58, MUST-59: all that has arrived is looked at before one acknowledgement is sent."""
    peer = Peer()
    peer.open(mss=MSS)
    world = peer.world
    send, world.send = world.send, lambda nic, frame: waiting.append((nic, frame))
    waiting = []
    for i in range(8):
        peer.send(".", data=pattern(MSS, i))
    world.send = send
    for nic, frame in waiting:
        # One burst of the driver: the loop's turn comes after it.
        world.frames.append((world.time, nic.name, frame))
        peer.wire.host.card.hear(frame)
    peer.expect(".", ack=8 * MSS + 1)
    peer.silent(1000)


def test_rfc5681_4_2_a_gap_is_acknowledged_at_once():
    """SHOULD: an immediate duplicate ACK for what is out of order, and when the gap fills."""
    peer = Peer()
    peer.open(mss=MSS)
    for i in (1, 2, 3):
        peer.send(".", seq=1 + i * MSS, data=pattern(MSS))
        peer.expect(".", ack=1)
    peer.send(".", seq=1, data=pattern(MSS))
    peer.expect(".", ack=1 + 4 * MSS)


# The window we offer


def test_rfc9293_3_8_6_the_right_edge_never_moves_to_the_left():
    """SHLD-14: while the service keeps what it gets, the window closes by what arrives."""
    peer = Peer()
    service = peer.listen()
    peer.send("S", mss=MSS)
    edge = peer.expect("S.").window + 1
    peer.send(".")
    service.connection.hold(30_000)
    for i in range(20):
        peer.send(".", data=pattern(MSS, i))
        for segment in peer.take():
            assert segment.ack + segment.window >= edge
            edge = segment.ack + segment.window


def test_rfc9293_3_8_6_2_2_the_window_opens_in_steps():
    """MUST-39: by a segment or half of the buffer at least, not by a few bytes."""
    peer = Peer(window=8192)
    service = peer.open(mss=MSS)
    hear = service.connection.on_data
    kept = []

    def keep(connection, segment):
        hear(connection, segment)
        connection.hold(segment.length)
        kept.append(segment.length)

    service.connection.on_data = keep
    while True:
        peer.send(".", data=pattern(MSS))
        peer.wait(50)
        last = peer.take()[-1]
        if last.window == 0:
            break
        assert len(kept) < 1000
    service.connection.release(100)
    peer.silent(10)
    service.connection.release(5000)
    assert 5100 <= peer.expect(".").window < 6100


def test_rfc9293_3_8_6_1_a_closed_window_still_takes_acknowledgements_and_resets():
    """MUST-66, MAY-8: RST and ACK are processed while the window is zero."""
    peer = Peer()
    service = peer.open(mss=MSS)
    service.connection.hold(1 << 20)
    while True:
        peer.send(".", data=pattern(MSS))
        peer.wait(50)
        if peer.take()[-1].window == 0:
            break
    service.connection.write(b"hello")
    peer.expect("P.", length=5)
    peer.send(".", seq=peer.told, ack=6)
    assert service.connection.queued == 0
    peer.send("P.", seq=peer.told, data=b"probe")
    peer.expect(".", window=0)
    peer.send("R", seq=peer.told)
    peer.silent()
    assert service.reason == 104


# The window the peer offers


def test_rfc9293_3_8_6_a_window_is_not_exceeded():
    """3.8.6: SND.UNA + SND.WND bounds what is sent."""
    peer = Peer()
    peer.window = 2500
    service = peer.open(mss=MSS)
    service.connection.write(pattern(10_000))
    peer.expect(".", length=MSS)
    peer.expect(".", length=MSS)
    peer.silent(100)


def test_rfc9293_3_8_6_2_1_no_silly_segments():
    """MUST-38: less than a segment, less than half of the largest window: wait."""
    peer = Peer()
    peer.window = 4 * MSS
    service = peer.open(mss=MSS)
    service.connection.write(pattern(10_000))
    for _ in range(4):
        peer.expect(".", length=MSS)
    peer.send(".", window=100)
    peer.silent(150)
    peer.send(".", window=MSS)
    peer.expect(".", length=MSS, seq=4 * MSS + 1)


def test_rfc9293_3_8_6_a_window_that_shrinks_is_survived():
    """MUST-34, SHLD-15, SHLD-16, SHLD-17: no new data; what was sent may be sent again."""
    peer = Peer()
    peer.window = 4 * MSS
    service = peer.open(mss=MSS)
    service.connection.write(pattern(8000))
    for _ in range(4):
        peer.expect(".", length=MSS)
    peer.send(".", ack=1 + MSS, window=500)
    peer.silent(150)
    peer.expect(".", within=400, seq=1 + MSS)
    peer.send(".", ack=1 + 4 * MSS, window=8 * MSS)
    for i in (4, 5, 6, 7):
        assert peer.expect(flags_of_next(peer)).seq == 1 + i * MSS
        peer.send(".")
    assert service.connection.queued == 0


def close_window(peer):
    """Data is written, and the peer's window is closed."""
    peer.window = MSS
    service = peer.open(mss=MSS)
    service.connection.write(pattern(3000))
    peer.expect(".", length=MSS)
    peer.send(".", window=0)
    return service


def test_rfc9293_3_8_6_1_a_closed_window_is_probed():
    """MUST-35, MUST-36, SHLD-29, SHLD-30: after an RTO, then ever less often."""
    peer = Peer()
    service = close_window(peer)
    waits = []
    for _ in range(6):
        start = peer.world.time
        segment = peer.expect(flags_of_next(peer))
        waits.append(peer.world.time - start)
        assert segment.seq in (MSS, MSS + 1)
        assert segment.length <= 1
        peer.send(".", ack=MSS + 1, window=0)
    assert 150 <= waits[0] <= 1200
    for i in range(5):
        assert waits[i + 1] >= 1.7 * waits[i]
    assert service.state == "ESTABLISHED"
    peer.send(".", ack=MSS + 1, window=8000)
    assert peer.expect(flags_of_next(peer)).seq in (MSS + 1, MSS + 2)


def flags_of_next(peer):
    """Those of the next segment, whatever they are."""
    while not peer.heard:
        peer.world.run(1)
    return peer.heard[0].flags


def test_rfc9293_3_8_6_1_a_window_may_stay_closed_for_hours():
    """MUST-37: as long as the probes are answered the connection lives."""
    peer = Peer()
    service = close_window(peer)
    end = peer.world.time + 3 * 3600_000
    probes = 0
    while peer.world.time < end:
        peer.wait(1000)
        for _ in peer.take():
            probes += 1
            peer.send(".", ack=MSS + 1, window=0)
    assert service.state == "ESTABLISHED"
    assert 100 < probes < 400
    peer.send(".", ack=MSS + 1, window=8000)
    peer.wait(10)
    total = max(segment.seq + segment.length for segment in peer.take())
    assert total == 3001


def test_rfc9293_3_8_6_1_a_window_that_opens_is_used():
    peer = Peer()
    close_window(peer)
    peer.silent(100)
    peer.send(".", ack=MSS + 1, window=10_000)
    peer.expect(".", seq=MSS + 1, length=MSS)
    peer.expect("P.", seq=2 * MSS + 1, length=MSS)


# Nagle


def test_rfc9293_3_7_4_nagle_waits_with_small_segments():
    """SHLD-7: while something is unacknowledged, small pieces are collected."""
    peer = Peer()
    service = peer.open(mss=MSS)
    service.connection.write(b"a")
    peer.expect("P.", data=b"a")
    for _ in range(5):
        service.connection.write(b"b")
        peer.silent(10)
    peer.send(".")
    peer.expect("P.", data=b"bbbbb")


def test_rfc9293_3_7_4_full_segments_do_not_wait():
    peer = Peer()
    service = peer.open(mss=MSS)
    service.connection.write(b"a")
    peer.expect("P.", data=b"a")
    service.connection.write(pattern(1500))
    peer.expect(".", length=MSS)
    peer.silent(100)
    peer.send(".")
    peer.expect("P.", length=500)


def test_rfc9293_3_7_4_nagle_can_be_switched_off():
    """MUST-17."""
    peer = Peer()
    service = peer.open(mss=MSS)
    service.connection.set(nodelay=True)
    for letter in (b"a", b"b", b"c"):
        service.connection.write(letter)
        peer.expect("P.", data=letter)


def test_rfc9293_3_7_4_an_end_does_not_wait():
    peer = Peer()
    service = peer.open(mss=MSS)
    service.connection.write(b"a")
    peer.expect("P.", data=b"a")
    service.connection.write(b"b")
    service.connection.close()
    peer.expect("FP.", data=b"b")


# Retransmission


def test_rfc9293_3_8_1_lost_data_is_sent_again_ever_less_often():
    """MUST-18, MUST-19: by the timer of RFC 6298, exponentially."""
    peer = Peer()
    service = peer.open(mss=MSS)
    service.connection.write(b"hello")
    peer.expect("P.", data=b"hello")
    waits = []
    for _ in range(5):
        start = peer.world.time
        peer.expect("P.", within=100_000, seq=1, data=b"hello")
        waits.append(peer.world.time - start)
    assert waits[0] == pytest.approx(1000, abs=2)
    assert waits == [pytest.approx(waits[0] * (1 << i), abs=3) for i in range(5)]
    peer.send(".")
    peer.silent(100_000)
    assert service.connection.queued == 0


def test_rfc9293_3_8_1_what_was_retransmitted_is_not_measured():
    """MUST-18: Karn's algorithm, end to end."""
    peer = Peer()
    service = peer.open(mss=MSS)
    service.connection.write(b"hello")
    peer.expect("P.")
    peer.expect("P.", within=2000)
    peer.send(".")
    assert service.connection.info()["rtt"] == 0


def test_rfc9293_3_8_3_a_silent_peer_is_given_up():
    """MUST-20, MUST-21, SHLD-10, SHLD-11: at the user timeout, which the service sets."""
    peer = Peer()
    service = peer.open(mss=MSS)
    service.connection.write(b"hello")
    start = peer.world.time
    while service.reason is None and peer.world.time - start < 1_000_000:
        peer.wait(500)
    assert service.reason == 110
    assert peer.world.time - start >= 100_000
    assert len(peer.take()) >= 4
    assert set(peer.tcp.counts().values()) == {0}


@pytest.mark.parametrize("ms", [2000, 30_000, 400_000])
def test_rfc9293_3_8_3_the_service_says_how_long(ms):
    """MUST-21."""
    peer = Peer()
    service = peer.open(mss=MSS)
    service.connection.set(user_timeout=ms)
    service.connection.write(b"hello")
    start = peer.world.time
    while service.reason is None:
        peer.wait(100)
        assert peer.world.time - start < 2 * ms + 70_000
    assert service.reason == 110
    assert peer.world.time - start >= ms


def test_rfc9293_3_8_3_a_syn_is_tried_for_three_minutes():
    """MUST-22, MUST-23: with the same mechanism."""
    peer = Peer()
    service = peer.connect()
    peer.expect("S", seq=0)
    start = peer.world.time
    while service.reason is None and peer.world.time - start < 1_000_000:
        peer.wait(500)
    assert service.reason == 110
    assert peer.world.time - start >= 180_000
    assert {segment.flags for segment in peer.take()} == {"S"}


def test_rfc9293_3_8_3_a_syn_ack_is_sent_again_and_forgotten():
    peer = Peer()
    peer.listen()
    peer.send("S", mss=MSS)
    peer.expect("S.")
    again = 0
    for _ in range(400):
        peer.wait(1000)
        again += len(peer.take())
    assert 3 <= again <= 10
    assert set(peer.tcp.counts().values()) == {0}


# Keepalive


def test_rfc9293_3_8_4_keepalive_is_off_by_default():
    """MUST-24, MUST-25, MAY-5."""
    peer = Peer()
    peer.open()
    peer.silent(10 * 3600_000)


def test_rfc9293_3_8_4_keepalive_asks_after_silence():
    """MUST-26, MUST-27, MUST-28, SHLD-12: SEG.SEQ = SND.NXT - 1, no data, in time."""
    peer = Peer()
    service = peer.open()
    service.connection.set(keepalive=(10_000, 2000, 3))
    peer.expect(".", after=(9_900, 10_100), seq=0, length=0)
    peer.send(".")
    peer.expect(".", after=(9_900, 10_100), seq=0)
    assert service.state == "ESTABLISHED"


def test_rfc9293_3_8_4_one_lost_answer_is_no_death():
    """MUST-29: a probe that is not answered means nothing; several do."""
    peer = Peer()
    service = peer.open()
    service.connection.set(keepalive=(10_000, 2000, 3))
    peer.expect(".", after=(9_900, 10_100), seq=0)
    for _ in range(2):
        peer.expect(".", after=(1_900, 2_100), seq=0)
        assert service.reason is None
    peer.silent(3000)
    assert service.reason == 110


def test_rfc9293_3_8_4_a_keepalive_of_the_peer_is_answered():
    peer = Peer()
    peer.open()
    peer.silent(1000)
    peer.send(".", seq=0)
    peer.expect(".", seq=1, ack=1)
    peer.send(".", seq=0, data=b"\0")
    peer.expect(".", seq=1, ack=1)


# ICMP, RFC 9293 3.9.2.2; path MTU, RFC 1191


def icmp(peer, kind, code, rest=bytes(4), seq=1, port=None):
    """An ICMP error about our segment `seq`."""
    quoted = struct.pack(">HHI", peer.to, port or peer.port, (peer.us + seq) & 0xFFFFFFFF)
    quoted = ip(US, THEM, 6, quoted, length=40)
    message = struct.pack(">BBH", kind, code, 0) + rest + quoted
    message = message[:2] + struct.pack(">H", checksum(message)) + message[4:]
    mac = peer.wire.host.nic.mac
    peer.wire.frame(ethernet(mac, peer.wire.nic.mac, 0x0800, ip(THEM, US, 1, message)))


@pytest.mark.parametrize("kind, code", [(3, 0), (3, 1), (3, 5), (11, 0), (11, 1), (12, 0)])
def test_rfc9293_3_9_2_2_soft_errors_do_not_abort(kind, code):
    """MUST-54, MUST-56, SHLD-25: they may be the reason when the timer gives up."""
    peer = Peer()
    service = peer.open()
    service.connection.write(b"hello")
    peer.expect("P.")
    icmp(peer, kind, code)
    peer.wait(10)
    assert service.state == "ESTABLISHED"


@pytest.mark.parametrize("code", [2, 3])
def test_rfc9293_3_9_2_2_hard_errors_end_an_attempt(code):
    """SHLD-26: while the connection is being opened; RFC 5461, 5927: later they are soft."""
    peer = Peer()
    service = peer.connect()
    peer.expect("S")
    icmp(peer, 3, code, seq=0)
    peer.wait(10)
    assert service.reason in (111, 113)


def test_rfc9293_3_9_2_2_source_quench_is_ignored():
    """MUST-55."""
    peer = Peer()
    service = peer.open()
    service.connection.write(b"hello")
    peer.expect("P.")
    before = service.connection.info()["cwnd"]
    icmp(peer, 4, 0)
    assert service.connection.info()["cwnd"] == before


def test_rfc5927_4_1_an_error_about_what_is_not_under_way_is_ignored():
    peer = Peer()
    service = peer.connect()
    peer.expect("S")
    icmp(peer, 3, 3, seq=5000)
    icmp(peer, 3, 3, seq=0, port=1)
    peer.wait(10)
    assert service.reason is None
    assert peer.count("unreachable_quote") >= 1


def test_rfc1191_6_4_a_smaller_path_mtu_makes_smaller_segments():
    """SHLD-6: what was too long is sent again at once, in smaller segments."""
    peer = Peer()
    service = peer.open(mss=1460)
    service.connection.write(pattern(1460))
    peer.expect("P.", length=1460)
    icmp(peer, 3, 4, struct.pack(">HH", 0, 1000))
    segments = []
    for _ in range(4):
        segments += peer.take()
        peer.wait(100)
        if segments:
            peer.send(".", ack=max(s.seq + s.length for s in segments))
    assert segments[0].seq == 1
    assert max(segment.length for segment in segments) == 960
    assert service.connection.queued == 0


def test_rfc9293_3_9_2_segments_must_not_be_fragmented_on_the_way():
    """RFC 1191 3: DF is set on every segment."""
    peer = Peer()
    service = peer.open()
    service.connection.write(b"hello")
    peer.expect("P.")
    frames = [f for _, name, f in peer.world.frames if name == "us" and f[12:14] == b"\x08\0"]
    assert {frame[20] >> 6 for frame in frames} == {1}
