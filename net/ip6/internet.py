"""Internet6: IPv6 as a family of a stack (see net/stack.py): its interfaces, and which one to use.

Settings: address6=2001:db8::2/64,fd00::2/64 gateway6=fe80::1; dns= is read by whoever comes first
(net/inet6.py); secret6=32 hexadecimal digits, from which the addresses that routers ask us to form
are made (RFC 7217): with it a machine has the same ones after every start; identifier6=::53, the
last half of every such address instead.  Of a second interface: eth1.address6=2001:db8:1::2/64.

Several interfaces follow the strong model, as in net/ip4/internet.py: a datagram leaves by the
interface that has its source address, so the zone of a link-local address follows from ours.
"""

from micropython import const

from net.address import parse, parse_interface
from net.config import INTERFACES
from net.ip6.interface import Interface6
from net.ip6.selection import sort
from runtime.counters import Counters

DROPS = ("source",)
_SOURCE = const(0)

SOURCE = const(16)
DESTINATION = const(32)


class Internet6:
    size = 16

    def __init__(self, stack):
        self.stack = stack
        self.interfaces = []
        self.spoken = []
        self.key = self.secret()
        self.output = None
        self.send_long = None
        self.refuse = None
        self.dhcp_port = None  # of dhcp6.py, if used

    def secret(self):
        """Of RFC 7217; without a setting and entropy it is only hard to guess."""
        setting = self.stack.settings.get("secret6")
        if setting:
            return bytes([int(setting[at : at + 2], 16) for at in range(0, 32, 2)])
        entropy = getattr(self.stack.machine, "entropy", None)
        if entropy:
            return entropy.bytes(16)
        return bytes([self.stack.random.bits(8) for _ in range(16)])

    def attach(self, interface):
        """Speak IPv6 on this interface, too."""
        if len(self.interfaces) == INTERFACES:
            raise OSError(f"{INTERFACES} interfaces: INTERFACES in net/config.py says so")
        mine = Interface6(self, interface, self.key)
        self.interfaces.append(mine)
        for protocol, transport in self.spoken:
            mine.speak(protocol, transport)
        if len(self.interfaces) == 1:
            self.output = mine.ip6.send
            self.send_long = mine.fragmentation.send
            self.refuse = mine.icmp6.refuse
        else:
            if len(self.interfaces) == 2:
                self.count = self.stack.registry.add(Counters("internet6", (), DROPS)).count
            self.output = self.send
            self.send_long = self.send_long_from
            self.refuse = self.refuse_from
        return mine

    def configure(self, interface, configure=None, address=None, gateway=None):
        """Static addresses, those given or of the settings; then begin to speak.

        `configure`: who is called with the interface, and asked for more when a router says so.
        """
        settings = self.stack.settings
        first = "" if interface is self.interfaces[0] else interface.name + "."
        address = address or settings.get(first + "address6")
        gateway = gateway or settings.get(first + "gateway6")
        identifier = settings.get("identifier6")
        if identifier:
            interface.addresses.identifier = parse(identifier)[8:]
        parts = address.split(",") if address else []
        interface.configure(
            [parse_interface(part) for part in parts], parse(gateway) if gateway else None
        )
        if configure:
            interface.configuration = configure(interface)
            interface.routers.other = interface.configuration.start
        if interface.nic.link:
            interface.start()

    def speak(self, protocol, transport):
        self.spoken.append((protocol, transport))
        for interface in self.interfaces:
            interface.speak(protocol, transport)

    def readdressed(self):
        self.stack.changes += 1

    @property
    def configured(self):
        return bool([address for address in self.addresses if address[0] != 0xFE])

    @property
    def addresses(self):
        """All of our addresses, as bytes."""
        return [own.address for interface in self.interfaces for own in interface.addresses.all]

    def held(self):
        queues = [interface.neighbours.queue for interface in self.interfaces]
        return [packet for queue in queues for packet in queue if packet]

    # Which interface?

    def owner(self, address):
        """The interface that has this address, or None."""
        for interface in self.interfaces:
            if interface.ip6.is_local(address):
                return interface
        return None

    def towards(self, destination):
        """(interface, our address) for packets to there; (None, None): no way."""
        for interface in self.interfaces:
            own = interface.source_for(destination)
            if own:
                return interface, own
        return None, None

    def source_for(self, destination):
        return self.towards(destination)[1]

    def path_mtu(self, destination):
        interface = self.towards(destination)[0] or self.interfaces[0]
        return interface.ip6.path_mtu(destination)

    def is_local(self, address):
        return self.owner(address) is not None

    def confirm(self, address):
        """What we sent to `address` has arrived; a hint that saves asking its neighbour."""
        for interface in self.interfaces:
            interface.confirm(address)

    def sort(self, destinations):
        """The answers of a resolver, the best first (RFC 6724)."""
        return sort(destinations, self.stack.source_for)

    def join(self, group, interface=None):
        """Hear what is sent to a group, on an interface of the stack; None: on all."""
        for one in self.listeners(interface):
            if not one.mld.join(bytes(group)):
                raise OSError("no room for more groups: LOCALS6 in net/config.py says so")

    def leave(self, group, interface=None):
        for one in self.listeners(interface):
            one.mld.leave(bytes(group))

    def listeners(self, interface):
        return [one for one in self.interfaces if interface is None or one.interface is interface]

    # Several interfaces: the ways out.

    def send(self, packet):
        """By the interface that has the source."""
        buffer = packet.buffer
        for interface in self.interfaces:
            if interface.ip6.is_local_at(buffer, SOURCE):
                interface.ip6.send(packet)
                return
        self.count(_SOURCE)
        packet.release()

    def send_long_from(self, protocol, source, destination, buffer, start, end, mark=0):
        interface = self.owner(source)
        if not interface:
            self.count(_SOURCE)
            return False
        send = interface.fragmentation.send
        return send(protocol, source, destination, buffer, start, end, mark)

    def refuse_from(self, packet):
        interface = self.owner(packet.destination)
        if interface:
            interface.icmp6.refuse(packet)
