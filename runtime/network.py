"""The stack of a service that only imports `socket`: IPv4, loopback, and what the settings say.

It is in an image whose service composes no stack of its own (tools/image/closure.py).
"""

from net import loopback
from net.dhcp import Dhcp
from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp


def make(machine):
    inet = Inet(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
    loopback.use(inet)
    return inet
