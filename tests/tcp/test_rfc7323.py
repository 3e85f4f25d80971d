"""Window scale, timestamps, PAWS: RFC 7323."""

import pytest

from tests.tcp.peer import Peer, pattern

MSS = 1000


def gaps(stamps):
    return [(stamps[i + 1] - stamps[i]) & 0xFFFFFFFF for i in range(len(stamps) - 1)]


def test_rfc7323_2_2_scale_is_answered_if_it_was_offered():
    """MUST: only if the SYN had it."""
    peer = Peer()
    peer.listen()
    peer.send("S", mss=1460, scale=7)
    assert peer.expect("S.").scale is not None
    other = peer.another(port=40001)
    other.send("S", mss=1460)
    other.expect("S.", scale=None)


def test_rfc7323_2_2_the_window_of_a_syn_is_not_scaled():
    """MUST NOT, in both directions."""
    peer = Peer()
    peer.window = 1000
    service = peer.listen()
    peer.send("S", mss=MSS, scale=7)
    answer = peer.expect("S.")
    assert answer.window > 1000
    peer.window = 8
    peer.send(".")
    service.connection.write(pattern(5000))
    peer.expect(".", length=MSS)
    peer.silent(100)


def test_rfc7323_2_3_later_windows_are_scaled():
    """MUST: SND.WND = SEG.WND << Snd.Wind.Shift."""
    peer = Peer()
    service = peer.listen()
    peer.send("S", mss=MSS, scale=7)
    peer.expect("S.")
    peer.window = 100
    peer.send(".")
    assert service.connection.info()["send_window"] == 100 << 7
    assert service.connection.info()["scaled"]


def test_rfc7323_2_3_our_window_is_scaled_as_we_said():
    peer = Peer()
    peer.listen()
    peer.send("S", mss=MSS, scale=7)
    shift = peer.expect("S.").scale
    peer.send(".")
    peer.send("P.", data=b"x")
    assert peer.expect(".", within=100).window << shift > 65535


def test_rfc7323_2_2_a_shift_without_an_answer_is_not_used():
    """MUST: both or none."""
    peer = Peer()
    service = peer.connect()
    assert peer.expect("S").scale is not None
    peer.send("S.", mss=MSS)
    peer.expect(".")
    peer.send(".", window=100)
    assert service.connection.info()["send_window"] == 100
    assert not service.connection.info()["scaled"]


def test_rfc7323_3_2_timestamps_are_answered_if_they_were_offered():
    """MUST; TSecr of the SYN-ACK echoes the SYN, and that of a SYN is zero."""
    peer = Peer()
    peer.listen()
    peer.send("S", mss=1460, ts=(12345, 0))
    assert peer.expect("S.").ts[1] == 12345
    other = peer.another(port=40001)
    other.send("S", mss=1460)
    other.expect("S.", ts=False)
    third = peer.another(port=40002, to=4000)
    third.connect()
    assert third.expect("S").ts[1] == 0


def test_rfc7323_3_2_every_segment_then_has_them():
    """MUST: every segment but RST."""
    peer = Peer()
    service = peer.open(ts=True)
    service.connection.write(b"x")
    peer.expect("P.", ts=True)
    peer.send("P.", data=b"y")
    peer.expect(".", within=100, ts=True)
    service.connection.close()
    peer.expect("F.", ts=True)


def test_rfc7323_3_2_a_segment_without_them_is_dropped():
    """SHOULD: once both have agreed."""
    peer = Peer()
    service = peer.open(ts=True)
    peer.timestamps = False
    peer.send("P.", data=b"forged")
    assert service.data == b""
    assert peer.drops == {"tcp.paws": 1}


def test_rfc7323_4_1_our_clock_ticks_in_milliseconds():
    """5.4: between one tick in a second and one in a millisecond."""
    peer = Peer()
    service = peer.open(ts=True)
    stamps = []
    for _ in range(3):
        service.connection.write(b"x")
        stamps.append(peer.expect("P.").ts[0])
        peer.send(".")
        peer.wait(500)
    assert gaps(stamps) == [500, 500]


