"""One stack under test, and a hand that plays everybody else on its wire."""

from net.inet import Inet
from net.udp import Udp
from tests.support.frames import Frame, address, arp, ethernet, ip
from tests.support.wire import Host, Nic, World

BROADCAST = b"\xff" * 6
NO_MAC = b"\0" * 6
US, PEER = "10.0.0.2", "10.0.0.1"


class Hand:
    """Sends frames byte by byte and keeps what it hears."""

    def __init__(self, world, mac=b"\x02\0\0\0\0\x99", mtu=1500):
        self.nic = Nic(world, "hand", mac, mtu)
        self.nic.hear = self.hear
        self.mac = mac
        self.world = world
        self.heard = []

    def hear(self, data):
        self.heard.append(Frame(data))

    def send(self, data):
        self.world.send(self.nic, data)
        self.world.run()

    def take(self, what=None):
        """What was heard since the last time, perhaps only frames of a kind."""
        heard, self.heard = self.heard, []
        return [frame for frame in heard if what in (None, frame.what)]


class Station:
    """`us` with an Inet, and the `hand`, whose address we know, unless `known=False`.

    `quiet=False`: we begin at once, when we still announce ourselves.  `mtu` is the nic's; `more`
    has settings with other names than arguments.
    """

    def __init__(
        self,
        known=True,
        quiet=True,
        mtu=1500,
        packets=16,
        configure=None,
        udp=Udp,
        more=(),
        **settings,
    ):
        self.world = World()
        if not configure:
            settings.setdefault("address", US + "/24")
        self.host = Host(self.world, "us", mtu=mtu, packets=packets, **settings)
        self.host.settings.update(more)
        self.hand = Hand(self.world, mtu=mtu)
        self.mac = self.host.nic.mac
        self.host.inet = self.inet = Inet(self.host, udp=udp, configure=configure)
        self.world.run(5_000 if quiet else None)
        if known:
            self.introduce()
        self.hand.take()

    def introduce(self, mac=None, sender=PEER):
        """Ask for us, so that we know who asks."""
        mac = mac or self.hand.mac
        self.hand.send(ethernet(BROADCAST, mac, 0x0806, arp(1, mac, sender, NO_MAC, US)))
        self.hand.take()

    def send(self, datagram, destination_mac=None):
        """Put an IPv4 datagram on the wire."""
        self.hand.send(ethernet(destination_mac or self.mac, self.hand.mac, 0x0800, datagram))

    def send_ip(self, protocol, payload, destination_mac=None, **field):
        source = field.pop("source", PEER)
        destination = field.pop("destination", US)
        self.send(ip(source, destination, protocol, payload, **field), destination_mac)

    @property
    def drops(self):
        self.world.check()
        return self.inet.drops

    def count(self, name):
        return self.inet.counters[name]

    def pass_time(self, ms):
        self.world.run(ms)


def bind_recorder(inet, port):
    """A socket, and the list that its callback fills with (payload, source, port)."""
    heard = []
    socket = inet.udp.bind(port, lambda s, d: heard.append((d.data, d.source, d.source_port)))
    return socket, heard


__all__ = ["BROADCAST", "NO_MAC", "PEER", "US", "Hand", "Station", "address", "bind_recorder"]
