"""Several interfaces: RFC 1122 section 3.3.4, the strong model."""

import pytest

from net.config import INTERFACES
from net.inet import Inet
from net.udp import Udp
from tests.support.frames import address
from tests.support.wire import Host, Nic, World

WEST, EAST = "10.0.0.2", "10.1.0.2"
WEST_PEER, EAST_PEER = "10.0.0.1", "10.1.0.1"


class Middle:
    """A host on two wires, and a host at the other end of each."""

    def __init__(self, packets=16, **settings):
        self.world = World()
        self.us = Host(self.world, "us", packets=packets, address=WEST + "/24", **settings)
        self.west = Host(self.world, "west", address=WEST_PEER + "/24", gateway=WEST)
        self.east = Host(self.world, "east", address=EAST_PEER + "/24", gateway=EAST)
        self.east.card.wire = 1
        self.second = Nic(self.world, "eth1", b"\x02\0\0\0\1\1", wire=1)
        for host in (self.us, self.west, self.east):
            host.inet = Inet(host, udp=Udp)
        self.inet = self.us.inet
        self.inet.attach(self.second, address=EAST + "/24")
        self.heard = []
        for host in (self.us, self.west, self.east):
            host.inet.udp.bind(7, self.echo(host))
        self.world.run(5_000)

    def echo(self, host):
        def hear(socket, datagram):
            self.heard.append((host.name, datagram.source, datagram.data))
            socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)

        return hear

    def ask(self, host, destination, data=b"hello", port=7):
        """What comes back: (payload, source) of each answer."""
        answers = []
        socket = host.inet.udp.bind(0, lambda s, d: answers.append((d.data, d.source)))
        socket.send_to(data, address(destination), port)
        self.world.run(100)
        socket.close()
        self.world.check()
        return answers


def test_each_interface_answers_on_its_own_wire():
    middle = Middle()
    assert middle.ask(middle.west, WEST) == [(b"hello", address(WEST))]
    assert middle.ask(middle.east, EAST) == [(b"hello", address(EAST))]
    assert middle.inet.drops == {}
    assert middle.inet.counters["eth1.ip4.paths"] == 1
    assert middle.inet.counters["eth1.copying.copied"] == 1, "UDP's packets are the first nic's"


def test_rfc1122_3_3_4_3_the_source_is_the_address_of_the_outgoing_interface():
    middle = Middle()
    assert middle.ask(middle.us, WEST_PEER) == [(b"hello", address(WEST_PEER))]
    assert middle.ask(middle.us, EAST_PEER) == [(b"hello", address(EAST_PEER))]
    assert [source for _, source, _ in middle.heard] == [address(WEST), address(EAST)]


def test_rfc1122_3_3_4_2_strong_model_refuses_the_other_interfaces_address():
    middle = Middle()
    assert middle.ask(middle.west, EAST) == []
    assert middle.inet.drops == {"ip4.destination": 1}


def test_rfc1122_3_3_4_2_strong_model_answers_by_the_interface_that_was_asked():
    """The route to the asker leads elsewhere, and does not matter."""
    middle = Middle()
    middle.inet.interfaces[1].parts[0].routes.add(address(WEST_PEER), 32)
    assert middle.ask(middle.west, WEST) == [(b"hello", address(WEST))]
    assert middle.inet.source_for(address(WEST_PEER)) == address(EAST)


def test_longest_prefix_chooses_the_interface_and_then_the_gateway():
    middle = Middle(gateway=WEST_PEER)
    east = middle.inet.internet4.interfaces[1]
    source_for = middle.inet.source_for
    assert source_for(address("192.0.2.1")) == address(WEST), "the only default"
    east.routes.add(bytes(4), 0, address(EAST_PEER))
    assert source_for(address("192.0.2.1")) == address(WEST), "of equals, the first"
    east.routes.add(address("192.0.2.0"), 24, address(EAST_PEER))
    assert source_for(address("192.0.2.1")) == address(EAST)
    middle.inet.routes.add(address("192.0.2.1"), 32, address(WEST_PEER))
    assert source_for(address("192.0.2.1")) == address(WEST)
    assert source_for(address("192.0.2.2")) == address(EAST)
    middle.inet.routes.remove(address("192.0.2.1"), 32)
    assert source_for(address("192.0.2.1")) == address(EAST)


def test_a_socket_notices_that_routes_changed():
    middle = Middle(gateway=WEST_PEER)
    socket = middle.inet.udp.bind(0, print)
    there = address("192.0.2.1")
    middle.world.frames.clear()
    socket.send_to(b"1", there, 9)
    middle.world.run(10)
    middle.inet.internet4.interfaces[1].routes.add(address("192.0.2.0"), 24, address(EAST_PEER))
    socket.send_to(b"2", there, 9)
    middle.world.run(10)
    sent = [(name, frame[26:30]) for _, name, frame in middle.world.frames if frame[30:34] == there]
    assert sent == [("us", address(WEST)), ("eth1", address(EAST))]


