"""DHCPv6 without addresses: name servers, search domains and time servers, asked for when a router
says that somebody knows them.

     0       1               4
     +-------+---------------+---------------------------------------+
     | type  |      xid      |   options: code (2), length (2), body |
     +-------+---------------+---------------------------------------+

RFC 8415 section 18.2.6 (information-request) and 15 (when to ask again); RFC 3646 (name servers,
search domains); RFC 5908 (time servers); RFC 4075 (the older option for them).

    Inet6(machine, udp=Udp, configure=Dhcp6)

Law: a reply is used whole or not at all; it has to have our identifier and the number we asked
with.  Above: stack.learn.  Below: a UDP socket, shared by the interfaces.
Left out: addresses and prefixes (routers give them), relays, reconfiguration, authentication.
"""

from micropython import const

from net.ip6.routers import names
from net.ip6.seconds import FOREVER, lifetime
from net.udp.socket import Aim
from runtime.counters import Counters

TYPE = const(0)
XID = const(1)
OPTIONS = const(4)

REPLY = const(7)
INFORMATION_REQUEST = const(11)

CLIENT = const(1)
SERVER = const(2)
WANTED = const(6)
ELAPSED = const(8)
STATUS = const(13)
NAME_SERVERS = const(23)
SEARCH = const(24)
SIMPLE_TIME_SERVERS = const(31)
REFRESH = const(32)
TIME_SERVERS = const(56)
TIME_SERVER_ADDRESS = const(1)  # a part of TIME_SERVERS

CLIENT_PORT = const(546)
SERVER_PORT = const(547)
SERVERS = b"\xff\x02" + bytes(11) + b"\x01\x00\x02"  # ff02::1:2

# RFC 8415 section 7.6.
LONGEST_DELAY_MS = const(1_000)
FIRST_RETRY_MS = const(1_000)
LONGEST_RETRY_MS = const(3_600_000)
REFRESH_SECONDS = const(86_400)
LEAST_REFRESH_SECONDS = const(600)
MOST = const(8)  # servers and domains of a reply that are kept

FLAGS = const(10)
SOURCE = const(16)
DESTINATION = const(32)
HEAD = const(64)
IP6 = const(0x20)

COUNTS = ("requests", "replies")
DROPS = ("malformed", "foreign", "unsent")
_REQUESTS = const(0)
_REPLIES = const(1)
_MALFORMED = const(2)
_FOREIGN = const(3)
_UNSENT = const(4)


