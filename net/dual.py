"""Dual: the Internet with IPv4 and IPv6 on the same interfaces.

    inet = Dual(machine, udp=Udp, tcp=Tcp, configure=Dhcp, configure6=Dhcp6)

All that net/inet.py and net/inet6.py say is true of it.  Without an IPv4 address in the settings
and without `configure` it speaks IPv6 alone.

Transports do not know families; what they send comes to a fork here, which looks at one flag of the
packet.
"""

import micropython
from micropython import const

from net.inet import Inet
from net.ip6.internet import Internet6
from net.stack import Stack

FLAGS = const(10)
IP6 = const(0x20)


class Fork:
    """To the one family or the other."""

    def __init__(self, internet4, internet6):
        self.internet4 = internet4
        self.internet6 = internet6
        self.wire()

    def wire(self):
        self.send4 = self.internet4.output
        self.send6 = self.internet6.output

    @micropython.viper
    def output(self, packet):
        if ptr8(packet.buffer)[FLAGS] & IP6:
            self.send6(packet)
        else:
            self.send4(packet)

    def send_long(self, protocol, source, destination, buffer, start, end, mark=0):
        family = self.internet4 if len(destination) == 4 else self.internet6
        return family.send_long(protocol, source, destination, buffer, start, end, mark)

    def refuse(self, packet):
        family = self.internet6 if packet.buffer[FLAGS] & IP6 else self.internet4
        family.refuse(packet)


class Dual(Inet):
    def __init__(self, machine, udp=None, tcp=None, configure=None, configure6=None, nic=None):
        Stack.__init__(self, machine, nic)
        self.make4()
        self.internet6 = Internet6(self)
        self.first6 = self.internet6.attach(self.interfaces[0])
        self.begin([self.internet4, self.internet6], udp, tcp, Fork(self.internet4, self.internet6))
        if configure or machine.settings.get("address"):
            self.internet4.configure(self.first, configure)
        self.internet6.configure(self.first6, configure6)

    def rewire(self):
        self.way.wire()
        Stack.rewire(self)

    def attach(
        self,
        nic,
        address=None,
        gateway=None,
        mtu=0,
        configure=None,
        address6=None,
        gateway6=None,
        configure6=None,
    ):
        """One more interface, with addresses of its own; returns it.

        Texts as in the settings; without them those of the settings count (`eth1.address=...`,
        `eth1.address6=...`), or what `configure` and routers say.
        """
        interface = self.add_interface(nic)
        mine4 = self.internet4.attach(interface)
        mine6 = self.internet6.attach(interface)
        self.rewire()
        if address or configure or self.settings.get(interface.name + ".address"):
            self.internet4.configure(mine4, configure, address, gateway, mtu)
        self.internet6.configure(mine6, configure6, address6, gateway6)
        return interface

    @property
    def addresses6(self):
        return self.internet6.addresses
