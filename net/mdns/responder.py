"""What others ask and say, and what that makes us say, and when.  RFC 6762 sections 6, 7, 8.2, 9.

    a question for                answered
    what only we have             at once
    what others may have, too     after 20 to 120 ms, together with what else is due then, unless
                                  somebody else says it first
    ... and more is to come (TC)  after 400 to 500 ms, without what the asker says he knows
    to be told alone (QU)         to the asker, unless nobody has heard it for long
    by a simple resolver          to the asker, as a name server would: from another port than 5353

A record is multicast once in a second at most, a quarter of that where it defends a name.

Law: pure but for self.mdns, its sockets and clock.
"""

from micropython import const

from net.config import MDNS_PENDING
from net.deadlines import due, nearest
from net.dns import wire
from net.dns.wire import Writer
from net.mdns.records import PROBING, UNICAST, plain

LONGEST = const(1440)  # of a message; RFC 6762 section 17
PORT = const(5353)
LEGACY_TTL = const(10)
AGAIN_MS = const(1_000)
DEFENCE_MS = const(250)

COUNTS = (
    "sent",
    "probes",
    "announcements",
    "queries",
    "answers",
    "ties",
    "conflicts",
    "suppressed",
)
DROPS = (
    "malformed",
    "opcode",
    "source_port",
    "unicast",
    "limited",
    "crowded",
    "too_long",
    "no_buffer",
)
INDEX = {name: index for index, name in enumerate(COUNTS + DROPS)}


class Pending:
    """Answers that wait for their time; `source`: of whom more known answers may come."""

    def __init__(self, source, deadline, records, defends):
        self.source = source
        self.deadline = deadline
        self.records = records
        self.defends = defends


