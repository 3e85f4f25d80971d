"""Inet: the whole stack and how it is wired, on one page.

    inet = Inet(machine, udp=Udp, configure=Dhcp)

Ethernet, ARP, IPv4 and ICMP come with it; UDP if its class is given.  The address comes from the
settings (`address=10.0.0.2/24 gateway=10.0.0.1 mtu=1400 dns=10.0.0.1,10.0.0.3`), else from
`configure`, which is called with this object.

    inet.udp                  sockets (net/udp.py)
    inet.address              b"\\x0a\\x00\\x00\\x02", or None as long as there is none
    inet.gateway, inet.dns    the default gateway or None, a list of name servers
    inet.on_configured        slot (inet), called when there is an address, and when it changes
    inet.counters, inet.drops  every number by name; every reason to drop that ever happened
    inet.routes               add(prefix, length, gateway)

No clock, no dice, no I/O here or above: `machine` needs nic, timers, random, settings, log and
counters, so a test passes a plain object with a virtual clock.
"""

from net import ip4
from net.address import parse, parse_interface, text
from net.arp import Arp
from net.ethernet import Ethernet
from net.fragmentation import Fragmentation
from net.icmp import Icmp
from net.ip4 import Ip4
from net.reassembly import Reassembly
from net.routes import Routes


class Inet:
    def __init__(self, machine, udp=None, configure=None, nic=None):
        self.nic = nic = nic or machine.nic
        self.log = machine.log
        self.timers = timers = machine.timers
        self.random = random = machine.random
        self.settings = machine.settings
        self.registry = registry = machine.counters
        self.address = None
        self.gateway = None
        self.dns = []
        self.on_configured = self.ignore
        self.on_conflict = self.ignore
        self.on_link = self.ignore

        self.routes = Routes()
        self.ethernet = Ethernet(nic.mac, registry)
        self.arp = Arp(nic.mac, timers, registry)
        self.ip4 = Ip4(nic.mtu, self.routes, timers, random, registry)
        self.fragmentation = Fragmentation(registry)
        self.reassembly = Reassembly(timers, registry)
        self.icmp = Icmp(self.ip4.address, timers, registry)
        self.udp = udp(self.ip4.address, random, registry) if udp else None
        self.wire()

        if machine.settings.get("address"):
            self.configure_statically(machine.settings)
        elif configure:
            self.configuration = configure(self)
        else:
            raise ValueError("no address: set address=10.0.0.2/24, or pass configure=Dhcp")

    def wire(self):
        nic, ethernet, arp, ip4, icmp = self.nic, self.ethernet, self.arp, self.ip4, self.icmp
        fragmentation, reassembly = self.fragmentation, self.reassembly

        # Frames rise ...
        nic.receive = ethernet.receive
        ethernet.arp = arp.receive
        ethernet.ip4 = ip4.receive
        ip4.reassemble = reassembly.receive
        reassembly.deliver = ip4.receive
        ip4.icmp = icmp.receive

        # ... and fall.
        icmp.allocate = nic.allocate
        icmp.send = ip4.send
        icmp.send_long = fragmentation.send
        fragmentation.allocate = nic.allocate
        fragmentation.output = ip4.send
        ip4.fragment = fragmentation.fragment
        ip4.resolve = arp.resolve
        ip4.transmit = nic.transmit
        arp.allocate = nic.allocate
        arp.transmit = nic.transmit

        # News travels sideways.
        ip4.refuse = icmp.unreachable
        reassembly.expired = icmp.reassembly_time_exceeded
        icmp.fragmentation_needed = ip4.fragmentation_needed
        fragmentation.path_mtu = ip4.path_mtu
        arp.changed = ip4.forget
        arp.conflict = self.conflict
        nic.on_link = self.link

        udp = self.udp
        if udp:
            ip4.udp = udp.receive
            udp.allocate = nic.allocate
            udp.output = ip4.send
            udp.long_output = fragmentation.send
            udp.refuse = icmp.unreachable
            icmp.told[17] = udp.unreachable

    def ignore(self, about):
        pass

    # Configuration.

    def configure_statically(self, settings):
        address, length = parse_interface(settings.get("address"))
        gateway = settings.get("gateway")
        names = settings.get("dns")
        self.configure(
            address,
            length,
            gateway=parse(gateway) if gateway else None,
            mtu=int(settings.get("mtu", 0)),
            dns=[parse(name) for name in names.split(",")] if names else [],
            by="settings",
        )

    def configure(self, address, length, gateway=None, routes=(), mtu=0, dns=(), by=""):
        """Be `address` from now on.  `routes`: (prefix, length, gateway), the link's own first."""
        mtu = min(mtu, self.nic.mtu) if mtu >= ip4.SMALLEST_MTU else self.nic.mtu
        self.routes.clear()
        self.routes.add(address, length)
        for route in routes:
            if not self.routes.add(*route):
                self.log.warning("%s: no room for all routes", self.nic.name)
                break
        if gateway:
            self.routes.add(bytes(4), 0, gateway)
        self.ip4.configure(address, length, mtu)
        self.address = bytes(address)
        self.gateway = gateway
        self.dns = list(dns)
        self.arp.configure(address)
        self.log.info(
            "%s: %s/%d, gateway %s, mtu %d, by %s",
            self.nic.name,
            text(address),
            length,
            text(gateway) if gateway else "none",
            mtu,
            by,
        )
        self.on_configured(self)

    def deconfigure(self):
        """Be nobody, until configured again."""
        self.routes.clear()
        self.ip4.configure(ip4.NOWHERE, 0, self.nic.mtu)
        self.address = None
        self.gateway = None
        self.arp.configure(ip4.NOWHERE)
        self.log.warning("%s: no address", self.nic.name)

    def conflict(self, mac):
        """Another station says that our address is its own."""
        mac = ":".join([f"{byte:02x}" for byte in mac])
        self.log.warning("%s: %s is used by %s, too", self.nic.name, text(self.address), mac)
        self.on_conflict(self.address)

    def link(self, up):
        """The cable: the other end may have become another one."""
        self.log.info("%s: link is %s", self.nic.name, "up" if up else "down")
        if up and self.address:
            self.arp.configure(self.address)
        self.on_link(up)

    @property
    def counters(self):
        return self.registry()

    @property
    def drops(self):
        return self.registry.drops()
