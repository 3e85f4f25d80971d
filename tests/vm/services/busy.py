"""Computes for five seconds whenever a datagram asks for it; accepts connections on port 7."""

from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp

SECONDS = 5


def start(machine):
    inet = Inet(machine, udp=Udp, tcp=Tcp)
    inet.tcp.listen(7, accepted)

    def compute(socket, datagram):
        end = machine.uptime_ms() + SECONDS * 1000
        rounds = 0
        print("busy")
        while machine.uptime_ms() < end:
            for n in range(1000):
                rounds = (rounds + n) & 0xFFFF
        print("done")
        print(machine.counters.drops())

    inet.udp.bind(9, compute)


def accepted(connection):
    connection.on_data = echo


def echo(connection, segment):
    connection.write(segment.data)
