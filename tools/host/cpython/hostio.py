"""The module `hostio` for CPython: the system calls of tools/host, as MicroPython has them in C.

Descriptors are numbers, addresses are bytes of 4 or 16.  What can fail in the ordinary course of
things returns its errno, negative, instead of raising it.  Nothing blocks.

See tools/host/micropython/hostio.
"""

import contextlib
import os
import signal
import socket
import struct

_sockets = {}  # by descriptor


def read(descriptor, buffer):
    """A frame of a TAP device: bytes read, 0 when there is no frame."""
    try:
        return os.readv(descriptor, [buffer])
    except BlockingIOError:
        return 0


def write(descriptor, buffer, start, end):
    """Send a frame."""
    # A full queue of the kernel loses the frame, as any wire may.
    with contextlib.suppress(BlockingIOError):
        os.write(descriptor, memoryview(buffer)[start:end])


def _keep(made):
    made.setblocking(False)
    _sockets[made.fileno()] = made
    return made.fileno()


def _open(length, kind):
    family = socket.AF_INET if length == 4 else socket.AF_INET6
    try:
        made = socket.socket(family, kind)
    except OSError as error:
        return -error.errno
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _keep(made)


def tcp(length):
    """A socket for addresses of so many bytes."""
    return _open(length, socket.SOCK_STREAM)


def udp(length):
    return _open(length, socket.SOCK_DGRAM)


def _pack(address, port):
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, bytes(address)), port


def _unpack(first, name):
    family = socket.AF_INET6 if ":" in name[0] else socket.AF_INET
    return first, socket.inet_pton(family, name[0].partition("%")[0]), name[1]


def _call(function, *arguments):
    try:
        return function(*arguments) or 0
    except OSError as error:
        return -error.errno


def bind(descriptor, address, port):
    return _call(_sockets[descriptor].bind, _pack(address, port))


def connect(descriptor, address, port):
    return _call(_sockets[descriptor].connect, _pack(address, port))


def listen(descriptor, backlog):
    return _call(_sockets[descriptor].listen, backlog)


def accept(descriptor):
    """(descriptor, address, port) of the peer."""
    try:
        made, name = _sockets[descriptor].accept()
    except OSError as error:
        return -error.errno
    return _unpack(_keep(made), name)


def name(descriptor):
    """(0, address, port) of our end."""
    try:
        return _unpack(0, _sockets[descriptor].getsockname())
    except OSError as error:
        return -error.errno


def error(descriptor):
    """What went wrong, and forget it."""
    return _sockets[descriptor].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def recv(descriptor, buffer, start, end):
    """Bytes received into buffer[start:end], 0 at the end of the stream."""
    return _call(_sockets[descriptor].recv_into, memoryview(buffer)[start:end])


def send(descriptor, buffer, start, end):
    return _call(_sockets[descriptor].send, memoryview(buffer)[start:end])


def recvfrom(descriptor, buffer, start, end):
    """(length, address, port); the length is the datagram's, however much fits the buffer."""
    try:
        into = [memoryview(buffer)[start:end]]
        length, _, _, name = _sockets[descriptor].recvmsg_into(into, 0, socket.MSG_TRUNC)
    except OSError as error:
        return -error.errno
    return _unpack(length, name)


def sendto(descriptor, buffer, start, end, address, port):
    return _call(_sockets[descriptor].sendto, memoryview(buffer)[start:end], _pack(address, port))


def option(descriptor, level, name, value):
    """setsockopt with a number."""
    return _call(_sockets[descriptor].setsockopt, level, name, value)


def member(descriptor, group, joins):
    """Join a multicast group, or leave it."""
    if len(group) == 4:
        level = socket.IPPROTO_IP
        name = socket.IP_ADD_MEMBERSHIP if joins else socket.IP_DROP_MEMBERSHIP
        wanted = bytes(group) + bytes(8)
    else:
        level = socket.IPPROTO_IPV6
        name = socket.IPV6_JOIN_GROUP if joins else socket.IPV6_LEAVE_GROUP
        wanted = bytes(group) + bytes(4)
    return _call(_sockets[descriptor].setsockopt, level, name, wanted)


def shutdown(descriptor):
    """No more is sent."""
    return _call(_sockets[descriptor].shutdown, socket.SHUT_WR)


def close(descriptor):
    _sockets.pop(descriptor).close()
    return 0


def reset(descriptor):
    """Close with a reset."""
    now = struct.pack("ii", 1, 0)
    _sockets[descriptor].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
    return close(descriptor)


def stack(size):
    """How much of its stack the interpreter may use; CPython looks after that itself."""


def end_in_order():
    """SIGTERM is a KeyboardInterrupt, as SIGINT is."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
