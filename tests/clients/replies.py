"""Answers to DNS questions, right and wrong, for the tests of the resolver."""

from net.dns import wire
from net.dns.name import decode, encode
from net.dns.wire import Reader, Writer

OK = wire.QR | wire.RD | wire.RA
SOA = encode("ns.example") + encode("root.example") + bytes(16)


def question(query):
    """Id, name and type of a query."""
    reader = Reader(query)
    for _section, name, kind, _class, _ttl, _at, _end in reader:
        return reader.id, name, kind
    raise AssertionError("a query without a question")


def asked(query):
    """The name of a query as text, without the last dot."""
    return decode(question(query)[1])[:-1]


def reply(query, *records, flags=OK, code=0, authority=(), number=None, limit=4000, ask=None):
    """records: (name, type, ttl, rdata) with an address as bytes, or an alias as text."""
    identification, name, kind = question(query)
    writer = Writer(limit)
    writer.question(ask[0] if ask else name, ask[1] if ask else kind)
    for section, some in ((wire.ANSWER, records), (wire.AUTHORITY, authority)):
        for owner, record_kind, ttl, rdata in some:
            target = None
            if isinstance(rdata, str):
                rdata, target = b"", encode(rdata)
            writer.record(section, encode(owner), record_kind, 1, ttl, rdata, target)
    return writer.finish(identification if number is None else number, flags | code)


def denial(query, code=wire.NXDOMAIN, ttl=60, minimum=60, zone="example"):
    rdata = SOA + minimum.to_bytes(4, "big")
    return reply(query, code=code, authority=[(zone, wire.SOA, ttl, rdata)])


def address(query, *addresses, ttl=60, flags=OK):
    """Addresses for whatever name is asked for."""
    name = decode(question(query)[1])[:-1]
    kind = question(query)[2]
    return reply(query, *[(name, kind, ttl, one) for one in addresses], flags=flags)
