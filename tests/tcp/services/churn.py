"""Answers each request on port 80, and says every two seconds what that costs: heap, tables."""

import gc

from net.dhcp import Dhcp
from net.inet import Inet
from net.tcp import Tcp

PORTS = ("tcp:80",)

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000


class Report:
    def __init__(self, machine, tcp):
        self.counters = machine.counters
        self.tcp = tcp
        self.timer = machine.timers.timer(self.say)
        self.timer.start(2000)

    def say(self):
        gc.collect()
        accepted = self.counters()["tcp.accepted"]
        print("churn", accepted, gc.mem_alloc(), self.tcp.counts(), self.counters.drops())
        self.timer.start(2000)


def start(machine):
    inet = Inet(machine, tcp=Tcp, configure=Dhcp)
    inet.tcp.listen(80, accept)
    Report(machine, inet.tcp)


def accept(connection):
    connection.on_data = data


def data(connection, segment):
    end = segment.end
    if segment.buffer[end - 1] == 10 and segment.buffer[end - 3] == 10:
        connection.write(ANSWER)
