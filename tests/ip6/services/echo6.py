"""An image with IPv6 and nothing of IPv4: an echo on port 7, and the counters on port 99."""

from net.inet6 import Inet6
from net.ip6.dhcp6 import Dhcp6
from net.udp import Udp

PORTS = ("udp:7", "udp:99")


def start(machine):
    inet = Inet6(machine, udp=Udp, configure=Dhcp6)
    inet.udp.bind(7, echo)
    inet.udp.bind(99, control)
    control.machine = machine


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)
