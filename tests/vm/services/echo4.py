"""An echo on UDP port 7, over IPv4 only."""

from net.inet import Inet
from net.udp import Udp

PORTS = ("udp:7",)


def start(machine):
    inet = Inet(machine, udp=Udp)
    inet.udp.bind(7, echo)


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)
