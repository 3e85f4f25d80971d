"""Inet6: the Internet with IPv6 only.

    inet = Inet6(machine, udp=Udp, tcp=Tcp, configure=Dhcp6)

Ethernet, IPv6, ICMPv6, neighbour and router discovery, autoconfiguration and MLD come with it; UDP
and TCP if their classes are given.  Addresses come from the settings (`address6=2001:db8::2/64
gateway6=2001:db8::1 dns=2001:db8::53`) and from routers.  `configure`: who asks for name servers if
a router says that there is somebody to ask (net/ip6/dhcp6.py).

    inet.udp, inet.tcp        sockets (net/udp/udp.py), connections (net/tcp)
    inet.addresses6           all addresses, 16 bytes each
    inet.address              the first that is not link-local, or None
    inet.dns                  name servers
    inet.on_configured        slot (inet), called when there is an address, and when it changes
    inet.counters, inet.drops  every number by name; every reason to drop that ever happened
    inet.attach(nic, ...)     one more interface

What IPv4 and IPv6 have in common is in net/stack.py, the wiring of IPv6 in net/ip6/interface.py.
"""

from net.ip6.internet import Internet6
from net.stack import Stack


class Inet6(Stack):
    def __init__(self, machine, udp=None, tcp=None, configure=None, nic=None):
        Stack.__init__(self, machine, nic)
        self.internet6 = Internet6(self)
        self.first6 = first = self.internet6.attach(self.interfaces[0])
        self.begin([self.internet6], udp, tcp)
        self.internet6.configure(first, configure)

    def attach(self, nic, address=None, gateway=None, configure=None):
        """Speak on one more nic; its settings have its name in front: eth1.address6=..."""
        interface = self.internet6.attach(self.add_interface(nic))
        self.rewire()
        self.internet6.configure(interface, configure, address, gateway)
        return interface

    @property
    def addresses6(self):
        return self.internet6.addresses

    @property
    def address(self):
        for address in self.addresses6:
            if address[0] != 0xFE:
                return address
        return None
