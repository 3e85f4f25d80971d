"""One IPv6 stack under test, and a hand that plays everybody else on its wire."""

from net.inet6 import Inet6
from net.udp import Udp
from tests.support.frames import ethernet
from tests.support.frames6 import (
    Frame6,
    address,
    icmp6,
    ip6,
    mac_option,
    router,
    solicitation,
    to_group,
)
from tests.support.station import Hand
from tests.support.wire import Host, World

US, PEER = "2001:db8::2", "2001:db8::1"
LINK_PEER = "fe80::99"
ROUTER = "fe80::1"


class Hand6(Hand):
    def hear(self, data):
        self.heard.append(Frame6(data))


class Station6:
    """`us` with an Inet6, and the `hand`, whose address we know, unless `known=False`.

    `mtu` is the nic's; `more` has settings with other names than arguments.
    `quiet=False`: we begin at once, when our addresses are still tentative.  `address6=None`: none
    but the link-local one and what routers say.
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
        settings.setdefault("address6", US + "/64")
        if settings["address6"] is None:
            del settings["address6"]
        settings.setdefault("secret6", "000102030405060708090a0b0c0d0e0f")
        self.host = Host(self.world, "us", mtu=mtu, packets=packets, **settings)
        self.host.settings.update(more)
        self.hand = Hand6(self.world, mtu=mtu)
        self.mac = self.host.nic.mac
        self.host.inet = self.inet = Inet6(self.host, udp=udp, configure=configure)
        self.first = self.inet.first6
        self.world.run(3_000 if quiet else None)
        if known:
            self.introduce()
        self.hand.take()

    @property
    def link_local(self):
        return self.first.addresses.link_local.address

    def introduce(self, mac=None, sender=PEER, target=None):
        """Ask for us, so that we know who asks."""
        mac = mac or self.hand.mac
        target = target or self.inet.addresses6[-1]
        self.hand.send(to_group(mac, solicitation(sender, target, mac_option(1, mac))))
        self.hand.take()

    def send(self, datagram, destination_mac=None):
        """Put an IPv6 datagram on the wire."""
        if datagram[24:25] == b"\xff" and not destination_mac:
            self.hand.send(to_group(self.hand.mac, datagram))
        else:
            self.hand.send(ethernet(destination_mac or self.mac, self.hand.mac, 0x86DD, datagram))

    def send_ip(self, protocol, payload, destination_mac=None, **field):
        source = field.pop("source", PEER)
        destination = field.pop("destination", US)
        self.send(ip6(source, destination, protocol, payload, **field), destination_mac)

    def send_icmp(self, kind, code, body, destination_mac=None, **field):
        source = field.get("source", PEER)
        destination = field.get("destination", US)
        total = {"checksum": field.pop("checksum")} if "checksum" in field else {}
        message = icmp6(source, destination, kind, code, body, **total)
        self.send_ip(58, message, destination_mac, **field)

    def advertise(self, *options, **field):
        """Be a router."""
        source = field.pop("source", ROUTER)
        self.send(router(source, mac_option(1, self.hand.mac), *options, **field))

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


__all__ = ["LINK_PEER", "PEER", "ROUTER", "US", "Station6", "address", "bind_recorder"]
