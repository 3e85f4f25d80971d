"""Internet4: IPv4 as a family of a stack (see net/stack.py): its interfaces, and which one to use.

Settings: address=10.0.0.2/24 gateway=10.0.0.1 dns=10.0.0.1,10.0.0.3; those of a second
interface have its name in front: eth1.address=10.1.0.2/24.

Several interfaces follow the strong model of RFC 1122 section 3.3.4.2: an interface accepts only
its own addresses, and a datagram leaves by the interface whose address is its source.  So an answer
goes back where the question came from, a connection stays where it began, and routes decide when
the source is chosen: the interface that has the longest prefix of the destination (of equals, the
one attached first), then its gateway.  With one interface nothing of this is on the way of packets.
"""

from net.address import parse, parse_interface
from net.config import INTERFACES
from net.ip4.interface import Interface4
from runtime.parts import part

SEVERAL = "net.ip4.several"  # where `attach` is called (tools/image/closure.py, PARTS)


class Internet4:
    size = 4

    def __init__(self, stack):
        self.stack = stack
        self.interfaces = []
        self.spoken = []
        self.multicast = None  # class Igmp, if used
        self.several = None  # several.py, from the second interface on
        self.output = None
        self.send_long = None
        self.refuse = None

    def attach(self, interface):
        """Speak IPv4 on this interface, too."""
        if len(self.interfaces) == INTERFACES:
            raise OSError(f"{INTERFACES} interfaces: INTERFACES in net/config.py says so")
        mine = Interface4(self, interface)
        self.interfaces.append(mine)
        if self.multicast:
            mine.igmp = self.multicast(mine)
        for protocol, transport in self.spoken:
            mine.speak(protocol, transport)
        if len(self.interfaces) == 1:
            self.output = mine.ip4.send
            self.send_long = mine.fragmentation.send
            self.refuse = mine.icmp.port_unreachable
        else:
            # From now on every packet is asked where it comes from.
            self.several = self.several or part(SEVERAL).Several4(self)
            self.several.rewire()
        return mine

    def readdressed(self):
        """An interface has another address."""
        self.stack.changes += 1
        if self.several:
            self.several.readdressed()

    def configure(self, interface, configure, address=None, gateway=None, mtu=0, dns=()):
        """Give it its address: the one given, else by the settings, else by whom is named."""
        settings = self.stack.settings
        first = "" if interface is self.interfaces[0] else interface.name + "."
        by = "settings"
        if address:
            by = "the service"
        elif settings.get(first + "address"):
            address = settings.get(first + "address")
            gateway = settings.get(first + "gateway")
        elif configure:
            interface.configuration = configure(interface)
            return
        else:
            raise ValueError("no address: set address=10.0.0.2/24, or pass configure=Dhcp")
        address, length = parse_interface(address)
        gateway = parse(gateway) if gateway else None
        if len(address) != 4 or (gateway and len(gateway) != 4):
            raise ValueError("address and gateway are IPv4: IPv6 has address6 and gateway6")
        interface.configure(
            address,
            length,
            gateway=gateway,
            routes=settings.get(first + "static-routes", ()),
            mtu=mtu,
            by=by,
            network={"dns": [parse(name) for name in dns]},
        )

    def speak(self, protocol, transport):
        self.spoken.append((protocol, transport))
        for interface in self.interfaces:
            interface.speak(protocol, transport)

    @property
    def configured(self):
        return bool(self.addresses)

    @property
    def addresses(self):
        return [interface.address for interface in self.interfaces if interface.address]

    def stop(self):
        for interface in self.interfaces:
            if interface.configuration:
                interface.configuration.stop()

    def held(self):
        return [packet for interface in self.interfaces for packet in interface.arp.waiting.packets]

    # Which interface?

    def towards(self, destination):
        """The interface of the route to there, or None."""
        best = None
        longest = -1
        for interface in self.interfaces:
            if not interface.address:
                continue
            if interface.address == destination:
                return interface
            length = interface.routes.match(destination)
            if length > longest:
                best = interface
                longest = length
        if not best and destination[0] >= 224:
            # A group, or everybody on the link: the first link will do.
            best = [interface for interface in self.interfaces if interface.address][:1]
            return best[0] if best else None
        return best

    def owner(self, address):
        """The interface that has this address, or None."""
        for interface in self.interfaces:
            if interface.address == address:
                return interface
        return None

    def source_for(self, destination):
        interface = self.towards(destination)
        return interface.address if interface else None

    def path_mtu(self, destination):
        interface = self.towards(destination) or self.interfaces[0]
        return interface.ip4.path_mtu(destination)

    def is_local(self, address):
        return self.owner(address) is not None

    # Multicast groups, for whoever has called net.ip4.igmp.use.

    def join(self, group, interface=None):
        self.listener(group, interface).join(group)

    def leave(self, group, interface=None):
        self.listener(group, interface).leave(group)

    def listener(self, group, interface):
        """The IGMP of an interface: of the one given, or of that of the route."""
        if interface:
            where = next(mine for mine in self.interfaces if mine.interface is interface)
        else:
            where = self.towards(group) or self.interfaces[0]
        if not where.igmp:
            raise OSError("multicast needs IGMP: call net.ip4.igmp.use(inet) first")
        return where.igmp
