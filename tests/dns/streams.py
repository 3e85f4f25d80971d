"""TCP as the name server sees it, without one: connections that take as much as the test says.

tcp = Tcp()                             stands for inet.tcp
connection = tcp.open("10.0.0.9")       a client has connected
connection.say(bytes)                   one segment from it
connection.answers()                    the messages it has been sent since the last time
"""

from net.address import parse
from net.packet import BODY, Pool
from runtime.counters import Registry
from runtime.timers import Timers
from services.dns.responder import Responder
from services.dns.stream import Streams


def framed(wire):
    return len(wire).to_bytes(2, "big") + wire


class Connection:
    def __init__(self, listener, address):
        self.listener = listener
        self.remote = parse(address)
        self.room = 1 << 30
        self.written = bytearray()
        self.state = "open"
        self.held = 0
        self.context = None
        self.segment = Pool("segments", 1, size=70_000).allocate()

    def say(self, data):
        segment = self.segment
        segment.buffer[BODY : BODY + len(data)] = data
        # What lies behind must not be read.
        segment.buffer[BODY + len(data) :] = b"\xa5" * (len(segment.buffer) - BODY - len(data))
        segment.length = len(data)
        self.on_data(self, segment)

    def write(self, data, offset=0, length=-1):
        assert self.state == "open"
        length = len(data) - offset if length < 0 else length
        taken = min(length, self.room)
        self.room -= taken
        self.written += bytes(data[offset : offset + taken])
        return taken

    def grow(self, room):
        """The peer has read; there is room again."""
        self.room += room
        self.on_writable(self)

    def answers(self):
        found = []
        data = bytes(self.written)
        while len(data) >= 2:
            length = data[0] << 8 | data[1]
            if len(data) < 2 + length:
                break
            found.append(data[2 : 2 + length])
            data = data[2 + length :]
        self.written = bytearray(data)
        return found

    def set(self, window):
        assert window <= 65_536

    def hold(self, count):
        self.held += count

    def release(self, count):
        self.held -= count
        assert self.held >= 0

    def close(self):
        self.state = "closed"

    def abort(self):
        self.state = "aborted"


class Tcp:
    def listen(self, port, on_connection):
        assert port == 53
        self.on_connection = on_connection

    def open(self, address="10.0.0.9"):
        connection = Connection(self, address)
        self.on_connection(connection)
        return connection


class Machine:
    def __init__(self, **settings):
        self.now = 0x3FFFFF00  # the clock wraps soon
        self.timers = Timers(lambda: self.now & 0x3FFFFFFF)
        self.counters = Registry()
        self.settings = settings
        self.tcp = Tcp()


class Whole:
    """Streams over a table."""

    def __init__(self, table, **settings):
        self.machine = Machine(**settings)
        self.responder = Responder(table)
        self.tcp = self.machine.tcp
        self.streams = Streams(self.machine, self.responder, self.machine)

    def pass_time(self, ms):
        for _ in range(ms // 100):
            self.machine.now += 100
            self.machine.timers.run(self.machine.timers.now())

    @property
    def drops(self):
        return self.machine.counters.drops()

    def ask(self, wires):
        """The answers, each over a connection of its own."""
        answers = []
        for wire in wires:
            connection = self.tcp.open()
            connection.say(framed(wire))
            found = connection.answers()
            assert len(found) <= 1
            answers.append(found[0] if found else None)
            if connection.context:
                connection.on_end(connection)
        return answers
