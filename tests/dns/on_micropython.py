"""Run by test_micropython.py on MicroPython for Linux: answer queries, and watch the heap.

    micropython on_micropython.py ROOT TABLE QUERIES ANSWERS

QUERIES is a file of queries, each behind its length in two bytes; ANSWERS will be the same of
answers, with length 0 for silence.  Prints the bytes that two rounds allocate.
"""

import gc
import sys

import micropython

root, table, queries, answers = sys.argv[1:]
sys.path.insert(0, root)

from services.dns.responder import Responder  # noqa: E402
from services.dns.server import Server  # noqa: E402

FROM, BODY = 124, 208


class Packet:
    def __init__(self, wire=b""):
        self.buffer = bytearray(2048 if not wire else FROM + len(wire) + 3)
        self.buffer[FROM : FROM + len(wire)] = wire
        self.buffer[6] = FROM
        end = FROM + len(wire)
        self.buffer[8] = end & 0xFF
        self.buffer[9] = end >> 8

    def release(self):
        self.buffer[8] = self.buffer[9] = 0


class Socket:
    def __init__(self):
        self.out = Packet()
        self.packet = self.get

    @micropython.viper
    def get(self):
        return self.out

    def answer(self, datagram, packet):
        pass


def read(path):
    with open(path, "rb") as file:
        while True:
            head = file.read(2)
            if not head:
                return
            yield file.read(head[0] | head[1] << 8)


with open(table, "rb") as file:
    server = Server(Responder(file.read()))
datagrams = [Packet(wire) for wire in read(queries)]
socket = Socket()
receive = server.receive


def round():
    before = gc.mem_alloc()
    for datagram in datagrams:
        receive(socket, datagram)
    return gc.mem_alloc() - before


gc.collect()
gc.disable()
print(round(), round())
gc.enable()
with open(answers, "wb") as file:
    for datagram in datagrams:
        receive(socket, datagram)
        end = socket.out.buffer[8] | socket.out.buffer[9] << 8
        wire = socket.out.buffer[BODY:end] if end else b""
        file.write(bytes((len(wire) & 0xFF, len(wire) >> 8)) + wire)