class Responder:
    def __init__(self, mdns):
        self.mdns = mdns
        self.pending = []

    # Questions.

    def asked(self, reader, source, port):
        mdns = self.mdns
        mdns.count("queries")
        questions, known, proposals = [], [], []
        for section, name, kind, rclass, ttl, at, end in reader:
            if section == wire.QUESTION:
                questions.append((name.lower(), kind, rclass, name))
            elif section == wire.ANSWER:
                known.append((name.lower(), kind, ttl, plain(reader.data, kind, at, end)))
            elif section == wire.AUTHORITY:
                its = (name.lower(), rclass & ~UNICAST, kind, plain(reader.data, kind, at, end))
                proposals.append(its)
        if proposals:
            self.compare(proposals)
        answers, alone = [], []
        for name, kind, rclass, _ in questions:
            if rclass & ~UNICAST not in (wire.IN, wire.ANY):
                continue
            for record in self.find(name, kind):
                where = alone if rclass & UNICAST else answers
                if record not in where:
                    where.append(record)
        if port != PORT:
            self.answer_legacy(reader, questions, answers + alone, source, port)
            return
        answers = self.unknown(answers, known)
        alone = self.unknown(alone, known)
        if not questions:
            # RFC 6762 section 7.2: what the asker has not been able to say at once.
            self.suppress(source, known)
        now = mdns.timers.now()
        defends = bool(proposals)
        for record in alone[:]:
            if record.age(now) > record.ttl * 250 and not defends:
                # RFC 6762 section 5.4: nobody has heard it for a quarter of its life.
                alone.remove(record)
                if record not in answers:
                    answers.append(record)
        if alone:
            mdns.count("answers")
            for message in mdns.messages(alone, None, self.extras(alone)):
                mdns.send_to(message, source, PORT)
        if answers:
            self.plan(source, answers, reader.flags & wire.TC, defends)

    def find(self, name, kind):
        """Our records of a name and a type; what only we could have is denied if we have not."""
        found = []
        for owner in self.mdns.owners:
            if not owner.kept:
                continue
            for record in owner.records + owner.shared:
                if kind in (record.kind, wire.ANY) and record.key == name:
                    found.append(record)
            if not found and owner.records and owner.records[0].key == name:
                # RFC 6762 section 6.1.
                found.append(owner.denial)
        return found

    def unknown(self, records, known):
        """RFC 6762 section 7.1: those that the asker does not know, or not for long any more."""
        left = []
        for record in records:
            for name, kind, ttl, data in known:
                if (
                    kind == record.kind
                    and 2 * ttl >= record.ttl
                    and name == record.key
                    and data == record.plain
                ):
                    self.mdns.count("suppressed")
                    break
            else:
                left.append(record)
        return left

    def extras(self, records):
        """RFC 6763 section 12: what will be asked for next."""
        extras = []

        def add(some):
            for record in some:
                if record not in records and record not in extras:
                    extras.append(record)

        host = self.mdns.owner
        for record in records:
            owner = record.owner
            if owner is host:
                if record.kind in (wire.A, wire.AAAA):
                    add(owner.records)
            else:
                if record.kind == wire.PTR and record.target.lower() == owner.name.lower():
                    add(owner.records)
                if record.kind in (wire.PTR, wire.SRV) and host.kept:
                    add(host.records)
        return extras

    def plan(self, source, records, more, defends):
        """Answer all, in a while."""
        random = self.mdns.random
        if len(self.pending) >= MDNS_PENDING:
            self.mdns.count("crowded")
            return
        if more:
            wait = 400 + random.bits(7) % 100
        elif [record for record in records if not record.unique]:
            wait = 20 + random.bits(7) % 100
        else:
            wait = 0
        deadline = self.mdns.later(wait)
        self.pending.append(Pending(source, deadline, records, defends))

    def suppress(self, source, known):
        for pending in self.pending:
            if pending.source == source:
                pending.records = self.unknown(pending.records, known)

    def answer_legacy(self, reader, questions, records, source, port):
        """RFC 6762 section 6.7: as a name server, with the question, and for ten seconds."""
        if not records:
            return
        mdns = self.mdns
        mdns.count("answers")
        writer = Writer(LONGEST)
        for _, kind, rclass, name in questions:
            writer.question(name, kind, rclass)
        for record in records:
            mdns.put(writer, wire.ANSWER, record, min(record.ttl, LEGACY_TTL), 0, True)
        for record in self.extras(records):
            mdns.put(writer, wire.ADDITIONAL, record, min(record.ttl, LEGACY_TTL), 0, True)
        mdns.send_to(writer.finish(reader.id, wire.QR | wire.AA), source, port)

    # Time.

    def wait(self, now):
        """Milliseconds until something is due, or -1."""
        return nearest(self.pending, now)

    def turn(self, now):
        over = due(self.pending, now)
        if not over:
            return
        self.pending = [one for one in self.pending if one not in over]
        records = []
        for pending in over:
            for record in pending.records:
                least = DEFENCE_MS if pending.defends else AGAIN_MS
                if record in records or not record.owner.kept:
                    continue
                if record.age(now) < least:
                    # RFC 6762 section 6: they have heard it just now.
                    self.mdns.count("limited")
                    continue
                records.append(record)
        if records:
            self.mdns.count("answers")
            self.mdns.multicast(records, None, self.extras(records))

    # Others.

    def hear(self, reader):
        """Somebody says what he has: perhaps what we were going to, perhaps our name."""
        contested = []
        for section, name, kind, rclass, ttl, at, end in reader:
            if section == wire.QUESTION or rclass & ~UNICAST != wire.IN:
                continue
            key = name.lower()
            data = plain(reader.data, kind, at, end)
            self.said(key, kind, ttl, data)
            for owner in self.mdns.owners:
                its = ttl and owner.records and owner.records[0].key == key
                if its and self.contradicts(owner, kind, data) and owner not in contested:
                    contested.append(owner)
        for owner in contested:
            self.mdns.conflict(owner)

    def contradicts(self, owner, kind, data):
        """RFC 6762 sections 8.1, 9: other data for a name of ours."""
        mine = [record.plain for record in owner.records if record.kind == kind]
        if owner.state == PROBING:
            # Of any type: the name is in use.
            return data not in mine
        return bool(mine) and data not in mine

    def said(self, key, kind, ttl, data):
        """RFC 6762 section 7.4: what another has said need not be said again."""
        for pending in self.pending:
            for record in pending.records[:]:
                if (
                    not record.unique
                    and record.kind == kind
                    and ttl >= record.ttl
                    and record.key == key
                    and record.plain == data
                ):
                    self.mdns.count("suppressed")
                    pending.records.remove(record)

    def compare(self, proposals):
        """RFC 6762 section 8.2: two probe for one name; the greater data wins."""
        for owner in self.mdns.owners:
            if owner.state != PROBING or not owner.sent:
                continue
            key = owner.name.lower()
            theirs = sorted([one[1:] for one in proposals if one[0] == key])
            ours = owner.proposal()
            if theirs and theirs > ours:
                self.mdns.lost(owner)
