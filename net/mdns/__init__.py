"""Multicast DNS: we are found by name, and by what we offer, on a link without a name server.

RFC 6762 (the responder: probing, announcing, conflicts, known answers, goodbye); RFC 6763 (DNS-SD).

    mdns = Mdns(machine)                      "NAME.local" with the setting hostname=, else
                                              "importos-" and the end of the MAC
    service = mdns.publish("My web", "_http._tcp", 80, {"path": "/"})
    mdns.withdraw(service)
    mdns.host, service.label                  the names that we have got; others may have had ours
    mdns.on_renamed                           slot (owner), called when a name was taken
    mdns.close()                              says goodbye

    records.py     records, and owners, the names that are ours alone
    responder.py   what has to be answered, and when: pure
    here           sockets, time, and the way of an owner

Above: services.  Below: a UDP socket on port 5353 in 224.0.0.251 and ff02::fb.
Left out: asking (a resolver of other people's names); several interfaces with different names;
subtypes; sleep proxies.
"""

from micropython import const

from net.config import MDNS_SERVICES
from net.deadlines import arm, due, nearest
from net.dns import wire
from net.dns.name import Malformed, encode
from net.dns.wire import Reader, Writer
from net.ip4 import igmp
from net.mdns.records import (
    ANNOUNCING,
    FLUSH,
    HOST_TTL,
    KEPT,
    OTHER_TTL,
    PROBING,
    TURN,
    UNICAST,
    Host,
    Record,
    Service,
    name_of,
)
from net.mdns.responder import COUNTS, DROPS, INDEX, LONGEST, Responder
from runtime.counters import Counters

PORT = const(5353)
GROUP4 = b"\xe0\0\0\xfb"
GROUP6 = b"\xff\x02" + bytes(13) + b"\xfb"
LOCAL = encode("local")
TYPES = encode("_services._dns-sd._udp.local")
PROBES = const(3)
PROBE_MS = const(250)
ANNOUNCEMENTS = const(3)
LOST_MS = const(1_000)  # RFC 6762 section 8.2: after losing a tie
CONFLICTS = const(15)  # RFC 6762 section 8.1: so many in ten seconds, and we slow down
CONFLICTS_MS = const(10_000)
SLOW_MS = const(5_000)


