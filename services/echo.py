"""echo: send everything back to where it came from, on TCP and UDP port 7.  RFC 862.

What a client does not read is not taken from it either: bytes that the connection does not take
are kept, and held against the window, until there is room.
"""

from net.dhcp import Dhcp
from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp

PORTS = ("tcp:7", "udp:7")
PORT = 7


def start(machine):
    # ARP, IPv4 and ICMP come with Inet.  DHCP asks only where no address was given.
    inet = Inet(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
    inet.udp.bind(PORT, echo)
    inet.tcp.listen(PORT, accept)


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


def accept(connection):
    connection.on_data = receive
    connection.on_writable = send_kept
    connection.on_end = end
    connection.context = None  # bytes that are kept


def receive(connection, segment):
    taken = 0
    if connection.context is None:
        taken = connection.write(segment.buffer, segment.payload, segment.length)
    if taken < segment.length:
        rest = segment.data[taken:]
        connection.hold(len(rest))
        connection.context = (connection.context or b"") + rest


def send_kept(connection):
    kept = connection.context
    if kept is not None:
        taken = connection.write(kept)
        connection.release(taken)
        connection.context = kept[taken:] or None
        if connection.context is None and connection.state == "CLOSE-WAIT":
            connection.close()


def end(connection):
    if connection.context is None:
        connection.close()
