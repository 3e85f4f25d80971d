"""Read a zone file (RFC 1035 section 5) and refuse one that a server could not serve.

    zone = parse_zone(path)
    zone.origin      the owner of the SOA, in lower case
    zone.names       {name in lower case: {type: Rrset}}

dnspython reads the syntax: escapes, $ORIGIN, $TTL, $GENERATE, every type, RFC 3597.  The checks
that need the whole zone are here; each error is one line with file, line and reason.
Names keep their case in rdata.  Owner names are matched without it, and a server sends them as
the question spelled them.
Left out: $INCLUDE (the build would not know what to watch), classes other than IN, DNSSEC.
"""

import linecache
from dataclasses import dataclass, field

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zonefile
from dns.rdatatype import CNAME, DNAME, NS, SOA

from tools.errors import UserError, at

TTL_MAX = (1 << 31) - 1  # RFC 2181 section 8
RECORDS_MAX = 0xFFFF
# Stands for the origin as long as the file has not named one.  No zone can contain it: NUL.
NOWHERE = dns.name.Name((b"\0no origin", b""))


@dataclass
class Rrset:
    owner: dns.name.Name  # as the file spells it
    ttl: int
    line: int
    rdatas: dict = field(default_factory=dict)  # in the order of the file, without duplicates


@dataclass
class Zone:
    origin: dns.name.Name  # in lower case
    names: dict


class _Records:
    """What dnspython's reader takes for a transaction: it is handed one record after the other."""

    def __init__(self, path):
        self.path = path
        self.manager = self
        self.reader = None
        self.names = {}

    def origin_information(self):
        # Everything is in the root's domain; whether it is in the zone is checked with the SOA.
        return dns.name.root, False, None

    def check_put_rdataset(self, check):
        pass

    def _set_origin(self, origin):
        pass

    def add_unicode(self, codec):
        pass

    def add(self, name, ttl, rdata):
        kind = rdata.rdtype
        text = dns.rdatatype.to_text(kind)
        if self.reader.current_origin is NOWHERE and (
            name.is_subdomain(NOWHERE) or NOWHERE.labels[0] in rdata.to_wire()
        ):
            raise self.wrong("a relative name, and no $ORIGIN before it")
        if ttl > TTL_MAX:
            raise self.wrong(f"TTL {ttl} is above {TTL_MAX} (RFC 2181 section 8)")
        if dns.rdatatype.is_metatype(kind):
            raise self.wrong(f"{text} is not a type of zone data")
        if kind == DNAME:
            raise self.wrong("DNAME is not supported")
        rrsets = self.names.setdefault(name.canonicalize(), {})
        rrset = rrsets.get(kind)
        if rrset is None:
            rrset = rrsets[kind] = Rrset(name, ttl, self.reader.line)
        # RFC 2181 section 5.2: one TTL for all records of an RRset.
        rrset.ttl = min(rrset.ttl, ttl)
        rrset.rdatas.setdefault(rdata)
        if len(rrset.rdatas) > 1 and kind in (SOA, CNAME):
            raise self.wrong(f"a second {text} for {name}")
        if len(rrset.rdatas) > RECORDS_MAX:
            raise self.wrong(f"more than {RECORDS_MAX} records of type {text} for {name}")

    def wrong(self, reason):
        return at(self.path, self.reader.line, reason)


class _Tokenizer(dns.tokenizer.Tokenizer):
    """Knows which line it is in when it has looked at the end of that line."""

    def where(self):
        name, line = super().where()
        return name, line - (self.ungotten_char == "\n")


class _Reader(dns.zonefile.Reader):
    """Knows the first line of the record it reads, for errors that are found at its end."""

    def __init__(self, tokenizer, records):
        super().__init__(tokenizer, dns.rdataclass.IN, records)
        self.line = 1
        self.current_origin = NOWHERE
        self.last_name = None
        records.reader = self

    def _rr_line(self):
        self.line = self.tok.where()[1]
        try:
            super()._rr_line()
        except dns.exception.DNSException as error:
            path = self.tok.where()[0]
            raise at(path, self.line, _reason(error, path, self.line)) from None

    def _generate_line(self):
        self.line = self.tok.where()[1]
        super()._generate_line()


def _reason(error, path, line):
    """One line; dnspython's most general sentence as one that says what to look at."""
    text = " ".join(str(error).split())
    if not text or text == dns.exception.SyntaxError.__doc__:
        record = " ".join(linecache.getline(str(path), line).split())
        return f"the data of the record is malformed: {record}"
    return text


def parse_zone(path):
    """The zone in the file; UserError says what is wrong with it."""
    records = _Records(path)
    try:
        with open(path, encoding="utf-8") as file:
            reader = _Reader(_Tokenizer(file, str(path)), records)
            reader.read()
    except dns.exception.DNSException as error:
        line = reader.tok.where()[1]
        reason = _reason(error, path, line).removeprefix(f"{path}:{line}: ")
        raise at(path, line, reason) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    return _check(path, records.names)


def _check(path, names):
    """The rules that hold between records."""

    def wrong(line, reason):
        return at(path, line, reason)

    apexes = [name for name, rrsets in names.items() if SOA in rrsets]
    if not apexes:
        raise UserError(f"{path}: no SOA: a zone begins with one (RFC 1035 section 5.2)")
    origin = apexes[0]
    if len(apexes) > 1:
        other = apexes[1]
        raise wrong(names[other][SOA].line, f"a second SOA, for {other}; the zone is {origin}")
    for name, rrsets in names.items():
        first = min(rrset.line for rrset in rrsets.values())
        if not name.is_subdomain(origin):
            raise wrong(first, f"{name} is out of zone data: the zone is {origin}")
        if CNAME in rrsets and len(rrsets) > 1:
            other = next(kind for kind in rrsets if kind != CNAME)
            line = max(rrsets[CNAME].line, rrsets[other].line)
            text = dns.rdatatype.to_text(other)
            raise wrong(line, f"CNAME and other data ({text}) for {name} (RFC 1034 section 3.6.2)")
        if NS in rrsets and name != origin and b"*" in name.labels[:1]:
            raise wrong(rrsets[NS].line, f"NS for a wildcard, {name} (RFC 4592 section 4.2)")
        if len(rrsets) > 255:
            raise wrong(first, f"more than 255 types for {name}")
    if NS not in names[origin]:
        raise UserError(f"{path}: {origin} has no NS record (RFC 1035 section 5.2)")
    return Zone(origin, names)
