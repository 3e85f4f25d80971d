"""What a response says about a question: the address, the next name to ask for, or bad news.

RFC 1034 section 5.3.3; RFC 2181 (whose data counts), RFC 2308 (bad news and how long it lasts),
RFC 5452 section 9.1 (what a response has to match), RFC 6604 (the code is that of the last name).

Only records on the way from the name asked for are used: the name, and the targets of its aliases.
All else is `foreign`, and only counted.

Law: pure; raises Malformed.  Above: net/dns/question.py, mutated without end in tests/clients.
"""

from micropython import const

from net.dns import wire
from net.dns.name import Malformed, read_name
from net.dns.wire import Reader

ADDRESSES = const(16)  # of one answer that are kept
RECORDS = const(512)  # more are no answer to an address question
CHAIN = const(16)
NEGATIVE_S = const(10_800)  # RFC 2308 section 5: more than hours makes no sense

# Outcomes; those above FOUND end a question.
MISMATCH = const(0)  # not the answer to this question
TRUNCATED = const(1)
FAILURE = const(2)  # the server cannot or will not
NO_EDNS = const(3)  # it does not understand the OPT record
ALIAS = const(4)  # ask on for `target`
FOUND = const(5)
NODATA = const(6)
NXDOMAIN = const(7)


class Answer:
    """outcome; addresses; seconds that it holds; target, for ALIAS; foreign: records not used."""

    def __init__(self, outcome, addresses=(), seconds=0, target=None, foreign=0):
        self.outcome = outcome
        self.addresses = addresses
        self.seconds = seconds
        self.target = target
        self.foreign = foreign


def interpret(data, identification, name, kind, edns=False):
    """The Answer in `data` to a question for `kind` (A or AAAA) of `name`, a lower-case name."""
    reader = Reader(data)
    flags = reader.flags
    if reader.id != identification or not flags & wire.QR or flags & wire.OPCODE:
        return Answer(MISMATCH)
    if reader.counts[0] != 1:
        # RFC 6891 section 7: a server that does not know EDNS may answer with a header alone.
        if edns and reader.counts[0] == 0 and reader.code == wire.FORMERR:
            return Answer(NO_EDNS)
        return Answer(MISMATCH)
    asked, at = read_name(data, wire.HEADER)
    if asked.lower() != name or data[at : at + 4] != bytes([0, kind, 0, wire.IN]):
        return Answer(MISMATCH)
    if edns and reader.code in (wire.FORMERR, wire.NOTIMP):
        return Answer(NO_EDNS)
    if reader.code not in (wire.NOERROR, wire.NXDOMAIN):
        return Answer(FAILURE)
    if flags & wire.TC:
        # RFC 2181 section 9: what is in it does not matter.
        return Answer(TRUNCATED)
    return read(reader, name, kind)


def read(reader, name, kind):
    size = 4 if kind == wire.A else 16
    aliases, found, denials = {}, {}, []
    records = 0
    for section, owner, record_kind, rclass, ttl, at, end in reader:
        if section == wire.QUESTION or rclass != wire.IN:
            continue
        records += 1
        if records > RECORDS:
            raise Malformed
        owner = owner.lower()
        if section == wire.ANSWER and record_kind == wire.CNAME:
            target, after = read_name(reader.data, at)
            if after != end:
                raise Malformed
            # RFC 1034 3.6.2: a name has one alias; of several the first.
            if owner not in aliases:
                aliases[owner] = (target.lower(), ttl)
        elif section == wire.ANSWER and record_kind == kind:
            if end - at != size:
                raise Malformed
            addresses = found.setdefault(owner, [])
            if len(addresses) < ADDRESSES:
                addresses.append((reader.data[at:end], ttl))
        elif section == wire.AUTHORITY and record_kind == wire.SOA:
            denials.append((owner, denial_seconds(reader.data, at, end, ttl)))

    # From alias to alias as far as this message goes.
    seconds = NEGATIVE_S * 8
    passed = []
    while name in aliases and name not in found:
        passed.append(name)
        target, ttl = aliases[name]
        seconds = min(seconds, ttl)
        if target in passed or len(passed) > CHAIN:
            raise Malformed
        name = target
    used = len(passed)
    if name in found:
        addresses = []
        for address, ttl in found[name]:
            used += 1
            seconds = min(seconds, ttl)
            if address not in addresses:
                addresses.append(address)
        answer = Answer(FOUND, addresses, seconds)
    else:
        outcome = NXDOMAIN if reader.code == wire.NXDOMAIN else NODATA
        holds = 0
        for owner, ttl in denials:
            # Only the zone that the name is in can deny it (and how long, says its SOA).
            if owner == name or owner in parents(name):
                holds = min(ttl, NEGATIVE_S)
        if outcome == NODATA and passed and not denials:
            # The server leaves the rest of the chain to us.
            answer = Answer(ALIAS, (), seconds, name)
        else:
            answer = Answer(outcome, (), min(seconds, holds))
    answer.foreign = len(aliases) + sum([len(one) for one in found.values()]) - used
    return answer


def parents(name):
    """The names above a name, up to the root."""
    above = []
    at = 0
    while name[at]:
        at += 1 + name[at]
        above.append(name[at:])
    return above


def denial_seconds(data, at, end, ttl):
    """RFC 2308 section 5: the smaller of the TTL of the SOA and its minimum."""
    _, at = read_name(data, at)
    _, at = read_name(data, at)
    if at + 20 != end:
        raise Malformed
    minimum = int.from_bytes(data[at + 16 : end], "big")
    return min(ttl, minimum)
