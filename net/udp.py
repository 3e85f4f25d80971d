"""UDP: ports, sockets, datagrams in and out.  RFC 768; RFC 1122 section 4.1.

     0               2               4               6               8
     +---------------+---------------+---------------+---------------+
     |  source port  |   dest port   |    length     |   checksum    |
     +---------------+---------------+---------------+---------------+

What a service sees:

    socket = inet.udp.bind(7, callback)       port 0: a free ephemeral port (RFC 6056), socket.port
    def callback(socket, datagram): ...       `datagram` is the received Packet, lent for the call:
        datagram.buffer                       the bytes; the payload is buffer[payload:end]
        datagram.payload .end .length         offsets and number (viper: ptr16(buffer)[3], [4])
        datagram.data                         a copy of the payload
        datagram.source .source_port          the sender, 4 or 16 bytes and a number
        datagram.destination

    socket.reply(datagram, buffer, offset, length) -> bool
                                              send buffer[offset:offset + length] to the sender;
                                              False: nothing could be sent, and it was counted
    packet = socket.packet()                  a free transmit Packet, or None when there is none:
                                              fill packet.buffer from packet.payload, at most
                                              packet.room bytes, then set packet.length
    socket.answer(datagram, packet)           send it to the sender of the datagram; takes it over
    socket.send(packet, address, port)        send it anywhere (address: 4 or 16 bytes)
    socket.send_to(data, address, port) -> bool   copy data, up to 65,507 bytes, in fragments if
                                              it does not fit a packet
    socket.join(group, interface=None)        hear what is sent to a multicast group; IPv4 needs
    socket.leave(group, interface=None)       `igmp.use(inet)` for it; closing leaves all
    socket.set(hops=, group_hops=, traffic=)  of what `send` sends: hop limit (0: the usual), that
                                              of multicasts (1), the traffic class
    socket.close()                            give the port back
    socket.unreachable                        slot (socket, address, port, kind): the network says
                                              that a datagram did not arrive; kind is ICMP's type
                                              << 8 | code, so 0x303: nobody has that port (ICMPv6:
                                              0x104)
    socket.source_for                         slot (address): which of our addresses sends to there
    socket.callback                           slot, may be replaced at any time

Receive, callback, reply or answer allocate nothing.
Above: services, DHCP, DNS.  Below: ip4.send; sideways: icmp (port unreachable, both ways).
A multicast that an interface hears goes to the socket of its port, whoever joined the group.
Left out: connected sockets, several sockets on one port, UDP-Lite.
"""

import micropython
from micropython import const

from net.checksum import partial
from net.config import UDP_PORTS
from runtime.counters import Counters

SOURCE_PORT = const(0)
DESTINATION_PORT = const(2)
LENGTH = const(4)
CHECKSUM = const(6)
SIZE = const(8)

UDP = const(17)
LONGEST = const(65507)
LONGEST6 = const(65527)  # IPv6 does not count its own header
# RFC 6335 section 6: ports for whoever does not ask for one.
FIRST_EPHEMERAL = const(49152)

COUNTS = ("received", "unreachable")
DROPS = ("short", "length", "checksum", "port", "no_buffer", "too_long", "unanswerable", "quote")
_RECEIVED = const(0)
_UNREACHABLE = const(1)
_SHORT = const(2)
_LENGTH = const(3)
_CHECKSUM = const(4)
_PORT = const(5)
_NO_BUFFER = const(6)
_TOO_LONG = const(7)
_UNANSWERABLE = const(8)
_QUOTE = const(9)

# State behind the counters: the number of places less one; the table of bound ports, as they lie
# in a header.  A port has the place of its number modulo the size, or the next free one; 0 is free.
_LAST = const(40)
_PORTS = const(48)

# The packet's head (see packet.py).
PSEUDO = const(2)
TRANSPORT = const(4)
PAYLOAD = const(6)
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
CHECKED = const(0x04)
NET_BROADCAST = const(0x08)
IP6 = const(0x20)
PARTIAL = const(0x0100)
CHECKSUMS = const(1)  # of what nics offer
ROOM = const(1840)  # from BODY to the end of the buffer


class Datagram:
    """As much of a received datagram as `answer` looks at."""

    def __init__(self, port):
        self.buffer = bytearray(HEAD + SIZE)
        self.buffer[TRANSPORT] = HEAD
        self.buffer[HEAD + DESTINATION_PORT] = port >> 8
        self.buffer[HEAD + DESTINATION_PORT + 1] = port & 0xFF


