"""TCP over IPv6: what differs.  RFC 8200 section 8, RFC 8201, RFC 9293 3.7.1 (MSS)."""

import struct

import pytest

from tests.support import frames6
from tests.support.frames import ethernet
from tests.tcp.peer import THEM6, US6, Peer, packed, pattern


def test_rfc8200_8_1_a_connection_from_the_peer():
    """MUST: the checksum covers the pseudo header of IPv6 (every segment heard is checked)."""
    peer = Peer(family=6)
    service = peer.open(sack=True, ts=True, scale=7)
    peer.send("P.", data=b"hello")
    peer.expect(".", within=100, ack=6)
    service.connection.write(b"world")
    assert peer.expect("P.").data == b"world"
    peer.send("F.")
    peer.expect("F.", ack=7)
    peer.send(".")
    assert (service.data, service.reason) == (b"hello", 0)
    assert peer.drops == {}


def test_a_connection_to_the_peer():
    peer = Peer(family=6)
    service = peer.meet()
    assert service.connection.remote == packed(THEM6)
    assert service.connection.local == packed(US6)
    service.connection.write(b"hello")
    assert peer.expect("P.").data == b"hello"


def test_rfc8200_8_3_mss_is_the_mtu_less_sixty():
    """MUST: 40 bytes of IPv6 and 20 of TCP."""
    peer = Peer(family=6)
    peer.listen()
    peer.send("S", mss=1440)
    peer.expect("S.", mss=1440)


def test_rfc9293_3_7_1_without_the_option_1220_is_assumed():
    """MUST-15: the minimum MTU of IPv6 less 60."""
    peer = Peer(family=6)
    service = peer.open(mss=None)
    service.connection.write(pattern(5000))
    assert peer.take()[0].length == 1220


def test_rfc8200_8_1_a_wrong_checksum_is_dropped():
    peer = Peer(family=6)
    service = peer.open()
    peer.send("P.", data=b"bad", checksum=0x1234)
    peer.silent(100)
    assert service.data == b""
    assert peer.drops == {"tcp.checksum": 1}


def test_nobody_listens():
    peer = Peer(family=6)
    peer.us = 0
    peer.send("S", mss=1440)
    peer.expect("R.", seq=0, ack=1)


def too_big(peer, mtu, seq=1):
    """ICMPv6 packet too big about our segment `seq`."""
    head = struct.pack(">HHI", peer.to, peer.port, (peer.us + seq) & 0xFFFFFFFF) + bytes(12)
    quoted = frames6.ip6(US6, THEM6, 6, head)
    body = struct.pack(">I", mtu) + quoted
    message = frames6.ip6(THEM6, US6, 58, frames6.icmp6(THEM6, US6, 2, 0, body))
    peer.wire.frame(ethernet(peer.wire.host.nic.mac, peer.wire.nic.mac, 0x86DD, message))


@pytest.mark.parametrize("mtu, length", [(1400, 1340), (1280, 1220), (600, 1440)])
def test_rfc8201_4_a_smaller_path_mtu_makes_smaller_segments(mtu, length):
    """What was too long is sent again; MUST NOT: below 1280, which nobody may ask for."""
    peer = Peer(family=6)
    service = peer.open(mss=1440)
    service.connection.write(pattern(1440))
    peer.expect("P.", length=1440)
    too_big(peer, mtu)
    segments = []
    for _ in range(6):
        segments += peer.take()
        peer.wait(300)
        if segments:
            peer.send(".", ack=max([s.seq + s.length for s in segments]))
    assert max([segment.length for segment in segments]) == length
    assert service.connection.queued == 0


def test_rfc3168_over_ipv6():
    """ECN lies in the traffic class: asked for, sent, echoed."""
    peer = Peer(family=6, ecn="on")
    service = peer.listen()
    peer.send("SEW", mss=1440)
    peer.expect("S.E", ect=0)
    peer.send(".")
    service.connection.write(b"hello")
    peer.expect("P.", ect=2)
    peer.send("P.", data=b"x", ce=True)
    peer.expect(".E", within=100)


def test_rfc4987_cookies_over_ipv6():
    peer = Peer(family=6)
    service = peer.listen(backlog=1)
    flooder = peer.another(port=1)
    flooder.send("S", mss=1440)
    flooder.expect("S.")
    peer.open(service=service, mss=1440)
    assert service.connected
    assert peer.count("cookies_accepted") == 1


def test_rfc9293_3_9_2_3_no_connection_to_many_of_ipv6():
    """MUST-46."""
    peer = Peer(family=6)
    for address in ("ff02::1", "::"):
        with pytest.raises((OSError, ValueError)):
            peer.tcp.connect(packed(address), 80, print)
