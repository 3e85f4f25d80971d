"""Tcp on kernel sockets: listeners and connections with the callbacks of net/tcp.

on_data is called while a socket is read; everything else is queued and called in `turn`, as in our
stack.  The send buffer is small, so that `write` takes less than offered here, too, and a service
that holds much of what it got is not read from.
Left out: urgent data; congestion and round trips in `info`.
"""

import select

import hostio

from net.packet import Pool
from runtime.counters import Counters
from tools.host.kernel.sockets import later

SOL_SOCKET, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE = 1, 7, 8, 9
IPPROTO_TCP, TCP_NODELAY = 6, 1
TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT = 4, 5, 6, 18
EINPROGRESS, ECONNABORTED, ETIMEDOUT = 115, 103, 110

SEND_BUFFER = 16384  # the kernel doubles it
ROOM = 65536  # so much is taken before the peer gets a turn, however fast it reads
WINDOW = 32768  # so much may be held
DATA = 148  # where the machine has the payload of a segment with timestamps
LARGEST = DATA + 16384
READS = 16  # segments in one go
LINGER_MS = 60_000  # a connection that we closed waits so long for the peer to do so
COUNTS = ("accepted", "connected", "closed", "received", "sent")
DROPS = ("refused",)
ACCEPTED, CONNECTED, CLOSED, RECEIVED, SENT, REFUSED = 0, 1, 2, 3, 4, 5


def nothing(*about):
    pass


def close(connection):
    """on_end, unless a service has another: the peer has said all, and so have we."""
    connection.close()


class Tcp:
    def __init__(self, inet):
        self.sockets = inet.sockets
        self.locals = inet.locals
        self.soon = inet.loop.soon
        self.timers = inet.timers
        self.count = inet.registry.add(Counters("tcp", COUNTS, DROPS)).count
        self.segment = Pool("tcp.receive", 1, size=LARGEST).allocate()
        self.segment.buffer[6:8] = DATA.to_bytes(2, "little")
        self.news = []

    def listen(self, port, on_connection, backlog=128):
        return Listener(self, port, on_connection, backlog)

    def connect(self, address, port, on_connected, source_port=0):
        """A connection that will be established, or closed."""
        made = hostio.tcp(len(address))
        failed = min(made, 0)
        if not failed and source_port:
            failed = hostio.bind(made, bytes(len(address)), source_port)
        if failed:
            raise OSError(-failed, "cannot make a socket")
        connection = Connection(self, made, bytes(address), port)
        connection.on_connected = on_connected
        failed = hostio.connect(made, address, port)
        own = hostio.name(made)
        connection.local, connection.local_port = own[1:]
        self.sockets.watch(made, connection, select.POLLOUT)
        if failed and failed != -EINPROGRESS:
            connection.finish(-failed)
        return connection

    def tell(self, step, argument=0):
        """Have `step(argument)` called in the next turn."""
        if not self.news:
            self.soon(self.turn)
        self.news.append((step, argument))

    def turn(self):
        news = self.news
        self.news = []
        for step, argument in news:
            step(argument)


class Listener:
    def __init__(self, tcp, port, on_connection, backlog):
        self.tcp = tcp
        self.port = port
        self.on_connection = on_connection
        self.descriptors = []
        host = tcp.sockets.host_port("tcp", port)
        for address in tcp.locals:
            made = hostio.tcp(len(address))
            if made < 0:
                raise OSError(-made, "cannot make a socket")
            failed = hostio.bind(made, address, host) or hostio.listen(made, backlog)
            if failed:
                raise OSError(-failed, f"TCP port {host} of the host")
            self.port = self.port or hostio.name(made)[2]
            host = host or self.port
            self.descriptors.append(made)
            tcp.sockets.watch(made, Door(self, made), select.POLLIN)

    def close(self):
        for descriptor in self.descriptors:
            self.tcp.sockets.remove(descriptor)
            hostio.close(descriptor)
        self.descriptors = []


class Door:
    """One descriptor of a listener."""

    def __init__(self, listener, descriptor):
        self.listener = listener
        self.descriptor = descriptor

    def readable(self):
        listener = self.listener
        tcp = listener.tcp
        while listener.descriptors:
            got = hostio.accept(self.descriptor)
            if isinstance(got, int):
                if not later(got):
                    tcp.count(REFUSED)
                return
            tcp.count(ACCEPTED)
            connection = Connection(tcp, got[0], got[1], got[2])
            connection.local = hostio.name(got[0])[1]
            connection.local_port = listener.port
            connection.established = True
            connection.on_connected = listener.on_connection
            tcp.tell(connection.begin)

    def writable(self):
        pass


