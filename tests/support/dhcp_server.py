"""A DHCP server that does what the test says, opposite our client."""

import struct

from net.dhcp import Dhcp
from net.dhcp import client as dhcp
from tests.support.frames import arp, ethernet, udp
from tests.support.station import BROADCAST, NO_MAC, Station, address

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK = 1, 2, 3, 4, 5, 6
SERVER, YOURS, ROUTER = "10.0.0.1", "10.0.0.50", "10.0.0.254"
LEASE = 86400
DAY = 86_400_000


class Message:
    """What the client said."""

    def __init__(self, frame):
        self.frame = frame
        data = frame.payload
        assert (frame.source_port, frame.destination_port) == (68, 67)
        assert len(data) >= 300, "BOOTP's least"
        assert data[:4] == b"\1\1\6\0"
        assert data[236:240] == b"\x63\x82\x53\x63"
        self.xid = data[4:8]
        self.secs = struct.unpack(">H", data[8:10])[0]
        self.ciaddr, self.yiaddr = data[12:16], data[16:20]
        self.chaddr = data[28:34]
        self.options = {}
        at = 240
        while data[at] != 255:
            length = data[at + 1]
            assert data[at] not in self.options
            self.options[data[at]] = data[at + 2 : at + 2 + length]
            at += 2 + length
        assert not any(data[at + 1 :])
        self.kind = self.options[53][0]

    @property
    def unicast(self):
        return self.frame.destination != b"\xff" * 4


def option(code, value):
    return bytes([code, len(value)]) + value


def seconds(value):
    return struct.pack(">I", value)


def standard(kind, **change):
    """The options of an OFFER or ACK, in order; None leaves one out."""
    options = {
        53: bytes([kind]),
        54: address(SERVER),
        51: seconds(LEASE),
        1: address("255.255.255.0"),
        3: address(ROUTER),
        6: address("10.0.0.53") + address("10.0.0.54"),
    }
    for name, value in change.items():
        options[int(name[1:])] = value
    return b"".join(option(code, value) for code, value in options.items() if value is not None)


class Server:
    def __init__(self, **settings):
        self.station = Station(configure=Dhcp, known=False, quiet=False, **settings)
        self.hand = self.station.hand
        self.inet = self.station.inet
        self.client = self.inet.configuration
        # The constructor of Station has taken the first DISCOVER from the hand; read it again.
        self.hand.heard = []
        frames = [frame for _, name, frame in self.station.world.frames if name == "us"]
        self.hand.hear(frames[0])
        self.xid = self.client.xid

    def take(self):
        """What the client has said since the last time."""
        messages = [Message(frame) for frame in self.hand.take("udp")]
        if messages:
            self.xid = messages[-1].xid
        return messages

    def one(self):
        (message,) = self.take()
        return message

    def say(self, kind, options=None, yiaddr=YOURS, unicast=False, **field):
        body = field.get("op", b"\2") + b"\1\6\0" + field.get("xid", self.xid)
        body += bytes(8) + address(yiaddr) + bytes(8)
        body += field.get("chaddr", self.station.mac) + bytes(10)
        body += field.get("sname", bytes(64)) + field.get("file", bytes(128))
        body += field.get("cookie", b"\x63\x82\x53\x63")
        body += (standard(kind) if options is None else options) + field.get("end", b"\xff")
        destination = yiaddr if unicast else "255.255.255.255"
        mac = self.station.mac if unicast else BROADCAST
        datagram = udp(SERVER, destination, 67, 68, body)
        self.station.send_ip(17, datagram, mac, source=SERVER, destination=destination)

    def introduce(self):
        self.station.hand.send(
            ethernet(
                self.station.mac,
                self.hand.mac,
                0x0806,
                arp(1, self.hand.mac, SERVER, NO_MAC, self.inet.address),
            )
        )
        self.hand.take()

    def bind(self, **change):
        self.take()
        self.say(OFFER, standard(OFFER, **change))
        self.one()
        self.say(ACK, standard(ACK, **change))
        assert self.client.state == dhcp.BOUND
        self.introduce()
        return self

    def wait(self, ms):
        self.station.pass_time(ms)

    @property
    def state(self):
        return self.client.state


def answer_arp(server):
    """Tell who asks where the server is."""
    kept = []
    for frame in server.hand.take():
        if frame.what == "arp" and frame.operation == 1 and frame.target == address(SERVER):
            answer = arp(2, server.hand.mac, SERVER, server.station.mac, frame.sender)
            server.hand.send(ethernet(server.station.mac, server.hand.mac, 0x0806, answer))
        else:
            kept.append(frame)
    server.hand.heard = kept + server.hand.heard


def collect(server, until, step=1000):
    """(time, message) of all that the client says until a virtual time."""
    said = []
    world = server.station.world
    while world.time < until:
        server.wait(step)
        answer_arp(server)
        said += [(world.time, message) for message in server.take()]
    return said
