"""dns: an authoritative name server for the zone that is compiled into its image."""

from image import zone
from net.dhcp import Dhcp
from net.inet import Inet

from net.udp import Udp
from services.dns.responder import Responder

NEEDS = {"zone": {"file": "../zones/bench.zone", "compiler": "tools.zone.compile:compile_zone"}}
PORTS = {"udp": (53,)}


def start(machine):
    inet = Inet(machine, udp=Udp, configure=Dhcp)
    responder = Responder(zone)

    def receive(socket, datagram):
        out = socket.packet()
        if out is None:
            return
        start = out.payload
        length = responder.answer(
            datagram.buffer, datagram.payload, datagram.end, out.buffer, start, start + 1232
        )
        if length:
            out.length = length
            socket.answer(datagram, out)
        else:
            out.release()

    inet.udp.bind(53, receive)
