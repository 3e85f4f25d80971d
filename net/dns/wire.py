"""DNS messages, read and written.  RFC 1035 section 4.1.

     0               2               4               6               8
     +---------------+---------------+---------------+---------------+
     |      id       |     flags     |   questions   |    answers    |
     +---------------+---------------+---------------+---------------+
     |   authority   |  additional   |   records ...
     +---------------+---------------+

    record: name, type (2), class (2), TTL (4), length of the rdata (2), rdata
    question: name, type (2), class (2)

    Reader(data).id .flags .code              `data` is bytes; Malformed if it cannot be a message
    for section, name, kind, rclass, ttl, at, end in reader: ...
                                              QUESTION, ANSWER, AUTHORITY, ADDITIONAL in order;
                                              the rdata is data[at:end]
    writer = Writer(limit)
    writer.question(name, kind, rclass)
    writer.record(section, name, kind, rclass, ttl, rdata, target) -> bool
                                              False: it does not fit, and is not there
    writer.finish(id, flags)                  the message

Law: what does not fit its frame is Malformed.
Above: net/resolver.py, net/mdns.  Below: name.py.  The name server has its own way from a compiled
table to the wire (services/dns/message.py), and shares the names.
"""

from micropython import const

from net.dns.name import Malformed, read_name

ID = const(0)
FLAGS = const(2)
QUESTIONS = const(4)
HEADER = const(12)

QUESTION = const(0)
ANSWER = const(1)
AUTHORITY = const(2)
ADDITIONAL = const(3)

# Flags.
QR = const(0x8000)
OPCODE = const(0x7800)
AA = const(0x0400)
TC = const(0x0200)
RD = const(0x0100)
RA = const(0x0080)
CODE = const(0x000F)

# Response codes.
NOERROR = const(0)
FORMERR = const(1)
SERVFAIL = const(2)
NXDOMAIN = const(3)
NOTIMP = const(4)
REFUSED = const(5)

# Types and classes.
A = const(1)
NS = const(2)
CNAME = const(5)
SOA = const(6)
PTR = const(12)
TXT = const(16)
AAAA = const(28)
SRV = const(33)
OPT = const(41)
NSEC = const(47)
IXFR = const(251)
AXFR = const(252)
ANY = const(255)
IN = const(1)


def be16(data, at):
    return data[at] << 8 | data[at + 1]


class Reader:
    """A message that somebody sent.  Iterating raises Malformed where it breaks its frame."""

    def __init__(self, data):
        if len(data) < HEADER:
            raise Malformed
        self.data = data
        self.id = be16(data, ID)
        self.flags = be16(data, FLAGS)
        self.code = self.flags & CODE
        self.counts = [be16(data, at) for at in range(QUESTIONS, HEADER, 2)]

    def __iter__(self):
        data = self.data
        at = HEADER
        for section in range(4):
            for _ in range(self.counts[section]):
                name, at = read_name(data, at)
                fixed = 4 if section == QUESTION else 10
                if at + fixed > len(data):
                    raise Malformed
                kind, rclass = be16(data, at), be16(data, at + 2)
                ttl = length = 0
                if section != QUESTION:
                    # RFC 2181 section 8: a TTL with the highest bit means zero.
                    if data[at + 4] < 0x80:
                        ttl = int.from_bytes(data[at + 4 : at + 8], "big")
                    length = be16(data, at + 8)
                at += fixed
                if at + length > len(data):
                    raise Malformed
                yield section, name, kind, rclass, ttl, at, at + length
                at += length


class Writer:
    """A message of at most `limit` bytes; names are compressed."""

    def __init__(self, limit):
        self.limit = limit
        self.data = bytearray(HEADER)
        self.counts = [0, 0, 0, 0]
        self.known = {}  # lower-case name -> offset

    def put_name(self, name):
        data = self.data
        key = name.lower()
        at = 0
        while name[at]:
            offset = self.known.get(key[at:])
            if offset is not None:
                data.append(0xC0 | offset >> 8)
                data.append(offset & 0xFF)
                return
            if len(data) < 0x4000:
                self.known[key[at:]] = len(data)
            data.extend(name[at : at + 1 + name[at]])
            at += 1 + name[at]
        data.append(0)

    def put(self, value, size):
        self.data.extend(value.to_bytes(size, "big"))

    def question(self, name, kind, rclass=IN):
        start = len(self.data)
        self.put_name(name)
        self.put(kind, 2)
        self.put(rclass, 2)
        return self.fits(QUESTION, start)

    def record(self, section, name, kind, rclass, ttl, rdata=b"", target=None):
        """`target`: a name that follows `rdata` and may be compressed."""
        start = len(self.data)
        self.put_name(name)
        self.put(kind, 2)
        self.put(rclass, 2)
        self.put(ttl, 4)
        self.put(0, 2)
        begin = len(self.data)
        self.data.extend(rdata)
        if target is not None:
            self.put_name(target)
        length = len(self.data) - begin
        self.data[begin - 2] = length >> 8
        self.data[begin - 1] = length & 0xFF
        return self.fits(section, start)

    def opt(self, size, options=b"", flags=0):
        """The OPT record of RFC 6891: what we can take."""
        return self.record(ADDITIONAL, b"\0", OPT, size, flags, options)

    def fits(self, section, start):
        if len(self.data) <= self.limit:
            self.counts[section] += 1
            return True
        self.data = self.data[:start]
        for name in [name for name, offset in self.known.items() if offset >= start]:
            del self.known[name]
        return False

    def finish(self, identification, flags):
        head = b""
        for value in [identification, flags] + list(self.counts):  # noqa: RUF005 (MicroPython)
            head += value.to_bytes(2, "big")
        self.data[:HEADER] = head
        return self.data
