"""What a socket stands on: connections, listeners and bound ports of the stack, with queues.

The stack calls, a socket is asked; between the two lies a queue and a few flags.

    Connection   bytes that have arrived and were not read; they keep the advertised window small
                 (hold, release), so that whoever sends too fast waits
    Listener     connections that were not accepted yet, at most the backlog
    Datagrams    datagrams not yet received, SOCKET_BYTES at most; more are dropped and counted

Each has `ready()`, the flags of poll(2), and `polls`, the entries of select.py that watch it.
`changed()` is called whenever `ready()` may have become more.

Errors are numbers until somebody asks: an error is raised once, what had arrived before comes
first, and the end afterwards (as Linux does it).
"""

from micropython import const

from net.config import SOCKET_BYTES
from runtime.counters import Counters
from runtime.waiting import failure, machine

IN = const(1)
OUT = const(4)
ERR = const(8)
HANG_UP = const(16)
INVALID_REQUEST = const(32)

LEAST_BACKLOG = const(128)
SMALL = const(1024)  # arrivals are joined as long as the sum is not longer than that

_BACKLOG = const(0)
_OVERFLOW = const(1)
_FAMILY = const(2)


class _Dropped:
    """The counters of all sockets of a machine."""

    def __init__(self):
        self.registry = self.counters = None

    def count(self, index):
        registry = machine().counters
        if registry is not self.registry:
            self.registry = registry
            self.counters = registry.add(Counters("socket", (), ("backlog", "overflow", "family")))
        self.counters.count(index)


_dropped = _Dropped()


class Endpoint:
    def __init__(self):
        self.polls = []
        self.error = 0

    def changed(self):
        for entry in self.polls:
            entry.changed()
        machine().loop.wake()

    def ready(self):
        """Neither bound nor connected: as poll(2) has it."""
        return OUT | HANG_UP

    def raise_error(self):
        error = self.error
        if error:
            self.error = 0
            raise failure(error)

    def close(self):
        pass

    def left(self):
        return True


class Connection(Endpoint):
    """One TCP connection; `connection` is the stack's (net/tcp), None before connect."""

    def __init__(self, connection=None):
        Endpoint.__init__(self)
        self.forgotten = False  # closed here, and by the peer
        self.chunks = []
        self.read = 0  # bytes of chunks[0] that were read
        self.length = 0  # bytes that were not read
        self.connected = self.ended = self.full = self.gone = self.shut = False
        self.connection = None
        if connection:
            self.connected = True
            self.attach(connection)

    def attach(self, connection):
        self.connection = connection
        connection.on_data = self.arrived
        connection.on_end = self.end
        connection.on_writable = self.writable
        connection.on_close = self.closed

    # What the stack calls.

    def established(self, connection):
        self.connected = True
        self.changed()

    def arrived(self, connection, segment):
        data = segment.data
        chunks = self.chunks
        connection.hold(len(data))
        self.length += len(data)
        if len(chunks) > 1 and len(chunks[-1]) + len(data) <= SMALL:
            chunks[-1] += data
        else:
            chunks.append(data)
        self.changed()

    def end(self, connection):
        self.ended = True
        self.changed()

    def writable(self, connection):
        self.full = False
        self.changed()

    def closed(self, connection, reason):
        self.ended = self.gone = True
        self.error = reason
        self.changed()

    # What a socket asks.

    def ready(self):
        if self.connection is None:
            return OUT | HANG_UP
        flags = 0
        if self.length or self.ended:
            flags |= IN
        if (self.connected and not self.full) or self.gone:
            flags |= OUT
        if self.error:
            flags |= ERR
        if self.gone or (self.ended and self.shut):
            flags |= HANG_UP
        return flags

    def readable(self):
        return self.length or self.ended or self.error

    def unblocked(self):
        return not self.full or self.gone or self.error

    def settled(self):
        return self.connected or self.gone

    def take(self, count):
        """At most `count` bytes of what has arrived, -1: all."""
        chunks = self.chunks
        begin = self.read
        if count < 0 or count > self.length:
            count = self.length
        if not count:
            return b""
        first = chunks[0]
        there = len(first) - begin
        if count < there:
            data = first[begin : begin + count]
            self.read = begin + count
        else:
            pieces = [first[begin:] if begin else first]
            used = 1
            left = count - there
            while left:
                piece = chunks[used]
                if left < len(piece):
                    pieces.append(piece[:left])
                    break
                pieces.append(piece)
                left -= len(piece)
                used += 1
            self.chunks = chunks[used:]
            self.read = left
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.length -= count
        if not self.gone:
            self.connection.release(count)
        return data

    def line(self):
        """How long the first line is with its end, 0: there is none yet."""
        seen = -self.read
        begin = self.read
        for chunk in self.chunks:
            at = chunk.find(b"\n", begin)
            if at >= 0:
                return seen + at + 1
            seen += len(chunk)
            begin = 0
        return 0

    def put(self, data, offset, length):
        """Send some of it; the number of bytes that were taken."""
        taken = self.connection.write(data, offset, length)
        if taken < length:
            self.full = True
        return taken

    def shutdown(self):
        if not self.shut:
            self.shut = True
            if not self.gone:
                self.connection.close()

    def close(self):
        connection = self.connection
        if connection is None or self.gone:
            self.forgotten = True
            return
        if not self.connected:
            connection.abort()
            self.forgotten = True
        else:
            # Nobody reads any more: what still comes is taken, so that the sender can finish.
            connection.on_data = self.discard
            connection.on_writable = connection.on_end = self.ignore
            connection.on_close = self.forget
            if self.length:
                connection.release(self.length)
            self.shutdown()
        self.ended = self.gone = True

    def discard(self, connection, segment):
        pass

    def ignore(self, connection):
        pass

    def forget(self, connection, reason):
        self.forgotten = True
        self.changed()

    def left(self):
        """Whether closing is done."""
        return self.forgotten


