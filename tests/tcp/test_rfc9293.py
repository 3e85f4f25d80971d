"""RFC 9293 clause by clause: opening, segments, closing.  The labels are those of its appendix B.

More of them: test_rfc9293_flow.py (windows, timers, acknowledgements), test_rfc9293_reset.py.
"""

import pytest

from tests.tcp.peer import Peer, packed, pattern

WINDOW = 65535


def test_rfc9293_3_5_three_way_handshake_passive():
    """Figure 6, from the other end: SYN, SYN-ACK, ACK, and the service is told."""
    peer = Peer()
    service = peer.listen()
    peer.send("S", mss=1460)
    answer = peer.expect("S.", seq=0, ack=1)
    assert answer.window > 0
    assert not service.connected
    peer.send(".")
    peer.silent()
    assert service.connected
    assert service.state == "ESTABLISHED"
    assert peer.drops == {}


def test_rfc9293_3_5_three_way_handshake_active():
    """Figure 6."""
    peer = Peer()
    service = peer.connect()
    peer.expect("S", seq=0)
    assert service.state == "SYN-SENT"
    assert not service.connected
    peer.send("S.", mss=1460)
    peer.expect(".", seq=1, ack=1, length=0)
    assert (service.connected, service.state) == (True, "ESTABLISHED")
    assert peer.drops == {}


def test_rfc9293_3_5_simultaneous_open():
    """MUST-10, figure 8: both have sent SYN; each answers with SYN-ACK."""
    peer = Peer()
    service = peer.connect()
    peer.expect("S", seq=0)
    peer.send("S", mss=1460)
    peer.expect("S.", seq=0, ack=1)
    assert service.state == "SYN-RECEIVED"
    peer.send(".", ack=1)
    assert service.state == "ESTABLISHED"
    assert service.connected
    peer.send("P.", data=b"both")
    peer.wait(50)
    assert service.data == b"both"


def test_rfc9293_3_5_simultaneous_open_with_syn_acks_that_cross():
    """MUST-10: the peer's SYN-ACK arrives in SYN-RECEIVED."""
    peer = Peer()
    service = peer.connect()
    peer.expect("S")
    peer.send("S", mss=1460)
    peer.expect("S.", seq=0, ack=1)
    peer.send("S.", seq=0, ack=1, mss=1460)
    peer.wait(10)
    assert service.state == "ESTABLISHED"


def test_rfc9293_3_10_7_4_a_reset_in_syn_received_returns_to_listen():
    """MUST-11: SYN-RECEIVED remembers that it came from LISTEN: the reset says nothing."""
    peer = Peer()
    service = peer.listen()
    peer.send("S", mss=1460)
    peer.expect("S.")
    peer.send("R", seq=1)
    peer.silent(5000)
    assert service.reason is None
    assert service.connections == []
    peer.restart(1000)
    peer.open(service=service)
    assert service.connected


def test_rfc9293_3_10_7_4_a_reset_after_an_active_open_tells_the_service():
    """MUST-11: SYN-RECEIVED that came from SYN-SENT: connection refused."""
    peer = Peer()
    service = peer.connect()
    peer.expect("S")
    peer.send("S", mss=1460)
    peer.expect("S.")
    peer.send("R", seq=1)
    peer.silent(5000)
    assert service.reason in (104, 111)


def test_rfc9293_3_10_7_3_a_refused_connection():
    """A reset that acknowledges our SYN: connection refused."""
    peer = Peer()
    service = peer.connect()
    peer.expect("S")
    peer.send("R.", seq=0, ack=1)
    peer.silent(5000)
    assert service.reason == 111
    assert service.state == "CLOSED"


@pytest.mark.parametrize("ack", [0, 2, 1000])
def test_rfc9293_3_10_7_3_a_reset_that_acknowledges_something_else_is_ignored(ack):
    peer = Peer()
    service = peer.connect()
    peer.expect("S")
    peer.send("R.", seq=0, ack=ack)
    peer.silent(100)
    assert service.reason is None


