"""The other end of a connection, played from a script, on a virtual wire with a virtual clock.

    peer = Peer()                                 our stack at 10.0.0.2, the peer at 10.0.0.1;
                                                  Peer(family=6): 2001:db8::2, 2001:db8::1
    service = peer.listen(80)                     what the service is told is written down there
    peer.send("S", mss=1460)                      inject ...
    peer.expect("S.", ack=1, mss=1460)            ... and expect, at once
    peer.send(".")
    peer.send("P.", data=b"hello")
    peer.expect(".", ack=6, after=40)             40 ms after what was sent or heard before it
    peer.silent(1000)                             a second in which nothing is heard

Flags are written as packetdrill does: S F R P . (ACK) U E (ECE) W (CWR).

Sequence numbers are relative: the peer's SYN has `seq` 0, so its first byte has 1, and our stack's
SYN has 0 where the peer acknowledges it.  Absolute ones begin shortly before the wrap, unless `iss`
says otherwise.  `seq` and `ack` of what the peer sends need only be given where they are not what
an honest peer would send: next is the end of what it sent, and it acknowledges all it has heard.

Fields of `expect`: seq, ack, window, data, length, mss, scale, sack_permitted, sacks, ts, ect.
What is not named may be anything, but flags are always exact.

    peer.open(mss=1460, scale=7, sack=True, ts=True) -> Service     the peer connects to port 80
    peer.meet(mss=1460, ...) -> Service                             our stack connects to the peer
    other = peer.another(port=5001)                                 a second one on the same wire

A failure shows the conversation up to there.  MicroPython runs this file as well.
"""

import struct

from net.inet import Inet
from net.inet6 import Inet6
from net.tcp import Tcp
from tests.support import frames6
from tests.support.frames import arp, checksum, ethernet, ip
from tests.support.wire import Host, Nic, World

US, THEM = "10.0.0.2", "10.0.0.1"
US6, THEM6 = "2001:db8::2", "2001:db8::1"
LETTERS = "FSRP.UEW"
MASK = 0xFFFFFFFF


def bits(flags):
    return sum([1 << LETTERS.index(letter) for letter in flags])


def letters(value):
    return "".join([LETTERS[i] for i in (1, 0, 2, 3, 4, 5, 6, 7) if value >> i & 1])


def packed(address):
    """Bytes of an address of either family."""
    if ":" in address:
        return frames6.address(address)
    return bytes([int(part) for part in address.split(".")])


def pseudo(source, destination, length):
    if len(source) == 16:
        return source + destination + struct.pack(">II", length, 6)
    return source + destination + struct.pack(">HH", 6, length)


def signed(distance):
    distance &= MASK
    return distance - (1 << 32) if distance >> 31 else distance


