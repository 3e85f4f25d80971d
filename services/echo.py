"""echo: send every datagram on UDP port 7 back to where it came from.  RFC 862."""

from net.dhcp import Dhcp
from net.inet import Inet
from net.udp import Udp

PORTS = ("udp:7",)


def start(machine):
    # ARP, IPv4 and ICMP come with Inet.  DHCP asks only where no address was given.
    inet = Inet(machine, udp=Udp, configure=Dhcp)
    inet.udp.bind(7, echo)


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)
