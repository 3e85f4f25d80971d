"""`socket`: MicroPython's and most of CPython's, over the stack of this machine.

Blocking calls let the machine go on meanwhile (runtime/waiting.py).  Both families of names are
here: send, recv and their kin, and MicroPython's read, readinto, readline, write.
Addresses are (host, port), with IPv6 (host, port, 0, 0); a host may be a name anywhere.
Errors are OSError with Linux's numbers; a time-out is OSError(ETIMEDOUT) and `timeout`.

Above: select.py, asyncio.  Below: _endpoints.py.
Left out: raw and UNIX sockets, descriptors (`fileno`), flags of send and recv other than MSG_PEEK;
a socket is bound to all addresses of the machine; SO_REUSEADDR changes nothing, because a port in
TIME-WAIT may always be bound.
"""

from _endpoints import Closed as _Closed
from _endpoints import Connection as _Connection
from _endpoints import Datagrams as _Datagrams
from _endpoints import Endpoint as _Endpoint
from _endpoints import Listener as _Listener
from _names import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    SOCK_DGRAM,
    SOCK_STREAM,
    gaierror,
    getaddrinfo,
    inet_aton,
    inet_ntoa,
    inet_ntop,
    inet_pton,
)
from _names import pair as _pair
from _names import resolve as _resolve
from micropython import const

from runtime import waiting as _waiting
from runtime.waiting import failure as _failure

IPPROTO_IP = const(0)
IPPROTO_TCP = const(6)
IPPROTO_UDP = const(17)
IPPROTO_IPV6 = const(41)
SOL_SOCKET = const(1)
SO_REUSEADDR = const(2)
SO_TYPE = const(3)
SO_ERROR = const(4)
SO_BROADCAST = const(6)
SO_SNDBUF = const(7)
SO_RCVBUF = const(8)
SO_KEEPALIVE = const(9)
SO_LINGER = const(13)
SO_REUSEPORT = const(15)
TCP_NODELAY = const(1)
IP_ADD_MEMBERSHIP = const(35)
IP_DROP_MEMBERSHIP = const(36)
IPV6_JOIN_GROUP = const(20)
IPV6_LEAVE_GROUP = const(21)
IPV6_V6ONLY = const(26)
SHUT_RD = const(0)
SHUT_WR = const(1)
SHUT_RDWR = const(2)
MSG_PEEK = const(2)
SOMAXCONN = const(128)
INADDR_ANY = const(0)
AI_PASSIVE = const(1)

_BAD_DESCRIPTOR = const(9)
_AGAIN = const(11)
_INVALID = const(22)
_BROKEN_PIPE = const(32)
_NOT_SUPPORTED = const(95)
_IN_USE = const(98)
_NOT_AVAILABLE = const(99)
_UNREACHABLE = const(101)
_NO_BUFFERS = const(105)
_IS_CONNECTED = const(106)
_NOT_CONNECTED = const(107)
_TIMED_OUT = const(110)
_ALREADY = const(114)
_IN_PROGRESS = const(115)
_NO_OPTION = const(92)
_TOO_LONG = const(90)

_KEEPALIVE = (7200000, 75000, 9)  # RFC 1122 4.2.3.6: two hours
_ACCEPTED = ((SOL_SOCKET, (SO_REUSEADDR, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_REUSEPORT)),)

error = OSError


class timeout(OSError):
    """A time-out of a socket; also OSError(ETIMEDOUT)."""


def htons(number):
    return (number & 0xFF) << 8 | number >> 8 & 0xFF


ntohs = htons


def create_connection(address, timeout=None):
    """A connected socket; each address of the host is tried."""
    last = None
    for family, kind, proto, _, pair in getaddrinfo(address[0], address[1]):
        sock = socket(family, kind, proto)
        try:
            sock.settimeout(timeout)
            sock.connect(pair)
            return sock
        except OSError as error:
            sock.close()
            last = error
    raise last


