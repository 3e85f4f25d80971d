"""discard: throw away what arrives, on TCP and UDP port 9.  RFC 863."""

from net.dhcp import Dhcp
from net.inet import Inet
from net.tcp import Tcp
from net.udp import Udp

PORTS = ("tcp:9", "udp:9")
PORT = 9


def start(machine):
    inet = Inet(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
    inet.udp.bind(PORT, discard)
    inet.tcp.listen(PORT, accept)


def accept(connection):
    connection.on_data = discard


def discard(sender, data):
    """What is lent for a call and not copied is gone after it."""
