"""What the fuzzer plays with: a whole stack, and bytes that say which frames it hears.

An input is a list of records: a kind, a length, so many bytes.  Checksums are made right, and the
numbers of segments are distances from what the connection expects, so that most inputs get past the
first look and the fuzzer's time is spent behind it.

    0  an Ethernet frame to us, as it is          4  a UDP datagram to the echo service
    1  an IPv4 datagram, its header checksum      5  an ICMP message
       made right                                 6  time passes: the byte times 40 ms
    2  a segment of the connection                7  an IPv6 datagram, the checksum of UDP, TCP and
    3  a segment of somebody else                    ICMPv6 made right

`play` raises what the stack raises, and AssertionError if a packet was lost or invented.
"""

import struct

from net.dual import Dual
from net.tcp import Tcp
from net.udp import Udp
from tests.support.frames import address, arp, checksum, ethernet, ip
from tests.support.wire import Host, Nic, World

US, THEM = address("10.0.0.2"), address("10.0.0.1")
US6 = bytes.fromhex("20010db8000000000000000000000002")
THEM6 = bytes.fromhex("20010db8000000000000000000000001")
MAC = b"\x02\0\0\0\0\x99"
MASK = 0xFFFFFFFF
LAST = 120  # records: more of them make an input slow, not better


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


def repair(pseudo, body, at):
    """`body` with the right checksum at offset `at`, if it is so long."""
    if len(body) < at + 2:
        return body
    body = body[:at] + b"\0\0" + body[at + 2 :]
    return body[:at] + struct.pack(">H", checksum(pseudo + body)) + body[at + 2 :]


class Play:
    def __init__(self):
        self.world = World(start=0x100000, delay=0)
        settings = {"address": "10.0.0.2/24", "gateway": "10.0.0.1"}
        settings |= {"address6": "2001:db8::2/64", "secret6": "00" * 16}
        self.host = Host(self.world, "us", packets=32, **settings)
        self.nic = Nic(self.world, "them", MAC)
        self.nic.hear = self.hear
        self.host.inet = self.inet = Dual(self.host, udp=Udp, tcp=Tcp)
        self.iss = 0xFFFFFFF0
        self.us = self.heard = 0
        self.world.run(2_500)
        self.frame(ethernet(b"\xff" * 6, MAC, 0x0806, arp(1, MAC, THEM, bytes(6), US)))
        self.inet.udp.bind(7, echo)
        self.inet.tcp.listen(80, self.take, backlog=8)
        # A connection that is open, with data under way.
        self.segment(40000, 0, 0, b"\x02", b"\x02\x04\x05\xb4\x04\x02\x01\x03\x03\x07")
        self.next = 1
        self.segment(40000, 0, 1, b"\x10")

    def take(self, connection):
        connection.on_data = self.on_data
        connection.write(bytes(range(200)) * 10)

    def on_data(self, connection, segment):
        connection.write(segment.data)

    def hear(self, frame):
        """Keep what has to be known to speak of the connection's numbers."""
        if frame[12:14] == b"\x08\0" and frame[23] == 6 and frame[36:38] == b"\x9c\x40":
            sequence, self.heard = struct.unpack(">II", frame[38:46])
            if frame[47] & 2:
                self.us = sequence

    def frame(self, data):
        if len(data) >= 14:
            self.world.send(self.nic, data[:1514])
            self.world.run()

    def datagram(self, body):
        self.frame(ethernet(self.host.nic.mac, MAC, 0x0800, body))

    def transport(self, protocol, body, at):
        pseudo = THEM + US + struct.pack(">HH", protocol, len(body))
        self.datagram(ip(THEM, US, protocol, repair(pseudo if protocol != 1 else b"", body, at)))

    def segment(self, port, seq, ack, flags, options=b"", data=b"", window=b"\xff\xff"):
        options += bytes(-len(options) % 4)
        start = (self.heard or self.iss) + seq if self.us else self.iss + seq
        body = struct.pack(">HHII", port, 80, start & MASK, (self.us + ack) & MASK)
        body += bytes([(20 + len(options)) << 2]) + flags + window + bytes(4) + options + data
        self.transport(6, body, 16)

    def record(self, kind, data):
        if kind == 0:
            self.frame(self.host.nic.mac + MAC + data)
        elif kind == 1:
            size = (data[0] & 15) << 2 if data else 0
            if 20 <= size <= len(data):
                data = repair(b"", data[:size], 10) + data[size:]
            self.datagram(data)
        elif kind in (2, 3) and len(data) >= 8:
            seq, ack, flags, size, window = struct.unpack(">hhBBH", data[:8])
            size = min(size & 0x3F, 40, len(data) - 8)
            port = 40000 if kind == 2 else 40000 + (window & 7)
            window = struct.pack(">H", window)
            options, rest = data[8 : 8 + size], data[8 + size :]
            self.segment(port, seq, ack, bytes([flags]), options, rest, window)
        elif kind == 4:
            self.transport(17, struct.pack(">HHHH", 4660, 7, len(data) + 8, 0) + data, 6)
        elif kind == 5:
            if len(data) >= 36 and data[8] == 0x45 and data[17] == 6:
                # It quotes a segment: of our connection.
                number = struct.unpack(">I", data[32:36])[0] + self.us & MASK
                data = data[:32] + struct.pack(">I", number) + data[36:]
            self.transport(1, data, 2)
        elif kind == 6:
            self.world.run(40 * (data[0] if data else 1))
        elif kind == 7:
            self.datagram6(data)

    def datagram6(self, data):
        """The next header and what follows; the last 4 bits of the first byte choose addresses."""
        if len(data) < 2:
            return
        choice, protocol, body = data[0], data[1], data[2:]
        link_local = bytes.fromhex("fe80000000000000") + bytes(7) + b"\1"
        source = (THEM6, link_local, bytes(16), US6)[choice & 3]
        ours = self.inet.addresses6[0] if self.inet.addresses6 else US6
        group = bytes.fromhex("ff0200000000000000000000000000") + b"\1"
        destination = (US6, ours, group, US6)[choice >> 2 & 3]
        at = {6: 16, 17: 6, 58: 2}.get(protocol)
        if at is not None:
            pseudo = source + destination + struct.pack(">II", len(body), protocol)
            body = repair(pseudo, body, at)
        head = struct.pack(">IHBB", 6 << 28, len(body), protocol, 255 if choice & 16 else 64)
        mac = b"\x33\x33" + destination[12:] if destination == group else self.host.nic.mac
        self.frame(ethernet(mac, MAC, 0x86DD, head + source + destination + body))

    def finish(self):
        """Whatever was said: no packet is lost, and connections can be given up."""
        self.world.check()
        for connection in self.inet.tcp.connections[:]:
            connection.abort()
        self.world.run(50)
        self.world.check()
        assert self.inet.tcp.counts()["connections"] == 0


def play(data):
    world = Play()
    at = 0
    for _ in range(LAST):
        if at + 2 > len(data):
            break
        kind, length = data[at] & 7, data[at + 1]
        world.record(kind, bytes(data[at + 2 : at + 2 + length]))
        at += 2 + length
    world.finish()
    return world
