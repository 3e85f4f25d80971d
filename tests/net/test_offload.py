"""Transports leave to the device what it offers, and nothing else."""

import struct

import pytest

from net.address import parse
from net.dual import Dual
from net.udp import Udp
from tests.support.frames import checksum
from tests.support.offload import CHECKSUMS, TSO4, cut
from tests.support.wire import Host, Nic, World

A4, B4 = "10.0.0.1", "10.0.0.2"
A6, B6 = "2001:db8::1", "2001:db8::2"


class Pair:
    def __init__(self, offloads=CHECKSUMS):
        self.world = World()
        self.hosts = [
            Host(self.world, "a", offloads=offloads, address=A4 + "/24", address6=A6 + "/64"),
            Host(self.world, "b", address=B4 + "/24", address6=B6 + "/64"),
        ]
        for host in self.hosts:
            host.inet = Dual(host, udp=Udp)
            host.inet.udp.bind(7, echo)
        self.world.run(10_000)
        self.inet = self.hosts[0].inet

    def ask(self, inet, destination, data):
        heard = []
        socket = inet.udp.bind(0, lambda s, d: heard.append(d.data))
        for payload in (b"", data):
            socket.send_to(payload, parse(destination), 7)
            self.world.run(2_000)
        socket.close()
        self.world.check()
        return heard[1:]


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


@pytest.mark.parametrize("size", [0, 1, 2, 500, 1452, 1472, 1500, 1840, 4000])
@pytest.mark.parametrize("ours, theirs", [(A4, B4), (A6, B6)])
def test_the_device_sums_and_the_peer_believes_it(size, ours, theirs):
    pair = Pair()
    data = bytes([n * 7 & 0xFF for n in range(size)])
    assert pair.ask(pair.inet, theirs, data) == [data], "asked"
    assert pair.ask(pair.hosts[1].inet, ours, data) == [data], "answered"
    for host in pair.hosts:
        assert set(host.inet.drops) <= {"ip6.destination"}


def test_what_leaves_has_the_sum_of_the_pseudo_header_only():
    pair = Pair()
    packets = []
    pair.inet.ip4.transmit = lambda p: (packets.append(bytes(p.buffer[:300])), p.release())
    pair.ask(pair.inet, B4, b"payload")
    buffer = packets[-1]
    assert buffer[11] & 1, "PARTIAL"
    total = struct.unpack(">H", buffer[206:208])[0]
    pseudo = parse(A4) + parse(B4) + struct.pack(">BBH", 0, 17, 15)
    assert total == checksum(pseudo) ^ 0xFFFF


def test_a_second_nic_without_offloads_ends_them_for_all():
    pair = Pair(CHECKSUMS | TSO4)
    assert pair.inet.udp.offload
    bound = pair.inet.udp.bind(0, print)
    assert bound.offload
    nic = Nic(pair.world, "eth1", b"\2\0\0\0\1\1", wire=1)
    pair.inet.attach(nic, address="10.1.0.1/24")
    assert not pair.inet.udp.offload
    assert not bound.offload, "sockets that were there before, too"


def test_segments_are_cut_as_a_device_does():
    network = b"\x45\0\0\0\0\1\0\0\x40\6\0\0" + parse(A4) + parse(B4)
    header = struct.pack(">HHIIBBHHH", 1, 2, 0xFFFFFFF0, 9, 0x50, 0x99, 100, 0, 0)
    frames = cut(bytes(12) + b"\x08\0" + network + header + bytes(range(100)), 34, 40)
    assert [len(one) - 54 for one in frames] == [40, 40, 20]
    assert [one[47] for one in frames] == [0x90, 0x10, 0x19], "CWR first, FIN and PSH last"
    sequences = [struct.unpack(">I", one[38:42])[0] for one in frames]
    assert sequences == [0xFFFFFFF0, 0x18, 0x40]
    for one in frames:
        assert checksum(one[14:34]) == 0
        pseudo = one[26:34] + struct.pack(">BBH", 0, 6, len(one) - 34)
        assert checksum(pseudo + one[34:]) == 0


def test_what_the_device_does_not_offer_is_an_error():
    pair = Pair(CHECKSUMS)
    pair.inet.udp.bind(0, print).send_to(b"", parse(B4), 7)
    pair.world.run(100)
    packet = pair.inet.allocate()
    buffer = packet.buffer
    buffer[16:20], buffer[32:36] = parse(A4), parse(B4)
    buffer[11], buffer[12] = 1, 6
    buffer[68] = 100
    buffer[8] = 220
    with pytest.raises(AssertionError):
        pair.inet.udp.output(packet)