class Socket:
    """A bound port.  Made by Udp.bind, when all is wired."""

    def __init__(self, udp, port, callback):
        self.udp = udp
        self.port = port
        self.callback = callback
        self.unreachable = self.unheard
        self.first = Datagram(port)
        self.source_for = udp.source_for
        self.aimed_at = None
        self.changes = -1
        self.hops = 0
        self.group_hops = 1  # RFC 1112 section 6.1
        self.traffic = 0
        self.mark = 0  # hops and traffic class of what goes to `aimed_at`
        self.groups = []
        self.closed = False
        self.wire()

    def wire(self):
        udp = self.udp
        self.packet = udp.allocate
        self.output = udp.output
        self.offload = udp.offload

    def unheard(self, socket, address, port, kind):
        pass

    def close(self):
        """Give the port back, and leave all groups; a second time does nothing."""
        if self.closed:
            return
        self.closed = True
        for group, interface in self.groups[:]:
            self.leave(group, interface)
        self.udp.unbind(self)

    def join(self, group, interface=None):
        """Hear a group on an interface: see Stack.join."""
        self.udp.stack.join(group, interface)
        self.groups.append((group, interface))

    def leave(self, group, interface=None):
        if (group, interface) not in self.groups:
            raise ValueError("this socket has not joined that group there")
        self.groups.remove((group, interface))
        self.udp.stack.leave(group, interface)

    def set(self, hops=None, group_hops=None, traffic=None):
        """Hop limits and traffic class of what `send` sends."""
        if hops is not None:
            self.hops = hops
        if group_hops is not None:
            self.group_hops = group_hops
        if traffic is not None:
            self.traffic = traffic
        self.aimed_at = None

    @micropython.viper
    def reply(self, datagram, buffer, offset: int, length: int) -> bool:
        """Send buffer[offset:offset + length] to the sender of the datagram."""
        if length > ROOM:
            return bool(self.reply_long(datagram, buffer, offset, length))
        packet = self.packet()
        if packet is None:
            self.udp.count(_NO_BUFFER)
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
        if head[FLAGS >> 1] & (NET_BROADCAST | IP6):
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
            self.output(packet)
            return
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
        self.output(packet)

    @micropython.viper
    def address(self, datagram, packet) -> int:
        """Write SOURCE and DESTINATION of an answer; returns the sum of their words."""
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
        source = self.source_for(bytes(buffer[DESTINATION : DESTINATION + size]))
        buffer[SOURCE : SOURCE + size] = source or bytes(size)

    def send(self, packet, address, port):
        """Send `packet` to a port of an address (4 or 16 bytes)."""
        if address != self.aimed_at or self.changes != self.udp.stack.changes:
            self.aim(address)
        if self.mark:
            packet.buffer[HOPS] = self.mark & 0xFF
            packet.buffer[TRAFFIC] = self.mark >> 8
        first = self.first
        first.buffer[HEAD] = port >> 8
        first.buffer[HEAD + 1] = port & 0xFF
        self.answer(first, packet)

    def aim(self, address):
        """Let `first` come from there, to the address that we have for there."""
        size = len(address)
        if size not in (4, 16):
            raise ValueError("an address has 4 or 16 bytes: net.address.parse makes them of text")
        self.aimed_at = address = bytes(address)
        self.changes = self.udp.stack.changes
        group = address[0] == 0xFF if size == 16 else 224 <= address[0] < 240
        self.mark = (self.group_hops if group else self.hops) | self.traffic << 8
        buffer = self.first.buffer
        buffer[FLAGS] = IP6 if size == 16 else 0
        buffer[SOURCE : SOURCE + size] = address
        buffer[DESTINATION : DESTINATION + size] = self.source_for(address) or bytes(size)

    def send_to(self, data, address, port):
        """Send a copy of `data`, in fragments if it is long."""
        length = len(data)
        if length > ROOM:
            self.aim(address)
            return self.udp.send_long(self, data, address, port)
        packet = self.packet()
        if not packet:
            self.udp.count(_NO_BUFFER)
            return False
        packet.length = length
        packet.buffer[BODY : BODY + length] = data
        self.send(packet, address, port)
        return True

    def reply_long(self, datagram, buffer, offset, length):
        data = memoryview(buffer)[offset : offset + length]
        return self.send_to(data, datagram.source, datagram.source_port)


