"""Interface identifiers that are stable on a network and say nothing anywhere else.  RFC 7217.

    identifier(key, prefix, mac, counter) -> 8 bytes

RFC 7217 section 5 wants a pseudorandom function of prefix, interface, a count of collisions and a
secret: SipHash-2-4 (siphash.py).  The network's name of section 5 (Network_ID) is left out.
"""

from net.siphash import schedule, siphash


def reserved(found):
    """Identifiers that mean something else: RFC 5453, all zeros, and anycast (RFC 2526)."""
    return (
        found == bytes(8)
        or found[:5] == b"\x02\x00\x5e\xff\xfe"
        or (found[:7] == b"\xfd" + b"\xff" * 6 and found[7] >= 0x80)
    )


def identifier(key, prefix, mac, counter):
    """The last 8 bytes of our address in `prefix`; `counter`: how many of them were taken."""
    start = schedule(key)
    state = bytearray(32)
    while True:
        message = bytes(prefix[:8]) + bytes(mac) + bytes([counter & 0xFF, 0])
        siphash(start, state, message, len(message) - 1)
        found = bytes(state[:8])
        if not reserved(found):
            return found
        counter += 0x10
