"""The module `_socket` of a hijacked program: AF_INET and AF_INET6 are ours, the rest the kernel's.

CPython's socket.py makes its class `socket`, makefile, create_connection and all the rest of it
from this.  Our sockets have numbers instead of descriptors, larger than any of the kernel's;
`target` is a socket of runtime/library or one of the kernel.
"""

import errno
import itertools
import os
import socket as kernel_socket
import types

FIRST = 1 << 20
OURS = (2, 10)
KERNELS = kernel_socket._socket

numbers = itertools.count(FIRST)
table = {}  # number -> socket of the library


def make(stack, library):
    """The module."""
    module = types.ModuleType("_socket")
    for name in dir(KERNELS):
        if name.isupper() or name in ("error", "gaierror", "herror", "timeout", "has_ipv6"):
            setattr(module, name, getattr(KERNELS, name))
    default = [None]

    class socket:
        """As _socket.socket: what socket.py needs of it."""

        __slots__ = ("family", "number", "ours", "proto", "target", "type")

        def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
            family = 2 if family == -1 else int(family)
            type = 1 if type == -1 else int(type)
            proto = max(proto, 0)
            flags = type & ~0xF
            type &= 0xF
            if fileno is not None and fileno >= FIRST:
                self.target, self.number = table[fileno], fileno
            elif fileno is None and family in OURS and type in (1, 2):
                with stack:
                    self.target = library.socket(family, type, proto)
                self.number = next(numbers)
                table[self.number] = self.target
            else:
                self.target = KERNELS.socket(family, type | flags, proto, fileno)
                self.number = self.target.fileno()
            self.ours = self.number >= FIRST
            for name, value in (("family", family), ("type", type), ("proto", proto)):
                # socket.py has properties of these names in front of ours.
                slots[name].__set__(self, getattr(self.target, name, value))
            if default[0] is not None and fileno is None:
                self.settimeout(default[0])

        @property
        def timeout(self):
            return self.target.gettimeout()

        def __repr__(self):
            return f"<socket {self.number} of ImportOS>"

        def fileno(self):
            return self.number

        def detach(self):
            number, self.number = self.number, -1
            if not self.ours:
                self.target.detach()
            return number

        def close(self):
            if self.number >= 0:
                table.pop(self.number, None)
                self.number = -1
                self._call("close")

        def _accept(self):
            if not self.ours:
                return self.target._accept()
            accepted, address = self._call("accept")
            number = next(numbers)
            table[number] = accepted
            return number, address

        def gettimeout(self):
            return self.target.gettimeout()

        def getblocking(self):
            return self.target.gettimeout() != 0

        def listen(self, backlog=128):
            return self._call("listen", backlog)

        def getsockopt(self, level, option, length=0):
            value = self._call("getsockopt", level, option, length)
            if self.ours and length and isinstance(value, int):
                return value.to_bytes(length, "little")
            return value

        def connect_ex(self, address):
            try:
                self.connect(address)
            except OSError as error:
                return error.errno
            return 0

        def recv(self, size, flags=0):
            return bytes(self._call("recv", size, flags))

        def send(self, data, flags=0):
            return self._call("send", _bytes(data), flags)

        def sendall(self, data, flags=0):
            return self._call("sendall", _bytes(data), flags)

        def sendto(self, data, *rest):
            return self._call("sendto", _bytes(data), *rest)

        def _call(self, name, *arguments):
            method = getattr(self.target, name)
            if not self.ours:
                return method(*arguments)
            with stack:
                try:
                    return method(*arguments)
                except library.timeout:
                    raise TimeoutError("timed out") from None
                except library.gaierror as error:
                    raise KERNELS.gaierror(*error.args) from None

    slots = vars(socket)
    for name in ("bind", "connect", "shutdown", "setblocking", "settimeout", "setsockopt"):
        _forward(socket, name)
    for name in ("getsockname", "getpeername", "recv_into", "recvfrom", "recvfrom_into"):
        _forward(socket, name)

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        if isinstance(host, bytes):
            host = host.decode()
        port = (
            KERNELS.getservbyname(port) if isinstance(port, str) and not port.isdecimal() else port
        )
        with stack:
            try:
                found = library.getaddrinfo(host, port, int(family), int(type), proto, flags)
            except library.gaierror as error:
                raise KERNELS.gaierror(*error.args) from None
        return [
            (kind, each, proto or 6 * (each == 1) or 17, name, pair)
            for kind, each, _, name, pair in found
        ]

    def gethostbyname(name):
        return getaddrinfo(name, 0, 2)[0][4][0]

    def socketpair(family=1, type=1, proto=0):
        pair = KERNELS.socketpair(family, type, proto)
        return tuple(socket(family, type, proto, end.detach()) for end in pair)

    def close(number):
        if number >= FIRST:
            socket(fileno=number).close()
        else:
            os.close(number)

    def dup(number):
        if number >= FIRST:
            raise OSError(errno.EOPNOTSUPP, "sockets of ImportOS have no duplicates")
        return os.dup(number)

    def setdefaulttimeout(seconds):
        default[0] = seconds

    for name in ("inet_aton", "inet_ntoa", "inet_ntop", "inet_pton", "htons", "htonl", "ntohs"):
        setattr(module, name, getattr(KERNELS, name))
    for name in ("ntohl", "getservbyname", "getservbyport", "getprotobyname", "gethostname"):
        setattr(module, name, getattr(KERNELS, name))
    module.socket = module.SocketType = socket
    module.getaddrinfo, module.gethostbyname = getaddrinfo, gethostbyname
    module.getnameinfo = lambda pair, flags: (pair[0], str(pair[1]))
    module.gethostbyaddr = lambda name: (name, [], [name])
    module.socketpair, module.close, module.dup = socketpair, close, dup
    module.getdefaulttimeout = lambda: default[0]
    module.setdefaulttimeout = setdefaulttimeout
    module.CAPI = None
    return module


def _bytes(data):
    """What the stack may keep without copying has to stay as it is."""
    return data if isinstance(data, bytes) else bytes(data)


def _forward(kind, name):
    def call(self, *arguments):
        return self._call(name, *arguments)

    setattr(kind, name, call)
