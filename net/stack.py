"""Stack: what every composition of the Internet has in common.

Three pages make whole stacks of it: net/inet.py (IPv4), net/inet6.py (IPv6), net/dual.py (both).
This page knows neither family; each is an object that one of those pages makes and hands over:

    stack.begin([family, ...], udp, tcp, way)      `way` if there are two: see net/dual.py

A family (net/ip4/internet.py is one) has

    family.size                       4 or 16: bytes of its addresses
    family.attach(interface, ...)     speak on one more nic: fill a slot of interface.ethernet,
                                      append to interface.parts who wants to know about the link
                                      (it has link(up))
    family.speak(protocol, transport) let transport.receive(packet) hear a protocol,
                                      transport.unreachable(packet, kind) of errors about it
                                      (False: it has sent nothing such, do not believe it), and
                                      transport.path_mtu_changed(destination), if it has that
    family.output(packet)             slot or method: send a packet that has SOURCE, DESTINATION,
                                      PROTOCOL, FLAGS, END and all below OUT_SEGMENT
    family.send_long(protocol, source, destination, buffer, start, end, mark) -> bool
                                      send buffer[start:end], a transport header and its payload,
                                      in fragments; `mark`: hop limit | traffic class << 8
    family.refuse(packet)             tell the sender of a received packet: nobody has this port
    family.source_for(destination)    our address for packets to there, or None: no way, no address
    family.path_mtu(destination)      the longest datagram that gets there whole
    family.join(group, interface), family.leave(group, interface)
                                      be in a multicast group (None: let the family choose)
    family.is_local(address) -> bool  is it an address of ours
    family.owner(address)             what it has attached to the interface that has this address
                                      (`owner.interface`), or None
    family.configured                 there is an address
    family.addresses                  all of its addresses
    family.held()                     packets that wait for neighbours; a transport may have it, too

and tells `stack.configured()` when an address came or changed, `stack.learn(self, {"dns": [...]})`
what a server said about the network.

What transports are made with, `Udp(stack)` and `Tcp(stack)`, and anybody else may use:

    stack.machine, log, timers, random, settings, registry
    stack.nic, stack.offloads     the first nic; what all nics can (1 checksum, 2 TSO4, 4 TSO6)
    stack.allocate()              a free transmit packet, or None
    stack.source_for(destination) -> bytes or None       both by the length of the address
    stack.path_mtu(destination) -> int
    stack.is_local(address) -> bool
    stack.interfaces              each with nic, name, ethernet

Into a transport go the slots `allocate`, `output`, and, if it has them, `output6`, for packets with
flag IP6, `long_output` and `refuse`; again when an interface is attached, then
`transport.rewired()` is called, if there is such.

What a service sees: inet.udp, inet.tcp, inet.attach(nic, ...), inet.on_configured,
inet.when_configured(callback), inet.address_texts(), inet.counters, inet.drops; and what settings,
DHCP and routers say about the network, of both families: inet.dns and inet.ntp (addresses),
inet.search, inet.domain, inet.hostname, inet.captive (the URI of a captive portal).  Settings:
dns=, ntp=, search= with commas, domain=, hostname=; mtu=, eth1.mtu=, which can be less than what
the nic says, as can what servers and routers say, but not more.
"""

from net.address import text
from net.ethernet import Ethernet
from runtime.parts import part

UDP = 17
TCP = 6
SMALLEST_MTU = 576  # RFC 791: what everybody takes

# Parts that not every image has (tools/image/closure.py): where `attach` is called; where what the
# network says of itself is asked for; net.urgent with TCP, net.presence in a cloud.
SEVERAL = "net.several"
KNOWLEDGE = "net.knowledge"


class Interface:
    """A nic, its Ethernet layer, and who wants to know about its link.

    Layers send with its `allocate` and `transmit`, which takes packets of other nics, too.
    """

    def __init__(self, stack, nic, registry, transmit=None):
        self.stack = stack
        self.nic = nic
        self.name = nic.name
        self.registry = registry
        self.parts = []
        self.ethernet = Ethernet(nic.mac, registry)
        self.allocate = nic.allocate
        self.transmit = transmit or nic.transmit
        nic.receive = self.ethernet.receive
        nic.on_link = self.link
        setting = "mtu" if nic is stack.nic else nic.name + ".mtu"
        nic.mtu = min(nic.mtu, max(int(stack.settings.get(setting, nic.mtu)), SMALLEST_MTU))
        for name in ("urgent", "presence"):
            found = part("net." + name)
            if found:
                found.watch(self)

    def link(self, up):
        """The cable: the other end may have become another one."""
        for layer in self.parts:
            layer.link(up)


