"""Inet, Inet6 and Dual as a service sees them, without a stack: there are the kernel's sockets.

    inet.udp, inet.tcp       udp.py and tcp.py, if their classes were given
    inet.address             127.0.0.1, where the service can be reached
    inet.dns                 the name servers of /etc/resolv.conf

Neighbours: net/inet.py, net/inet6.py and net/dual.py, whose place this takes.
Left out: nic, routes, counters of layers.
"""

from net.address import parse

RESOLV_CONF = "/etc/resolv.conf"
LOOPBACK = b"\x7f\0\0\1"
LOOPBACK6 = bytes(15) + b"\1"
MTU = 65535


class Inet:
    """`locals`: the addresses of the loopback, one for each family that there is."""

    locals = (LOOPBACK,)

    def __init__(self, machine, udp=None, tcp=None, configure=None, nic=None, configure6=None):
        self.machine = machine
        self.sockets = machine.sockets
        self.log = machine.log
        self.loop = machine.loop
        self.timers = machine.timers
        self.random = machine.random
        self.settings = machine.settings
        self.registry = machine.counters
        self.address = LOOPBACK if LOOPBACK in self.locals else None
        self.addresses6 = [LOOPBACK6] if LOOPBACK6 in self.locals else []
        self.gateway = None
        self.dns = self.name_servers()
        # Of what DHCP tells a machine, the settings; net/ntp reads ntp= itself.
        search = self.settings.get("search")
        self.search = search.split(",") if search else []
        self.ntp = []
        self.domain = self.settings.get("domain") or ""
        self.hostname = self.settings.get("hostname") or ""
        self.captive = ""
        self.nic = None
        self.loopback = True  # the kernel's (net/loopback.py)
        if machine.inet is None:
            machine.inet = self
        self.udp = udp(self) if udp else None
        self.tcp = tcp(self) if tcp else None

    def name_servers(self):
        names = self.settings.get("dns")
        if names:
            return [parse(name) for name in names.split(",")]
        try:
            with open(RESOLV_CONF) as file:
                lines = [line.split() for line in file]
        except OSError:
            return []
        # An address may have a zone, which is nothing to us.
        return [
            parse(line[1]) for line in lines if line[:1] == ["nameserver"] and "%" not in line[1]
        ]

    def when_configured(self, callback):
        """Call back with this object when there is an address: soon."""
        self.loop.soon(lambda: callback(self))

    @property
    def on_configured(self):
        return None

    @on_configured.setter
    def on_configured(self, callback):
        self.when_configured(callback)

    def source_for(self, destination):
        for address in self.locals:
            if len(address) == len(destination):
                return address
        return None

    def path_mtu(self, destination):
        return MTU

    @property
    def counters(self):
        return self.registry()

    @property
    def drops(self):
        return self.registry.drops()


class Inet6(Inet):
    locals = (LOOPBACK6,)


class Dual(Inet):
    locals = (LOOPBACK, LOOPBACK6)
