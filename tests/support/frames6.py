"""IPv6 frames by hand, written and read the plain way."""

import struct

from net.address import parse
from tests.support.frames import checksum, ethernet


def address(text):
    return text if isinstance(text, bytes) else parse(text)


def group_mac(group):
    return b"\x33\x33" + address(group)[12:]


def solicited_node(target):
    return address("ff02::1:ff00:0")[:13] + address(target)[13:]


def ip6(source, destination, protocol, payload, **field):
    """An IPv6 datagram; any field can be given another value."""
    first = field.get("version", 6) << 28 | field.get("traffic", 0) << 20 | field.get("label", 0)
    header = struct.pack(
        ">IHBB", first, field.get("length", len(payload)), protocol, field.get("limit", 64)
    )
    return header + address(source) + address(destination) + payload


def pseudo(source, destination, protocol, length):
    return address(source) + address(destination) + struct.pack(">IHBB", length, 0, 0, protocol)


def icmp6(source, destination, kind, code, body, **field):
    message = bytes([kind, code, 0, 0]) + body
    total = checksum(pseudo(source, destination, 58, len(message)) + message)
    return message[:2] + struct.pack(">H", field.get("checksum", total)) + message[4:]


def udp6(source, destination, source_port, destination_port, payload, **field):
    length = field.get("length", 8 + len(payload))
    header = struct.pack(">HHH", source_port, destination_port, length)
    data = pseudo(source, destination, 17, length) + header + b"\0\0" + payload
    return header + struct.pack(">H", field.get("checksum", checksum(data) or 0xFFFF)) + payload


def options(protocol, *parts):
    """A hop-by-hop or destination options header, padded."""
    body = b"".join(parts)
    missing = -(len(body) + 2) % 8
    if missing == 1:
        body += b"\0"
    elif missing:
        body += bytes([1, missing - 2]) + bytes(missing - 2)
    return bytes([protocol, (len(body) + 2) // 8 - 1]) + body


def fragment(protocol, offset, more, identification=7):
    return struct.pack(">BBHI", protocol, 0, offset | (1 if more else 0), identification)


def mac_option(kind, mac):
    return bytes([kind, 1]) + mac


def solicitation(source, target, *options, **field):
    destination = field.pop("destination", None) or solicited_node(target)
    body = bytes(4) + address(target) + b"".join(options)
    message = icmp6(source, destination, 135, field.pop("code", 0), body)
    return ip6(source, destination, 58, message, limit=field.pop("limit", 255), **field)


def advertisement(source, destination, target, flags, *options, **field):
    body = bytes([flags, 0, 0, 0]) + address(target) + b"".join(options)
    message = icmp6(source, destination, 136, field.pop("code", 0), body)
    return ip6(source, destination, 58, message, limit=field.pop("limit", 255), **field)


def router(source, *options, **field):
    """A router advertisement."""
    body = struct.pack(
        ">BBHII",
        field.get("hops", 64),
        field.get("flags", 0),
        field.get("lifetime", 1800),
        field.get("reachable", 0),
        field.get("retrans", 0),
    )
    body += b"".join(options)
    message = icmp6(source, "ff02::1", 134, field.get("code", 0), body)
    return ip6(source, "ff02::1", 58, message, limit=field.get("limit", 255))


def prefix(text, flags=0xC0, valid=86400, preferred=14400, length=64):
    fixed = struct.pack(">BBBBIII", 3, 4, length, flags, valid, preferred, 0)
    return fixed + address(text)


def to_group(mac, datagram):
    """A frame with the link-layer destination that the datagram's group has."""
    return ethernet(group_mac(datagram[24:40]), mac, 0x86DD, datagram)


class Frame6:
    """A frame taken apart; whatever carries a checksum must carry the right one."""

    def __init__(self, data):
        self.data = data
        self.destination_mac, self.source_mac = data[:6], data[6:12]
        (self.kind,) = struct.unpack(">H", data[12:14])
        self.what = "?"
        if self.kind == 0x86DD:
            self.read(data[14:])

    def read(self, body):
        first, self.length, self.protocol, self.limit = struct.unpack(">IHBB", body[:8])
        assert first >> 28 == 6
        self.traffic, self.label = first >> 20 & 0xFF, first & 0xFFFFF
        self.source, self.destination = body[8:24], body[24:40]
        self.body = body[40:]
        assert self.length == len(self.body)
        if self.destination[0] == 0xFF:
            assert self.destination_mac == b"\x33\x33" + self.destination[12:]
        self.what = "ip6"
        self.alert = False
        if self.protocol == 0:
            # Only MLD has one here.
            assert self.body[2:6] == b"\x05\x02\0\0"
            self.alert = True
            self.protocol = self.body[0]
            self.body = self.body[8 * (self.body[1] + 1) :]
        if self.protocol == 44:
            self.what = "fragment"
            self.next, _, offset, self.identification = struct.unpack(">BBHI", self.body[:8])
            self.offset, self.more = offset & 0xFFF8, offset & 1
            self.body = self.body[8:]
        elif self.protocol == 17:
            self.what = "udp"
            self.source_port, self.destination_port, length, total = struct.unpack(
                ">HHHH", self.body[:8]
            )
            assert length == len(self.body)
            assert total
            self.check(17)
            self.payload = self.body[8:]
        elif self.protocol == 58:
            self.check(58)
            self.type, self.code = self.body[0], self.body[1]
            self.rest, self.payload = self.body[4:8], self.body[8:]
            names = {133: "rs", 135: "ns", 136: "na", 131: "mld1", 132: "done", 143: "mld2"}
            self.what = names.get(self.type, "icmp6")
            if self.what in ("ns", "na"):
                assert self.limit == 255
                self.target = self.payload[:16]
                self.options = self.payload[16:]
            if self.what == "mld2":
                assert self.alert
                assert self.limit == 1
                (count,) = struct.unpack(">H", self.rest[2:])
                records = [self.payload[20 * i : 20 * i + 20] for i in range(count)]
                self.records = [(record[0], record[4:]) for record in records]

    def check(self, protocol):
        head = pseudo(self.source, self.destination, protocol, len(self.body))
        assert checksum(head + self.body) == 0, "checksum"
