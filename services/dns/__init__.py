"""dns: an authoritative name server on UDP port 53.

The zone is compiled into the image: `./importos run dns --set zone=my.zone`; without one it serves
the benchmark's, 10,000 hosts of bench.example.

    Server        between the socket and ...
    responder.py  ... what it answers; uses
    edns.py       the sender's OPT record
    message.py    RRsets on the wire
    table.py      the zone as the compiler (tools/zone/compile.py) lays it out

Left out: TCP, so an answer of more than 1,232 bytes is truncated for everybody.
"""

import micropython
from micropython import const

from net.dhcp import Dhcp
from net.inet import Inet
from net.udp import Udp
from runtime.counters import Counters
from services.dns.responder import COUNTS, DROPS, Responder

NEEDS = {"zone": {"file": "../zones/bench.zone", "compiler": "tools.zone.compile:compile_zone"}}
PORTS = ("udp:53",)

PORT = const(53)
LONGEST = const(1232)  # see responder.EDNS_SIZE

# The packet's head and its first payload byte (net/packet.py).
PAYLOAD = const(6)
END = const(8)
BODY = const(208)
NONE = None  # viper compares objects with objects only


def start(machine):
    # Here and not above: the tests import this package, and have no image.
    from image import zone

    inet = Inet(machine, udp=Udp, configure=Dhcp)
    inet.udp.bind(PORT, Server(machine, zone).receive)


class Server:
    """Answers datagrams straight down: from the received packet into a free one."""

    def __init__(self, machine, zone):
        responder = Responder(zone)
        self.answer = responder.answer
        machine.counters.add(Counters("dns", COUNTS, DROPS, responder.work))

    @micropython.viper
    def receive(self, socket, datagram):
        packet = socket.packet()
        if packet is NONE:
            return
        query = datagram.buffer
        head = ptr16(query)
        out = packet.buffer
        length = int(
            self.answer(query, head[PAYLOAD >> 1], head[END >> 1], out, BODY, BODY + LONGEST)
        )
        if length:
            ptr16(out)[END >> 1] = BODY + length
            socket.answer(datagram, packet)
        else:
            packet.release()
