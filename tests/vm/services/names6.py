"""The name server of services/dns over IPv6 only, and an echo on port 7."""

from net.inet6 import Inet6
from net.udp import Udp
from services.dns.responder import Responder
from services.dns.server import Server

NEEDS = {
    "zone": {
        "file": "../../../services/zones/bench.zone",
        "compiler": "tools.zone.compile:compile_zone",
    },
    "protocols": "udp4",  # of services/dns, which would bring TCP into the image
}
PORTS = ("udp:53", "udp:7")


def start(machine):
    from image import zone

    inet = Inet6(machine, udp=Udp)
    inet.udp.bind(53, Server(Responder(zone)).receive)
    inet.udp.bind(7, echo)


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)