def options(data):
    """[(code, body)] or None: they do not fit."""
    found = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            return None
        code = data[at] << 8 | data[at + 1]
        size = data[at + 2] << 8 | data[at + 3]
        if at + 4 + size > len(data):
            return None
        found.append((code, data[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def option(code, body):
    return bytes([code >> 8, code & 0xFF, len(body) >> 8, len(body) & 0xFF]) + body


def addresses(body):
    return [body[at : at + 16] for at in range(0, len(body) - 15, 16)][:MOST]


class Port:
    """The client port: one for all interfaces."""

    def __init__(self, udp):
        self.clients = []
        self.socket = udp.bind(CLIENT_PORT, self.receive)

    def receive(self, socket, datagram):
        data = datagram.data
        for client in self.clients:
            if client.xid and data[XID:OPTIONS] == client.xid:
                client.receive(data)
                return
        self.clients[0].count(_FOREIGN)


class Dhcp6:
    def __init__(self, interface):
        if not interface.udp:
            raise ValueError("Dhcp6 needs UDP: Inet6(machine, udp=Udp, configure=Dhcp6)")
        self.interface = interface
        stack = interface.stack
        self.learn = stack.learn
        self.random = stack.random
        self.timers = stack.timers
        self.count = interface.interface.registry.add(Counters("dhcp6", COUNTS, DROPS)).count
        self.timer = stack.timers.timer(self.ask)
        mac = bytes(interface.nic.mac)
        self.identity = b"\x00\x03\x00\x01" + mac  # RFC 8415 11.4: made of the mac
        self.xid = b""  # of the question that is open
        self.since = 0
        self.retry = 0
        self.busy = False
        internet = interface.internet
        if internet.dhcp_port is None:
            internet.dhcp_port = Port(interface.udp)
        self.port = internet.dhcp_port
        self.port.clients.append(self)
        # As if all servers had asked us from their port.
        self.servers = Aim(stack, CLIENT_PORT)
        self.aim = aim = self.servers.buffer
        aim[FLAGS] = IP6
        aim[SOURCE : SOURCE + 16] = SERVERS
        aim[HEAD] = SERVER_PORT >> 8
        aim[HEAD + 1] = SERVER_PORT & 0xFF

    def start(self):
        """A router says that there is somebody to ask."""
        if not self.busy:
            self.busy = True
            self.retry = FIRST_RETRY_MS
            self.xid = b""
            # RFC 8415 18.2.6: after a delay at random.
            self.timer.start(self.random.bits(16) * LONGEST_DELAY_MS >> 16)

    def restart(self):
        """Another link: others have to be asked."""
        self.busy = False
        self.xid = b""
        self.timer.stop()
        self.learn(self)

    def ask(self):
        now = self.timers.now()
        if not self.xid:
            self.xid = bytes([self.random.bits(8) for _ in range(3)])
            self.since = now
        elapsed = min(((now - self.since) & 0x3FFFFFFF) // 10, 0xFFFF)
        wanted = b""
        for code in (NAME_SERVERS, SEARCH, SIMPLE_TIME_SERVERS, REFRESH, TIME_SERVERS):
            wanted += bytes([0, code])
        message = (
            bytes([INFORMATION_REQUEST])
            + self.xid
            + option(CLIENT, self.identity)
            + option(ELAPSED, bytes([elapsed >> 8, elapsed & 0xFF]))
            + option(WANTED, wanted)
        )
        self.count(_REQUESTS if self.send(message) else _UNSENT)
        # RFC 8415 section 15: twice as long each time, a tenth more or less.
        tenth = self.retry // 10
        self.timer.start(self.retry - tenth + (self.random.bits(10) * 2 * tenth >> 10))
        self.retry = min(2 * self.retry, LONGEST_RETRY_MS)

    def send(self, message):
        """From the link-local address of this interface to all servers of its link."""
        own = self.interface.addresses.link_local
        packet = self.port.socket.packet() if own else None
        if not packet:
            return False
        packet.buffer[packet.payload : packet.payload + len(message)] = message
        packet.length = len(message)
        self.aim[DESTINATION : DESTINATION + 16] = own.address
        self.port.socket.answer(self.servers, packet)
        return True

    def receive(self, data):
        found = options(data[OPTIONS:]) if len(data) > OPTIONS and data[TYPE] == REPLY else None
        known = dict(found) if found else {}
        status = known.get(STATUS, b"\0\0")
        if SERVER not in known or known.get(CLIENT, self.identity) != self.identity:
            self.count(_MALFORMED)
            return
        if status[:2] != b"\0\0":
            return  # it refuses; another may answer
        self.count(_REPLIES)
        self.xid = b""
        search = names(known.get(SEARCH, b""))[:MOST]
        facts = {
            "dns": addresses(known.get(NAME_SERVERS, b"")),
            "domain": search[0] if search else "",
            "search": search,
            "ntp": self.time_servers(found) or addresses(known.get(SIMPLE_TIME_SERVERS, b"")),
        }
        self.learn(self, facts)
        refresh = known.get(REFRESH, b"")
        seconds = lifetime(refresh) if len(refresh) == 4 else REFRESH_SECONDS
        self.retry = FIRST_RETRY_MS
        if seconds == FOREVER:
            self.timer.stop()
        else:
            self.timer.start(max(seconds, LEAST_REFRESH_SECONDS) * 1000)

    def time_servers(self, found):
        """RFC 5908: options in options, one server in each."""
        servers = []
        for code, body in found:
            if code == TIME_SERVERS:
                for kind, address in options(body) or ():
                    if kind == TIME_SERVER_ADDRESS and len(address) == 16:
                        servers.append(address)
        return servers[:MOST]