class Mdns:
    def __init__(self, machine, inet=None, name=None):
        self.inet = inet or machine.inet
        self.log = machine.log
        self.timers = machine.timers
        self.random = machine.random
        self.counters = machine.counters.add(Counters("mdns", COUNTS, DROPS))
        self.timer = machine.timers.timer(self.turn)
        self.on_renamed = self.ignore
        if not name:
            name = machine.settings.get("hostname")
        if not name:
            name = "importos-" + "".join([f"{byte:02x}" for byte in self.inet.nic.mac[3:]])
        self.owner = Host(name.encode(), LOCAL)
        self.owners = [self.owner]
        self.conflicts = []
        self.groups = []
        self.responder = Responder(self)
        self.socket = self.inet.udp.bind(PORT, self.receive)
        # RFC 6762 section 11.
        self.socket.set(hops=255, group_hops=255)
        igmp.use(self.inet)
        self.inet.when_configured(self.configured)

    def ignore(self, about):
        pass

    def count(self, name):
        self.counters.count(INDEX[name])

    @property
    def host(self):
        return self.owner.label.decode() + ".local"

    # What we have.

    def configured(self, inet):
        """There is an address, or another one: all that has one in it is new."""
        addresses = [inet.address] if getattr(inet, "address", None) else []
        addresses += [bytes(one) for one in getattr(inet, "addresses6", None) or ()]
        self.groups = []
        for group in (GROUP4, GROUP6):
            if [one for one in addresses if (len(one) == 4) == (group is GROUP4)]:
                if group not in [joined for joined, _ in self.socket.groups]:
                    self.socket.join(group)
                self.groups.append(group)
        self.addresses = addresses
        self.describe_host()
        self.start(self.owner)
        for owner in self.owners[1:]:
            self.describe(owner)
            self.start(owner)

    def describe_host(self):
        """The records of our name."""
        owner = self.owner
        owner.own([address_record(owner.name, address) for address in self.addresses], [])
        # RFC 6762 section 4: the name of an address, which is ours alone as the address is.
        for address in self.addresses:
            record = Record(reverse(address), wire.PTR, HOST_TTL, b"", owner.name)
            record.owner = owner
            owner.shared.append(record)

    def describe(self, service):
        """RFC 6763 section 4: type to instance, instance to host and port, and what it says."""
        name = service.name
        place = bytes([0, 0, 0, 0, service.port >> 8, service.port & 0xFF])
        service.own(
            [
                Record(name, wire.SRV, HOST_TTL, place, self.owner.name),
                Record(name, wire.TXT, OTHER_TTL, service.text),
            ],
            [
                Record(service.kind, wire.PTR, OTHER_TTL, b"", name, False),
                # Section 9: the types that there are.
                Record(TYPES, wire.PTR, OTHER_TTL, b"", service.kind, False),
            ],
        )

    def publish(self, name, kind, port, text=None):
        """Offer a service of a type such as "_http._tcp" on a port; returns it."""
        if len(self.owners) > MDNS_SERVICES:
            raise OSError(f"{MDNS_SERVICES} services are published: MDNS_SERVICES in net/config.py")
        parts = kind.split(".")
        if len(parts) != 2 or parts[1] not in ("_tcp", "_udp") or not parts[0].startswith("_"):
            raise ValueError(f"{kind} is not a type of service: such as _http._tcp")
        service = Service(name, encode(kind + ".local"), port, text or {})
        self.owners.append(service)
        if self.groups:
            self.describe(service)
            self.start(service)
        return service

    def withdraw(self, service):
        """Offer it no more."""
        if service in self.owners:
            self.owners.remove(service)
            self.goodbye([service])

    def close(self):
        """Say goodbye, and be silent."""
        self.goodbye(self.owners)
        self.owners = []
        self.timer.stop()
        self.socket.close()

    def goodbye(self, owners):
        """RFC 6762 section 10.1: a TTL of zero."""
        records = []
        others = [owner for owner in self.owners if owner not in owners]
        left = [record.plain for owner in others for record in owner.shared]
        for owner in owners:
            if owner.kept:
                # (The last service of a type takes the type along.)
                records += owner.records
                records += [record for record in owner.shared if record.plain not in left]
        self.multicast(records, ttl=0)

    # The way of an owner.

    def start(self, owner):
        # RFC 6762 section 8.1: 0 to 250 ms, as many may have been switched on at once.
        owner.restart(self.later(self.random.bits(8) % PROBE_MS))
        self.arm()

    def later(self, ms):
        return (self.timers.now() + ms) & TURN

    def step(self, owner):
        """The deadline of an owner has come."""
        if owner.state == PROBING and owner.sent < PROBES:
            owner.sent += 1
            self.probe(owner)
            owner.deadline = self.later(PROBE_MS)
            return
        if owner.state == PROBING:
            owner.state = ANNOUNCING
            owner.sent = 0
            self.log.info("mdns: %s", owner.label.decode())
        owner.sent += 1
        self.count("announcements")
        self.multicast(owner.records + owner.shared)
        # RFC 6762 section 8.3: each time twice as long.
        owner.deadline = self.later(500 << owner.sent)
        if owner.sent == ANNOUNCEMENTS:
            owner.state = KEPT

    def probe(self, owner):
        self.count("probes")
        writer = Writer(LONGEST)
        writer.question(owner.name, wire.ANY, wire.IN | UNICAST)
        for record in owner.records:
            self.put(writer, wire.AUTHORITY, record, record.ttl, 0)
        self.send(writer.finish(0, 0))

    def lost(self, owner):
        """RFC 6762 section 8.2: another one probes for the same name, and its data is greater."""
        self.count("ties")
        owner.restart(self.later(LOST_MS))
        self.arm()

    def conflict(self, owner):
        """Somebody has our name, or says so."""
        self.count("conflicts")
        now = self.timers.now()
        self.conflicts = [when for when in self.conflicts if (now - when) & TURN < CONFLICTS_MS] + [
            now
        ]
        if owner.state == PROBING:
            owner.rename()
            self.log.warning("mdns: the name is taken; now %s", owner.label.decode())
            if owner is self.owner:
                self.describe_host()
                self.retarget()
            else:
                self.describe(owner)
            self.on_renamed(owner)
        # RFC 6762 section 9: who keeps a name and is contradicted probes for it again.
        wait = SLOW_MS if len(self.conflicts) >= CONFLICTS else self.random.bits(8) % PROBE_MS
        owner.restart(self.later(wait))
        self.arm()

    def retarget(self):
        """Services are at a host of another name now."""
        for owner in self.owners:
            if owner is not self.owner:
                was = owner.state
                self.describe(owner)
                if was != PROBING:
                    owner.state = ANNOUNCING
                    owner.sent = 0
                    owner.deadline = self.later(PROBES * PROBE_MS + 1_000)

    # Time.

    def arm(self):
        now = self.timers.now()
        wait = self.responder.wait(now)
        if self.groups:
            wait = nearest(self.unsettled(), now, wait)
        arm(self.timer, wait)

    def unsettled(self):
        """The owners whose names are not yet kept."""
        return [owner for owner in self.owners if owner.state != KEPT]

    def turn(self):
        now = self.timers.now()
        for owner in due(self.unsettled(), now):
            self.step(owner)
        self.responder.turn(now)
        self.arm()

    # In and out.

    def receive(self, socket, datagram):
        try:
            reader = Reader(datagram.data)
            if reader.flags & (wire.OPCODE | wire.CODE):
                # RFC 6762 sections 18.3, 18.11.
                self.count("opcode")
            elif reader.flags & wire.QR:
                if datagram.source_port != PORT:
                    # RFC 6762 section 6.
                    self.count("source_port")
                else:
                    self.responder.hear(reader)
            elif datagram.destination not in (GROUP4, GROUP6):
                # RFC 6762 section 5.5: perhaps not from this link.
                self.count("unicast")
            else:
                self.responder.asked(reader, datagram.source, datagram.source_port)
        except Malformed:
            self.count("malformed")
        self.arm()

    def put(self, writer, section, record, ttl, flush=FLUSH, spelled=False):
        rclass = wire.IN | (flush if record.unique else 0)
        rdata, target = record.rdata, record.target
        if spelled and target:
            # RFC 6762 section 18.14: who does not know us may not expect it compressed.
            rdata, target = rdata + target, None
        return writer.record(section, record.name, record.kind, rclass, ttl, rdata, target)

    def multicast(self, records, ttl=None, extras=()):
        """Records to everybody, in as many messages as it takes."""
        now = self.timers.now()
        for message in self.messages(records, ttl, extras):
            self.send(message)
        for record in records:
            record.sent = now

    def messages(self, records, ttl=None, extras=()):
        writer = Writer(LONGEST)
        for record in records:
            its = record.ttl if ttl is None else ttl
            if not self.put(writer, wire.ANSWER, record, its):
                yield writer.finish(0, wire.QR | wire.AA)
                writer = Writer(LONGEST)
                if not self.put(writer, wire.ANSWER, record, its):
                    self.count("too_long")
        for record in extras:
            self.put(writer, wire.ADDITIONAL, record, record.ttl)
        if writer.counts[wire.ANSWER]:
            yield writer.finish(0, wire.QR | wire.AA)

    def send(self, message):
        for group in self.groups:
            self.send_to(message, group, PORT)

    def send_to(self, message, address, port):
        self.count("sent")
        if not self.socket.send_to(message, address, port):
            self.count("no_buffer")


def address_record(name, address):
    return Record(name, wire.A if len(address) == 4 else wire.AAAA, HOST_TTL, address)


def reverse(address):
    """The name below which the name of an address is: RFC 1035 section 3.5, RFC 3596."""
    if len(address) == 4:
        parts = [str(byte).encode() for byte in reversed(address)]
        parts += [b"in-addr", b"arpa"]
        return name_of(parts)
    parts = []
    for byte in reversed(address):
        parts += [f"{byte & 15:x}".encode(), f"{byte >> 4:x}".encode()]
    parts += [b"ip6", b"arpa"]
    return name_of(parts)