class Udp:
    def __init__(self, stack):
        self.state = bytearray(_PORTS + 2 * UDP_PORTS)
        self.state[_LAST] = UDP_PORTS - 1
        self.count = stack.registry.add(Counters("udp", COUNTS, DROPS, self.state)).count
        self.stack = stack
        self.random = stack.random
        self.source_for = stack.source_for
        self.offload = stack.offloads & CHECKSUMS
        self.sockets = [None] * UDP_PORTS
        # Slots: out; sideways.
        self.allocate = None
        self.output = None
        self.long_output = self.no_long_output
        self.refuse = self.ignore

    def rewired(self):
        """The slots have changed: tell the sockets."""
        self.offload = self.stack.offloads & CHECKSUMS
        for socket in self.sockets:
            if socket:
                socket.wire()

    def ignore(self, packet):
        pass

    def no_long_output(self, protocol, source, destination, buffer, start, end, mark):
        self.count(_TOO_LONG)
        return False

    def drop(self, packet, why):
        self.count(why)
        packet.release()

    # Ports.

    def bind(self, port, callback):
        """A socket whose `callback(socket, datagram)` hears what arrives at `port`."""
        if not 0 <= port <= 65535:
            raise ValueError(f"{port} is not a port: give 1 to 65535, or 0 for any")
        used = [socket.port for socket in self.sockets if socket]
        if len(used) >= UDP_PORTS * 3 // 4:
            raise OSError(f"{len(used)} UDP ports are bound: UDP_PORTS in net/config.py says so")
        if port in used:
            raise OSError(f"UDP port {port} is already bound")
        while port == 0 or port in used:
            # RFC 6056 3.3.1: a random one, so that it cannot be guessed.
            port = FIRST_EPHEMERAL + self.random.bits(14)
        socket = Socket(self, port, callback)
        self.place(socket)
        return socket

    def place(self, socket):
        index = socket.port & (UDP_PORTS - 1)
        while self.sockets[index]:
            index = (index + 1) & (UDP_PORTS - 1)
        self.sockets[index] = socket
        self.state[_PORTS + 2 * index] = socket.port >> 8
        self.state[_PORTS + 2 * index + 1] = socket.port & 0xFF

    def unbind(self, socket):
        rest = [other for other in self.sockets if other and other is not socket]
        for index in range(UDP_PORTS):
            self.sockets[index] = None
            self.state[_PORTS + 2 * index] = 0
            self.state[_PORTS + 2 * index + 1] = 0
        for other in rest:
            self.place(other)

    # Datagrams.

    @micropython.viper
    def receive(self, packet):
        head = ptr16(packet.buffer)
        state = ptr32(self.state)
        start = int(head[TRANSPORT >> 1])
        there = int(head[END >> 1]) - start
        if there < SIZE:
            state[_SHORT] += 1
            return
        first = start >> 1
        length = int(head[first + (LENGTH >> 1)])
        total = length
        length = (length & 0xFF) << 8 | length >> 8
        if length < SIZE or length > there:
            state[_LENGTH] += 1
            return
        end = start + length
        head[END >> 1] = end
        head[PAYLOAD >> 1] = start + SIZE
        if head[first + 3] == 0:
            # RFC 768: the sender made none; with IPv6 it has to (RFC 8200 section 8.1).
            if head[FLAGS >> 1] & IP6:
                state[_CHECKSUM] += 1
                return
        elif head[FLAGS >> 1] & CHECKED == 0:
            total += (
                head[PSEUDO >> 1]
                + head[first]
                + head[first + 1]
                + head[first + 2]
                + head[first + 3]
            )
            i = first + 4
            last = end >> 1
            while i + 4 <= last:
                total += head[i] + head[i + 1] + head[i + 2] + head[i + 3]
                i += 4
            while i < last:
                total += head[i]
                i += 1
            if end & 1:
                total += ptr8(head)[end - 1]
            total = (total & 0xFFFF) + (total >> 16)
            if (total & 0xFFFF) + (total >> 16) != 0xFFFF:
                state[_CHECKSUM] += 1
                return
        port = int(head[first + (DESTINATION_PORT >> 1)])
        ports = ptr16(state)
        mask = state[_LAST >> 2]
        place = (port >> 8) & mask
        while ports[(_PORTS >> 1) + place] != port or port == 0:
            if ports[(_PORTS >> 1) + place] == 0 or port == 0:
                state[_PORT] += 1
                # RFC 1122 4.1.3.1.
                self.refuse(packet)
                return
            place = (place + 1) & mask
        state[_RECEIVED] += 1
        socket = self.sockets[place]
        socket.callback(socket, packet)

    def find(self, port):
        for socket in self.sockets:
            if socket and socket.port == port:
                return socket
        return None

    def unreachable(self, packet, kind):
        """RFC 1122 4.1.3.3: an ICMP error belongs to the socket that sent what it quotes.

        False: there is none, so it is not to be believed.
        """
        buffer = packet.buffer
        at = packet.payload
        socket = self.find(buffer[at] << 8 | buffer[at + 1])
        if not socket:
            self.count(_QUOTE)
            return False
        self.count(_UNREACHABLE)
        port = buffer[at + 2] << 8 | buffer[at + 3]
        socket.unreachable(socket, packet.destination, port, kind)
        return True

    def send_long(self, socket, data, address, port):
        """A datagram too long for a packet: header and data in one buffer, then fragments."""
        length = SIZE + len(data)
        if len(data) > (LONGEST if len(address) == 4 else LONGEST6):
            self.count(_TOO_LONG)
            return False
        local = socket.source_for(address) or bytes(len(address))
        source_port = socket.port
        buffer = bytearray(length)
        buffer[SIZE:] = data
        for offset, value in ((0, source_port), (DESTINATION_PORT, port), (LENGTH, length)):
            buffer[offset] = value >> 8
            buffer[offset + 1] = value & 0xFF
        pseudo = local + bytes(address) + bytes([0, UDP, length >> 8, length & 0xFF])
        total = partial(buffer, 0, length, partial(pseudo, 0, len(pseudo), 0)) ^ 0xFFFF or 0xFFFF
        buffer[CHECKSUM] = total & 0xFF
        buffer[CHECKSUM + 1] = total >> 8
        return self.long_output(UDP, local, bytes(address), buffer, 0, length, socket.mark)
