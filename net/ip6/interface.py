"""Interface6: IPv6 on one nic, and how its layers are wired.

Each interface has addresses, neighbours, routers and reassembly of its own; internet.py decides
which one a packet leaves by.  So the zone of a link-local address is the interface.
"""

from net.address import text
from net.ip6 import header
from net.ip6.addresses import STATIC, Addresses
from net.ip6.discovery import (
    ADVERTISEMENT,
    ALL_NODES,
    REDIRECT,
    ROUTER_ADVERTISEMENT,
    SOLICITATION,
    Discovery,
)
from net.ip6.extension import Extensions
from net.ip6.fragments import Fragmentation6, Reassembly6
from net.ip6.header import Ip6
from net.ip6.icmp6 import Icmp6
from net.ip6.mld import QUERY, Mld
from net.ip6.neighbours import Neighbours
from net.ip6.paths import SMALLEST_MTU
from net.ip6.routers import Routers
from net.ip6.routes import MEDIUM, Routes
from net.ip6.seconds import FOREVER, Seconds
from net.ip6.selection import source

ICMP6 = 58
DEFAULT = bytes(16)


class Interface6:
    def __init__(self, internet, interface, key):
        self.internet = internet
        self.stack = stack = internet.stack
        self.interface = interface
        self.nic = nic = interface.nic
        self.name = interface.name
        self.ethernet = interface.ethernet
        self.log = stack.log
        self.on_conflict = self.ignore
        self.configuration = None  # such as a Dhcp6
        timers, random, registry = stack.timers, stack.random, interface.registry

        self.seconds = seconds = Seconds(timers)
        self.ip6 = Ip6(max(nic.mtu, SMALLEST_MTU), timers, random, registry)
        self.extensions = Extensions(registry)
        self.fragmentation = Fragmentation6(random, registry)
        self.reassembly = Reassembly6(timers, registry)
        self.icmp6 = Icmp6(timers, registry)
        self.routes = Routes(seconds)
        self.neighbours = Neighbours(nic.mac, timers, random, registry)
        self.discovery = Discovery(nic.mac, registry)
        self.addresses = Addresses(nic.mac, key, timers, seconds, random, registry)
        self.routers = Routers(timers, seconds, registry)
        self.mld = Mld(timers, random, registry)
        self.wire()
        interface.parts.append(self)

    def wire(self):
        nic, ip6, icmp6, extensions = self.interface, self.ip6, self.icmp6, self.extensions
        fragmentation, reassembly = self.fragmentation, self.reassembly
        neighbours, discovery, routers = self.neighbours, self.discovery, self.routers
        addresses, routes, mld = self.addresses, self.routes, self.mld

        # Frames rise ...
        self.ethernet.ip6 = ip6.receive
        ip6.icmp6 = icmp6.receive
        ip6.extensions = extensions.receive
        extensions.on[ICMP6] = icmp6.receive
        extensions.reassemble = reassembly.receive
        reassembly.deliver = ip6.receive
        icmp6.on[SOLICITATION] = discovery.receive_solicitation
        icmp6.on[ADVERTISEMENT] = discovery.receive_advertisement
        icmp6.on[ROUTER_ADVERTISEMENT] = routers.receive
        icmp6.on[REDIRECT] = routers.receive_redirect
        icmp6.on[QUERY] = mld.receive

        # ... and fall.
        icmp6.allocate = nic.allocate
        icmp6.send = ip6.send
        icmp6.send_long = fragmentation.send
        mld.allocate = nic.allocate
        mld.send = ip6.send
        discovery.message = icmp6.message
        routers.message = icmp6.message
        fragmentation.allocate = nic.allocate
        fragmentation.output = ip6.send
        ip6.fragment = fragmentation.fragment
        ip6.next_hop = routes.next_hop
        ip6.resolve = neighbours.resolve
        ip6.transmit = nic.transmit
        neighbours.transmit = nic.transmit
        neighbours.solicit = discovery.solicit

        # News travels sideways.
        extensions.problem = icmp6.parameter_problem
        reassembly.problem = icmp6.parameter_problem
        reassembly.expired = icmp6.reassembly_time_exceeded
        icmp6.packet_too_big = ip6.packet_too_big
        icmp6.source_for = self.source_for
        icmp6.is_local = ip6.is_local
        fragmentation.path_mtu = ip6.path_mtu
        discovery.addresses = addresses
        discovery.heard = neighbours.heard
        discovery.advertised = neighbours.advertised
        addresses.probe = discovery.probe
        addresses.advertise = self.advertise
        addresses.add_local = ip6.add_local
        addresses.remove_local = ip6.remove_local
        addresses.join = mld.join
        addresses.leave = mld.leave
        addresses.changed = self.changed
        addresses.conflict = self.conflict
        mld.source = addresses.to_report_from
        mld.add_local = ip6.add_local
        mld.remove_local = ip6.remove_local
        neighbours.changed = ip6.forget
        neighbours.lost = routes.forget_redirects
        neighbours.no_router = routes.forget_router
        neighbours.undeliverable = icmp6.undeliverable
        routes.unreachable = neighbours.is_silent
        routes.changed = self.rerouted
        routers.source = self.to_solicit_from
        routers.addresses = addresses
        routers.routes = routes
        routers.neighbours = neighbours
        routers.ip6 = ip6
        routers.most = self.nic.mtu
        routers.learned = self.learned

    def speak(self, protocol, transport):
        """Let a transport hear its protocol, and the bad news about it."""
        if protocol == header.UDP:
            self.ip6.udp = transport.receive
        else:
            self.ip6.tcp = transport.receive
        self.extensions.on[protocol] = transport.receive
        self.icmp6.told[protocol] = transport.unreachable
        if hasattr(transport, "path_mtu_changed"):
            self.ip6.path_mtu_changed = transport.path_mtu_changed

    @property
    def udp(self):
        return self.stack.udp

    def ignore(self, about):
        pass

    # Configuration.

    def configure(self, addresses, gateway=None):
        """Static addresses, (bytes, prefix length) each; none: what routers say."""
        for address, length in addresses:
            self.routers.take_addresses = False
            self.addresses.add(address, length, STATIC, FOREVER, FOREVER)
            self.routes.learn(address, length, None, MEDIUM, FOREVER)
        if gateway:
            self.routers.take_default = False
            self.routes.learn(DEFAULT, 0, gateway, MEDIUM, FOREVER)

    def start(self):
        """Begin to speak: the cable is plugged in."""
        self.addresses.start()
        self.routers.start()

    def link(self, up):
        if up:
            # Another link, perhaps: nobody is known, everything is asked again.
            self.neighbours.clear()
            self.start()
            self.mld.restart()
            if self.configuration:
                self.configuration.restart()

    # News.

    def changed(self):
        """There is an address more, or less, or one that is better left alone."""
        self.internet.readdressed()
        if self.internet.configured:
            self.stack.configured()

    def rerouted(self):
        self.ip6.forget(header.NOWHERE)

    def learned(self, dns, search):
        facts = {"dns": dns, "domain": search[0] if search else "", "search": search}
        self.stack.learn(self, facts)

    def conflict(self, address, mac):
        """Another station says that our address is its own."""
        by = "another" if mac is None else ":".join([f"{byte:02x}" for byte in mac])
        self.log.warning("%s: %s is used by %s, too", self.name, text(address), by)
        self.on_conflict(address)

    def advertise(self, own):
        """Tell everybody that an address is ours now (RFC 4861 section 7.2.6)."""
        sent = self.discovery.advertise(own, ALL_NODES, 0)
        if sent:
            self.log.info("%s: %s/%d", self.name, text(own.address), own.length)
        return sent

    def to_solicit_from(self):
        own = self.addresses.link_local
        return own.address if own else header.NOWHERE

    # For transports.

    def source_for(self, destination):
        """Our address for packets to there, or None: there is no way."""
        if destination[0] != 0xFF and self.routes.next_hop(destination) is None:
            return None
        own = source(self.addresses.all, destination)
        return own.address if own else None

    def confirm(self, address):
        """What we sent to `address` has arrived, says something above (RFC 4861 section 7.3.1)."""
        if self.neighbours.unsure:
            hop = self.routes.next_hop(address)
            if hop:
                self.neighbours.confirm(hop)
