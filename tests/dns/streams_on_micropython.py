"""Run by test_micropython.py on MicroPython for Linux: queries over TCP, and the heap.

    micropython streams_on_micropython.py ROOT TABLE QUERY

Prints how many bytes a thousand queries allocate, and how many were answered.
"""

import gc
import sys

root, table, query = sys.argv[1:]
sys.path.insert(0, root)

from runtime.counters import Registry  # noqa: E402
from runtime.timers import Timers  # noqa: E402
from services.dns.responder import Responder  # noqa: E402
from services.dns.stream import Streams  # noqa: E402

PAYLOAD = 148


class Tcp:
    def listen(self, port, on_connection):
        self.on_connection = on_connection


class Machine:
    def __init__(self):
        self.timers = Timers(lambda: 5)
        self.counters = Registry()
        self.settings = {}
        self.tcp = Tcp()


class Connection:
    remote = b"\x0a\0\0\1"

    def set(self, window):
        pass

    def write(self, data, offset, length):
        return length


class Segment:
    def __init__(self, data):
        self.buffer = bytearray(2048)
        end = PAYLOAD + len(data)
        self.buffer[PAYLOAD:end] = data
        self.buffer[6] = PAYLOAD
        self.buffer[8] = end & 0xFF
        self.buffer[9] = end >> 8


machine = Machine()
with open(table, "rb") as file:
    streams = Streams(machine, Responder(file.read()), machine)
connection = Connection()
machine.tcp.on_connection(connection)
with open(query, "rb") as file:
    segment = Segment(file.read())
receive = streams.receive


def round():
    before = gc.mem_alloc()
    for _ in range(1000):
        receive(connection, segment)
    return gc.mem_alloc() - before


receive(connection, segment)
gc.collect()
gc.disable()
print(round(), machine.counters()["dns_tcp.queries"])
