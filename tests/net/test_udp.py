"""UDP: sockets hear what is theirs and answer from where they were asked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.config import UDP_PORTS
from tests.support.frames import udp
from tests.support.station import BROADCAST, PEER, US, Station, address, bind_recorder


def echo(socket, datagram):
    assert socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=1472), st.integers(1, 65535))
def test_rfc768_echo(data, port):
    station = Station()
    station.inet.udp.bind(7, echo)
    station.send_ip(17, udp(PEER, US, port, 7, data))
    (reply,) = station.hand.take("udp")
    assert (reply.source_port, reply.destination_port) == (7, port)
    assert (reply.source, reply.destination) == (address(US), address(PEER))
    assert reply.payload == data
    assert station.drops == {}


@given(st.integers(0, 0xFFFF))
@settings(max_examples=100, deadline=None)
def test_rfc768_checksum_that_is_zero_is_sent_as_ones(word):
    """Whatever the data: never zero on the wire, and always right (Frame checks both)."""
    station = Station()
    socket = station.inet.udp.bind(4000, print)
    socket.send_to(bytes([word >> 8, word & 0xFF]), address(PEER), 9)
    station.world.run()
    (frame,) = station.hand.take("udp")
    # And the one data word that makes the sum come out as zero.
    rest = int.from_bytes(frame.data[-4:-2], "big")
    socket.send_to((word + rest & 0xFFFF).to_bytes(2, "big"), address(PEER), 9)
    socket.send_to(((word + rest) % 0xFFFF).to_bytes(2, "big"), address(PEER), 9)
    station.world.run()
    assert len(station.hand.take("udp")) == 2


def test_rfc768_datagram_without_checksum_is_accepted():
    station = Station()
    _, heard = bind_recorder(station.inet, 7)
    station.send_ip(17, udp(PEER, US, 9, 7, b"plain", checksum=0))
    assert heard == [(b"plain", address(PEER), 9)]


@pytest.mark.parametrize(
    ("field", "why"),
    [({"checksum": 0x1234}, "checksum"), ({"length": 7}, "length"), ({"length": 14}, "length")],
)
def test_malformed_datagram_is_dropped(field, why):
    station = Station()
    _, heard = bind_recorder(station.inet, 7)
    station.send_ip(17, udp(PEER, US, 9, 7, b"12345", **field))
    assert heard == []
    assert station.drops == {"udp." + why: 1}


@pytest.mark.parametrize("length", range(8))
def test_short_datagram_is_dropped(length):
    station = Station()
    station.send_ip(17, udp(PEER, US, 9, 7, b"")[:length])
    assert station.drops == {"udp.short": 1}


def test_bytes_behind_the_length_are_not_data():
    station = Station()
    _, heard = bind_recorder(station.inet, 7)
    datagram = udp(PEER, US, 9, 7, b"data")
    station.send_ip(17, datagram + b"trailer")
    assert heard[0][0] == b"data"


def test_device_may_have_checked():
    station = Station()
    _, heard = bind_recorder(station.inet, 7)
    receive = station.host.nic.receive

    def vouch(packet):
        packet.buffer[10] |= 0x04  # CHECKED
        receive(packet)

    station.host.nic.receive = vouch
    station.send_ip(17, udp(PEER, US, 9, 7, b"x", checksum=0x1111))
    assert len(heard) == 1


def test_port_zero_is_nobodys():
    station = Station()
    station.send_ip(17, udp(PEER, US, 9, 0, b"x"))
    assert station.drops == {"udp.port": 1}


def test_rfc768_source_port_zero_wants_no_answer():
    station = Station()
    station.inet.udp.bind(7, echo)
    station.send_ip(17, udp(PEER, US, 0, 7, b"x"))
    assert station.hand.take() == []
    assert station.drops == {"udp.unanswerable": 1}


def test_rfc1122_4_1_3_5_answer_to_a_broadcast_comes_from_our_address():
    station = Station()
    station.inet.udp.bind(7, echo)
    datagram = udp(PEER, "255.255.255.255", 9, 7, b"all")
    station.send_ip(17, datagram, BROADCAST, destination="255.255.255.255")
    (reply,) = station.hand.take("udp")
    assert reply.source == address(US)


def test_bound_ports_are_told_apart():
    station = Station()
    # All of these have the same place in the table.
    ports = [7 + UDP_PORTS * i for i in range(20)]
    heard = {port: bind_recorder(station.inet, port) for port in ports}
    for port in ports:
        station.send_ip(17, udp(PEER, US, 9, port, str(port).encode()))
    for port in ports:
        assert [data for data, _, _ in heard[port][1]] == [str(port).encode()]
    for port in ports[::2]:
        heard[port][0].close()
    for port in ports:
        station.send_ip(17, udp(PEER, US, 9, port, b"again"))
    assert [len(heard[port][1]) for port in ports] == [1, 2] * 10
    assert station.drops == {"udp.port": 10}


def test_a_closed_port_can_be_bound_again():
    station = Station()
    station.inet.udp.bind(7, print).close()
    station.inet.udp.bind(7, echo)
    station.send_ip(17, udp(PEER, US, 9, 7, b"x"))
    assert len(station.hand.take("udp")) == 1


def test_rfc6056_ephemeral_ports_are_free_and_in_range():
    station = Station()
    ports = [station.inet.udp.bind(0, print).port for _ in range(UDP_PORTS * 3 // 4)]
    assert len(set(ports)) == len(ports)
    assert min(ports) >= 49152
    with pytest.raises(OSError, match="UDP_PORTS"):
        station.inet.udp.bind(0, print)


def test_callers_mistakes_are_said():
    udp_layer = Station().inet.udp
    udp_layer.bind(7, print)
    with pytest.raises(OSError, match="port 7 is already bound"):
        udp_layer.bind(7, print)
    with pytest.raises(ValueError, match="70000 is not a port"):
        udp_layer.bind(70000, print)


def test_an_answer_written_in_place():
    def answer(socket, datagram):
        packet = socket.packet()
        start = packet.payload
        packet.buffer[start : start + 4] = b"pong"
        packet.length = 4
        socket.answer(datagram, packet)

    station = Station()
    station.inet.udp.bind(7, answer)
    station.send_ip(17, udp(PEER, US, 9, 7, b"ping"))
    (reply,) = station.hand.take("udp")
    assert reply.payload == b"pong"
    assert station.drops == {}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.integers(0, 200))
def test_reply_from_any_offset(offset, length):
    blob = bytes(range(256)) + bytes(200)
    station = Station()
    station.inet.udp.bind(7, lambda s, d: s.reply(d, blob, offset, length))
    station.send_ip(17, udp(PEER, US, 9, 7, b""))
    (reply,) = station.hand.take("udp")
    assert reply.payload == blob[offset : offset + length]


def test_reply_longer_than_a_packet_leaves_in_fragments():
    blob = bytes(5000)
    station = Station()
    station.inet.udp.bind(7, lambda s, d: s.reply(d, blob, 0, 5000))
    station.send_ip(17, udp(PEER, US, 9, 7, b""))
    frames = station.hand.take("fragment")
    assert sum(len(frame.body) for frame in frames) == 5008


def test_no_packet_to_answer_with():
    station = Station()
    replies = []
    station.inet.udp.bind(7, lambda s, d: replies.append(s.reply(d, b"x", 0, 1)))
    taken = [station.host.nic.allocate() for _ in range(16)]
    station.send_ip(17, udp(PEER, US, 9, 7, b""))
    assert station.inet.udp.sockets  # still there
    for packet in taken:
        packet.release()
    assert replies == [False]
    assert station.drops == {"udp.no_buffer": 1}


# Closing.


def test_a_closed_socket_sends_nothing_and_says_so():
    station = Station()
    socket, _ = bind_recorder(station.inet, 7)
    packet = socket.packet()
    socket.close()
    socket.close()
    assert socket.packet() is None
    assert socket.send_to(b"x", address(PEER), 9) is False
    assert socket.send_to(bytes(5000), address(PEER), 9) is False
    socket.send(packet, address(PEER), 9)
    station.world.run()
    assert station.hand.take() == []
    assert station.drops == {"udp.closed": 3}


@pytest.mark.parametrize("long", [False, True])
def test_a_socket_may_be_closed_by_its_own_callback(long):
    station = Station()
    heard = []

    def hear(socket, datagram):
        heard.append(datagram.data)
        socket.close()
        assert socket.reply(datagram, bytes(3000), 0, 3000 if long else 4) is False

    station.inet.udp.bind(7, hear)
    for _ in range(2):
        station.send_ip(17, udp(PEER, US, 4000, 7, b"once"))
    assert heard == [b"once"]
    (frame,) = station.hand.take()
    assert (frame.what, frame.type, frame.code) == ("icmp", 3, 3)
    assert station.drops == {"udp.closed": 1, "udp.port": 1}
    station.inet.udp.bind(7, hear)


def test_a_closed_port_is_free_for_others():
    station = Station()
    for _ in range(100):
        socket, _ = bind_recorder(station.inet, 7)
        socket.close()
    other, heard = bind_recorder(station.inet, 7)
    socket.close()
    station.send_ip(17, udp(PEER, US, 4000, 7, b"still there"))
    assert [data for data, _, _ in heard] == [b"still there"]
    assert other.port == 7
