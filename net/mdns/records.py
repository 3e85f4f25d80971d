"""What a responder has: records, and owners, the names that nobody else may have.

RFC 6762 section 6 (rates), 8 (an owner's way: probe, announce, keep), 10 (TTLs);
RFC 6763 section 4 (the records of a service).

    an owner     PROBING     three probes, 250 ms apart; whoever has the name says so
                 ANNOUNCING  three announcements, 1 and 2 s apart
                 KEPT        questions are answered, others who use the name are contradicted

Law: no clock, no packets; responder.py has both.
"""

from micropython import const

from net.dns import wire
from net.dns.name import read_name

PROBING = const(0)
ANNOUNCING = const(1)
KEPT = const(2)

# RFC 6762 section 10: what depends on addresses is to be asked again soon.
HOST_TTL = const(120)
OTHER_TTL = const(4_500)

FLUSH = const(0x8000)  # in the class: these are all records of that name and type
UNICAST = const(0x8000)  # in the class of a question: answer to me alone
TURN = const(0x3FFFFFFF)


def name_of(labels):
    """A name of labels, which may contain dots."""
    name = b""
    for label in labels:
        if not 0 < len(label) <= 63:
            raise ValueError(f"{label!r} is not a label: it has 1 to 63 bytes")
        name += bytes([len(label)]) + label
    if len(name) > 254:
        raise ValueError("a name has at most 255 bytes")
    return name + b"\0"


class Record:
    """`target`: a name that ends the rdata, as in PTR and SRV; `unique`: nobody else has any."""

    def __init__(self, name, kind, ttl, rdata, target=None, unique=True):
        self.name = name
        self.kind = kind
        self.ttl = ttl
        self.rdata = rdata
        self.target = target
        self.unique = unique
        self.owner = None
        self.sent = None  # when it was multicast last

    @property
    def key(self):
        return self.name.lower()

    @property
    def plain(self):
        """The rdata without compression, names as they are compared."""
        return self.rdata + (self.target.lower() if self.target else b"")

    def age(self, now):
        """Milliseconds since it was multicast, or a long time."""
        return TURN if self.sent is None else (now - self.sent) & TURN


def plain(data, kind, at, end):
    """The rdata of somebody else's record in the same form."""
    before = {wire.PTR: 0, wire.CNAME: 0, wire.NS: 0, wire.SRV: 6}.get(kind)
    if before is None or end - at <= before:
        return bytes(data[at:end])
    name, _ = read_name(data, at + before)
    return bytes(data[at : at + before]) + name.lower()


def nsec(owner_name, kinds):
    """RFC 6762 section 6.1: the types that there are, for a name that has no others."""
    bits = bytearray(max(kinds) // 8 + 1)
    for kind in kinds:
        bits[kind >> 3] |= 0x80 >> (kind & 7)
    return owner_name + bytes([0, len(bits)]) + bytes(bits)


class Owner:
    """A name, its unique records, and the shared ones that come with it."""

    def __init__(self, label, suffix):
        self.first_label = label
        self.label = label
        self.suffix = suffix  # name below which it is
        self.attempt = 1
        self.records = []
        self.shared = []
        self.restart(0)

    def restart(self, deadline):
        """Probe (again)."""
        self.state = PROBING
        self.sent = 0
        self.deadline = deadline

    @property
    def name(self):
        return name_of([self.label])[:-1] + self.suffix

    def rename(self):
        """RFC 6762 section 9, RFC 6763 appendix D: the next name to try."""
        self.attempt += 1
        self.label = self.next_label()

    def next_label(self):
        return cut(self.first_label, 59) + b"-" + str(self.attempt).encode()

    @property
    def kept(self):
        """Whether its records may be used in answers."""
        return self.state != PROBING

    def own(self, records, shared):
        """Its records, anew."""
        self.records = records
        self.shared = shared
        for record in records + shared:
            record.owner = self
        kinds = [record.kind for record in records]
        kinds.append(wire.NSEC)
        self.denial = Record(self.name, wire.NSEC, HOST_TTL, nsec(self.name, kinds))
        self.denial.owner = self

    def proposal(self):
        """What is compared when two probe for the same name: RFC 6762 section 8.2."""
        return sorted([(wire.IN, record.kind, record.plain) for record in self.records])


class Host(Owner):
    """Our name, and our addresses."""


class Service(Owner):
    """An instance of a service: RFC 6763."""

    def __init__(self, name, kind, port, text):
        label = cut(name.encode(), 63)
        self.kind = kind
        self.port = port
        self.text = text_data(text)
        Owner.__init__(self, label, kind)

    def next_label(self):
        tail = f" ({self.attempt})".encode()
        return cut(self.first_label, 63 - len(tail)) + tail


def cut(label, size):
    """At most so many bytes, and no part of a character."""
    if len(label) <= size:
        return label
    while size and label[size] & 0xC0 == 0x80:
        size -= 1
    return label[:size]


def text_data(pairs):
    """The rdata of a TXT record, RFC 6763 section 6, of a dict, or of pairs in their order.

    Values are text, bytes, or None: a key alone.
    """
    data = b""
    for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
        entry = key.encode()
        if value is not None:
            entry += b"=" + (value if isinstance(value, bytes) else str(value).encode())
        if not key or "=" in key or len(entry) > 255:
            raise ValueError(f"TXT: {key!r} is not a key, or its value is too long")
        data += bytes([len(entry)]) + entry
    # Section 6.1: an empty record is one empty string.
    return data or b"\0"
