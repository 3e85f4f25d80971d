"""dns: an authoritative name server on port 53, UDP and TCP, IPv4 and IPv6.

The zone is compiled into the image: `./importos run dns --set zone=my.zone`; without one it serves
the benchmark's, 10,000 hosts of bench.example.  `--set protocols=udp4` leaves TCP and IPv6 out of
the image, which is then half as large: for whoever has another server for the rest.

    server.py     the callback of the socket, and the short cut for common questions
    responder.py  every question
    edns.py       the sender's OPT record
    message.py    RRsets on the wire
    table.py      the zone, laid out by tools/zone/compile.py
    stream.py     queries over TCP
    transfer.py   whole zones, for the addresses of `axfr=10.0.0.0/8`
    outside.py    another zone without another image, in a cloud
"""

from net.dhcp import Dhcp
from net.udp import Udp
from runtime.counters import Counters
from runtime.parts import part
from services.dns.responder import COUNTS, DROPS, Responder
from services.dns.server import Server

NEEDS = {
    "zone": {"file": "../zones/bench.zone", "compiler": "tools.zone.compile:compile_zone"},
    "protocols": "all",
}
PORTS = ("udp:53", "tcp:53")
PORT = 53


def start(machine):
    # Here and not above: the tests import this package, and have no image.
    from image import SETTINGS, zone

    outside = part("services.dns.outside")
    responder = Responder(outside.choose(machine, zone) if outside else zone)
    machine.counters.add(Counters("dns", COUNTS, DROPS, responder.work))
    if SETTINGS["protocols"] == "udp4":
        from net.inet import Inet

        inet = Inet(machine, udp=Udp, configure=Dhcp)
    else:
        from net.dual import Dual
        from net.tcp import Tcp
        from services.dns.stream import Streams

        inet = Dual(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
        Streams(inet, responder, machine)
    inet.udp.bind(PORT, Server(responder).receive)