def test_rfc7323_4_3_the_echo_is_that_of_the_earliest_unacknowledged_segment():
    """(2): TS.Recent is only taken from a segment that covers Last.ACK.sent."""
    peer = Peer()
    peer.open(ts=True, mss=MSS)
    first, second = peer.clock() + 10, peer.clock() + 20
    peer.send(".", data=pattern(MSS), ts=(first, peer.ts_recent))
    peer.send(".", data=pattern(MSS), ts=(second, peer.ts_recent))
    assert peer.expect(".").ts[1] == first & 0xFFFFFFFF


def test_rfc7323_4_3_a_segment_out_of_order_does_not_set_the_echo():
    peer = Peer()
    peer.open(ts=True, mss=MSS)
    peer.send(".", data=b"x")
    known = peer.expect(".", within=100).ts[1]
    peer.send(".", seq=500, data=b"later", ts=(peer.clock() + 50, peer.ts_recent))
    assert peer.expect(".").ts[1] == known


def test_rfc7323_5_3_r1_an_old_segment_is_acknowledged_and_dropped():
    """PAWS, MUST: SEG.TSval < TS.Recent: an ACK, and drop."""
    peer = Peer()
    service = peer.open(ts=True)
    peer.wait(10)
    peer.send("P.", data=b"new")
    peer.expect(".", within=100)
    peer.send("P.", data=b"old", ts=(peer.clock() - 5000, peer.ts_recent))
    peer.expect(".", ack=4)
    assert service.data == b"new"
    assert peer.drops == {"tcp.paws": 1}


def test_rfc7323_5_3_r1_a_reset_is_not_subject_to_it():
    """MUST NOT apply to RST."""
    peer = Peer()
    service = peer.open(ts=True)
    peer.send("R", seq=1, ts=(peer.clock() - 100_000, 0))
    peer.silent()
    assert service.reason == 104


def test_rfc7323_5_2_timestamps_wrap():
    """SHOULD: compared modulo 2^32."""
    peer = Peer()
    service = peer.listen()
    peer.send("S", mss=MSS, ts=(0xFFFFFFFE, 0))
    ours = peer.expect("S.").ts[0]
    peer.send(".", ts=(0xFFFFFFFF, ours))
    for i in range(4):
        peer.send("P.", data=b"%d" % i, ts=(i, ours))
    peer.wait(100)
    assert service.data == b"0123"
    assert peer.drops == {}


def test_rfc7323_5_5_after_days_of_silence_an_old_stamp_is_no_reason():
    """MAY: TS.Recent is invalid after 24 days (here after what our clock can tell)."""
    peer = Peer()
    service = peer.open(ts=True)
    peer.send("P.", data=b"a")
    peer.expect(".", within=100)
    stamp = peer.clock()
    for _ in range(14):
        peer.wait(12 * 3600_000)
    peer.send("P.", data=b"b", ts=(stamp - 1000, peer.ts_recent))
    peer.wait(100)
    assert service.data == b"ab"


def test_rfc7323_4_1_a_retransmission_is_measured_by_its_echo():
    """RTTM: without Karn's restriction."""
    peer = Peer()
    service = peer.open(ts=True, mss=MSS)
    service.connection.write(b"hello")
    peer.expect("P.")
    peer.expect("P.", within=2000)
    peer.wait(30)
    peer.send(".")
    assert 25 <= service.connection.info()["rtt"] <= 35


def test_our_timestamps_survive_the_wrap_of_the_machine_s_clock():
    """The clock has 30 bits; peers see 32 that never go back."""
    peer = Peer(start=0x3FFFFFFF - 20_000)
    service = peer.open(ts=True)
    stamps = []
    for _ in range(10):
        service.connection.write(b"x")
        stamps.append(peer.expect("P.").ts[0])
        peer.send(".")
        peer.wait(4000)
    assert set(gaps(stamps)) == {4000}
    assert service.connection.info()["rtt"] < 10


@pytest.mark.parametrize("length", [1, 5, 9, 11])
def test_a_timestamp_option_of_another_length_is_none(length):
    peer = Peer()
    peer.listen()
    peer.send("S", options=bytes([8, length]) + bytes(14))
    assert peer.expect("S.").ts is None
