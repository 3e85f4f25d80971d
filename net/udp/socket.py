"""A UDP socket: one bound port, and the ways to send from it.

net/udp/udp.py says what a service sees of it.  `reply`, `answer` and `send` are on the way of every
datagram; what they need hangs on the socket itself, everything else on its `Aim`, as every name in
an object makes all of them slower to find.

Made by Udp.bind, when all is wired; by DHCP for itself.
Above: services.  Below: `output` and `output6` of udp.
"""

import micropython
from micropython import const

SIZE = const(8)
UDP = const(17)
DESTINATION_PORT = const(2)

# Of the counters of udp.py.
_NO_BUFFER = const(6)
_UNANSWERABLE = const(8)
_CLOSED = const(10)

# The packet's head (see packet.py).
TRANSPORT = const(4)
END = const(8)
FLAGS = const(10)
PROTOCOL = const(12)
SOURCE = const(16)
DESTINATION = const(32)
HEAD = const(64)
TRAFFIC = const(70)
HOPS = const(72)
OUT_SEGMENT = const(200)
BODY = const(208)
NET_BROADCAST = const(0x08)
IP6 = const(0x20)
PARTIAL = const(0x0100)
ROOM = const(1840)  # from BODY to the end of the buffer


class Aim:
    """Where `send` sends, from where, and how: as much of a received datagram as `answer` needs."""

    def __init__(self, stack, port):
        self.stack = stack
        self.buffer = bytearray(HEAD + SIZE)
        self.buffer[TRANSPORT] = HEAD
        self.buffer[HEAD + DESTINATION_PORT] = port >> 8
        self.buffer[HEAD + DESTINATION_PORT + 1] = port & 0xFF
        self.source_for = stack.source_for
        self.closed = False
        self.address = None
        self.changes = -1  # of the stack, when the source was chosen
        self.hops = 0
        self.group_hops = 1  # RFC 1112 section 6.1
        self.traffic = 0
        self.mark = 0  # hops and traffic class of what goes to `address`

    def at(self, address):
        """To this address now, from the one that we have for there."""
        size = len(address)
        if size not in (4, 16):
            raise ValueError("an address has 4 or 16 bytes: net.address.parse makes them of text")
        self.address = address = bytes(address)
        self.changes = self.stack.changes
        group = address[0] == 0xFF if size == 16 else 224 <= address[0] < 240
        self.mark = (self.group_hops if group else self.hops) | self.traffic << 8
        buffer = self.buffer
        buffer[FLAGS] = IP6 if size == 16 else 0
        buffer[SOURCE : SOURCE + size] = address
        buffer[DESTINATION : DESTINATION + size] = self.source_for(address) or bytes(size)


