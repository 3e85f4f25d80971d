"""Udp on kernel sockets: the API that the top of net/udp/udp.py describes.

Datagrams are the same Packets, with the same head, so that code in viper finds what it looks for.
Left out: `unreachable` is never called; checksums and fragments are the kernel's.
"""

import select

import hostio

from net.packet import BODY, FLAGS, IP6, PIECE_COUNT, Pool
from runtime.counters import Counters
from tools.host.kernel.sockets import later

SOL_SOCKET, SO_REUSEADDR = 1, 2
TRANSPORT, PAYLOAD, END, SOURCE, DESTINATION = 4, 6, 8, 16, 32
HEADER, DATA = 116, 124  # where the machine has them in a received packet
LARGEST = 65528
FIRST_EPHEMERAL = 49152
PACKETS = 64
COUNTS = ("received",)
DROPS = ("no_buffer", "too_long", "not_sent")
RECEIVED, NO_BUFFER, TOO_LONG, NOT_SENT = 0, 1, 2, 3


class Udp:
    def __init__(self, inet):
        self.sockets = inet.sockets
        self.locals = inet.locals
        self.count = inet.registry.add(Counters("udp", COUNTS, DROPS)).count
        self.pool = Pool("udp.transmit", PACKETS, gathers=True)
        self.received = Pool("udp.receive", 1, size=LARGEST).allocate()

    def bind(self, port, callback):
        """A socket whose `callback(socket, datagram)` hears what arrives at `port`."""
        if not 0 <= port <= 65535:
            raise ValueError(f"{port} is not a port: give 1 to 65535, or 0 for any")
        return Socket(self, port, callback)

    def allocate(self):
        packet = self.pool.allocate()
        if packet is None:
            self.count(NO_BUFFER)
        return packet


class Path:
    """A descriptor of a socket: its own for each family, one for each group."""

    def __init__(self, socket, descriptor):
        self.socket = socket
        self.descriptor = descriptor
        socket.udp.sockets.watch(descriptor, self, select.POLLIN)

    def readable(self):
        udp = self.socket.udp
        packet = udp.received
        buffer = packet.buffer
        while self.socket.paths:
            got = hostio.recvfrom(self.descriptor, buffer, DATA, LARGEST)
            if isinstance(got, int):
                if later(got):
                    return
                continue  # an error of something sent before
            length, address, port = got
            if length > LARGEST - DATA:
                udp.count(TOO_LONG)
                continue
            udp.count(RECEIVED)
            packet.reset()
            put(buffer, TRANSPORT, HEADER)
            put(buffer, PAYLOAD, DATA)
            put(buffer, END, DATA + length)
            put(buffer, FLAGS, IP6 if len(address) == 16 else 0)
            size = len(address)
            buffer[SOURCE : SOURCE + size] = address
            buffer[DESTINATION : DESTINATION + size] = self.socket.local(size)
            buffer[HEADER] = port >> 8
            buffer[HEADER + 1] = port & 0xFF
            self.socket.callback(self.socket, packet)

    def writable(self):
        pass

    def close(self):
        self.socket.udp.sockets.remove(self.descriptor)
        hostio.close(self.descriptor)


def put(buffer, offset, value):
    buffer[offset] = value & 0xFF
    buffer[offset + 1] = value >> 8


class Socket:
    """A bound port: made by Udp.bind."""

    def __init__(self, udp, port, callback):
        self.udp = udp
        self.callback = callback
        self.unreachable = None
        self.packet = udp.allocate
        self.paths = {}  # by the bytes of an address
        self.groups = {}
        self.port = port
        for address in udp.locals:
            self.open(address, port)

    def open(self, address, port):
        size = len(address)
        made = hostio.udp(size)
        host = self.udp.sockets.host_port("udp", port)
        if not 0 < port < FIRST_EPHEMERAL and not self.udp.sockets.forwards.get(("udp", port)):
            address = bytes(size)  # a client's, from any address of the host
        failed = min(made, 0) or hostio.bind(made, address, host)
        if failed:
            raise OSError(-failed, f"UDP port {host} of the host")
        if not self.port:
            self.port = hostio.name(made)[2]
        self.paths[size] = Path(self, made)

    def local(self, size):
        for address in self.udp.locals:
            if len(address) == size:
                return address
        return bytes(size)

    def close(self):
        """Give the port back."""
        for path in list(self.paths.values()) + list(self.groups.values()):
            path.close()
        self.paths = {}
        self.groups = {}

    def join(self, group):
        """Hear what is sent to a multicast group, too."""
        made = hostio.udp(len(group))
        hostio.option(made, SOL_SOCKET, SO_REUSEADDR, 1)
        failed = hostio.bind(made, group, self.port) or hostio.member(made, group, True)
        if failed:
            hostio.close(made)
            raise OSError(-failed, "multicast group")
        self.groups[bytes(group)] = Path(self, made)

    def leave(self, group):
        self.groups.pop(bytes(group)).close()

    def transmit(self, data, start, end, address, port):
        path = self.paths.get(len(address))
        done = hostio.sendto(path.descriptor, data, start, end, address, port) if path else -1
        if done < 0:
            self.udp.count(NOT_SENT)
        return done >= 0

    def reply(self, datagram, buffer, offset, length):
        """Send buffer[offset:offset + length] to the sender of the datagram."""
        source = datagram.source
        return self.transmit(buffer, offset, offset + length, source, datagram.source_port)

    def answer(self, datagram, packet):
        """Send `packet` to the sender of `datagram`."""
        self.send(packet, datagram.source, datagram.source_port)

    def send(self, packet, address, port):
        """Send `packet` to a port of an address."""
        if packet.buffer[PIECE_COUNT]:
            put(packet.buffer, 0, BODY)
            data = packet.gather()
            self.transmit(data, 0, len(data), address, port)
        else:
            self.transmit(packet.buffer, BODY, packet.end, address, port)
        packet.release()

    def send_to(self, data, address, port):
        """Send a copy of `data`."""
        return self.transmit(data, 0, len(data), address, port)