def test_rfc9293_3_5_1_an_old_syn_ack_is_refused():
    """Half-open, figure 9: an unacceptable ACK in SYN-SENT is answered with a reset."""
    peer = Peer()
    service = peer.connect()
    peer.expect("S")
    peer.send("S.", seq=100, ack=50, mss=1460)
    peer.expect("R", seq=50)
    assert service.state == "SYN-SENT"
    peer.send("S.", seq=0, ack=1, mss=1460)
    peer.expect(".", seq=1, ack=1)


def test_rfc9293_3_10_7_2_an_old_ack_at_a_listener_is_refused():
    """LISTEN, second: any acknowledgement is bad."""
    peer = Peer()
    peer.listen()
    peer.us = 0
    peer.send(".", seq=5, ack=77)
    peer.expect("R", seq=77)


def test_rfc9293_3_10_7_1_nobody_listens():
    """CLOSED: RST from 0, acknowledging what came; or from where it was acknowledged."""
    peer = Peer()
    peer.us = 0
    peer.send("S", mss=1460)
    peer.expect("R.", seq=0, ack=1)
    peer.send("P.", seq=1, ack=42, data=b"hello")
    peer.expect("R", seq=42)
    peer.send("P", seq=1, data=b"hello")
    peer.expect("R.", seq=0, ack=6)
    peer.send("R", seq=1)
    peer.send("R.", seq=1, ack=1)
    peer.silent()
    assert peer.drops == {"tcp.port": 3}


def test_rfc9293_3_10_7_1_data_on_the_syn_of_nobody_is_acknowledged():
    peer = Peer()
    peer.us = 0
    peer.send("S", data=b"12345", mss=1460)
    peer.expect("R.", seq=0, ack=6)


def test_rfc9293_3_9_1_1_several_listeners_and_connections():
    """MUST-41, MUST-42: many connections on a port, several ports at a time."""
    first = Peer()
    services = {80: first.listen(80), 81: first.listen(81)}
    peers = [first] + [
        first.another(port=40001 + i, to=80 + i % 2, iss=1000 * i) for i in range(1, 6)
    ]
    for peer in peers:
        peer.open(service=services[peer.to])
    for i, peer in enumerate(peers):
        peer.send("P.", data=b"%d" % i)
    first.wait(100)
    assert services[80].data == b"024"
    assert services[81].data == b"135"
    assert len(services[80].connections) == 3
    assert first.drops == {}


def test_rfc9293_3_9_1_1_a_second_listener_on_a_port_is_refused():
    peer = Peer()
    peer.listen(80)
    with pytest.raises(OSError):
        peer.listen(80)


def test_rfc9293_3_9_1_1_a_listener_that_is_closed_refuses():
    peer = Peer()
    service = peer.listen()
    service.listener.close()
    peer.us = 0
    peer.send("S", mss=1460)
    peer.expect("R.", seq=0, ack=1)


def test_rfc9293_3_9_1_1_the_source_address_is_that_of_the_route():
    """MUST-44, MUST-45: IP chooses the address, and all segments have it."""
    peer = Peer()
    service = peer.meet()
    assert service.connection.local == b"\x0a\0\0\2"
    service.connection.write(b"x")
    assert peer.expect("P.").data == b"x"


@pytest.mark.parametrize("address", ["255.255.255.255", "224.0.0.1", "0.0.0.0"])
def test_rfc9293_3_9_2_3_no_connection_to_many(address):
    """MUST-46: an OPEN to a broadcast or multicast address is an error."""
    peer = Peer()
    with pytest.raises((OSError, ValueError)):
        peer.tcp.connect(packed(address), 80, print)


@pytest.mark.parametrize("address", ["255.255.255.255", "224.0.0.1", "10.0.0.255", "0.0.0.0"])
def test_rfc9293_3_9_2_3_a_syn_from_many_is_ignored(address):
    """MUST-63: a SYN from an invalid source address is ignored."""
    peer = Peer()
    peer.listen()
    bad = peer.another(address=address)
    bad.send("S", mss=1460)
    peer.silent(2000)
    assert bad.heard == []
    assert peer.count("sent") == 0


