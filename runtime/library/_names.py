"""Addresses of sockets: between text, bytes and (host, port); names through the resolver.

    resolve(host, family)     [bytes], those to be tried first in front; waits for the resolver
    pair(address, port)       what Python calls an address

Above: socket.py.  Below: net/resolver.py, net/address.py.
Left out: names of services; canonical names.
"""

from micropython import const

from net import address as addresses_module
from runtime import waiting
from runtime.waiting import failure

AF_UNSPEC = const(0)
AF_INET = const(2)
AF_INET6 = const(10)
SOCK_STREAM = const(1)
SOCK_DGRAM = const(2)
INVALID = const(22)
MAPPED = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"  # RFC 4291 2.5.5.2


class gaierror(OSError):
    """No address for a name; the numbers are Linux's EAI_..."""


class _Names:
    """The resolver of the machine."""

    def __init__(self):
        self.machine = self.resolver = None

    def lookup(self, name, family):
        from net.resolver import Resolver

        waiting.stack()
        here = waiting.machine()
        if here is not self.machine:
            self.machine = here
            self.resolver = getattr(here, "resolver", None) or Resolver(here)
        found = []

        def answer(addresses, error):
            found.append((addresses, error))
            here.loop.wake()

        self.resolver.lookup(name, answer, {AF_INET: 4, AF_INET6: 6}.get(family, 0))
        waiting.wait(lambda: found)
        addresses, error = found[0]
        if error:
            raise gaierror(error, "no address for " + name)
        return addresses


_names = _Names()


def parse(host, family):
    """The bytes of an address in text, None: it is a name."""
    if host is None or host in ("", "0.0.0.0", "::"):
        return bytes(16 if family == AF_INET6 else 4)
    if host == "<broadcast>":
        return b"\xff\xff\xff\xff"
    try:
        return addresses_module.parse(host)
    except ValueError:
        return None


def resolve(host, family):
    if isinstance(host, (bytes, bytearray)):
        host = host.decode()
    literal = parse(host, family)
    if literal is not None:
        # To IPv4 we speak as IPv4.
        return [literal[12:] if len(literal) == 16 and literal[:12] == MAPPED else literal]
    return _names.lookup(host, family)


def pair(address, port, family=AF_INET):
    """What Python calls an address."""
    if len(address) == 16:
        return (addresses_module.text(address), port, 0, 0)
    if family == AF_INET6:
        return ("::ffff:" + addresses_module.text(address), port, 0, 0)
    return (addresses_module.text(address), port)


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    """[(family, type, proto, "", address)], those to be tried first in front."""
    number = int(port or 0)
    type = type or SOCK_STREAM
    found = []
    for address in resolve(host, family):
        kind = AF_INET6 if len(address) == 16 else AF_INET
        if family in (AF_UNSPEC, kind):
            found.append((kind, type, proto, "", pair(address, number)))
    if not found:
        raise gaierror(-2, "no address of this family")
    return found


def inet_pton(family, text):
    try:
        address = addresses_module.parse(text)
    except ValueError:
        raise failure(INVALID)
    if len(address) != (16 if family == AF_INET6 else 4):
        raise failure(INVALID)
    return address


def inet_ntop(family, packed):
    if len(packed) != (16 if family == AF_INET6 else 4):
        raise ValueError("invalid length of packed IP address string")
    return addresses_module.text(bytes(packed))


def inet_aton(text):
    return inet_pton(AF_INET, text)


def inet_ntoa(packed):
    return inet_ntop(AF_INET, packed)
