"""TCP over IPv6: what differs.  RFC 8200 section 8, RFC 8201, RFC 9293 3.7.1 (MSS)."""

import struct

import pytest

from net.inet6 import Inet6
from net.tcp import Tcp
from tests.support import frames6
from tests.support.frames import ethernet
from tests.support.wire import Host, World
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


def accept(connection):
    connection.on_data = lambda connection, segment: connection.write(segment.data)


class Neighbours:
    """Two hosts that speak IPv6, and a connection over which something is said now and then."""

    def __init__(self):
        self.world = World()
        self.a, self.b = [self.host(name, at) for name, at in (("a", 1), ("b", 2))]
        self.world.run(5_000)
        self.b.inet.tcp.listen(7, accept)
        to = frames6.address("2001:db8::2")
        self.connection = self.a.inet.tcp.connect(to, 7, lambda connection: None)
        self.world.run(100)

    def host(self, name, at):
        host = Host(self.world, name, address6=f"2001:db8::{at}/64", secret6="00" * 16)
        host.inet = Inet6(host, tcp=Tcp)
        return host

    def talk(self, seconds):
        for _ in range(seconds):
            assert self.connection.write(b"hello") == 5
            self.world.run(1_000)

    def asked(self, host):
        return host.inet.counters["neighbours.solicited"]


def test_rfc4861_7_3_1_acknowledged_data_confirms_the_way():
    two = Neighbours()
    two.talk(60)
    before = two.asked(two.a)
    two.talk(600)
    assert two.asked(two.a) == before
    assert two.a.inet.counters["neighbours.confirmed"] > 5
    assert two.a.inet.first6.neighbours.timer.active


def test_rfc4861_7_3_1_what_is_not_acknowledged_confirms_nothing():
    two = Neighbours()
    two.talk(60)
    confirmed = two.a.inet.counters["neighbours.confirmed"]
    two.b.nic.set_link(False)
    two.connection.write(b"hello")
    two.world.run(90_000)
    assert two.a.inet.counters["neighbours.confirmed"] == confirmed
    assert two.asked(two.a) > 3