class Connection:
    def __init__(self, tcp, descriptor, remote, remote_port):
        self.tcp = tcp
        self.descriptor = descriptor  # -1: gone
        self.local = None
        self.local_port = 0
        self.remote = remote
        self.remote_port = remote_port
        self.context = None
        self.on_connected = nothing
        self.on_data = nothing
        self.on_end = close
        self.on_writable = nothing
        self.on_close = nothing
        self.established = False
        self.reading = False
        self.wanting = False  # a write was cut short
        self.ended = False  # the peer has closed
        self.shut = False  # we have
        self.held = 0
        self.room = ROOM
        self.patience = None
        hostio.option(descriptor, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)

    # What the kernel says.

    def readable(self):
        if not self.established:
            self.writable()
            return
        segment = self.tcp.segment
        buffer = segment.buffer
        for _ in range(READS):
            got = hostio.recv(self.descriptor, buffer, DATA, LARGEST)
            if later(got):
                return
            if got < 0:
                self.finish(-got)
                return
            if got == 0:
                self.ended = True
                self.tcp.tell(self.end)
                self.poll()
                return
            self.tcp.count(RECEIVED)
            segment.length = got
            self.on_data(self, segment)
            if self.descriptor < 0 or self.held >= WINDOW:
                self.poll()
                return

    def writable(self):
        if self.established:
            self.wanting = False
            self.room = ROOM
            self.poll()
            self.tcp.tell(self.wrote)
            return
        failed = hostio.error(self.descriptor)
        if failed:
            self.finish(failed)
            return
        self.established = True
        self.tcp.count(CONNECTED)
        self.local, self.local_port = hostio.name(self.descriptor)[1:]
        self.tcp.sockets.remove(self.descriptor)
        self.tcp.tell(self.begin)

    def poll(self):
        """Ask the kernel for what is of use now."""
        if self.descriptor >= 0 and self.reading:
            reads = not self.ended and self.held < WINDOW
            events = (select.POLLIN if reads else 0) | (select.POLLOUT if self.wanting else 0)
            self.tcp.sockets.watch(self.descriptor, self, events)

    # News, in a turn of its own.

    def begin(self, _):
        if self.descriptor >= 0:
            self.reading = True
            self.on_connected(self)
            self.poll()

    def end(self, _):
        if self.descriptor >= 0:
            if not self.shut:
                self.on_end(self)
            self.settle()

    def wrote(self, _):
        if self.descriptor >= 0 and not self.shut:
            self.on_writable(self)

    def gone(self, reason):
        self.on_close(self, reason)

    def settle(self):
        """Both sides have closed."""
        if self.descriptor >= 0 and self.shut and self.ended:
            self.finish(0)

    def finish(self, reason):
        if self.descriptor >= 0:
            self.tcp.count(CLOSED)
            self.tcp.sockets.remove(self.descriptor)
            if reason:
                hostio.reset(self.descriptor)
            else:
                hostio.close(self.descriptor)
            self.descriptor = -1
            if self.patience:
                self.patience.stop()
            self.tcp.tell(self.gone, reason)

    # What a service calls.

    def write(self, data, offset=0, length=-1):
        """Send data[offset:offset + length]; returns how much of it was taken."""
        if length < 0:
            length = len(data) - offset
        if self.descriptor < 0 or self.shut or length == 0:
            return 0
        done = 0
        if self.established:
            done = hostio.send(self.descriptor, data, offset, offset + min(length, self.room))
            if done < 0:
                if not later(done):
                    self.finish(-done)
                    return 0
                done = 0
            self.room -= done
        if done < length:
            self.wanting = True
            if self.established:
                self.poll()
        self.tcp.count(SENT)
        return done

    def put(self, data, offset, length, kind):
        """`write`, as our stack has it for who knows that the bytes are there."""
        return self.write(data, offset, length)

    def close(self):
        """No more is sent; what is received still arrives until the peer closes, too."""
        if self.descriptor < 0 or self.shut:
            return
        if not self.established:
            self.finish(ECONNABORTED)
            return
        self.shut = True
        self.wanting = False
        hostio.shutdown(self.descriptor)
        if self.ended:
            self.settle()
        else:
            self.patience = self.tcp.timers.timer(self.impatient)
            self.patience.start(LINGER_MS)
            self.poll()

    def impatient(self):
        self.finish(ETIMEDOUT)

    def abort(self):
        self.finish(ECONNABORTED)

    def hold(self, count):
        """So much of what was delivered is still in the way."""
        self.held += count

    def release(self, count):
        self.held -= count
        self.poll()

    def set(self, nodelay=None, keepalive=False, user_timeout=None, window=None):
        if window is not None:
            hostio.option(self.descriptor, SOL_SOCKET, SO_RCVBUF, window)
        if nodelay is not None:
            hostio.option(self.descriptor, IPPROTO_TCP, TCP_NODELAY, int(nodelay))
        if keepalive is None:
            hostio.option(self.descriptor, SOL_SOCKET, SO_KEEPALIVE, 0)
        elif keepalive:
            idle, interval, count = keepalive
            hostio.option(self.descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
            for name, value in (
                (TCP_KEEPIDLE, max(idle // 1000, 1)),
                (TCP_KEEPINTVL, max(interval // 1000, 1)),
                (TCP_KEEPCNT, count),
            ):
                hostio.option(self.descriptor, IPPROTO_TCP, name, value)
        if user_timeout is not None:
            hostio.option(self.descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout)

    @property
    def state(self):
        if self.descriptor < 0:
            return "CLOSED"
        if not self.established:
            return "SYN-SENT"
        if self.shut:
            return "LAST-ACK" if self.ended else "FIN-WAIT-2"
        return "CLOSE-WAIT" if self.ended else "ESTABLISHED"

    def info(self):
        return {"state": self.state}
