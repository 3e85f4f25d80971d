"""dns: an authoritative name server on UDP port 53.

The zone is compiled into the image: `./importos run dns --set zone=my.zone`; without one it serves
the benchmark's, 10,000 hosts of bench.example.

    server.py     the callback of the socket, and the short cut for common questions
    responder.py  every question
    edns.py       the sender's OPT record
    message.py    RRsets on the wire
    table.py      the zone, laid out by tools/zone/compile.py

Left out: TCP, so an answer of more than 1,232 bytes is truncated for everybody.
"""

from net.dhcp import Dhcp
from net.inet import Inet
from net.udp import Udp
from runtime.counters import Counters
from services.dns.responder import COUNTS, DROPS, Responder
from services.dns.server import Server

NEEDS = {"zone": {"file": "../zones/bench.zone", "compiler": "tools.zone.compile:compile_zone"}}
PORTS = ("udp:53",)
PORT = 53


def start(machine):
    # Here and not above: the tests import this package, and have no image.
    from image import zone

    inet = Inet(machine, udp=Udp, configure=Dhcp)
    responder = Responder(zone)
    machine.counters.add(Counters("dns", COUNTS, DROPS, responder.work))
    inet.udp.bind(PORT, Server(responder).receive)
