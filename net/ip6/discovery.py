"""Neighbour discovery: who has this address, and do we have it.  RFC 4861 section 7.

Neighbour solicitation (135) and advertisement (136), behind four bytes of ICMPv6:

     0               2               4               6               8
     +---------------+---------------+---------------+---------------+
     |r s o|      (not used)         |     target (16 bytes)         |
     +-------------------------------+-------------------------------+
    20  options: kind, size in units of 8 bytes, body

RFC 4862 section 5.4 (is it used already: asked from the unspecified address); RFC 4429 (optimistic
addresses answer without override and never say their link-layer address in a question); RFC 7527
(a nonce tells our own question, reflected by the link, from another's).

Above: neighbours (what was heard), addresses (which are ours).  Below: icmp6.message.
Left out: proxies, anycast.
"""

from micropython import const

from runtime.counters import Counters

TARGET = const(4)
SIZE = const(20)

ROUTER_SOLICITATION = const(133)
ROUTER_ADVERTISEMENT = const(134)
SOLICITATION = const(135)
ADVERTISEMENT = const(136)
REDIRECT = const(137)

SOURCE_MAC = const(1)
TARGET_MAC = const(2)
NONCE = const(14)

ROUTER_FLAG = const(0x80)
SOLICITED_FLAG = const(0x40)
OVERRIDE_FLAG = const(0x20)

NOWHERE = bytes(16)
ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"
SOLICITED_NODE = b"\xff\x02" + bytes(9) + b"\x01\xff"

COUNTS = ("solicitations", "advertisements", "answered", "probes")
DROPS = ("malformed", "not_ours")
_SOLICITATIONS = const(0)
_ADVERTISEMENTS = const(1)
_ANSWERED = const(2)
_PROBES = const(3)
_MALFORMED = const(4)
_NOT_OURS = const(5)

DATAGRAM = const(96)
IP_LIMIT = const(7)
HOPS = const(255)


def solicited_node(address):
    """The group in which an address is asked for (RFC 4291 section 2.7.1)."""
    return SOLICITED_NODE + address[13:]


def valid(packet, start, size):
    """RFC 4861 6.1, 7.1, 8.1: it comes from this link and is long enough."""
    buffer = packet.buffer
    if buffer[DATAGRAM + IP_LIMIT] != HOPS or buffer[start + 1] != 0:
        return False
    return packet.end - start >= size


def options(packet, at):
    """[(kind, bytes of it with its head)] or None: they do not fit (RFC 4861 section 4.6)."""
    found = []
    buffer = packet.buffer
    end = packet.end
    while at < end:
        if at + 8 > end:
            return None
        size = buffer[at + 1] << 3
        if size == 0 or at + size > end:
            return None
        found.append((buffer[at], bytes(buffer[at : at + size])))
        at += size
    return found


def first(found, kind):
    for known, body in found:
        if known == kind:
            return body
    return None


def mac_of(found, kind):
    """The link-layer address in an option, or None; a group is nobody's."""
    body = first(found, kind)
    if body is None or body[2] & 1 or body[2:8] == bytes(6):
        return None
    return body[2:8]


class Discovery:
    def __init__(self, mac, registry):
        self.mac = bytes(mac)
        self.count = registry.add(Counters("discovery", COUNTS, DROPS)).count
        # Slots: out; sideways: our addresses, and the cache.
        self.message = None
        self.addresses = None
        self.heard = None
        self.advertised = None

    # Questions.

    def solicit(self, target, mac, source):
        """Ask for a neighbour: everybody, or with `mac` only itself.  False: not possible yet.

        `source`: of the packet that waits, which is the one to ask from (RFC 4861 7.2.2).
        """
        source = self.addresses.to_ask_from(target, source)
        if source is None:
            return False
        destination = target if mac else solicited_node(target)
        body = target + bytes([SOURCE_MAC, 1]) + self.mac
        return self.message(SOLICITATION, 0, source, destination, bytes(4), body, HOPS)

    def probe(self, address, nonce):
        """Ask whether somebody else has an address that is to be ours (RFC 4862 5.4.2)."""
        self.count(_PROBES)
        body = address + bytes([NONCE, 1]) + nonce
        group = solicited_node(address)
        return self.message(SOLICITATION, 0, NOWHERE, group, bytes(4), body, HOPS)

    def receive_solicitation(self, packet, start):
        buffer = packet.buffer
        found = options(packet, start + 24) if valid(packet, start, 24) else None
        target = bytes(buffer[start + 8 : start + 24])
        source = packet.source
        group = packet.destination[:13] == SOLICITED_NODE
        mac = None if found is None else mac_of(found, SOURCE_MAC)
        if (
            found is None
            or target[0] == 0xFF
            or (source == NOWHERE and (not group or first(found, SOURCE_MAC)))
        ):
            self.count(_MALFORMED)
            return
        self.count(_SOLICITATIONS)
        own = self.addresses.find(target)
        if own is None:
            self.count(_NOT_OURS)
            return
        if source == NOWHERE:
            nonce = first(found, NONCE)
            if own.tentative:
                # Two want the same address; but perhaps it is our own voice (RFC 7527 4.2).
                if nonce is None or nonce[2:] != own.nonce:
                    self.addresses.duplicate(own)
                return
            self.advertise(own, ALL_NODES, 0)
            return
        if mac:
            self.heard(source, mac)
        self.advertise(own, source, SOLICITED_FLAG)

    def advertise(self, own, destination, flags):
        self.count(_ANSWERED)
        if not own.tentative:
            flags |= OVERRIDE_FLAG  # RFC 4429 3.3: an optimistic address overrides nobody's
        body = own.address + bytes([TARGET_MAC, 1]) + self.mac
        rest = bytes([flags, 0, 0, 0])
        return self.message(ADVERTISEMENT, 0, own.address, destination, rest, body, HOPS)

    # Answers.

    def receive_advertisement(self, packet, start):
        buffer = packet.buffer
        found = options(packet, start + 24) if valid(packet, start, 24) else None
        target = bytes(buffer[start + 8 : start + 24])
        flags = buffer[start + TARGET]
        if (
            found is None
            or target[0] == 0xFF
            or (packet.destination[0] == 0xFF and flags & SOLICITED_FLAG)
        ):
            self.count(_MALFORMED)
            return
        self.count(_ADVERTISEMENTS)
        own = self.addresses.find(target)
        if own:
            mac = mac_of(found, TARGET_MAC)
            if mac != self.mac:
                self.addresses.duplicate(own, mac)
            return
        self.advertised(
            target,
            mac_of(found, TARGET_MAC),
            flags & SOLICITED_FLAG,
            flags & OVERRIDE_FLAG,
            1 if flags & ROUTER_FLAG else 0,
        )
