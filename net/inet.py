"""Inet: the Internet with IPv4.

    inet = Inet(machine, udp=Udp, tcp=Tcp, configure=Dhcp)

Ethernet, ARP, IPv4 and ICMP come with it; UDP and TCP if their classes are given.  The address
comes from the settings (`address=10.0.0.2/24 gateway=10.0.0.1 mtu=1400 dns=10.0.0.1,10.0.0.3`),
else from `configure`, which is called with the interface.

    inet.udp, inet.tcp        sockets (net/udp/udp.py), connections (net/tcp)
    inet.address              b"\\x0a\\x00\\x00\\x02", or None as long as there is none
    inet.gateway, inet.dns    the default gateway or None, a list of name servers
    inet.on_configured        slot (inet), called when there is an address, and when it changes
    inet.counters, inet.drops  every number by name; every reason to drop that ever happened
    inet.routes               add(prefix, length, gateway)
    inet.attach(nic, ...)     one more interface

What IPv4 and IPv6 have in common is in net/stack.py, the wiring of IPv4 in net/ip4/interface.py.
No clock, no dice, no I/O here or above: `machine` needs nic, timers, random, settings, log and
counters, so a test passes a plain object with a virtual clock.
"""

from net.ip4.internet import Internet4
from net.stack import Stack


class Inet(Stack):
    def __init__(self, machine, udp=None, tcp=None, configure=None, nic=None):
        Stack.__init__(self, machine, nic)
        self.make4()
        self.begin([self.internet4], udp, tcp)
        self.internet4.configure(self.first, configure)

    def make4(self):
        """IPv4 on the first nic, and its parts by name."""
        self.internet4 = Internet4(self)
        self.first = first = self.internet4.attach(self.interfaces[0])
        self.ethernet = first.ethernet
        self.arp = first.arp
        self.ip4 = first.ip4
        self.icmp = first.icmp
        self.routes = first.routes
        self.fragmentation = first.fragmentation
        self.reassembly = first.reassembly
        self.configure = first.configure

    def attach(self, nic, address=None, gateway=None, mtu=0, dns=(), configure=None):
        """One more interface, with an address of its own; returns it.

        `address`, `gateway` and `dns` are texts as in the settings; without an address it comes
        from the settings (`eth1.address=10.1.0.2/24`), or from `configure`, such as Dhcp.
        """
        interface = self.internet4.attach(self.add_interface(nic))
        self.rewire()
        self.internet4.configure(interface, configure, address, gateway, mtu, dns)
        return interface

    @property
    def address(self):
        return self.first.address

    @property
    def gateway(self):
        return self.first.gateway

    @property
    def configuration(self):
        return self.first.configuration
