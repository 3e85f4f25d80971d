"""Every number of the network that costs memory or decides what a peer may use of it."""

from micropython import const

# ARP: 32 bytes each.  More neighbours than this on one link, and the least recently used is asked
# again.  A power of two.
NEIGHBOURS = const(64)

# Packets that wait for neighbours to answer, all in all.  They are missing from the transmit pool,
# so that a flood from addresses where nobody is must not hold many.
WAITING = const(8)

# Paths: 32 bytes each.  A destination in this table costs no route and no neighbour look-up, which
# saves half of what sending takes.  A power of two.
PATHS = const(64)

# Routes: 12 bytes each, the link's own and the default included.
ROUTES = const(16)

# Path MTU (RFC 1191): 12 bytes each.
PATH_MTUS = const(8)

# Reassembly: so many datagrams at a time, each of so many bytes above IP at most, for so long.  The
# memory (size and an eighth) is taken when the first fragments come, and kept.
REASSEMBLIES = const(4)
REASSEMBLY_SIZE = const(16384)
REASSEMBLY_MS = const(30_000)

# UDP: 6 bytes for each port; three quarters of them may be bound.  A power of two.
UDP_PORTS = const(64)

# ICMP errors: so many a second, in bursts of at most so many (RFC 1812 4.3.2.8).
ICMP_ERRORS_PER_SECOND = const(100)
ICMP_ERRORS_BURST = const(20)

# The resolver: so many answers, in so many bytes at most; so many callers that wait at a time, and
# questions under way, each with a UDP port.
RESOLVER_CACHE_ENTRIES = const(64)
RESOLVER_CACHE_BYTES = const(16_384)
RESOLVER_LOOKUPS = const(64)
RESOLVER_QUESTIONS = const(16)
