"""Which of our addresses to speak from, and which of theirs to speak to.  RFC 6724.

    source(addresses, destination) -> Address or None      section 5
    sort(destinations, source_for) -> list                 section 6

`addresses` are Address objects (addresses.py), those of the interface that the packet leaves by, so
rule 5 needs no word; rule 4 (home addresses) and rule 7 (temporary addresses) have no meaning here.
IPv4 addresses (4 bytes) are sorted as what they are mapped to.
"""

# Section 2.1, the default policy: prefix, length, precedence, label.
POLICY = (
    (bytes(15) + b"\x01", 128, 50, 0),
    (bytes(10) + b"\xff\xff" + bytes(4), 96, 35, 4),
    (bytes(16), 96, 1, 3),
    (b"\x20\x02" + bytes(14), 16, 30, 2),
    (b"\x20\x01" + bytes(14), 32, 5, 5),
    (b"\x3f\xfe" + bytes(14), 16, 1, 12),
    (b"\xfe\xc0" + bytes(14), 10, 1, 11),
    (b"\xfc" + bytes(15), 7, 3, 13),
)
PRECEDENCE, LABEL = 40, 1  # of ::/0

LINK_SCOPE, SITE_SCOPE, GLOBAL_SCOPE = 2, 5, 14


def mapped(address):
    return address if len(address) == 16 else bytes(10) + b"\xff\xff" + address


def common(one, other):
    """How many leading bits agree."""
    for i in range(len(one)):
        differ = one[i] ^ other[i]
        if differ:
            bits = 8 * i
            while not differ & 0x80:
                bits += 1
                differ <<= 1
            return bits
    return 8 * len(one)


def policy(address):
    """(precedence, label) of an address."""
    for prefix, length, precedence, label in POLICY:
        if common(address, prefix) >= length:
            return precedence, label
    return PRECEDENCE, LABEL


def scope(address):
    """Section 3.1: as of multicast addresses; of unicast ones link, site or global."""
    if address[0] == 0xFF:
        return address[1] & 15
    if (address[0] == 0xFE and address[1] & 0xC0 == 0x80) or address == POLICY[0][0]:
        return LINK_SCOPE
    if address[0] == 0xFE and address[1] & 0xC0 == 0xC0:
        return SITE_SCOPE
    if address[:12] == POLICY[1][0][:12]:
        # Section 3.2: IPv4's own link-local and loopback.
        return LINK_SCOPE if address[12] == 127 or address[12:14] == b"\xa9\xfe" else GLOBAL_SCOPE
    return GLOBAL_SCOPE


def source(addresses, destination):
    """The best of `addresses` to speak from, or None."""
    best = None
    for one in addresses:
        if best is None or better(one, best, destination):
            best = one
    return best


def better(one, other, destination):
    """Section 5: is `one` to be preferred?"""
    a, b = one.address, other.address
    # Rule 1: the same address.
    if a == destination or b == destination:
        return a == destination
    # Rule 2: the smaller scope that is large enough.
    scope_a, scope_b = scope(a), scope(b)
    wanted = scope(destination)
    if scope_a < scope_b:
        return scope_a >= wanted
    if scope_b < scope_a:
        return scope_b < wanted
    # Rule 3: not a deprecated one.
    if one.deprecated != other.deprecated:
        return other.deprecated
    # Rule 6: the label of the destination.
    label = policy(destination)[1]
    same_a, same_b = policy(a)[1] == label, policy(b)[1] == label
    if same_a != same_b:
        return same_a
    # Rule 8: the longest common prefix, no longer than the source's own.
    return min(common(a, destination), one.length) > min(common(b, destination), other.length)


def sort(destinations, source_for):
    """The best first (section 6).  `source_for(destination)`: our address, or None: unreachable."""
    ranked = []
    for place, destination in enumerate(destinations):
        ranked.append((rank(destination, source_for(destination)), place, destination))
    ranked.sort()
    return [entry[2] for entry in ranked]


def rank(destination, own):
    """A tuple that is the smaller the better; rules 3, 4 and 7 have no meaning here."""
    if own is None:
        return (1,)  # rule 1: unusable
    there, here = mapped(destination), mapped(own)
    precedence, label = policy(there)
    return (
        0,
        scope(there) != scope(here),  # rule 2: matching scope
        policy(here)[1] != label,  # rule 5: matching label
        -precedence,  # rule 6
        scope(there),  # rule 8: smaller scope
        # Rule 9: longest common prefix, of IPv6 only, and no longer than a network's part.
        -min(common(there, here), 64) if len(destination) == 16 else 0,
    )
