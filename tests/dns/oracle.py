"""What an authoritative server has to answer, worked out again from the RFCs, slowly and plainly.

RFC 1034 section 4.3.2 over a dictionary of names; wildcards as RFC 4592 section 3.3 defines them.
It shares no code with the compiler or the responder.
"""

from dns.name import Name
from dns.rdatatype import AAAA, ANY, CNAME, DS, NS, SOA, A

CHAIN_MAX = 16
ANSWER, NODATA, NXDOMAIN, REFERRAL, REFUSED = "answer", "nodata", "nxdomain", "referral", "refused"


class Oracle:
    """`zone`: {Name in lower case: {type: (ttl, [rdata])}}."""

    def __init__(self, origin, zone):
        self.origin = origin
        self.zone = zone
        self.exists = {origin}
        for name in zone:
            while name != origin:
                self.exists.add(name)
                name = name.parent()

    def cut(self, name):
        """The topmost zone cut at or above a name, or None."""
        labels = name.relativize(self.origin).labels
        for length in range(1, len(labels) + 1):
            above = Name(labels[-length:] + self.origin.labels)
            if NS in self.zone.get(above, {}):
                return above
        return None

    def source(self, name):
        """The owner of the records that answer for a name, or None: no such name."""
        if name in self.exists:
            return name
        encloser = name.parent()
        while encloser not in self.exists:
            encloser = encloser.parent()
        wildcard = Name((b"*", *encloser.labels))
        return wildcard if wildcard in self.exists else None

    def answer(self, name, kind):
        """(outcome, authoritative, {(owner, type, ttl, rdata)}, the cut or None)."""
        name = name.canonicalize()
        if not name.is_subdomain(self.origin):
            return REFUSED, False, set(), None
        records = set()
        seen = set()
        for step in range(CHAIN_MAX + 1):
            cut = self.cut(name)
            if cut and not (cut == name and kind == DS):
                return REFERRAL, step > 0, records, cut
            source = self.source(name)
            if source is None:
                return NXDOMAIN, True, records, None
            rrsets = self.zone.get(source, {})
            if CNAME in rrsets and kind not in (CNAME, ANY):
                if name in seen or step == CHAIN_MAX:
                    break
                seen.add(name)
                ttl, (rdata,) = rrsets[CNAME]
                records.add((name, CNAME, ttl, rdata))
                name = rdata.target.canonicalize()
                if not name.is_subdomain(self.origin):
                    break
                continue
            if kind == ANY and rrsets:
                kind = SOA if SOA in rrsets else min(rrsets)
            if kind not in rrsets:
                return NODATA, True, records, None
            ttl, rdatas = rrsets[kind]
            records |= {(name, kind, ttl, rdata) for rdata in rdatas}
            break
        return ANSWER, True, records, None

    def addresses(self, name):
        """The address records a name owns, glue or not."""
        return {kind for kind in self.zone.get(name.canonicalize(), {}) if kind in (A, AAAA)}
