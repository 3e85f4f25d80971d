"""Interface identifiers that are stable on a network and say nothing anywhere else.  RFC 7217.

    identifier(key, prefix, mac, counter) -> 8 bytes

RFC 7217 section 5 wants a pseudorandom function of prefix, interface, a count of collisions and a
secret; this is SipHash-2-4 (Aumasson and Bernstein 2012) in ordinary integers: it is called a few
times in the life of a machine.  The network's name of section 5 (Network_ID) is left out.
"""

MASK = 0xFFFFFFFFFFFFFFFF


def _rotate(x, bits):
    return (x << bits | x >> (64 - bits)) & MASK


def _rounds(v, count):
    a, b, c, d = v
    for _ in range(count):
        a = (a + b) & MASK
        b = _rotate(b, 13) ^ a
        a = _rotate(a, 32)
        c = (c + d) & MASK
        d = _rotate(d, 16) ^ c
        a = (a + d) & MASK
        d = _rotate(d, 21) ^ a
        c = (c + b) & MASK
        b = _rotate(b, 17) ^ c
        c = _rotate(c, 32)
    return a, b, c, d


def siphash(key, data):
    """64 bits from 16 bytes of key and any bytes."""
    k0 = int.from_bytes(key[:8], "little")
    k1 = int.from_bytes(key[8:16], "little")
    v = (
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    )
    rest = len(data) & 7
    data = bytes(data) + bytes(7 - rest) + bytes([len(data) & 0xFF])
    for at in range(0, len(data), 8):
        word = int.from_bytes(data[at : at + 8], "little")
        a, b, c, d = _rounds((v[0], v[1], v[2], v[3] ^ word), 2)
        v = (a ^ word, b, c, d)
    a, b, c, d = _rounds((v[0], v[1], v[2] ^ 0xFF, v[3]), 4)
    return a ^ b ^ c ^ d


def reserved(found):
    """Identifiers that mean something else: RFC 5453, all zeros, and anycast (RFC 2526)."""
    return (
        found == bytes(8)
        or found[:5] == b"\x02\x00\x5e\xff\xfe"
        or (found[:7] == b"\xfd" + b"\xff" * 6 and found[7] >= 0x80)
    )


def identifier(key, prefix, mac, counter):
    """The last 8 bytes of our address in `prefix`; `counter`: how many of them were taken."""
    while True:
        data = bytes(prefix[:8]) + bytes(mac) + bytes([counter & 0xFF])
        found = siphash(key, data).to_bytes(8, "little")
        if not reserved(found):
            return found
        counter += 0x10