class socket:
    def __init__(self, family=AF_INET, type=SOCK_STREAM, proto=0, endpoint=None):
        if family not in (AF_INET, AF_INET6):
            raise _failure(97)  # EAFNOSUPPORT
        if type not in (SOCK_STREAM, SOCK_DGRAM):
            raise _failure(94)  # ESOCKTNOSUPPORT
        self.family = family
        self.type = type
        self.proto = proto
        self._seconds = None
        self._timeout = -1  # the same in ms, -1: none
        self._port = 0
        self._keepalive = None
        self._nodelay = False
        self._shut = False
        self._abrupt = False  # SO_LINGER with no time at all
        self._end = endpoint or (_Connection() if type == SOCK_STREAM else _Endpoint())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # select.py looks at these.

    @property
    def polls(self):
        return self._end.polls

    def ready(self):
        return self._end.ready()

    # Names.

    def _address(self, pair):
        return _resolve(pair[0], self.family)[0], pair[1]

    def bind(self, address):
        host, port = self._address(address)
        if self._port:
            raise _failure(_INVALID)
        if any(host) and host != _waiting.stack().source_for(host):
            raise _failure(_NOT_AVAILABLE)
        if self.type == SOCK_DGRAM:
            self._bind(port)
        else:
            self._port = port

    def _bind(self, port):
        try:
            ours = _Datagrams(_waiting.stack().udp, port, self.family == AF_INET6)
        except OSError as error:
            if error.args and isinstance(error.args[0], int):
                raise
            raise _failure(_IN_USE)
        self._replace(ours)
        self._port = ours.socket.port

    def _replace(self, endpoint):
        """What watched the old endpoint watches the new one."""
        endpoint.polls = self._end.polls
        self._end = endpoint
        endpoint.changed()

    def listen(self, backlog=SOMAXCONN):
        if self.type != SOCK_STREAM:
            raise _failure(_NOT_SUPPORTED)
        if isinstance(self._end, _Listener):
            self._end.backlog = max(1, backlog)
            return
        tcp = _waiting.stack().tcp
        try:
            ours = _Listener(tcp, self._port, max(1, backlog))
        except OSError as error:
            if error.args and isinstance(error.args[0], int):
                raise
            raise _failure(_IN_USE)
        self._replace(ours)
        self._port = ours.listener.port

    def accept(self):
        end = self._end
        if not isinstance(end, _Listener):
            raise _failure(_BAD_DESCRIPTOR if isinstance(end, _Closed) else _INVALID)
        self._wait(end.readable)
        if self._end is not end:
            raise _failure(_BAD_DESCRIPTOR)  # closed meanwhile
        accepted = end.queue.pop(0)
        other = socket(self.family, SOCK_STREAM, 0, accepted)
        if self._nodelay or self._keepalive:
            other._nodelay, other._keepalive = self._nodelay, self._keepalive
            other._set_options()
        return other, other.getpeername()

    def connect(self, address):
        host, port = self._address(address)
        end = self._end
        if self.type == SOCK_DGRAM:
            if not isinstance(end, _Datagrams):
                self._bind(self._port)
            self._end.peer = (host, port)
            return
        if not isinstance(end, _Connection):
            raise _failure(_BAD_DESCRIPTOR if isinstance(end, _Closed) else _IS_CONNECTED)
        if end.connection is None:
            tcp = _waiting.stack().tcp
            connection = tcp.connect(host, port, end.established, source_port=self._port)
            end.attach(connection)
            self._set_options()
        elif end.connected:
            raise _failure(_IS_CONNECTED)
        elif not end.gone:
            raise _failure(_ALREADY)
        if not end.settled():
            if self._timeout == 0:
                raise _failure(_IN_PROGRESS)
            if not _waiting.wait(end.settled, self._timeout):
                end.close()
                raise timeout(_TIMED_OUT, "timed out")
        end.raise_error()
        if end.gone and not end.connected:
            raise _failure(_TIMED_OUT)

    def connect_ex(self, address):
        try:
            self.connect(address)
        except OSError as error:
            return error.args[0]
        return 0

    def getsockname(self):
        end = self._end
        local = None
        if isinstance(end, _Connection) and end.connection:
            local, self._port = end.connection.local, end.connection.local_port
        elif isinstance(end, _Datagrams) and end.peer:
            local = _waiting.stack().source_for(end.peer[0])
        local = bytes(local or (16 if self.family == AF_INET6 else 4))
        return _pair(local, self._port, self.family)

    def getpeername(self):
        end = self._end
        if isinstance(end, _Connection) and end.connected:
            connection = end.connection
            return _pair(bytes(connection.remote), connection.remote_port, self.family)
        if isinstance(end, _Datagrams) and end.peer:
            return _pair(end.peer[0], end.peer[1], self.family)
        raise _failure(_NOT_CONNECTED)

    # Waiting.

    def settimeout(self, seconds):
        self._seconds = seconds
        self._timeout = -1 if seconds is None else max(int(seconds * 1000), 1 if seconds else 0)

    def gettimeout(self):
        return self._seconds

    def setblocking(self, flag):
        self.settimeout(None if flag else 0)

    def _wait(self, test):
        if test():
            return
        if self._timeout == 0:
            raise _failure(_AGAIN)
        if not _waiting.wait(test, self._timeout):
            raise timeout(_TIMED_OUT, "timed out")

    # Options.

    def setsockopt(self, level, option, value=None):
        if level == SOL_SOCKET and option == SO_KEEPALIVE:
            self._keepalive = _KEEPALIVE if value else None
            self._set_options()
        elif level == SOL_SOCKET and option == SO_LINGER:
            # Two ints: whether, and seconds; what is sent is never forgotten by an orderly close.
            self._abrupt = value[0] != 0 and not any(value[4:8])
        elif level == IPPROTO_TCP and option == TCP_NODELAY:
            self._nodelay = bool(value)
            self._set_options()
        elif level == IPPROTO_IP and option in (IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP):
            self._group(option == IP_ADD_MEMBERSHIP, bytes(value)[:4])
        elif level == IPPROTO_IPV6 and option in (IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP):
            self._group(option == IPV6_JOIN_GROUP, bytes(value)[:16])
        elif level == IPPROTO_IPV6 and option == IPV6_V6ONLY:
            pass
        elif not any(level == known and option in them for known, them in _ACCEPTED):
            raise _failure(_NO_OPTION)

    def _set_options(self):
        end = self._end
        if isinstance(end, _Connection) and end.connection and not end.gone:
            end.connection.set(nodelay=self._nodelay, keepalive=self._keepalive)

    def _group(self, join, group):
        if not isinstance(self._end, _Datagrams):
            self._bind(self._port)
        ours = self._end.socket
        (ours.join if join else ours.leave)(group)

    def getsockopt(self, level, option, length=0):
        if level == SOL_SOCKET and option == SO_ERROR:
            error, self._end.error = self._end.error, 0
            return error
        if level == SOL_SOCKET and option == SO_TYPE:
            return self.type
        if level == IPPROTO_TCP and option == TCP_NODELAY:
            return int(self._nodelay)
        if level == SOL_SOCKET and option == SO_KEEPALIVE:
            return int(self._keepalive is not None)
        if any(level == known and option in them for known, them in _ACCEPTED):
            return 0
        raise _failure(_NO_OPTION)

    # Receiving.

    def _stream(self):
        """The connection, for reading and writing."""
        end = self._end
        if not isinstance(end, _Connection):
            raise _failure(_BAD_DESCRIPTOR if isinstance(end, _Closed) else _NOT_CONNECTED)
        if end.connection is None:
            raise _failure(_NOT_CONNECTED)
        if not end.connected:
            if self._timeout == 0 and not end.gone:
                raise _failure(_AGAIN)
            self._wait(end.settled)
            end.raise_error()
        return end

    def _arrived(self, end):
        """Wait until there is something to read; False: it has ended."""
        if not end.length:
            if self._shut:
                return False
            self._wait(end.readable)
            if not end.length:
                end.raise_error()
                return False
        return True

    def recv(self, size, flags=0):
        if self.type == SOCK_DGRAM:
            return self.recvfrom(size, flags)[0]
        end = self._stream()
        if not size or not self._arrived(end):
            return b""
        if flags & MSG_PEEK:
            return bytes(end.chunks[0][end.read : end.read + size])
        return end.take(size)

    def recv_into(self, buffer, size=0, flags=0):
        data = self.recv(size or len(buffer), flags)
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def recvfrom(self, size, flags=0):
        if self.type == SOCK_STREAM:
            return self.recv(size, flags), self.getpeername()
        end = self._end
        if not isinstance(end, _Datagrams):
            if isinstance(end, _Closed):
                raise _failure(_BAD_DESCRIPTOR)
            self._bind(self._port)  # somebody may send to it later
            end = self._end
        self._wait(end.readable)
        end.raise_error()
        if flags & MSG_PEEK:
            data, source, port = end.queue[0]
        else:
            data, source, port = end.take()
        return data[:size], _pair(bytes(source), port, self.family)

    def recvfrom_into(self, buffer, size=0, flags=0):
        data, source = self.recvfrom(size or len(buffer), flags)
        memoryview(buffer)[: len(data)] = data
        return len(data), source

    # MicroPython's stream: all that was asked for, unless it does not block or has ended.

    def read(self, size=-1):
        if self.type == SOCK_DGRAM:
            return self._or_none(self.recv, 65535 if size < 0 else size)
        end = self._stream()
        pieces = []
        while size:
            try:
                if not self._arrived(end):
                    break
            except OSError as error:
                if error.args[0] != _AGAIN:
                    raise
                if not pieces:
                    return None
                break
            piece = end.take(size)
            pieces.append(piece)
            if size > 0:
                size -= len(piece)
        return b"".join(pieces)

    def readinto(self, buffer, size=-1):
        data = self.read(len(buffer) if size < 0 else size)
        if data is None:
            return None
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def readline(self, size=-1):
        end = self._stream()

        def there():
            return end.line() or end.ended or end.error or 0 <= size <= end.length

        try:
            self._wait(there)
        except OSError as error:
            if error.args[0] != _AGAIN:
                raise
            return end.take(-1) if end.length else None
        length = end.line() or end.length
        if not length:
            end.raise_error()
        return end.take(length if size < 0 else min(length, size))

    def _or_none(self, call, *arguments):
        try:
            return call(*arguments)
        except OSError as error:
            if error.args[0] != _AGAIN:
                raise
            return None

    # Sending.

    def send(self, data, flags=0):
        if self.type == SOCK_DGRAM:
            return self._send_datagram(data, None)
        return self._send(data, 0, len(data))

    def _send(self, data, offset, length):
        end = self._stream()
        while True:
            end.raise_error()
            if end.gone or end.shut:
                raise _failure(_BROKEN_PIPE)
            if not length:
                return 0
            if not end.full:
                taken = end.put(data, offset, length)
                if taken:
                    return taken
            self._wait(end.unblocked)

    def sendall(self, data, flags=0):
        length = len(data)
        sent = 0
        while sent < length:
            sent += self._send(data, sent, length - sent)

    def sendto(self, data, flags, address=None):
        if address is None:
            address = flags
        if self.type == SOCK_STREAM:
            return self.send(data)
        return self._send_datagram(data, address)

    def _send_datagram(self, data, address):
        if isinstance(self._end, _Closed):
            raise _failure(_BAD_DESCRIPTOR)
        if not isinstance(self._end, _Datagrams):
            self._bind(self._port)
        end = self._end
        end.raise_error()
        peer = self._address(address) if address else end.peer
        if peer is None:
            raise _failure(89)  # EDESTADDRREQ
        if len(data) > 65507:
            raise _failure(_TOO_LONG)
        if not end.socket.send_to(data, peer[0], peer[1]):
            # No buffer for now, or no way there: the counters say which.
            if _waiting.stack().source_for(peer[0]) is None:
                raise _failure(_UNREACHABLE)
            raise _failure(_NO_BUFFERS)
        return len(data)

    def write(self, data, offset=None, length=None):
        """All of it; without blocking as much as possible, None: nothing."""
        if self.type == SOCK_DGRAM:
            return self._or_none(self.send, data)
        data = data.encode() if isinstance(data, str) else data
        begin = 0
        end = len(data)
        if offset is not None:
            begin, end = (0, min(end, offset)) if length is None else (offset, offset + length)
        sent = begin
        while sent < end:
            taken = self._or_none(self._send, data, sent, end - sent)
            if taken is None:
                return sent - begin or None
            sent += taken
        return sent - begin

    def makefile(self, mode="rb", buffering=0):
        return self

    def flush(self):
        pass

    # The end.

    def shutdown(self, how):
        end = self._stream()
        if end.gone:
            raise _failure(_NOT_CONNECTED)
        if how != SHUT_WR:
            self._shut = True
        if how != SHUT_RD:
            end.shutdown()

    def close(self):
        end = self._end
        if not isinstance(end, _Closed):
            self._end = _Closed()
            self._end.polls = end.polls
            if self._abrupt and isinstance(end, _Connection) and end.connected and not end.gone:
                end.connection.abort()
            else:
                end.close()
            self._end.changed()
            _waiting.settle(end.left)