class Socket:
    def __init__(self, udp, port, callback):
        self.udp = udp
        self.port = port
        self.callback = callback
        self.unreachable = self.unheard
        self.aim = Aim(udp.stack, port)
        self.groups = []
        # Found at once, as they are searched in the object before the class.
        self.answer = self.answer
        self.reply = self.reply
        self.wire()

    def wire(self):
        udp = self.udp
        self.packet = udp.allocate
        self.output = udp.output
        self.output6 = udp.output6
        self.offload = udp.offload

    def unheard(self, socket, address, port, kind):
        pass

    def close(self):
        """Give the port back, and leave all groups; a second time does nothing."""
        if self.aim.closed:
            return
        self.aim.closed = True
        for group, interface in self.groups[:]:
            self.leave(group, interface)
        self.udp.unbind(self)
        self.packet = self.no_packet
        self.output = self.output6 = self.refused

    def no_packet(self):
        return None

    def not_sent(self):
        self.udp.count(_CLOSED if self.aim.closed else _NO_BUFFER)

    def refused(self, packet):
        self.udp.drop(packet, _CLOSED)

    def join(self, group, interface=None):
        """Hear a group on an interface: see Stack.join."""
        self.udp.stack.join(group, interface)
        self.groups.append((group, interface))

    def leave(self, group, interface=None):
        if (group, interface) not in self.groups:
            raise ValueError("this socket has not joined that group there")
        self.groups.remove((group, interface))
        self.udp.stack.leave(group, interface)

    def set(self, hops=None, group_hops=None, traffic=None, source_for=None):
        """How `send` sends: hop limits, traffic class, and who chooses the source."""
        aim = self.aim
        if hops is not None:
            aim.hops = hops
        if group_hops is not None:
            aim.group_hops = group_hops
        if traffic is not None:
            aim.traffic = traffic
        if source_for:
            aim.source_for = source_for
        aim.address = None

    @micropython.viper
    def reply(self, datagram, buffer, offset: int, length: int) -> bool:
        """Send buffer[offset:offset + length] to the sender of the datagram."""
        if length > ROOM:
            return bool(self.reply_long(datagram, buffer, offset, length))
        packet = self.packet()
        if packet is None:
            self.not_sent()
            return False
        out = ptr8(packet.buffer)
        data = ptr8(buffer)
        i = 0
        if offset & 3 == 0:
            # Both are words.
            to = ptr32(out)
            words = ptr32(data)
            j = offset >> 2
            while i + 4 <= length:
                to[(BODY + i) >> 2] = words[j]
                j += 1
                i += 4
        while i < length:
            out[BODY + i] = data[offset + i]
            i += 1
        ptr16(out)[END >> 1] = BODY + length
        self.answer(datagram, packet)
        return True

    @micropython.viper
    def answer(self, datagram, packet):
        """Send `packet` to the sender of `datagram`, from where that was sent to."""
        head = ptr16(datagram.buffer)
        out = ptr16(packet.buffer)
        words = ptr32(head)
        words_out = ptr32(out)
        if head[FLAGS >> 1] & NET_BROADCAST:
            total = int(self.address(datagram, packet))
        else:
            words_out[SOURCE >> 2] = words[DESTINATION >> 2]
            words_out[DESTINATION >> 2] = words[SOURCE >> 2]
            total = (
                out[SOURCE >> 1]
                + out[(SOURCE >> 1) + 1]
                + out[DESTINATION >> 1]
                + out[(DESTINATION >> 1) + 1]
            )
            if head[FLAGS >> 1] & IP6:
                out[FLAGS >> 1] |= IP6
                words_out[(SOURCE >> 2) + 1] = words[(DESTINATION >> 2) + 1]
                words_out[(SOURCE >> 2) + 2] = words[(DESTINATION >> 2) + 2]
                words_out[(SOURCE >> 2) + 3] = words[(DESTINATION >> 2) + 3]
                words_out[(DESTINATION >> 2) + 1] = words[(SOURCE >> 2) + 1]
                words_out[(DESTINATION >> 2) + 2] = words[(SOURCE >> 2) + 2]
                words_out[(DESTINATION >> 2) + 3] = words[(SOURCE >> 2) + 3]
                total += (
                    out[(SOURCE >> 1) + 2]
                    + out[(SOURCE >> 1) + 3]
                    + out[(SOURCE >> 1) + 4]
                    + out[(SOURCE >> 1) + 5]
                    + out[(SOURCE >> 1) + 6]
                    + out[(SOURCE >> 1) + 7]
                    + out[(DESTINATION >> 1) + 2]
                    + out[(DESTINATION >> 1) + 3]
                    + out[(DESTINATION >> 1) + 4]
                    + out[(DESTINATION >> 1) + 5]
                    + out[(DESTINATION >> 1) + 6]
                    + out[(DESTINATION >> 1) + 7]
                )
        i = int(head[TRANSPORT >> 1]) >> 1
        theirs = int(head[i])
        ours = int(head[i + 1])
        if theirs == 0:
            # RFC 768: the sender does not want an answer.
            self.udp.drop(packet, _UNANSWERABLE)
            return
        end = int(out[END >> 1])
        length = end - OUT_SEGMENT
        out[PROTOCOL >> 1] = UDP
        length = (length & 0xFF) << 8 | length >> 8
        out[OUT_SEGMENT >> 1] = ours
        out[(OUT_SEGMENT >> 1) + 1] = theirs
        out[(OUT_SEGMENT >> 1) + 2] = length
        total += length + (UDP << 8)
        if int(self.offload):
            # The device adds the rest.
            total = (total & 0xFFFF) + (total >> 16)
            out[(OUT_SEGMENT >> 1) + 3] = total + (total >> 16)
            out[FLAGS >> 1] |= PARTIAL
        else:
            total += ours + theirs + length
            i = BODY >> 1
            last = end >> 1
            while i + 4 <= last:
                total += out[i] + out[i + 1] + out[i + 2] + out[i + 3]
                i += 4
            while i < last:
                total += out[i]
                i += 1
            if end & 1:
                total += ptr8(out)[end - 1]
            total = (total & 0xFFFF) + (total >> 16)
            total = (total + (total >> 16)) & 0xFFFF
            # A checksum of zero would mean that there is none (RFC 768).
            out[(OUT_SEGMENT >> 1) + 3] = total ^ 0xFFFF if total != 0xFFFF else 0xFFFF
        if out[FLAGS >> 1] & IP6:
            self.output6(packet)
        else:
            self.output(packet)

    @micropython.viper
    def address(self, datagram, packet) -> int:
        """Write SOURCE and DESTINATION of an answer to a group; returns the sum of their words."""
        head = ptr16(datagram.buffer)
        out = ptr16(packet.buffer)
        words = ptr32(head)
        words_out = ptr32(out)
        size = 4
        if head[FLAGS >> 1] & IP6:
            size = 16
            out[FLAGS >> 1] |= IP6
        i = 0
        while i < size >> 2:
            words_out[(SOURCE >> 2) + i] = words[(DESTINATION >> 2) + i]
            words_out[(DESTINATION >> 2) + i] = words[(SOURCE >> 2) + i]
            i += 1
        if head[FLAGS >> 1] & NET_BROADCAST:
            # RFC 1122 4.1.3.5: the source of a datagram is an address of its host.
            self.choose_source(packet, size)
        total = 0
        i = 0
        while i < size >> 1:
            total += out[(SOURCE >> 1) + i] + out[(DESTINATION >> 1) + i]
            i += 1
        return total

    def choose_source(self, packet, size):
        buffer = packet.buffer
        source = self.aim.source_for(bytes(buffer[DESTINATION : DESTINATION + size]))
        buffer[SOURCE : SOURCE + size] = source or bytes(size)

    def send(self, packet, address, port):
        """Send `packet` to a port of an address (4 or 16 bytes)."""
        aim = self.aim
        if address != aim.address or aim.changes != aim.stack.changes:
            aim.at(address)
        if aim.mark:
            packet.buffer[HOPS] = aim.mark & 0xFF
            packet.buffer[TRAFFIC] = aim.mark >> 8
        buffer = aim.buffer
        buffer[HEAD] = port >> 8
        buffer[HEAD + 1] = port & 0xFF
        self.answer(aim, packet)

    def send_to(self, data, address, port):
        """Send a copy of `data`, in fragments if it is long."""
        length = len(data)
        if length > ROOM and not self.aim.closed:
            self.aim.at(address)
            return self.udp.send_long(self, data, address, port)
        packet = self.packet()
        if not packet:
            self.not_sent()
            return False
        packet.length = length
        packet.buffer[BODY : BODY + length] = data
        self.send(packet, address, port)
        return True

    def reply_long(self, datagram, buffer, offset, length):
        data = memoryview(buffer)[offset : offset + length]
        return self.send_to(data, datagram.source, datagram.source_port)
