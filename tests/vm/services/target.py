"""All that has ports, in one image, for attackers: echo, discard and chargen, http, and stream.

Port 99 of UDP tells what is left of them: the heap in use after a collection, the tables of TCP,
and all counters that are not 0, in this order.
"""

import gc

from net.dhcp import Dhcp
from net.dual import Dual
from net.http import Http
from net.tcp import Tcp
from net.udp import Udp
from services import chargen, discard, echo, stream
from services.http.serve import Server
from services.http.site import Site

NEEDS = {
    "site": {"folder": "../../../services/site", "compiler": "tools.site.compile:compile_site"},
}
PORTS = ("tcp:7", "tcp:9", "tcp:19", "tcp:80", "tcp:5201", "udp:7", "udp:99", "udp:5201")


def start(machine):
    from image import site

    inet = Dual(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
    inet.udp.bind(7, echo.echo)
    inet.tcp.listen(7, echo.accept)
    inet.tcp.listen(9, discard.accept)
    inet.tcp.listen(19, chargen.accept)
    web = Http(machine, inet.tcp, Server(Site(site)).handle)
    web.listen(80)
    measure = stream.Server(machine)
    inet.tcp.listen(stream.PORT, measure.accept)
    measure.socket = inet.udp.bind(stream.PORT, measure.datagram)

    def tell(socket, datagram):
        gc.collect()
        counters = {name: number for name, number in machine.counters().items() if number}
        answer = repr((gc.mem_alloc(), inet.tcp.counts(), counters))
        socket.send_to(answer.encode(), datagram.source, datagram.source_port)

    inet.udp.bind(99, tell)