class Listener(Endpoint):
    """A port; `long`: it may be called by IPv6, too."""

    def __init__(self, tcp, port, backlog, long):
        Endpoint.__init__(self)
        self.long = long
        self.queue = []
        # At least what Linux takes by default: to abort a caller is worse than to let him wait, and
        # asyncio asks for 5 only.
        self.backlog = backlog = max(backlog, LEAST_BACKLOG)
        self.listener = tcp.listen(port, self.arrived, backlog=backlog)

    def arrived(self, connection):
        if len(self.queue) >= self.backlog:
            _dropped.count(_BACKLOG)
            return connection.abort()
        if len(connection.remote) == 16 and not self.long:
            _dropped.count(_FAMILY)
            return connection.abort()
        self.queue.append(Connection(connection))
        self.changed()

    def ready(self):
        return IN if self.queue else 0

    def readable(self):
        return self.queue

    def close(self):
        self.listener.close()
        for waiting in self.queue:
            if not waiting.gone:
                waiting.connection.abort()
        self.queue = []


class Datagrams(Endpoint):
    """A UDP port; `long` addresses are IPv6's, with which IPv4's are mapped (RFC 4291 2.5.5.2)."""

    def __init__(self, udp, port, long):
        Endpoint.__init__(self)
        self.queue = []
        self.bytes = 0
        self.long = long
        self.peer = None
        self.socket = udp.bind(port, self.arrived)
        self.socket.unreachable = self.unreachable

    def arrived(self, socket, datagram):
        source = datagram.source
        if len(source) == 16 and not self.long:
            return _dropped.count(_FAMILY)
        if self.peer and self.peer != (source, datagram.source_port):
            return
        data = datagram.data
        if self.bytes + len(data) > SOCKET_BYTES:
            return _dropped.count(_OVERFLOW)
        self.bytes += len(data)
        self.queue.append((data, source, datagram.source_port))
        self.changed()

    def unreachable(self, socket, address, port, kind):
        """RFC 1122 4.1.3.3; only who is connected learns of it, as on Linux."""
        if self.peer == (bytes(address), port):
            self.error = 111
            self.changed()

    def ready(self):
        return OUT | (IN if self.queue else 0) | (ERR | IN if self.error else 0)

    def readable(self):
        return self.queue or self.error

    def take(self):
        data, source, port = self.queue.pop(0)
        self.bytes -= len(data)
        return data, source, port

    def close(self):
        self.socket.close()


class Closed(Endpoint):
    """What a closed socket stands on."""

    def ready(self):
        return INVALID_REQUEST
