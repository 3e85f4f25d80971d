"""An echo on UDP port 7, over IPv6 only."""

from net.inet6 import Inet6
from net.udp import Udp

PORTS = ("udp:7",)


def start(machine):
    inet = Inet6(machine, udp=Udp)
    inet.udp.bind(7, echo)


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)
