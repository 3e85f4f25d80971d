"""All clients of the network at once."""

from net.address import text
from net.dhcp import Dhcp
from net.inet import Inet
from net.mdns import Mdns
from net.ntp import Ntp
from net.resolver import Resolver
from net.syslog import Syslog
from net.udp import Udp


def start(machine):
    inet = Inet(machine, udp=Udp, configure=Dhcp)
    resolver = Resolver(machine, inet)

    def found(addresses, error):
        if error:
            resolver.lookup("server.example", found)
        else:
            machine.log.info("server.example is %s", text(addresses[0]))

    resolver.lookup("server.example", found)
    Syslog(machine, resolver, inet)
    Ntp(machine, resolver, inet)
    Mdns(machine, inet).publish("Box", "_http._tcp", 80)
