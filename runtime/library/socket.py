"""`socket`: MicroPython's and most of CPython's, over the stack of this machine.

Blocking calls let the machine go on meanwhile (runtime/waiting.py).  Both families of names are
here: send, recv and their kin, and MicroPython's read, readinto, readline, write.
Addresses are (host, port), with IPv6 (host, port, 0, 0); a host may be a name anywhere.
Errors are OSError with Linux's numbers; a time-out is OSError(ETIMEDOUT) and `timeout`.

Above: select.py, asyncio.  Below: _transfer.py, _options.py, _names.py, _endpoints.py.
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
from _options import (
    IP_ADD_MEMBERSHIP,
    IP_DROP_MEMBERSHIP,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_JOIN_GROUP,
    IPV6_LEAVE_GROUP,
    IPV6_V6ONLY,
    SO_BROADCAST,
    SO_ERROR,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_RCVBUF,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SO_SNDBUF,
    SO_TYPE,
    SOL_SOCKET,
    TCP_NODELAY,
)
from _options import Options as _Options
from _transfer import MSG_PEEK, timeout
from micropython import const

from runtime import waiting as _waiting
from runtime.waiting import failure as _failure

SHUT_RD = const(0)
SHUT_WR = const(1)
SHUT_RDWR = const(2)
SOMAXCONN = const(128)
INADDR_ANY = const(0)
AI_PASSIVE = const(1)

_BAD_DESCRIPTOR = const(9)
_INVALID = const(22)
_NOT_SUPPORTED = const(95)
_IN_USE = const(98)
_NOT_AVAILABLE = const(99)
_IS_CONNECTED = const(106)
_NOT_CONNECTED = const(107)
_TIMED_OUT = const(110)
_ALREADY = const(114)
_IN_PROGRESS = const(115)


error = OSError


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


class socket(_Options):
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
            ours = _Listener(tcp, self._port, max(1, backlog), self.family == AF_INET6)
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
