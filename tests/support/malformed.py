"""Malformed frames by the thousand, each with the name of the counter that has to count it.

flood = Flood(mac, ours, source_mac, source)
for frame in flood.frames(100_000): ...
flood.expected                          {"ip4.checksum": 6251, ...}, exactly
"""

import collections
import random
import struct

from tests.support.load import checksum

IP4, ARP = 0x0800, 0x0806
ICMP, UDP = 1, 17


class Flood:
    def __init__(self, mac, ours, source_mac, source, port=53, seed=4):
        """Addresses as bytes; `port` is one that somebody listens on."""
        self.mac, self.ours, self.source_mac, self.source = mac, ours, source_mac, source
        self.port = port
        self.dice = random.Random(seed)
        self.expected = collections.Counter()
        self.kinds = [
            getattr(self, name) for name in sorted(dir(self)) if name.startswith(("a_", "an_"))
        ]

    def frames(self, count):
        for _ in range(count):
            counter, frame = self.dice.choice(self.kinds)()
            self.expected[counter] += 1
            yield frame

    # Well-formed layers, to be broken.

    def ethernet(self, kind, payload):
        return self.mac + self.source_mac + struct.pack(">H", kind) + payload

    def ip4(self, protocol, payload, first=0x45, length=None, source=None, to=None, flaw=0):
        header = struct.pack(
            ">BBHHHBBH4s4s",
            first,
            0,
            20 + len(payload) if length is None else length,
            self.dice.getrandbits(16),
            0,
            64,
            protocol,
            0,
            source or self.source,
            to or self.ours,
        )
        total = checksum(header) ^ flaw
        return self.ethernet(IP4, header[:10] + struct.pack(">H", total) + header[12:] + payload)

    def udp(self, payload, length=None, flaw=0):
        length = 8 + len(payload) if length is None else length
        header = struct.pack(">HHHH", 4096 + self.dice.getrandbits(12), self.port, length, 0)
        pseudo = self.source + self.ours + struct.pack(">HH", UDP, length)
        total = (checksum(pseudo + header + payload) or 0xFFFF) ^ flaw
        return header[:6] + struct.pack(">H", total) + payload

    def some(self, least, most):
        return self.dice.randbytes(self.dice.randint(least, most))

    def flaw(self):
        """What makes a checksum wrong: all but the two forms of zero."""
        return self.dice.randint(1, 0xFFFE)

    # The flaws. Each returns the counter and the frame.

    def an_unknown_protocol(self):
        return "ethernet.unknown", self.ethernet(
            0x0900 + self.dice.getrandbits(10), self.some(0, 1500)
        )

    def a_short_arp(self):
        return "arp.short", self.ethernet(ARP, self.some(0, 27))

    def a_strange_arp(self):
        return "arp.malformed", self.ethernet(ARP, b"\xff" + self.some(27, 60))

    def a_short_datagram(self):
        return "ip4.short", self.ethernet(IP4, self.some(0, 19))

    def an_unknown_version(self):
        first = self.dice.choice([0, 1, 2, 3, 5, 6, 7, 15]) << 4 | 5
        return "ip4.version", self.ip4(UDP, self.some(0, 100), first=first)

    def a_short_header(self):
        return "ip4.header_length", self.ip4(
            UDP, self.some(0, 100), first=0x40 + self.dice.randint(0, 4)
        )

    def a_long_header(self):
        return "ip4.header_length", self.ip4(UDP, self.some(0, 30), first=0x4F)

    def a_bad_header_checksum(self):
        return "ip4.checksum", self.ip4(UDP, self.some(0, 1000), flaw=self.flaw())

    def a_length_beyond_the_frame(self):
        payload = self.some(0, 1000)
        length = 20 + len(payload) + self.dice.randint(1, 40000)
        return "ip4.length", self.ip4(UDP, payload, length=length)

    def a_length_below_the_header(self):
        return "ip4.length", self.ip4(UDP, self.some(0, 1000), length=self.dice.randint(0, 19))

    def a_loopback_source(self):
        return "ip4.source", self.ip4(UDP, self.some(0, 100), source=b"\x7f" + self.some(3, 3))

    def a_group_as_source(self):
        return "ip4.source", self.ip4(UDP, self.some(0, 100), source=b"\xe1" + self.some(3, 3))

    def a_foreign_destination(self):
        return "ip4.destination", self.ip4(UDP, self.some(0, 100), to=b"\x0a\x63" + self.some(2, 2))

    def a_short_udp(self):
        return "udp.short", self.ip4(UDP, self.some(0, 7))

    def a_udp_length_beyond_the_datagram(self):
        payload = self.some(0, 500)
        return "udp.length", self.ip4(UDP, self.udp(payload, length=9 + len(payload)))

    def a_udp_length_below_the_header(self):
        return "udp.length", self.ip4(
            UDP, self.udp(self.some(0, 500), length=self.dice.randint(0, 7))
        )

    def a_bad_udp_checksum(self):
        payload = self.some(0, 1000)
        datagram = self.udp(payload)
        right = struct.unpack(">H", datagram[6:8])[0]
        # Neither the right sum, in either form of zero, nor 0, which means "none".
        wrong = self.dice.choice([n for n in (0x1234, 0xABCD, 0x7FFF) if n != right])
        return "udp.checksum", self.ip4(UDP, datagram[:6] + struct.pack(">H", wrong) + datagram[8:])

    def a_short_icmp(self):
        return "icmp.short", self.ip4(ICMP, self.some(0, 7))

    def a_bad_icmp_checksum(self):
        message = b"\x08\0" + bytes(2) + self.some(4, 200)
        wrong = checksum(message) ^ self.flaw()
        return "icmp.checksum", self.ip4(ICMP, message[:2] + struct.pack(">H", wrong) + message[4:])

    def a_strange_icmp_type(self):
        message = bytes([self.dice.randint(20, 255), 0, 0, 0]) + self.some(4, 200)
        total = checksum(message)
        return "icmp.type", self.ip4(ICMP, message[:2] + struct.pack(">H", total) + message[4:])
