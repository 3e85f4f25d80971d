"""Frames that are right up to TCP or IPv6, and wrong behind that; most with right checksums.

strange = Strange(mac, ours, ours6, source_mac, source, source6)
for frame in strange.frames(10_000): ...
strange.made                            {"tcp_options": 812, ...}
"""

import collections
import random
import struct

from tests.support.load import checksum

TCP, ICMP, ICMP6 = 6, 1, 58
PORTS = (7, 9, 19, 80, 81, 5201, 0, 65535)


class Strange:
    """Addresses as bytes; `ports` of the peer that live connections use are found by chance."""

    def __init__(self, mac, ours, ours6, source_mac, source, source6, seed=9):
        self.mac, self.source_mac = mac, source_mac
        self.ours, self.source = {4: ours, 6: ours6}, {4: source, 6: source6}
        self.dice = random.Random(seed)
        self.made = collections.Counter()
        self.kinds = [name for name in sorted(dir(self)) if name.startswith("a_")]
        self.numbers = {}  # (family, port, port of the peer): what was sent last

    def frames(self, count):
        for _ in range(count):
            kind = self.dice.choice(self.kinds)
            self.made[kind] += 1
            yield getattr(self, kind)(self.dice.choice((4, 6)))

    # Layers.

    def sum(self, family, protocol, data):
        pseudo = self.source[family] + self.ours[family]
        return checksum(pseudo + struct.pack(">IHBB", len(data), 0, 0, protocol) + data)

    def ip(self, family, protocol, payload, headers=b"", first=None):
        source, ours = self.source[family], self.ours[family]
        if family == 6:
            length = len(headers) + len(payload)
            kind = protocol if first is None else first
            header = struct.pack(">IHBB", 0x60000000, length, kind, 64) + source + ours
            return self.mac + self.source_mac + b"\x86\xdd" + header + headers + payload
        length = 20 + len(payload)
        header = struct.pack(">BBHHHBBH", 0x45, 0, length, 1, 0, 64, protocol, 0) + source + ours
        header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
        return self.mac + self.source_mac + b"\x08\0" + header + payload

    def segment(self, family, flags=None, options=b"", data=b"", offset=None, flaw=0, port=None):
        """Of a connection that may exist: a few hundred pairs of ports, numbers that go on."""
        dice = self.dice
        port = dice.choice(PORTS) if port is None else port
        key = (family, port, 20_000 + dice.randrange(100))
        seq = self.numbers.get(key, dice.getrandbits(32))
        seq = (seq + dice.choice((0, 0, 0, 1, -1, 1000, 2**31))) % 2**32
        self.numbers[key] = seq
        offset = 5 + len(options) // 4 if offset is None else offset
        flags = dice.getrandbits(8) if flags is None else flags
        words = (key[2], port, seq, dice.getrandbits(32), offset << 12 | flags)
        urgent = dice.choice((0, 0, 1, 0xFFFF))
        made = struct.pack(">HHIIHHHH", *words[:5], dice.getrandbits(16), 0, urgent)
        made += options + data
        total = self.sum(family, TCP, made) ^ flaw
        return made[:16] + struct.pack(">H", total) + made[18:]

    def tcp(self, family, **fields):
        return self.ip(family, TCP, self.segment(family, **fields))

    def some(self, least, most):
        return self.dice.randbytes(self.dice.randint(least, most))

    # TCP.

    def a_segment(self, family):
        return self.tcp(family, data=self.some(0, 1400))

    def a_syn(self, family):
        return self.tcp(family, flags=2 | self.dice.choice((0, 1, 8, 0xC0)))

    def a_syn_of_random_options(self, family):
        return self.tcp(family, flags=2, options=self.dice.randbytes(4 * self.dice.randrange(11)))

    def a_list_of_options_that_lie(self, family):
        """Lengths of 0 and 1, beyond the header, twice the same, SACK blocks that are cut."""
        pieces = []
        for _ in range(self.dice.randrange(1, 8)):
            kind = self.dice.choice((0, 1, 2, 3, 4, 5, 5, 8, 8, 19, 28, 30, 34, 253))
            length = self.dice.choice((0, 1, 2, 3, 4, 10, 18, 34, 40, 255))
            pieces.append(bytes([kind, length]) + self.some(0, 12))
        options = b"".join(pieces)[:40]
        return self.tcp(family, options=options + bytes(-len(options) % 4))

    def a_header_length_that_lies(self, family):
        return self.tcp(family, offset=self.dice.choice((0, 1, 4, 6, 15)), data=self.some(0, 8))

    def a_short_tcp(self, family):
        return self.ip(family, TCP, self.some(0, 19))

    def a_bad_tcp_checksum(self, family):
        return self.tcp(family, data=self.some(0, 100), flaw=self.dice.randint(1, 0xFFFE))

    def a_reset(self, family):
        return self.tcp(family, flags=4 | self.dice.choice((0, 16)))

    def a_window_of_nothing(self, family):
        made = self.segment(family, flags=16)
        made = made[:14] + bytes(4) + made[18:]
        return self.ip(family, TCP, made[:16] + struct.pack(">H", self.sum(family, TCP, made))
                       + made[18:])  # fmt: skip

    # IPv6 extension headers (IPv4 has none: what comes then is options of TCP).

    def a_chain_of_extension_headers(self, family):
        kinds = [self.dice.choice((0, 43, 44, 50, 51, 60, 60, 60, 135, 139, 59, 99))
                 for _ in range(self.dice.randrange(1, 12))]  # fmt: skip
        kinds.append(TCP)
        headers = b""
        for after in kinds[1:]:
            eighths = self.dice.choice((0, 0, 0, 1, 4, 31, 255))
            body = self.dice.choice((bytes(8 * eighths + 6), b"\1\4" + self.some(4, 60)))
            headers += bytes([after, eighths]) + body
        return self.ip(6, TCP, self.segment(6), headers[:1200], kinds[0])

    def a_hop_by_hop_header_of_random_options(self, family):
        body = self.dice.randbytes(8 * self.dice.randrange(1, 20) - 2)
        headers = bytes([TCP, (len(body) + 2) // 8 - 1]) + body
        return self.ip(6, TCP, self.segment(6), headers, self.dice.choice((0, 60)))

    def a_routing_header(self, family):
        headers = bytes([TCP, 2, self.dice.choice((0, 1, 2, 3, 4, 253)), self.dice.randrange(4)])
        return self.ip(6, TCP, self.segment(6), headers + self.dice.randbytes(20), 43)

    def a_fragment(self, family):
        offset = self.dice.choice((0, 0, 8, 16, 1000, 65528)) | self.dice.randrange(8)
        header = struct.pack(">BBHI", TCP, 0, offset, self.dice.randrange(4))
        return self.ip(6, TCP, self.segment(6, data=self.some(0, 64)), header, 44)

    # ICMP.

    def a_quotation_of_tcp(self, family):
        """An error about a segment that we may have sent."""
        dice = self.dice
        quoted = bytearray(self.segment(family, flags=16))
        quoted[0:2], quoted[2:4] = quoted[2:4], quoted[0:2]
        cut = bytes(quoted[: dice.choice((0, 3, 4, 7, 8, 20))])
        source, ours = self.source[family], self.ours[family]
        value = dice.choice((0, 67, 68, 500, 1280, 1499, 1500, 65535))
        if family == 4:
            first = dice.choice((0x45, 0x45, 0x45, 0x4F, 0x40, 0x65))
            length = dice.choice((20, 40, 60, 1500, 0))
            inner = struct.pack(">BBHHHBBH", first, 0, length, 1, 0x4000, 64, TCP, 0)
            inner += ours + source + cut
            kind, code = dice.choice((3, 3, 3, 4, 5, 11, 12)), dice.randrange(16)
            message = struct.pack(">BBHHH", kind, code, 0, 0, value) + inner
            message = message[:2] + struct.pack(">H", checksum(message)) + message[4:]
            return self.ip(4, ICMP, message)
        inner = struct.pack(">IHBB", 0x60000000, 20, dice.choice((TCP, TCP, 0, 44, 60)), 64)
        inner += ours + source + cut
        kind, code = dice.choice((1, 2, 2, 3, 4, 100)), dice.randrange(8)
        message = struct.pack(">BBHI", kind, code, 0, value) + inner
        message = message[:2] + struct.pack(">H", self.sum(6, ICMP6, message)) + message[4:]
        return self.ip(6, ICMP6, message)
