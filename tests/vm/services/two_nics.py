"""two_nics: an echo on two interfaces, and in a multicast group on the second."""

from net.inet import Inet
from net.ip4 import igmp
from net.udp import Udp

GROUP = b"\xef\x01\x02\x03"


def start(machine):
    inet = Inet(machine, udp=Udp)
    igmp.use(inet)
    second = inet.attach(machine.nics[1])
    socket = inet.udp.bind(7, echo)
    socket.join(GROUP, second.address)
    inet.udp.bind(99, lambda control, datagram: tell(control, datagram, inet))


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


def tell(socket, datagram, inet):
    names = ("copying.copied", "igmp.reports", "ip4.destination")
    text = " ".join([str(inet.counters["eth1." + name]) for name in names])
    socket.reply(datagram, text.encode(), 0, len(text))
