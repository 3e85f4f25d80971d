"""Interface4: IPv4 on one nic, and how its layers are wired.

Each interface has an address, neighbours, routes and reassembly of its own; net/ip4/internet.py
decides which one a packet leaves by.
"""

from net.address import text
from net.ip4 import header as ip4
from net.ip4.arp import Arp
from net.ip4.fragments import Fragmentation4, Reassembly4
from net.ip4.header import Ip4
from net.ip4.icmp import Icmp
from net.ip4.routes import Routes


class Interface4:
    def __init__(self, internet, interface):
        self.internet = internet
        self.stack = stack = internet.stack
        self.interface = interface
        self.nic = nic = interface.nic
        self.name = interface.name
        self.ethernet = interface.ethernet
        self.log = stack.log
        self.timers = timers = stack.timers
        self.random = stack.random
        self.settings = stack.settings
        self.registry = registry = interface.registry
        self.address = None
        self.gateway = None
        self.igmp = None
        self.configuration = None
        self.on_conflict = self.ignore
        self.on_link = self.ignore

        self.routes = Routes()
        self.arp = Arp(nic.mac, timers, registry)
        self.ip4 = Ip4(nic.mtu, self.routes, timers, stack.random, registry)
        self.fragmentation = Fragmentation4(registry)
        self.reassembly = Reassembly4(timers, registry)
        self.icmp = Icmp(self.ip4.address, timers, registry)
        self.wire()
        interface.parts.append(self)

    def wire(self):
        interface, ethernet = self.interface, self.ethernet
        arp, ip4, icmp = self.arp, self.ip4, self.icmp
        fragmentation, reassembly = self.fragmentation, self.reassembly

        # Frames rise ...
        ethernet.arp = arp.receive
        ethernet.ip4 = ip4.receive
        ip4.reassemble = reassembly.receive
        reassembly.deliver = ip4.receive
        ip4.icmp = icmp.receive

        # ... and fall.
        icmp.allocate = interface.allocate
        icmp.send = ip4.send
        icmp.send_long = fragmentation.send
        fragmentation.allocate = interface.allocate
        fragmentation.output = ip4.send
        ip4.fragment = fragmentation.fragment
        ip4.resolve = arp.resolve
        ip4.transmit = interface.transmit
        arp.allocate = interface.allocate
        arp.transmit = interface.transmit

        # News travels sideways.
        ip4.refuse = icmp.unreachable
        reassembly.expired = icmp.reassembly_time_exceeded
        icmp.fragmentation_needed = ip4.fragmentation_needed
        fragmentation.path_mtu = ip4.path_mtu
        arp.changed = ip4.forget
        arp.conflict = self.conflict
        self.routes.changed = self.rerouted

    def speak(self, protocol, transport):
        """Let a transport hear its protocol, and the bad news about it."""
        if protocol == ip4.UDP:
            self.ip4.udp = transport.receive
        else:
            self.ip4.tcp = transport.receive
        self.icmp.told[protocol] = transport.unreachable
        if hasattr(transport, "path_mtu_changed"):
            self.ip4.path_mtu_changed = transport.path_mtu_changed

    @property
    def udp(self):
        return self.stack.udp

    def ignore(self, about):
        pass

    def rerouted(self):
        """Paths may lead elsewhere now, and sources differ."""
        self.ip4.forget(ip4.NOWHERE)
        self.stack.changes += 1

    # Configuration.

    def configure(self, address, length, gateway=None, routes=(), mtu=0, by="", network=None):
        """Be `address` from now on.  `routes`: (prefix, length, gateway), the link's own first.

        What else is known of the network goes to Stack.learn: a dict of dns, domain, search, ntp.
        """
        mtu = min(mtu, self.nic.mtu) if mtu >= ip4.SMALLEST_MTU else self.nic.mtu
        self.routes.clear()
        self.routes.add(address, length)
        for route in routes:
            if not self.routes.add(*route):
                self.log.warning("%s: no room for all routes", self.name)
                break
        if gateway:
            self.routes.add(bytes(4), 0, gateway)
        self.ip4.configure(address, length, mtu)
        self.address = bytes(address)
        self.gateway = gateway
        self.stack.learn(self, network)
        self.arp.configure(address)
        self.log.info(
            "%s: %s/%d, gateway %s, mtu %d, by %s",
            self.name,
            text(address),
            length,
            text(gateway) if gateway else "none",
            mtu,
            by,
        )
        self.internet.readdressed()
        self.stack.configured()

    def deconfigure(self):
        """Be nobody, until configured again."""
        self.routes.clear()
        self.ip4.configure(ip4.NOWHERE, 0, self.nic.mtu)
        self.address = None
        self.gateway = None
        self.stack.learn(self)
        self.arp.configure(ip4.NOWHERE)
        self.internet.readdressed()
        self.log.warning("%s: no address", self.name)

    def conflict(self, mac):
        """Another station says that our address is its own."""
        mac = ":".join([f"{byte:02x}" for byte in mac])
        self.log.warning("%s: %s is used by %s, too", self.name, text(self.address), mac)
        self.on_conflict(self.address)

    def link(self, up):
        if up and self.address:
            self.arp.configure(self.address)
        self.on_link(up)
