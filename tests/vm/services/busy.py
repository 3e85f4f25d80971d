"""Computes for as many milliseconds as a datagram says; sends back what comes on port 7."""

from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp


def start(machine):
    inet = Inet(machine, udp=Udp, tcp=Tcp)
    inet.tcp.listen(7, accepted)

    def compute(socket, datagram):
        end = machine.uptime_ms() + int(datagram.data)
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