def test_no_route_is_counted():
    middle = Middle()
    assert middle.inet.source_for(address("192.0.2.1")) is None
    assert middle.ask(middle.us, "192.0.2.1") == []
    assert middle.inet.drops == {"ip4.no_route": 1}
    assert middle.ask(middle.us, "192.0.2.1", bytes(3000)) == []
    assert middle.inet.drops == {"ip4.no_route": 2}


def test_a_source_that_is_no_longer_ours_is_counted():
    middle = Middle()
    packet = middle.inet.allocate()
    packet.buffer[16:20] = b"\x0a\x09\x09\x09"
    middle.inet.udp.output(packet)
    assert middle.inet.drops == {"ip4.source": 1}
    middle.world.check()


@pytest.mark.parametrize("where, peer", [(WEST, "west"), (EAST, "east")])
def test_long_datagrams_are_fragmented_and_reassembled_on_either(where, peer):
    middle = Middle()
    data = bytes([n * 7 & 0xFF for n in range(5000)])
    assert middle.ask(getattr(middle, peer), where, data) == [(data, address(where))]
    assert middle.inet.drops == {}


def test_closed_ports_are_refused_by_the_interface_that_was_asked():
    middle = Middle()
    for peer, where in ((middle.west, WEST), (middle.east, EAST)):
        news = []
        socket = peer.inet.udp.bind(0, print)
        socket.unreachable = lambda s, whom, port, kind: news.append((whom, port, kind))  # noqa: B023
        socket.send_to(b"?", address(where), 9)
        middle.world.run(10)
        assert news == [(address(where), 9, 0x303)]


def test_broadcast_of_a_link_leaves_by_that_link():
    middle = Middle()
    assert middle.ask(middle.us, "10.1.0.255") == [(b"hello", address(EAST_PEER))]
    assert middle.heard == [("east", address(EAST), b"hello")]


def test_path_mtu_belongs_to_the_interface_of_the_route():
    middle = Middle()
    east = middle.inet.internet4.interfaces[1]
    east.ip4.fragmentation_needed(address(EAST_PEER), 600)
    assert middle.inet.path_mtu(address(EAST_PEER)) == 600
    assert middle.inet.path_mtu(address(WEST_PEER)) == 1500


def test_the_second_interface_takes_its_settings_by_name():
    world = World()
    host = Host(world, "us", address=WEST + "/24", gateway=WEST_PEER)
    host.settings["eth1.address"] = EAST + "/16"
    inet = Inet(host, udp=Udp)
    interface = inet.attach(Nic(world, "eth1", b"\x02\0\0\0\1\1", wire=1))
    assert interface.address == address(EAST)
    assert interface.routes.items() == [("10.1.0.0/16", "on-link")]


def test_there_is_a_bound():
    world = World()
    host = Host(world, "us", address=WEST + "/24")
    inet = Inet(host)
    for n in range(1, INTERFACES):
        inet.attach(Nic(world, f"eth{n}", b"\x02\0\0\0\1\1", wire=n), address=f"10.{n}.0.2/24")
    with pytest.raises(OSError):
        inet.attach(Nic(world, "eth9", b"\x02\0\0\0\1\1", wire=9), address="10.9.0.2/24")


def test_offloads_are_those_that_all_have():
    world = World()
    host = Host(world, "us", address=WEST + "/24")
    host.nic.offloads = 3
    inet = Inet(host)
    assert inet.offloads == 3
    nic = Nic(world, "eth1", b"\x02\0\0\0\1\1", wire=1)
    nic.offloads = 1
    inet.attach(nic, address=EAST + "/24")
    assert inet.offloads == 1


def test_a_tail_is_copied_for_the_second_nic():
    middle = Middle()
    middle.ask(middle.us, EAST_PEER)
    packet = middle.inet.allocate()
    buffer = packet.buffer
    buffer[16:20], buffer[32:36] = address(EAST), address(EAST_PEER)
    buffer[12] = 253
    buffer[200:203] = b"abc"
    buffer[8:10] = bytes([203, 0])
    packet.append(b"--defg--", 2, 4)
    packet.append(b"hi", 0, 2)
    middle.world.frames.clear()
    middle.inet.udp.output(packet)
    middle.world.run(10)
    _, sender, frame = middle.world.frames[0]
    assert (sender, frame[34:]) == ("eth1", b"abcdefghi")
    middle.world.check()


def test_without_packets_of_its_own_the_second_nic_drops():
    middle = Middle()
    middle.ask(middle.us, EAST_PEER)
    pool = middle.second.pools[1]
    taken = [pool.allocate() for _ in range(pool.free)]
    middle.inet.udp.bind(0, print).send_to(b"x", address(EAST_PEER), 7)
    assert middle.inet.drops == {"eth1.copying.no_buffer": 1}
    for packet in taken:
        packet.release()
    middle.world.check()