def test_rfc9293_3_9_2_3_a_syn_to_many_is_ignored():
    """MUST-57: a SYN to a broadcast or multicast address is silently discarded."""
    peer = Peer()
    peer.listen()
    peer.send("S", mss=1460, to_all=True)
    peer.silent(2000)
    assert peer.count("sent") == 0


# Segments: checksum, options, MSS


def test_rfc9293_3_1_a_wrong_checksum_is_dropped():
    """MUST-3; MUST-2 is checked of every segment that a test hears."""
    peer = Peer()
    service = peer.open()
    peer.send("P.", seq=1, data=b"bad", checksum=0x1234)
    peer.silent(100)
    assert service.data == b""
    assert peer.drops == {"tcp.checksum": 1}


def test_rfc9293_3_1_a_checksum_of_zero_is_not_an_absent_one():
    """MUST-3: TCP, other than UDP, has no such thing."""
    peer = Peer()
    peer.open()
    peer.send("P.", seq=1, data=b"bad", checksum=0)
    peer.silent(100)
    assert peer.drops == {"tcp.checksum": 1}


@pytest.mark.parametrize("offset", [0, 1, 4, 6, 15])
def test_rfc9293_3_1_a_data_offset_that_cannot_be_is_dropped(offset):
    peer = Peer()
    service = peer.open()
    peer.send("P.", seq=1, data=b"bad", offset=offset)
    peer.silent(100)
    assert service.data == b""
    assert peer.drops == {"tcp.header_length": 1}


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 15])
def test_rfc9293_3_1_reserved_bits_are_ignored(bits):
    """MUST (3.1): must be ignored in received segments; ours are zero (every test looks)."""
    peer = Peer()
    service = peer.open()
    peer.send("P.", data=b"good", reserved=bits)
    peer.wait(100)
    assert service.data == b"good"


@pytest.mark.parametrize(
    "options",
    [
        b"",
        b"\0\0\0\0",
        b"\1\1\1\1",
        b"\1\1\1\0",
        b"\1\2\4\5\xb4\0\0\0",
        b"\xfe\4\1\2",
        b"\1\1\xfe\2",
        b"\x13\x12" + bytes(16) + b"\1\1",
    ],
)
def test_rfc9293_3_1_options_are_read_on_any_segment_and_skipped_if_unknown(options):
    """MUST-4, MUST-5, MUST-6, MUST-64: end of list, no-operation, MSS; any alignment."""
    peer = Peer()
    service = peer.listen()
    peer.send("S", options=options)
    peer.expect("S.", ack=1)
    peer.send(".", options=options)
    peer.send("P.", data=b"x", options=options)
    peer.wait(100)
    assert service.data == b"x"


@pytest.mark.parametrize("options", [b"\2\0\0\0", b"\3\1\0\0", b"\2\5\1\1", b"\1\1\1\2"])
def test_rfc9293_3_1_an_illegal_option_length_does_no_harm(options):
    """MUST-7: what cannot be read is not read; the segment counts without it."""
    peer = Peer()
    service = peer.listen()
    peer.send("S", options=options)
    peer.expect("S.", ack=1)
    peer.send(".", options=options)
    peer.send("P.", data=b"x", options=options)
    peer.wait(100)
    assert service.data == b"x"


def test_rfc9293_3_7_1_mss_is_on_both_syns_and_nowhere_else():
    """MUST-14, MUST-65, MUST-67, SHLD-5, MAY-3, MUST-68: 1460 is what an MTU of 1500 leaves."""
    peer = Peer()
    peer.listen()
    peer.send("S", mss=1460)
    peer.expect("S.", mss=1460)
    peer.send(".")
    peer.send("P.", data=b"x")
    peer.expect(".", within=100, mss=None)
    other = peer.another(port=40001, to=4000)
    other.connect()
    other.expect("S", mss=1460)


