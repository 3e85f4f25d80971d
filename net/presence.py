"""Presence: what a link has to know of us, for machines that move and devices that filter.

In images with drivers/virtio/net/control.py; net/stack.py looks for it by name.

A machine that was moved (migrated while it ran, or saved to a file and restored) is behind another
port of another switch now.  Its device asks for an announcement, some of them several times:

    a gratuitous ARP request for our address                RFC 5227 section 3
    an unsolicited neighbour advertisement for each         RFC 4861 section 7.2.6
    reports of the groups that we hear, for switches that snoop     RFC 3376, RFC 3810

After some time away, paused or in a file, leases and lifetimes are nearer to their end than our
timers know, and neighbours may be others.

A nic that has `set_groups` is told which multicasts there are to hear whenever a group is joined or
left; what nobody here wants does not wake the machine.

Above: net/stack.py.  Below: arp, discovery, igmp and mld of each family on the interface.
Left out: a nic that a service uses without a stack hears everything, unless there was a stack on it
before (runtime/instance/metadata.py): then such a service says nic.set_groups(None).
"""

ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"
ALL_SYSTEMS = b"\xe0\x00\x00\x01"
FORGOTTEN = 60  # seconds, after which neighbours are asked for anew


def watch(interface):
    """From now on, of every family that is attached to this interface of a stack."""
    interface.parts = Presence(interface)


class Presence:
    """Stands in for the list of an interface's parts, so that it sees who comes."""

    def __init__(self, interface):
        self.parts = []
        self.soon = interface.stack.machine.loop.soon
        self.asked = False
        self.tell = getattr(interface.nic, "set_groups", None)
        interface.nic.on_announce = self.announce
        interface.nic.on_return = self.returned

    def __getitem__(self, at):
        return self.parts[at]

    def append(self, part):
        self.parts.append(part)
        if not self.tell:
            return
        self.changed()
        if hasattr(part, "mld"):
            part.mld.add_local = self.before(part.mld.add_local)
            part.mld.remove_local = self.before(part.mld.remove_local)
        elif hasattr(part, "listen"):
            part.listen = self.before(part.listen)

    def before(self, call):
        """A slot that calls what stood there, and lets the nic know."""

        def changed(*arguments):
            self.changed()
            return call(*arguments)

        return changed

    def changed(self):
        if not self.asked:
            self.asked = True
            self.soon(self.tell_groups)

    def tell_groups(self):
        self.asked = False
        self.tell(self.groups())

    def groups(self):
        """The MACs of all groups, each once."""
        found = set()
        for part in self.parts:
            if hasattr(part, "ip6"):
                # RFC 2464 section 7.
                groups = [local[0] for local in part.ip6.locals if local[0][0] == 0xFF]
                found.update([b"\x33\x33" + group[12:] for group in groups + [ALL_NODES]])  # noqa: RUF005 (MicroPython)
            elif hasattr(part, "users"):
                # RFC 1112 section 6.4: the low 23 bits.
                groups = list(part.users) + [ALL_SYSTEMS]  # noqa: RUF005 (MicroPython)
                macs = [bytes([1, 0, 0x5E, group[1] & 0x7F]) + group[2:] for group in groups]
                found.update(macs)
        return sorted(found)

    def announce(self):
        """We have been moved: say where we are."""
        for part in self.parts:
            if hasattr(part, "arp"):
                if part.address:
                    part.arp.announce()
            elif hasattr(part, "mld"):
                for own in part.addresses.all:
                    if not own.tentative:
                        part.discovery.advertise(own, ALL_NODES, 0)
                part.mld.restart()
            else:
                part.link(True)

    def returned(self, seconds):
        """Our clock stood still for so long, the world did not."""
        for part in self.parts:
            if hasattr(part, "arp"):
                if seconds >= FORGOTTEN:
                    part.arp.clear()
                if hasattr(part.configuration, "away"):
                    part.configuration.away(seconds)
            elif hasattr(part, "mld"):
                if seconds >= FORGOTTEN:
                    part.neighbours.clear()
                part.seconds.away(seconds)
                part.routers.expire()
                part.routers.start()
