"""Heap bytes per packet, on MicroPython: run by test_allocation.py, one case per call.

    micropython allocation.py ping|echo|dns|ping6|echo6|dns6 [ZONE TABLE]

A frame as a driver would lend it rises through the real wiring, and the answer falls into a device
that throws it away.  The collector is off, so `gc.mem_alloc` counts every byte.
"""

import gc
import sys

sys.path[:0] = ["."]

from net.inet import Inet  # noqa: E402
from net.packet import FRAME, Pool  # noqa: E402
from net.udp import Udp  # noqa: E402
from tests.support.frames import arp, ethernet, icmp, ip, udp  # noqa: E402
from tests.support.frames6 import icmp6, ip6, mac_option, solicitation, to_group, udp6  # noqa: E402
from tests.support.wire import Host, World  # noqa: E402

US, PEER = "10.0.0.2", "10.0.0.1"
US6, PEER6 = "2001:db8::2", "2001:db8::1"
MAC, OTHER = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x99"
PACKETS = 1000


class Sink:
    """A device that has sent everything at once."""

    name, mac, mtu, link = "eth0", MAC, 1500, True

    def __init__(self):
        self.receive = self.on_link = None
        self.pool = Pool("sink", 4)
        self.allocate = self.pool.allocate
        self.release = self.pool.release
        self.sent = 0
        self.lent = Pool("lent", 1).allocate()

    def transmit(self, packet):
        self.sent += 1
        self.release(packet)

    def lend(self, frame):
        """The frame in a packet, as a driver leaves it."""
        packet = self.lent
        buffer = packet.buffer
        end = FRAME + len(frame)
        buffer[FRAME:end] = frame
        buffer[8:10] = bytes([end & 0xFF, end >> 8])
        buffer[10:12] = bytes(2)
        return packet


def echo(socket, datagram):
    socket.reply(datagram, datagram.buffer, datagram.payload, datagram.length)


def serve_dns(inet, table):
    from services.dns.responder import Responder
    from services.dns.server import Server

    with open(table, "rb") as file:
        inet.udp.bind(53, Server(Responder(file.read())).receive)


def query(name):
    labels = b"".join([bytes([len(label)]) + label.encode() for label in name.split(".")])
    return bytes([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + labels + bytes([0, 0, 1, 0, 1])


def make4(nic):
    inet = Inet(Host(World(), "us", address=US + "/24"), udp=Udp, nic=nic)
    nic.receive(nic.lend(ethernet(b"\xff" * 6, OTHER, 0x0806, arp(1, OTHER, PEER, bytes(6), US))))
    return inet


def make6(nic):
    from net.inet6 import Inet6

    inet = Inet6(Host(World(), "us", address6=US6 + "/64"), udp=Udp, nic=nic)
    nic.receive(nic.lend(to_group(OTHER, solicitation(PEER6, US6, mac_option(1, OTHER)))))
    return inet


def echo4(data):
    return ip(PEER, US, 1, icmp(8, 0, bytes(4), data))


def echo6(data):
    return ip6(PEER6, US6, 58, icmp6(PEER6, US6, 128, 0, bytes(4) + data))


def datagram4(port, data):
    return ip(PEER, US, 17, udp(PEER, US, 4000, port, data))


def datagram6(port, data):
    return ip6(PEER6, US6, 17, udp6(PEER6, US6, 4000, port, data))


def main(what, table=None):
    six = what.endswith("6")
    kind, ping, datagram = (0x86DD, echo6, datagram6) if six else (0x0800, echo4, datagram4)
    nic = Sink()
    inet = make6(nic) if six else make4(nic)
    if what.startswith("ping"):
        datagrams = [ping(bytes(56))]
    elif what.startswith("echo"):
        inet.udp.bind(7, echo)
        datagrams = [datagram(7, bytes(size)) for size in (0, 1, 18, 1400)]
    else:
        serve_dns(inet, table)
        names = [f"host{number}.bench.example" for number in (0, 42, 9999, 10000)]
        names += ["bench.example", "a.b.host1.bench.example", "elsewhere.example"]
        datagrams = [datagram(53, query(name)) for name in names]

    gc.disable()
    worst = 0
    for datagram in datagrams:
        frame = ethernet(MAC, OTHER, kind, datagram)
        for measured in (False, True):  # what happens once, happens in the first round
            before = gc.mem_alloc()
            sent = nic.sent
            for _ in range(PACKETS if measured else 2):
                lend_and_receive(nic, frame)
            after = gc.mem_alloc()
        assert nic.sent - sent == PACKETS, f"not answered: {inet.drops}"
        worst = max(worst, after - before - lending(nic, frame))
    print(what, worst)


def lend_and_receive(nic, frame):
    nic.receive(nic.lend(frame))


def lending(nic, frame):
    """What `lend` itself allocates."""
    before = gc.mem_alloc()
    for _ in range(PACKETS):
        nic.lend(frame)
    return gc.mem_alloc() - before


if __name__ == "__main__":
    main(*sys.argv[1:])
