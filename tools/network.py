"""Settings of the network on the host: refused early where the machine would refuse them, and what
QEMU's user network has to look like for a machine that does not ask DHCP.

    check(settings, "setting")  UserError if an address, mtu or dns cannot be meant
    user_network(settings)      words of QEMU's -netdev user, and the guest's address in it

net/address.py reads addresses for both sides.
"""

import ipaddress
import re

from net.address import parse, parse_interface, text
from tools.errors import UserError

SMALLEST_MTU = 68  # RFC 791 section 3.2
LONGEST_PREFIX = 29  # of the user network: guest, gateway, name server, first address for DHCP


def _parse_mtu(value):
    if not value.isdecimal() or int(value) < SMALLEST_MTU:
        raise ValueError(f"an MTU is a number from {SMALLEST_MTU} up")


def _of(size, address):
    if len(address) != size:
        other = "address6 and gateway6" if size == 4 else "address and gateway"
        raise ValueError(f"an address of the other family: it has {other}")


def _parse_interfaces6(value):
    for part in value.split(","):
        _of(16, parse_interface(part)[0])


def _parse_secret(value):
    if not re.fullmatch("[0-9A-Fa-f]{32}", value):
        raise ValueError("a secret is 32 hexadecimal digits")


READERS = {
    "address": lambda value: _of(4, parse_interface(value)[0]),
    "gateway": lambda value: _of(4, parse(value)),
    "address6": _parse_interfaces6,
    "gateway6": lambda value: _of(16, parse(value)),
    "identifier6": lambda value: _of(16, parse(value)),
    "secret6": _parse_secret,
    "mtu": _parse_mtu,
    "dns": lambda value: [parse(name) for name in value.split(",")],
}


def _number(value):
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise ValueError("expected a whole number")


def _one_of(*words):
    def reader(value):
        if value not in words:
            raise ValueError("must be one of " + ", ".join(words))

    return reader


# Settings of the system that are not the network's.
OTHERS = {
    "watchdog": _number,
    "buffers": _number,
    "ndots": _number,
    "log": _one_of("error", "warning", "info", "debug"),
    "virtio": _one_of("modern", "legacy"),
    "msix": _one_of("yes", "no"),
    "metadata": _one_of("yes", "no"),
}


def check(settings, where, readers=READERS):
    """Refuse a value that the machine would stop at; `where` it came from."""
    for name, reader in readers.items():
        value = settings.get(name)
        try:
            if value is True:
                raise ValueError(f"expected {name}=VALUE")
            if value:  # an empty one is none, as in net/inet.py
                reader(value)
        except ValueError as error:
            raise UserError(f"{where} {name}={'' if value is True else value}: {error}") from None


def user_network(settings):
    """(["net=...", ...], the guest's address); nothing and "" for a machine that asks DHCP."""
    if not settings.get("address"):
        return [], ""
    address, length = parse_interface(settings.get("address"))
    guest = ipaddress.ip_address(address)
    net = ipaddress.ip_network((address, length), strict=False)
    if length > LONGEST_PREFIX:
        raise UserError(
            f"address={text(address)}/{length}: QEMU's user network needs a prefix of at most "
            f"{LONGEST_PREFIX} bits; with another one, use --nic tap=NAME"
        )
    taken = {net.network_address, net.broadcast_address}
    if guest in taken:
        raise UserError(f"address={guest}/{length}: no host of {net} can have this address")
    taken.add(guest)

    def choose(*wanted):
        """The first of those wanted that is free in the net, else the first free one."""
        inside = [a for a in map(ipaddress.ip_address, wanted) if a in net]
        chosen = next(a for a in (*inside, *_first(net)) if a not in taken)
        taken.add(chosen)
        return chosen

    gateway, names = settings.get("gateway"), settings.get("dns")
    host = choose(*[gateway] if gateway else [])
    server = choose(*names.split(",") if names else [])
    return [f"net={net}", f"host={host}", f"dns={server}", f"dhcpstart={choose()}"], str(guest)


def _first(net):
    """As many hosts as can be needed; all would be many."""
    return [net.network_address + n for n in range(1, 5)]
