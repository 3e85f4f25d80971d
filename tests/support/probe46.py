"""An echo on UDP port 7 over both families, for tests."""

from net.dhcp import Dhcp
from net.dual import Dual
from net.ip6.dhcp6 import Dhcp6
from net.udp import Udp

PORTS = ("udp:7",)


def start(machine):
    inet = Dual(machine, udp=Udp, configure=Dhcp, configure6=Dhcp6)
    inet.udp.bind(7, echo)


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)