class Stack:
    def __init__(self, machine, nic=None):
        self.machine = machine
        self.nic = nic = nic or machine.nic
        self.log = machine.log
        self.timers = machine.timers
        self.random = machine.random
        self.settings = machine.settings
        self.registry = machine.counters
        self.allocate = nic.allocate
        self.offloads = getattr(nic, "offloads", 0)
        self.loopback = None  # net/loopback.py, if used
        self.families = []
        self.way = None
        self.udp = None
        self.tcp = None
        self.on_configured = self.ignore
        self.waiting = []
        self.changes = 0  # grows whenever source_for may have another answer
        knowledge = part(KNOWLEDGE)
        self.knowledge = knowledge.Knowledge(self) if knowledge else None
        self.interfaces = [Interface(self, nic, self.registry)]
        if getattr(machine, "inet", None) is None:
            machine.inet = self

    def ignore(self, about):
        pass

    def begin(self, families, udp, tcp, way=None):
        """All parts are there: make the transports and wire them."""
        self.families = families
        self.way = way or families[0]
        self.udp = udp(self) if udp else None
        self.tcp = tcp(self) if tcp else None
        for protocol, transport in ((UDP, self.udp), (TCP, self.tcp)):
            if transport:
                for family in families:
                    family.speak(protocol, transport)
        self.rewire()

    def stop(self):
        """The machine ends: whoever has something to say about that says it."""
        for layer in self.families + [self.udp, self.tcp]:  # noqa: RUF005 (MicroPython)
            if hasattr(layer, "stop"):
                layer.stop()

    def rewire(self):
        """Put the ways out into the slots of the transports."""
        if self.loopback:
            self.loopback.wire()
        for transport in (self.udp, self.tcp):
            if not transport:
                continue
            transport.allocate = self.allocate
            transport.output = self.way.output
            if hasattr(transport, "output6"):
                # It looks at the flag itself, which is cheaper than a fork.
                transport.output = self.families[0].output
                transport.output6 = self.families[-1].output
            if hasattr(transport, "long_output"):
                transport.long_output = self.way.send_long
            if hasattr(transport, "refuse"):
                transport.refuse = self.way.refuse
            if hasattr(transport, "rewired"):
                transport.rewired()

    def add_interface(self, nic):
        """One more nic; the families still have to be attached to it."""
        return part(SEVERAL).add_interface(self, nic)

    # Addresses, of the family that their length says.

    def family(self, address):
        for family in self.families:
            if family.size == len(address):
                return family
        return None

    def source_for(self, destination):
        if self.loopback and self.loopback.is_inside(destination):
            return bytes(destination)
        family = self.family(destination)
        return family.source_for(destination) if family else None

    def path_mtu(self, destination):
        family = self.family(destination)
        return family.path_mtu(destination) if family else 0

    def is_local(self, address):
        if self.loopback and self.loopback.is_inside(address):
            return True
        family = self.family(address)
        return family.is_local(address) if family else False

    def join(self, group, interface=None):
        """Hear a multicast group on one of `interfaces` (or the one that has this address of ours).

        None: IPv4 on that of the route, IPv6 on all.
        """
        self.family_of(group).join(group, self.interface_of(interface))

    def leave(self, group, interface=None):
        self.family_of(group).leave(group, self.interface_of(interface))

    def interface_of(self, which):
        if which is None or which in self.interfaces:
            return which
        owner = self.family_of(which).owner(which)
        if not owner:
            raise ValueError("no interface has that address")
        return owner.interface

    def family_of(self, address):
        family = self.family(address)
        if not family:
            raise ValueError("an address of a family that this stack does not speak")
        return family

    def held(self):
        """The transmit packets that wait for something to happen."""
        parts = self.families + [self.udp, self.tcp]  # noqa: RUF005 (MicroPython)
        return [packet for part in parts if hasattr(part, "held") for packet in part.held()]

    # News.

    def when_configured(self, callback):
        """Call callback(self) when there is an address (now, if there is), and when it changes."""
        self.waiting.append(callback)
        if [family for family in self.families if family.configured]:
            callback(self)

    def address_texts(self):
        """All addresses that we have, for people."""
        return [text(address) for family in self.families for address in family.addresses]

    def configured(self):
        """A family has an address, or another one."""
        self.changes += 1
        self.on_configured(self)
        for callback in self.waiting:
            callback(self)

    def learn(self, who, facts=None):
        """What `who` (one source of configuration) knows about the network, instead of before."""
        self.changes += 1
        if self.knowledge:
            self.knowledge.learn(who, facts or {})

    @property
    def counters(self):
        return self.registry()

    @property
    def drops(self):
        return self.registry.drops()
