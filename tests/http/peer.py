"""A client of net/http that is made of lists: no stack, no time but the one that tests let pass.

    peer = Peer(handler)
    peer.say(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")      one segment; -> what came back since
    peer.answers(data)                                         -> [Reply], parsed strictly
    peer.room = 100            the connection takes so many bytes, then on_writable is awaited
    peer.pass_time(10_000)

Runs on CPython and on MicroPython.
"""

from net.http import Http
from net.packet import Pool
from runtime.counters import Registry
from runtime.timers import Timers

DATA = 148
EPOCH = (2026, 11, 21, 12, 0, 0, 5, 325, 0)


class Log:
    def __init__(self):
        self.lines = []

    def info(self, text, *values):
        self.lines.append(text % values if values else text)

    debug = warning = error = info


class Machine:
    def __init__(self, settings=None):
        self.time = 1000
        self.timers = Timers(self.clock)
        self.counters = Registry()
        self.log = Log()
        self.settings = settings or {}

    def clock(self):
        return self.time


class Tcp:
    def listen(self, port, on_connection, backlog=0):
        self.accept = on_connection
        return self


class Connection:
    """What a service sees of TCP, with a hand that plays the network."""

    remote, remote_port = b"\x0a\0\0\1", 40000

    def __init__(self):
        self.out = bytearray()
        self.room = 1 << 30
        self.closed = self.aborted = self.gone = False
        self.held = 0
        self.starved = False
        self.on_data = self.on_end = self.on_writable = self.on_close = None
        self.context = None

    def set(self, nodelay=None):
        pass

    def write(self, data, offset=0, length=-1):
        if length < 0:
            length = len(data) - offset
        assert offset >= 0 and offset + length <= len(data)
        if self.closed or self.aborted:
            return 0
        taken = min(length, self.room)
        self.out.extend(memoryview(data)[offset : offset + taken])
        self.room -= taken
        if taken < length:
            self.starved = True
        return taken

    def put(self, data, offset, length, kind):
        assert kind in (0, 1)
        return self.write(data, offset, length)

    def hold(self, count):
        assert count >= 0
        self.held += count

    def release(self, count):
        self.held -= count
        assert self.held >= 0

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True


class Peer:
    def __init__(self, handler, machine=None, http=None):
        self.machine = machine or Machine()
        if http is None:
            http = Http(self.machine, Tcp(), handler)
            http.clock.gmtime = lambda: EPOCH
            http.clock.ask()
            http.listen(80)
        self.http = http
        self.connection = Connection()
        http.tcp.accept(self.connection)
        self.segment = Pool("peer", 1, size=65528).allocate()

    def another(self):
        """A second client of the same server."""
        return Peer(None, self.machine, self.http)

    def say(self, data, at=DATA):
        segment = self.segment
        segment.reset()
        segment.buffer[6:8] = at.to_bytes(2, "little")
        segment.buffer[at : at + len(data)] = data
        end = at + len(data)
        segment.buffer[8:10] = end.to_bytes(2, "little")
        self.connection.on_data(self.connection, segment)
        # It was lent: whoever looks at it later finds something else.
        for index in range(at, end):
            segment.buffer[index] = 0xA5
        return self.heard()

    def say_in_pieces(self, data, size):
        heard = b""
        for at in range(0, len(data), size):
            heard += self.say(data[at : at + size])
        return heard

    def heard(self):
        data = bytes(self.connection.out)
        self.connection.out = bytearray()
        return data

    def make_room(self, count):
        """The network takes so many bytes more."""
        connection = self.connection
        connection.room = count
        if connection.starved:
            connection.starved = False
            connection.on_writable(connection)
        return self.heard()

    def pass_time(self, ms):
        end = self.machine.time + ms
        timers = self.machine.timers
        while timers.count and timers.first <= end:
            self.machine.time = max(self.machine.time, timers.first)
            timers.run(self.machine.time)
        self.machine.time = end
        return self.heard()

    def leave(self, reason=104):
        self.connection.on_close(self.connection, reason)

    @property
    def counters(self):
        return {name[5:]: number for name, number in self.machine.counters().items() if number}


class Reply:
    """One response, read as strictly as RFC 9112 allows."""

    def __init__(self, data, to_head=False):
        end = data.find(b"\r\n\r\n")
        assert end >= 0, "no end of the head: " + repr(data[:100])
        lines = str(data[:end], "utf-8").split("\r\n")
        self.version, code, self.reason = lines[0].split(" ", 2)
        assert self.version == "HTTP/1.1"
        self.status = int(code)
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            assert name.lower() not in self.headers, "twice: " + name
            self.headers[name.lower()] = value
        rest = data[end + 4 :]
        self.body = b""
        if self.status < 200 or self.status in (204, 304) or to_head:
            assert to_head or "content-length" not in self.headers
        elif "content-length" in self.headers:
            length = int(self.headers["content-length"])
            assert len(rest) >= length, "the body is cut short"
            self.body, rest = rest[:length], rest[length:]
        elif self.headers.get("transfer-encoding") == "chunked":
            while True:
                size, _, rest = rest.partition(b"\r\n")
                size = int(str(size, "ascii"), 16)
                self.body += rest[:size]
                assert rest[size : size + 2] == b"\r\n"
                rest = rest[size + 2 :]
                if size == 0:
                    break
        else:
            assert self.headers.get("connection") == "close"
            self.body, rest = rest, b""
        self.rest = rest


def replies(data, to_head=False):
    found = []
    while data:
        reply = Reply(data, to_head)
        found.append(reply)
        data = reply.rest
    return found


def only(data, to_head=False):
    (reply,) = replies(data, to_head)
    return reply


def get(target="/", *lines):
    return request("GET", target, *lines)


def request(method, target="/", *lines, body=b""):
    head = f"{method} {target} HTTP/1.1\r\nHost: example\r\n"
    return (head + "".join([line + "\r\n" for line in lines]) + "\r\n").encode() + body