class Segment:
    """A segment that was heard, taken apart; its checksum must be right."""

    def __init__(self, time, source, destination, body, traffic=0):
        self.time = time
        assert checksum(pseudo(source, destination, len(body)) + body) == 0, "TCP checksum"
        fields = struct.unpack(">HHIIBBHHH", body[:20])
        self.source_port, self.destination_port, self.sequence, self.acknowledgement = fields[:4]
        size = fields[4] >> 4 << 2
        assert fields[4] & 15 == 0, "reserved bits"
        self.flags = letters(fields[5])
        self.window, self.urgent = fields[6], fields[8]
        self.data = bytes(body[size:])
        self.ect = traffic & 3
        self.mss = self.scale = self.ts = None
        self.sack_permitted = False
        self.sacks = []
        self.kinds = []
        self.read(body[20:size])
        self.seq = self.ack = None

    def read(self, options):
        i = 0
        while i < len(options) and options[i]:
            kind = options[i]
            self.kinds.append(kind)
            if kind == 1:
                i += 1
                continue
            value = options[i + 2 : i + options[i + 1]]
            if kind == 2:
                (self.mss,) = struct.unpack(">H", value)
            elif kind == 3:
                self.scale = value[0]
            elif kind == 4:
                self.sack_permitted = True
            elif kind == 5:
                edges = struct.unpack(">" + "I" * (len(value) // 4), value)
                self.sacks = [(edges[k], edges[k + 1]) for k in range(0, len(edges), 2)]
            elif kind == 8:
                self.ts = struct.unpack(">II", value)
            i += options[i + 1]

    @property
    def length(self):
        return len(self.data)

    @property
    def size(self):
        """In sequence numbers."""
        return len(self.data) + ("S" in self.flags) + ("F" in self.flags)

    def __repr__(self):
        text = f"{self.flags:3} seq {self.seq}:{self.seq + self.size}"
        if "." in self.flags:
            text += f" ack {self.ack}"
        text += f" win {self.window}"
        for name in ("mss", "scale", "ts"):
            if getattr(self, name) is not None:
                text += f" {name} {getattr(self, name)}"
        if self.sack_permitted:
            text += " sack_permitted"
        if self.sacks:
            text += f" sacks {self.sacks}"
        return text


class Service:
    """What a connection tells its service, in order."""

    def __init__(self, keep_open=False):
        self.connection = None
        self.connections = []
        self.pieces = []
        self.ended = False
        self.reason = None  # of on_close
        self.connected = False
        self.writable = 0
        self.keep_open = keep_open

    def take(self, connection):
        self.connection = connection
        self.connections.append(connection)
        self.connected = True
        connection.on_data = self.on_data
        connection.on_close = self.on_close
        connection.on_writable = self.on_writable
        if self.keep_open:
            connection.on_end = self.on_end

    def on_data(self, connection, segment):
        self.pieces.append(segment.data)

    def on_end(self, connection):
        self.ended = True

    def on_close(self, connection, reason):
        self.reason = reason

    def on_writable(self, connection):
        self.writable += 1

    @property
    def data(self):
        return b"".join(self.pieces)

    @property
    def state(self):
        return self.connection.state


class Wire:
    """Our stack, and a nic whose frames are those of the peers.  `family`: 4 or 6."""

    def __init__(self, mtu=1500, packets=64, start=0x100000, family=4, **settings):
        self.world = World(start=start, delay=0)
        self.family = family
        if family == 4:
            settings.setdefault("address", US + "/24")
        else:
            settings.setdefault("address6", US6 + "/64")
            settings.setdefault("secret6", "00" * 16)
        settings.setdefault("ecn", "off")  # what is not about it is easier to read without
        self.host = Host(self.world, "us", mtu=mtu, packets=packets, **settings)
        self.nic = Nic(self.world, "them", b"\x02\0\0\0\0\x99", mtu)
        self.nic.hear = self.hear
        stack = Inet if family == 4 else Inet6
        self.host.inet = self.inet = stack(self.host, tcp=Tcp)
        self.peers = []
        self.others = []  # frames that are no segments for one of the peers
        self.world.run(5_000)
        self.introduce()
        self.others.clear()

    def introduce(self):
        """Ask for us, so that we know who asks."""
        if self.family == 4:
            question = arp(1, self.nic.mac, THEM, b"\0" * 6, US)
            self.frame(ethernet(b"\xff" * 6, self.nic.mac, 0x0806, question))
        else:
            option = frames6.mac_option(1, self.nic.mac)
            question = frames6.solicitation(THEM6, US6, option)
            self.frame(frames6.to_group(self.nic.mac, question))

    def frame(self, data):
        self.world.send(self.nic, data)
        self.world.run()

    def send(self, source, destination, body, traffic):
        if self.family == 6:
            body = frames6.ip6(source, destination, 6, body, traffic=traffic)
            self.frame(ethernet(self.host.nic.mac, self.nic.mac, 0x86DD, body))
            return
        mac = self.host.nic.mac if destination == US else b"\xff" * 6
        self.frame(
            ethernet(mac, self.nic.mac, 0x0800, ip(source, destination, 6, body, tos=traffic))
        )

    def hear(self, frame):
        body = frame[14:]
        if frame[12:14] == b"\x08\0" and body[9] == 6:
            size = (body[0] & 15) << 2
            if self.segment(body[12:16], body[16:20], body[size:], body[1]):
                return
        if frame[12:14] == b"\x86\xdd":
            if body[6] == 6:
                traffic = (body[0] << 4 | body[1] >> 4) & 0xFF
                if self.segment(body[8:24], body[24:40], body[40:], traffic):
                    return
            elif body[6] == 58 and body[40] == 135:
                self.advertise(body)
        if frame[12:14] == b"\x08\x06" and body[7] == 1:
            self.answer(body)
        self.others.append(frame)

    def segment(self, source, destination, body, traffic):
        segment = Segment(self.world.time, source, destination, body, traffic)
        return any(peer.hears(segment, destination) for peer in self.peers)

    def advertise(self, question):
        """A neighbour solicitation, likewise."""
        asked = question[48:64]
        if asked in [packed(peer.address) for peer in self.peers]:
            option = frames6.mac_option(2, self.nic.mac)
            answer = frames6.advertisement(asked, question[8:24], asked, 0x60, option)
            self.world.send(self.nic, ethernet(self.host.nic.mac, self.nic.mac, 0x86DD, answer))

    def answer(self, question):
        """An ARP question: each address of a peer is at this nic."""
        asked = question[24:28]
        if asked in [packed(peer.address) for peer in self.peers]:
            reply = arp(2, self.nic.mac, asked, question[8:14], question[14:18])
            self.world.send(self.nic, ethernet(question[8:14], self.nic.mac, 0x0806, reply))


class Peer:
    def __init__(self, wire=None, port=40000, to=80, iss=0xFFFFFFF0, address=None, **settings):
        self.wire = wire or Wire(**settings)
        self.local = US if self.wire.family == 4 else US6
        address = address or (THEM if self.wire.family == 4 else THEM6)
        self.world = self.wire.world
        self.inet = self.wire.inet
        self.tcp = self.inet.tcp
        self.address, self.port, self.to, self.iss = address, port, to, iss
        self.window = 65535
        self.timestamps = False
        self.restart(iss)
        self.wire.peers.append(self)

    def restart(self, iss):
        """Forget the conversation; the next SYN has this number."""
        self.iss = iss
        self.us = None  # our stack's initial sequence number
        self.next = 0  # what the peer sends next, relative
        self.heard_to = 0  # what it has heard in order, relative
        self.told = 0  # what our stack has acknowledged
        self.later = {}  # what it has heard out of order: begin -> end
        self.ts_recent = 0
        self.heard = []
        self.lines = []
        self.mark = self.world.time

    def another(self, **what):
        return Peer(self.wire, **what)

    # Our stack's side.

    def listen(self, port=80, keep_open=False, **limits):
        service = Service(keep_open)
        service.listener = self.tcp.listen(port, service.take, **limits)
        return service

    def connect(self, keep_open=False):
        """Our stack connects to the peer."""
        service = Service(keep_open)
        service.connection = self.tcp.connect(
            packed(self.address), self.port, service.take, self.to
        )
        service.connection.on_close = service.on_close
        self.world.run()
        return service

    # The script.

    def clock(self):
        """The peer's timestamps: milliseconds, from a number near the wrap."""
        return (self.world.time + 0xFFFFF000) & MASK

    def send(self, flags, seq=None, ack=None, data=b"", **field):
        """A segment from the peer.

        field: window, mss, scale, sack_permitted, sacks, ts, options, urgent, checksum, offset,
        reserved, ce, ect, to_all (a broadcast)
        """
        start = self.next if seq is None else seq
        end = start + len(data) + ("S" in flags) + ("F" in flags)
        if "R" not in flags and end > self.next:
            self.next = end
        if ack is None:
            ack = self.heard_to if "." in flags else None
        options = field.get("options")
        if options is None:
            options = self.options(flags, field)
        fixed = struct.pack(
            ">HHIIBBHHH",
            self.port,
            self.to,
            (self.iss + start) & MASK,
            0 if ack is None else ((self.us or 0) + ack) & MASK,
            field.get("offset", (20 + len(options)) >> 2) << 4 | field.get("reserved", 0),
            bits(flags),
            field.get("window", self.window),
            0,
            field.get("urgent", 0),
        )
        body = fixed + options + data
        destination = "10.0.0.255" if field.get("to_all") else self.local
        head = pseudo(packed(self.address), packed(destination), len(body))
        total = field.get("checksum", checksum(head + body))
        body = body[:16] + struct.pack(">H", total) + body[18:]
        text = f"< {flags:3} seq {start}:{end}"
        if ack is not None:
            text += f" ack {ack}"
        self.note(f"{text} {field or ''}")
        self.mark = self.world.time
        traffic = 3 if field.get("ce") else field.get("ect", 0)
        self.wire.send(self.address, destination, body, traffic)

    def options(self, flags, field):
        data = b""
        if field.get("mss") is not None:
            data += struct.pack(">BBH", 2, 4, field["mss"])
        if field.get("sack_permitted"):
            data += b"\4\2"
        ts = field.get("ts")
        if ts is None and self.timestamps and "R" not in flags:
            ts = True
        if ts:
            if ts is True:
                ts = (self.clock(), self.ts_recent if "." in flags else 0)
            data += struct.pack(">BBII", 8, 10, ts[0] & MASK, ts[1] & MASK)
        if field.get("scale") is not None:
            data += struct.pack(">BBB", 3, 3, field["scale"])
        if field.get("sacks"):
            data += struct.pack(">BB", 5, 2 + 8 * len(field["sacks"]))
            for start, end in field["sacks"]:
                data += struct.pack(">II", (self.us + start) & MASK, (self.us + end) & MASK)
        return b"\1" * (-len(data) % 4) + data

    def hears(self, segment, destination):
        """Called by the wire: is it for this peer?"""
        if (segment.destination_port, segment.source_port) != (self.port, self.to):
            return False
        if destination != packed(self.address):
            return False
        if "S" in segment.flags and "R" not in segment.flags:
            self.us = segment.sequence
        segment.seq = signed(segment.sequence - (self.us or 0))
        segment.ack = signed(segment.acknowledgement - self.iss)
        segment.sacks = [(signed(a - self.iss), signed(b - self.iss)) for a, b in segment.sacks]
        if "." in segment.flags and "R" not in segment.flags:
            self.told = segment.ack  # what our stack expects next
        if segment.ts and "R" not in segment.flags:
            self.ts_recent = segment.ts[0]
        self.heard.append(segment)
        self.note(f"> {segment}")
        if segment.size:
            self.later[segment.seq] = max(
                segment.seq + segment.size, self.later.get(segment.seq, 0)
            )
            for begin in sorted(self.later):
                if begin <= self.heard_to:
                    self.heard_to = max(self.heard_to, self.later.pop(begin))
        return True

    def note(self, text):
        self.lines.append(f"{self.world.time:8} {text}")

    def fail(self, why):
        raise AssertionError(why + "\n" + "\n".join(self.lines[-40:]))

    def expect(self, flags, within=0, after=None, **field):
        """The next segment: now, `within` so many ms, or `after` so many (one more or less).

        `after` may be a pair: not before, not later.
        """
        early, late = 0, within
        if after is not None:
            early, late = after if isinstance(after, tuple) else (after - 1, after + 1)
        start = self.mark
        self.world.run()
        while not self.heard and self.world.time - start <= late:
            self.world.run(1)
        if not self.heard:
            self.fail(f"nothing heard, expected {flags} {field}")
        segment = self.heard.pop(0)
        if after is not None and not early <= segment.time - start <= late:
            self.fail(f"{segment} came after {segment.time - start} ms, not {after}")
        self.mark = segment.time
        if letters(bits(flags)) != segment.flags:
            self.fail(f"flags {flags} expected, not {segment}")
        for name in field:
            value = getattr(segment, name)
            expected = field[name]
            if name == "ts" and isinstance(expected, bool):
                value = value is not None
            if value != expected:
                self.fail(f"{name} {expected!r} expected, not {value!r}: {segment}")
        return segment

    def silent(self, ms=0):
        """Nothing is heard for so long."""
        self.world.run(ms or None)
        if self.heard:
            self.fail(f"silence expected, not {self.heard[0]}")
        self.mark = self.world.time

    def wait(self, ms):
        """Let time pass; whatever is heard waits for `expect`."""
        self.world.run(ms)

    def take(self):
        """All that was heard and not yet expected."""
        self.world.run()
        heard, self.heard = self.heard, []
        return heard

    # What most scripts begin with.

    def open(self, mss=1460, scale=None, sack=False, ts=False, **listen):
        """The peer connects to our port; returns what the service sees."""
        service = listen.pop("service", None) or self.listen(self.to, **listen)
        self.timestamps = ts
        self.send("S", mss=mss, scale=scale, sack_permitted=sack)
        self.expect("S.", seq=0, ack=1)
        self.send(".")
        self.silent()
        return service

    def meet(self, mss=1460, scale=None, sack=False, ts=False, **how):
        """Our stack connects to the peer."""
        service = self.connect(**how)
        self.expect("S", seq=0)
        self.timestamps = ts
        self.send("S.", mss=mss, scale=scale, sack_permitted=sack)
        self.expect(".", seq=1, ack=1)
        return service

    @property
    def drops(self):
        """What our stack refused, and a check that no packet was lost or invented."""
        self.world.check()
        return self.inet.drops

    def count(self, name):
        return self.inet.counters["tcp." + name]


def pattern(length, start=0):
    """Bytes that tell where they belong."""
    made = bytearray(length)
    for i in range(length):
        made[i] = ((start + i) * 151 + ((start + i) >> 8)) & 0xFF
    return bytes(made)


__all__ = ["THEM", "THEM6", "US", "US6", "Peer", "Segment", "Service", "Wire", "packed", "pattern"]