@pytest.mark.parametrize("mtu", [576, 1280, 1400])
def test_rfc9293_3_7_1_mss_follows_the_mtu(mtu):
    """MUST-67: the MTU less 40."""
    peer = Peer(mtu=mtu)
    peer.listen()
    peer.send("S", mss=1460)
    peer.expect("S.", mss=mtu - 40)


def sizes(peer, service, length=6000):
    """Payload sizes of the segments in which so much data goes out."""
    service.connection.set(nodelay=True)
    service.connection.write(pattern(length))
    peer.wait(5)
    return [segment.length for segment in peer.take()]


def test_rfc9293_3_7_1_without_the_option_536_is_assumed():
    """MUST-15."""
    peer = Peer()
    service = peer.open(mss=None)
    assert max(sizes(peer, service)) == 536


@pytest.mark.parametrize("mss, segment", [(500, 500), (1000, 1000), (1460, 1460), (9000, 1460)])
def test_rfc9293_3_7_1_the_effective_mss(mss, segment):
    """MUST-16: the smaller of what the peer takes and what the path carries."""
    peer = Peer()
    service = peer.open(mss=mss)
    assert sizes(peer, service)[0] == segment


def test_rfc9293_3_7_1_options_take_their_room_from_the_segment():
    """MUST-16, RFC 6691: 12 bytes of timestamps leave 1448 of 1460."""
    peer = Peer()
    service = peer.open(mss=1460, ts=True)
    assert sizes(peer, service)[0] == 1448


@pytest.mark.parametrize("mss", [0, 1, 8, 47])
def test_rfc9293_3_7_1_a_tiny_mss_is_not_believed(mss):
    """A peer that asks for segments of a byte would cost us a header for each."""
    peer = Peer()
    service = peer.open(mss=mss)
    found = sizes(peer, service)
    assert found[0] >= 48


# Data, and the order of things


def test_rfc9293_3_4_numbers_wrap():
    """MUST-1, REC-1: 32 bits, unsigned, modulo 2^32: in both directions across the wrap."""
    peer = Peer(iss=0xFFFFFF00)
    service = peer.open()
    data = pattern(3000)
    for i in range(0, 3000, 100):
        peer.send("P.", data=data[i : i + 100])
        peer.wait(1)
    peer.wait(50)
    assert service.data == data
    assert peer.take()[-1].ack == 3001


def test_rfc9293_3_10_7_4_data_arrives_in_order():
    """Seventh: text in order goes to the service, and is acknowledged."""
    peer = Peer()
    service = peer.open()
    peer.send("P.", data=b"hello")
    peer.send("P.", data=b" world")
    peer.expect(".", within=100, ack=12)
    assert service.data == b"hello world"


def test_rfc9293_3_10_7_4_data_out_of_order_is_kept():
    """SHLD-31, MAY-13: what comes too early is queued, and acknowledged at once."""
    peer = Peer()
    service = peer.open()
    peer.send("P.", seq=6, data=b"world")
    peer.expect(".", ack=1)
    assert service.data == b""
    peer.send("P.", seq=1, data=b"hello")
    peer.expect(".", ack=11)
    assert service.data == b"helloworld"


@pytest.mark.parametrize("seq, data", [(1, b"abcdef"), (2, b"bcdef"), (3, b"cdef")])
def test_rfc9293_3_10_7_4_only_the_new_part_counts(seq, data):
    """First: what straddles the old and the new is trimmed."""
    peer = Peer()
    service = peer.open()
    peer.send("P.", data=b"abc")
    peer.send("P.", seq=seq, data=data)
    peer.wait(100)
    assert service.data == b"abcdef"


def test_rfc9293_3_10_7_4_old_data_is_acknowledged_and_forgotten():
    """First: an unacceptable segment is answered with an acknowledgement."""
    peer = Peer()
    service = peer.open()
    peer.send("P.", data=b"abc")
    peer.expect(".", within=100)
    peer.send("P.", seq=1, data=b"abc")
    peer.expect(".", ack=4)
    assert service.data == b"abc"


