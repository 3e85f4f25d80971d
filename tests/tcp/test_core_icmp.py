"""What ICMP says about segments: RFC 1191, RFC 5927, RFC 1122 4.2.3.9."""

import struct

import pytest

from net.packet import LINK
from tests.support.frames import ethernet, icmp, ip
from tests.support.wire import Wrapper
from tests.tcp.pairs import Ear, Pair, noise

pytestmark = pytest.mark.wire


class Narrow(Wrapper):
    """A router behind the nic whose next link takes `most` bytes: it says so."""

    def __init__(self, below, most=1000):
        Wrapper.__init__(self, below)
        self.most = most
        self.refused = 0

    def transmit(self, packet):
        b = packet.buffer
        frame = packet.gather() if packet.pieces else bytes(b[b[LINK] : packet.end])
        datagram = frame[14:]
        if frame[12:14] != b"\x08\0" or len(datagram) <= self.most:
            self.below.transmit(packet)
            return
        assert datagram[6] & 0x40, "may be fragmented"
        packet.release()
        self.refused += 1
        quote = datagram[:28]
        error(self.below.world, self.below, datagram[12:16], 4, self.most, quote)


def error(world, nic, to, code, mtu, quote):
    """A router's ICMP message for the sender."""
    text = ".".join([str(byte) for byte in to])
    message = icmp(3, code, struct.pack(">HH", 0, mtu), quote)
    datagram = ip("10.0.0.77", text, 1, message)
    world.later(1, nic.hear, ethernet(nic.mac, b"\x02\0\0\0\0\x77", 0x0800, datagram))


def quote(sequence, source_port, port=9, source=b"\x0a\0\0\1", destination=b"\x0a\0\0\2"):
    header = struct.pack(">HHI", source_port, port, sequence & 0xFFFFFFFF)
    whole = ip("10.0.0.1", "10.0.0.2", 6, header)
    return whole[:12] + source + destination + header


def test_rfc1191_segments_become_as_long_as_the_path_takes():
    made = []

    def wrap(nic):
        made.append(Narrow(nic))
        return made[0]

    pair = Pair(wrap_a=wrap)
    ears = []
    pair.b.inet.tcp.listen(9, lambda c: ears.append(Ear(c)))
    data = noise(60_000)
    connection = pair.connect(9, lambda c: c.write(data))
    pair.run(2000)
    assert ears[0].data == data
    assert connection.info()["mss"] == 1000 - 40 - 12
    # The first window was refused, and sent once more without waiting for the timer.
    assert made[0].refused == 10
    counters = pair.a.inet.counters
    assert counters["tcp.timeouts"] == 0
    assert counters["tcp.path_mtu"] == 1


def test_rfc5927_a_message_about_what_was_not_sent_is_not_believed():
    pair = Pair()
    pair.b.inet.tcp.listen(9, lambda c: Ear(c))
    connection = pair.connect(9)
    pair.run(100)
    for sequence in (0, 12345, 0x7FFFFFFF):
        forged = quote(sequence, connection.local_port)
        error(pair.world, pair.a.card, b"\x0a\0\0\1", 4, 600, forged)
        error(pair.world, pair.a.card, b"\x0a\0\0\1", 3, 0, forged)
    pair.run(100)
    connection.write(noise(5000))
    pair.run(100)
    assert connection.info()["mss"] == 1448
    assert connection.state == "ESTABLISHED"
    assert pair.a.inet.drops == {"tcp.unreachable_quote": 6}


@pytest.mark.parametrize("code,reason", [(2, 111), (3, 111)])
def test_rfc1122_4_2_3_9_a_hard_error_ends_what_is_not_established(code, reason):
    pair = Pair()
    pair.b.card.set_link(False)
    connection = pair.connect(9)
    ear = Ear(connection)
    pair.run(100)
    number = int.from_bytes(connection.block[4 * 19 : 4 * 20], "little")
    error(pair.world, pair.a.card, b"\x0a\0\0\1", code, 0, quote(number, connection.local_port))
    pair.run(100)
    assert (ear.events, ear.reason) == (["close"], reason)


def test_rfc1122_4_2_3_9_a_soft_error_is_the_reason_in_the_end():
    pair = Pair()
    pair.b.card.set_link(False)
    connection = pair.connect(9)
    ear = Ear(connection)
    pair.run(100)
    number = int.from_bytes(connection.block[4 * 19 : 4 * 20], "little")
    error(pair.world, pair.a.card, b"\x0a\0\0\1", 1, 0, quote(number, connection.local_port))
    pair.run(1000)
    assert connection.state == "SYN-SENT"
    pair.run(250_000)
    assert (ear.events, ear.reason) == (["close"], 113)


def test_rfc5927_5_2_an_established_connection_survives_hard_errors():
    pair = Pair()
    ears = []
    pair.b.inet.tcp.listen(9, lambda c: ears.append(Ear(c)))
    connection = pair.connect(9)
    pair.run(100)
    pair.b.card.set_link(False)
    connection.write(b"x" * 100)
    pair.run(10)
    number = int.from_bytes(connection.block[4 * 13 : 4 * 14], "little")
    error(pair.world, pair.a.card, b"\x0a\0\0\1", 3, 0, quote(number, connection.local_port))
    pair.run(100)
    pair.b.card.set_link(True)
    pair.run(5000)
    assert ears[0].data == b"x" * 100


def test_no_way_is_told_by_on_close():
    pair = Pair()
    connection = pair.a.inet.tcp.connect(b"\x08\x08\x08\x08", 53)
    ear = Ear(connection)
    pair.run(10)
    assert (ear.events, ear.reason) == (["close"], 113)
    pair.nothing_left()
