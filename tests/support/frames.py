"""Frames by hand, written and read the plain way: the oracle for the stack's own code."""

import struct


def checksum(data):
    """RFC 1071 in one line: the ones' complement of the ones' complement sum of 16-bit words."""
    data = bytes(data) + b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def address(text):
    return text if isinstance(text, bytes) else bytes(int(part) for part in text.split("."))


def ethernet(destination, source, kind, payload):
    return destination + source + struct.pack(">H", kind) + payload


def arp(operation, sender_mac, sender, target_mac, target):
    fixed = struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation)
    return fixed + sender_mac + address(sender) + target_mac + address(target)


def ip(source, destination, protocol, payload, **field):
    """An IPv4 datagram; any field can be given another value, its checksum too."""
    options = field.get("options", b"")
    size = 20 + len(options)
    first = field.get("version", 4) << 4 | field.get("ihl", size // 4)
    fragment = field.get("flags", 0) << 13 | field.get("offset", 0) >> 3
    header = struct.pack(
        ">BBHHHBBH",
        first,
        field.get("tos", 0),
        field.get("length", size + len(payload)),
        field.get("identification", 1),
        fragment,
        field.get("ttl", 64),
        protocol,
        0,
    )
    header += address(source) + address(destination) + options
    total = field.get("checksum", checksum(header))
    return header[:10] + struct.pack(">H", total) + header[12:] + payload


def udp(source, destination, source_port, destination_port, payload, **field):
    length = field.get("length", 8 + len(payload))
    header = struct.pack(">HHH", source_port, destination_port, length)
    pseudo = address(source) + address(destination) + struct.pack(">BBH", 0, 17, length)
    total = field.get("checksum", checksum(pseudo + header + b"\0\0" + payload) or 0xFFFF)
    return header + struct.pack(">H", total) + payload


def icmp(kind, code, rest, payload=b"", **field):
    message = struct.pack(">BBH", kind, code, 0) + rest + payload
    total = field.get("checksum", checksum(message))
    return message[:2] + struct.pack(">H", total) + message[4:]


class Frame:
    """A frame taken apart; whatever carries a checksum must carry the right one."""

    def __init__(self, data):
        self.data = data
        self.destination_mac, self.source_mac = data[:6], data[6:12]
        self.kind = struct.unpack(">H", data[12:14])[0]
        self.what = "?"
        body = data[14:]
        if self.kind == 0x0806:
            self.what = "arp"
            (self.operation,) = struct.unpack(">H", body[6:8])
            self.sender_mac, self.sender = body[8:14], body[14:18]
            self.target_mac, self.target = body[18:24], body[24:28]
        elif self.kind == 0x0800:
            self.read_ip(body)

    def read_ip(self, body):
        self.what = "ip"
        size = (body[0] & 15) * 4
        assert body[0] >> 4 == 4
        assert checksum(body[:size]) == 0, "header checksum"
        self.length, self.identification, fragment = struct.unpack(">HHH", body[2:8])
        self.dont_fragment = fragment >> 14 & 1
        self.more = fragment >> 13 & 1
        self.offset = (fragment & 0x1FFF) << 3
        self.ttl, self.protocol = body[8], body[9]
        self.source, self.destination = body[12:16], body[16:20]
        assert self.length == len(body)
        self.body = body[size:]
        if self.more or self.offset:
            self.what = "fragment"
        elif self.protocol == 17:
            self.read_udp(self.body)
        elif self.protocol == 1:
            self.what = "icmp"
            assert checksum(self.body) == 0, "ICMP checksum"
            self.type, self.code = self.body[0], self.body[1]
            self.rest, self.payload = self.body[4:8], self.body[8:]

    def read_udp(self, body):
        self.what = "udp"
        self.source_port, self.destination_port, length, total = struct.unpack(">HHHH", body[:8])
        assert length == len(body)
        pseudo = self.source + self.destination + struct.pack(">BBH", 0, 17, length)
        assert total and checksum(pseudo + body) == 0, "UDP checksum"
        self.payload = body[8:]
