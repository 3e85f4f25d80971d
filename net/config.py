"""Every number of the network that costs memory or decides what a peer may use of it."""

from micropython import const

# ARP: 32 bytes each.  More neighbours than this on one link, and the least recently used is asked
# again.  A power of two.
NEIGHBOURS = const(64)

# Packets that wait for neighbours to answer, all in all: a datagram of 12 KB in fragments.  They
# are missing from the transmit pool: a flood from addresses where nobody is must not hold many.
WAITING = const(8)

# Paths: 32 bytes each.  A destination in this table costs no route and no neighbour look-up, which
# saves half of what sending takes.  A power of two.
PATHS = const(64)

# Routes: 12 bytes each, the link's own and the default included.
ROUTES = const(16)

# Interfaces of a stack; each has neighbours, paths and routes of its own.
INTERFACES = const(4)

# Multicast groups that an interface can be in: 4 bytes each in net/ip4/header.py, which has room
# for 16.
GROUPS = const(16)

# Packets that are on their way to ourselves (net/loopback.py): 2 KB each, made when needed.
LOOPED = const(64)

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

# IPv6.  Addresses of ours and groups we are in: 20 bytes each.
LOCALS6 = const(32)

# Paths: 48 bytes each.  A power of two.
PATHS6 = const(64)

# Neighbours: 40 bytes each.  A power of two.  Packets that wait for their answers, all in all.
NEIGHBOURS6 = const(64)
WAITING6 = const(8)

# Prefixes of the link, routes and default routers, all in all; how many of them one router may
# announce; how many routers are listened to (RFC 6583: a flood of them must find an end).
ROUTES6 = const(24)
ROUTES_OF_ROUTER = const(8)
ROUTERS6 = const(4)

# Addresses that routers make us form.
ADDRESSES6 = const(8)

# Better first hops that routers have told us of (redirects).
REDIRECTS6 = const(16)

# Name servers and search domains that routers announce (RFC 8106 section 5.3.1 asks for three).
NAME_SERVERS6 = const(4)

# Extension headers of one datagram, and options in one of them (RFC 8504 section 5.3).
EXTENSION_HEADERS = const(8)
EXTENSION_OPTIONS = const(16)

# TCP's retransmission timeout (RFC 6298): the floor under the variance, and the longest.
TCP_RTO_MIN_MS = const(200)
TCP_RTO_MAX_MS = const(60_000)

# NTP: servers that are asked at a time, about 1 KB each.  Four outvote one that is wrong.
NTP_SERVERS = const(4)

# HTTP.  A head (request line and fields) of so many bytes, a target of so many, so many fields.
HTTP_HEAD = const(8192)
HTTP_TARGET = const(4096)
HTTP_FIELDS = const(64)

# The body that is collected for a handler; what all connections together may have collected, and
# kept of requests that are not their turn.
HTTP_BODY = const(65_536)
HTTP_KEPT = const(1_048_576)

# Patience: a connection without a request; a head from its first byte on; a body; a client that
# does not read; one that was refused and goes on sending.
HTTP_IDLE_MS = const(60_000)
HTTP_HEAD_MS = const(10_000)
HTTP_BODY_MS = const(30_000)
HTTP_WRITE_MS = const(60_000)
HTTP_LINGER_MS = const(5_000)

# Connections at a time.
HTTP_CONNECTIONS = const(10_000)

# Heads that were answered lately, byte for byte: so many (a power of two), up to so many bytes.
HTTP_KNOWN = const(16)
HTTP_KNOWN_SIZE = const(508)

# Datagrams that the module `socket` keeps for whoever has not received them yet, for each socket.
SOCKET_BYTES = const(32768)

# Syslog: so many messages wait, of so many bytes in all.
SYSLOG_MESSAGES = const(64)
SYSLOG_BYTES = const(8_192)

# TCP.  Connections at a time, a power of two: 15 bytes each for the table, about 700 for each that
# there is.
TCP_CONNECTIONS = const(16384)

# Memory that is given up when a connection could not be made for want of it; then there are never
# more connections than at that moment.
TCP_RESERVE = const(32768)

# Connections that a SYN has begun and nobody has finished, 88 bytes each; more of them, and SYN
# cookies take over.  Connections that wait for their last segments to die: 80 bytes each; the
# oldest gives way.
TCP_HALF_OPEN = const(256)
TCP_TIME_WAITS = const(2048)

# Segments of nobody that are answered (SYNs of their own; and what is refused, or may bring back a
# cookie): so many in each turn of the loop, which receives four times as many; so many are saved up
# for a rush.
TCP_STRANGERS_PER_TURN = const(16)
TCP_STRANGERS_SAVED = const(1024)

# Data to be sent that had to be copied, and data that came out of order: 2 KB each, made when
# needed.
TCP_CHUNKS = const(256)
TCP_HELD_SEGMENTS = const(384)
# Of one connection: what its window (TCP_WINDOW) can bring, so that one loss is one loss.
TCP_HELD_SEGMENTS_EACH = const(192)

# The window that a connection offers; no memory is taken for it.  Shifts of the window field.
TCP_WINDOW = const(262144)
TCP_WINDOW_SHIFT = const(3)

# RFC 9293 3.8.6.3, 3.8.3 (R2), 3.4.2 (MSL), RFC 5961 10 (challenges a second).
TCP_DELAYED_ACK_MS = const(40)
TCP_USER_TIMEOUT_MS = const(120_000)
TCP_SYN_TIMEOUT_MS = const(180_000)
TCP_TIME_WAIT_MS = const(60_000)
TCP_FIN_WAIT_2_MS = const(60_000)
TCP_CHALLENGES_PER_SECOND = const(100)

# The name server over TCP: connections at a time, about 1 KB each when they are idle.
DNS_STREAMS = const(64)
DNS_STREAM_INPUT = const(262_144)  # bytes of queries that wait for clients to read answers

# Multicast DNS: services that are published, 1.5 KB each; answers that wait for their time.
MDNS_SERVICES = const(8)
MDNS_PENDING = const(16)
