"""The name server without a network: queries in, answers out, on whatever runs the tests."""

import random

from net.packet import BODY, END, PAYLOAD, Pool
from services.dns.responder import Responder
from services.dns.server import Server

FROM = 124  # where the payload of a datagram without IP options is


class Socket:
    """What the server sees of a UDP socket."""

    def __init__(self):
        self.pool = Pool("transmit", 1)
        self.datagram = Pool("receive", 1).allocate()
        self.sent = None
        self.packet = self.pool.allocate

    def answer(self, datagram, packet):
        assert self.sent is None and packet.payload == BODY
        self.sent = packet.data
        packet.release()

    def ask(self, server, wire, dice):
        """The answer to one datagram; behind it in the buffer lies what another one left."""
        buffer = self.datagram.buffer
        buffer[FROM:] = dice.randbytes(len(buffer) - FROM)
        buffer[FROM : FROM + len(wire)] = wire
        for offset, value in ((PAYLOAD, FROM), (END, FROM + len(wire))):
            buffer[offset : offset + 2] = value.to_bytes(2, "little")
        self.sent = None
        server.receive(self, self.datagram)
        assert self.pool.free == 1
        return self.sent


class Whole:
    """Server over Responder, as in the machine."""

    def __init__(self, table):
        self.responder = Responder(table)
        self.server = Server(self.responder)

    def ask(self, wires):
        socket, dice = Socket(), random.Random(5)
        return [socket.ask(self.server, wire, dice) for wire in wires]


class Slow:
    """Responder alone, on a buffer that ends with the query."""

    def __init__(self, table):
        self.responder = Responder(table)

    def ask(self, wires):
        out = bytearray(1400)
        answers = []
        for wire in wires:
            query = bytearray(wire)
            length = self.responder.answer(query, 0, len(query), out, 64, 64 + 1232)
            answers.append(bytes(out[64 : 64 + length]) if length else None)
        return answers
