"""The network of a service, made of kernel sockets: the same API, none of our stack.

    replace_network()       from now on `from net.inet import Inet` and the like find these
    attach(machine, ports)  the machine has a device that polls sockets

    inet.py     Inet, Inet6 and Dual: where the wiring would be
    udp.py      Udp and its sockets
    tcp.py      Tcp, listeners and connections
    dhcp.py     whoever configures addresses: nothing is to be configured
    sockets.py  which descriptor is whose; ports; poll

A socket is bound to the loopback (::1 and 127.0.0.1), one without a port of its own to any address.
Left out: everything below sockets: `machine.nic`, routes, ARP, ICMP.
"""

import sys

from tools.host.kernel import dhcp, inet, tcp, udp
from tools.host.kernel.sockets import Sockets

MODULES = {
    "net.inet": inet,
    "net.inet6": inet,
    "net.dual": inet,
    "net.udp": udp,
    "net.tcp": tcp,
    "net.dhcp": dhcp,
    "net.ip6.dhcp6": dhcp,
}


def replace_network():
    for name, module in MODULES.items():
        sys.modules[name] = module


def attach(machine, ports):
    machine.sockets = Sockets(machine, ports)
    machine.loop.add(machine.sockets)