def test_rfc9293_3_10_7_4_data_beyond_the_window_is_not_taken():
    peer = Peer()
    peer.listen()
    peer.send("S", mss=1460)
    window = peer.expect("S.").window
    peer.send(".")
    peer.send("P.", seq=1 + window, data=b"too far")
    peer.expect(".", ack=1)
    assert peer.count("duplicates") == 1
    assert peer.tcp.counts()["out_of_order"] == 0


def test_rfc9293_3_10_7_4_a_segment_without_ack_is_dropped():
    """Fifth: if the ACK bit is off, drop the segment and return."""
    peer = Peer()
    service = peer.open()
    peer.send("P", seq=1, data=b"hello")
    peer.silent(100)
    assert service.data == b""
    assert peer.drops == {"tcp.no_ack": 1}


def test_rfc9293_3_10_7_4_an_acknowledgement_of_what_was_not_sent():
    """Fifth: SEG.ACK > SND.NXT: send an ACK, drop the segment."""
    peer = Peer()
    service = peer.open()
    peer.send("P.", seq=1, ack=100, data=b"hello")
    peer.expect(".", seq=1, ack=1)
    assert service.data == b""


def test_rfc9293_3_10_7_4_data_with_the_end_of_the_handshake():
    """SYN-RECEIVED, fifth: the connection is established, and the text belongs to it."""
    peer = Peer()
    service = peer.listen()
    peer.send("S", mss=1460)
    peer.expect("S.")
    peer.send("P.", data=b"at once")
    peer.wait(100)
    assert (service.connected, service.data) == (True, b"at once")


def test_rfc9293_3_10_7_4_a_wrong_acknowledgement_in_syn_received_is_reset():
    """SYN-RECEIVED, fifth: an unacceptable acknowledgement forms a reset."""
    peer = Peer()
    service = peer.listen()
    peer.send("S", mss=1460)
    peer.expect("S.")
    peer.send(".", ack=2)
    peer.expect("R", seq=2)
    assert not service.connected
    peer.send(".", ack=1)
    assert service.connected


def test_rfc9293_3_10_7_2_a_repeated_syn_gets_the_same_answer():
    peer = Peer()
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    first = peer.expect("S.")
    peer.send("S", seq=0, mss=1460)
    assert peer.expect("S.", ack=1).sequence == first.sequence


# PSH


def test_rfc9293_3_9_1_2_the_last_segment_of_a_write_is_pushed():
    """MUST-60, MUST-61, SHLD-27, SHLD-28: full segments, and PSH on the last."""
    peer = Peer()
    service = peer.open(mss=1000)
    service.connection.write(pattern(2500))
    peer.expect(".", length=1000)
    peer.expect(".", length=1000)
    peer.expect("P.", length=500)


def test_rfc9293_3_9_1_2_small_writes_share_a_segment():
    """SHLD-28, MAY-16: what was written in one turn goes out together."""
    peer = Peer()
    service = peer.open()
    for i in range(10):
        service.connection.write(b"%d" % i)
    assert peer.expect("P.").data == b"0123456789"


# Urgent data


@pytest.mark.parametrize("urgent", [1, 3, 5])
def test_rfc9293_3_8_5_urgent_data_is_skipped(urgent):
    """MUST-62: the pointer says where it ends; the stream goes on."""
    peer = Peer()
    service = peer.open()
    peer.send("PU.", data=b"abcde", urgent=urgent)
    peer.send("P.", data=b"fgh")
    peer.expect(".", within=100, ack=9)
    assert service.data[-3:] == b"fgh"
    assert len(service.data) in (7, 8)


def test_rfc9293_3_8_5_an_urgent_pointer_beyond_the_segment_does_no_harm():
    peer = Peer()
    service = peer.open()
    peer.send("U.", data=b"ab", urgent=60000)
    peer.send("P.", data=b"cd")
    peer.wait(100)
    assert service.data.endswith(b"cd") or service.data == b"abcd"
    assert service.state == "ESTABLISHED"
