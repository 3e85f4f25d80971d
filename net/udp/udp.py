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
    socket.set(hops=, group_hops=, traffic=, source_for=)
                                              of what `send` sends: hop limit (0: the usual), that
                                              of multicasts (1), the traffic class, and who says
                                              from which of our addresses (stack.source_for)
    socket.close()                            give the port back; what is sent with a closed socket
                                              is counted and dropped
    socket.unreachable                        slot (socket, address, port, kind): the network says
                                              that a datagram did not arrive; kind is ICMP's type
                                              << 8 | code, so 0x303: nobody has that port (ICMPv6:
                                              0x104)
    socket.callback                           slot, may be replaced at any time

Receive, callback, reply or answer allocate nothing.
Above: services, DHCP, DNS; net/udp/socket.py has what they send with.  Below: `output`, `output6`;
sideways: ICMP (port unreachable, both ways).
A multicast that an interface hears goes to the socket of its port, whoever joined the group.
Left out: connected sockets, several sockets on one port, UDP-Lite.
"""

import micropython
from micropython import const

from net.checksum import partial
from net.config import UDP_PORTS
from net.udp.socket import Socket
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
DROPS = (
    "short",
    "length",
    "checksum",
    "port",
    "no_buffer",
    "too_long",
    "unanswerable",
    "quote",
    "closed",
)
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
_CLOSED = const(10)

# State behind the counters: the number of places less one; the table of bound ports, as they lie
# in a header.  A port has the place of its number modulo the size, or the next free one; 0 is free.
_LAST = const(44)
_PORTS = const(48)

# The packet's head (see packet.py).
PSEUDO = const(2)
TRANSPORT = const(4)
PAYLOAD = const(6)
END = const(8)
FLAGS = const(10)
CHECKED = const(0x04)
IP6 = const(0x20)
CHECKSUMS = const(1)  # of what nics offer


class Udp:
    def __init__(self, stack):
        self.state = bytearray(_PORTS + 2 * UDP_PORTS)
        self.state[_LAST] = UDP_PORTS - 1
        self.count = stack.registry.add(Counters("udp", COUNTS, DROPS, self.state)).count
        self.stack = stack
        self.random = stack.random
        self.offload = stack.offloads & CHECKSUMS
        self.sockets = [None] * UDP_PORTS
        # Slots: out; sideways.
        self.allocate = None
        self.output = None
        self.output6 = None
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
        local = socket.aim.source_for(address) or bytes(len(address))
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
        return self.long_output(UDP, local, bytes(address), buffer, 0, length, socket.aim.mark)
