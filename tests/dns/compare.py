"""Queries by the thousand, and two name servers that have to agree on the answers.

    queries(zone, count, seed)              wires, the last sixth of them hostile
    Remote(address, port)                   a server: .ask(wires) -> answers, None for silence;
                                            local.py has others, without a network
    differences(wires, one, other)          a list of texts; empty: they agree

Against a machine, from the command line (the reference is NSD, started for it):
    python -m tests.dns.compare ADDRESS PORT [bench|rich] [COUNT] [SEED]

What has to be equal: answered or not, rcode with its extension, the flags, the answer section as a
set of records with their TTL.  Where the servers may differ, `agree` says why.
"""

import random
import select
import socket
import sys
import tempfile
import time

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

TYPES = (
    *("A", "AAAA", "NS", "SOA", "CNAME", "MX", "TXT", "PTR", "SRV", "CAA", "HINFO", "NAPTR", "DS"),
    *("TYPE65280", "TYPE731", "HTTPS", "RRSIG", "ANY", "AXFR", "TSIG"),
)
FLAGS = dns.flags.QR | dns.flags.AA | dns.flags.TC | dns.flags.RD | dns.flags.RA
FLAGS |= dns.flags.AD | dns.flags.CD
WORDS = ("x", "www", "*", "a", "ns1", "nowhere", "host42", "a" * 63, "_tcp", "\\000", "\\255")


class Questions:
    """Queries about names near those given: the names themselves, above, below, beside, in any
    case."""

    def __init__(self, names, origin, seed):
        self.dice = random.Random(seed)
        self.names = sorted(names)
        self.origin = dns.name.from_text(origin)

    def name(self):
        dice = self.dice
        name = dice.choice(self.names)
        for _ in range(dice.choice((0, 0, 0, 1, 1, 2))):
            labels = name.labels
            change = dice.randrange(5)
            if change == 0 and len(labels) > 1:
                labels = labels[1:]
            elif change == 1 and len(labels) > 1:
                labels = (dice.choice(self.names).labels[0], *labels[1:])
            elif change == 2:
                labels = (*dice.choice(self.names).labels[:2], *self.origin.labels)
            else:
                labels = dns.name.from_text(dice.choice(WORDS), None).labels + labels
            try:
                name = dns.name.Name(labels if labels[-1] == b"" else (*labels, b""))
            except (dns.exception.DNSException, ValueError):
                continue
        if dice.random() < 0.3:
            name = dns.name.Name([bytes(map(self.flip, label)) for label in name.labels])
        return name

    def flip(self, byte):
        return (
            byte ^ 0x20
            if chr(byte).isascii() and chr(byte).isalpha() and self.dice.random() < 0.5
            else byte
        )

    def message(self):
        """A query as resolvers send them."""
        dice = self.dice
        query = dns.message.QueryMessage(dice.randrange(1 << 16))
        query.flags = dice.choice((0, dns.flags.RD, dns.flags.CD, dns.flags.AD | dns.flags.RD))
        kind = "A" if dice.random() < 0.3 else dice.choice(TYPES)
        query.find_rrset(
            query.question,
            self.name(),
            dns.rdataclass.IN,
            dns.rdatatype.from_text(kind),
            create=True,
            force_unique=True,
        )
        if dice.random() < 0.6:
            options = [dns.edns.GenericOption(10, bytes(8))] if dice.random() < 0.3 else []
            query.use_edns(
                0,
                dns.flags.DO if dice.random() < 0.3 else 0,
                dice.choice((0, 512, 600, 1232, 1232, 1400, 4096, 65535)),
                options=options,
            )
        return query

    def random(self):
        return self.message().to_wire()

    def hostile(self):
        """A query with something wrong."""
        dice = self.dice
        wire = bytearray(self.random())
        kind = dice.randrange(14)
        if kind == 0:
            del wire[dice.randrange(len(wire)) :]
        elif kind == 1:
            for _ in range(dice.randrange(1, 4)):
                wire[dice.randrange(12, len(wire))] = dice.randrange(256)
        elif kind == 2:
            wire[dice.choice((4, 5, 6, 7, 8, 9, 10, 11))] = dice.choice((0, 1, 2, 255))
        elif kind == 3:
            wire[2] ^= dice.choice((0x08, 0x10, 0x18, 0x20, 0x40, 0x78))
        elif kind == 4:
            wire[2] |= 0x80
        elif kind == 5:
            wire[12] = dice.choice((0x40, 0x80, 0xC0, 0xFF, 63, 62))
        elif kind == 6:
            wire[12:] = b"\xc0\x0c" + wire[-4:]
            wire[10:12] = b"\0\0"
        elif kind == 7:
            wire = wire[:12] + bytes(dice.randrange(256) for _ in range(dice.randrange(60)))
        elif kind == 8:
            # A name that is too long, or has too many labels.
            label = bytes((dice.choice((1, 3, 63)),))
            label += b"x" * label[0]
            wire = wire[:10] + b"\0\0" + label * (300 // len(label)) + b"\0\0\1\0\1"
        elif kind == 9:
            # Flags and a code that a query does not have.
            wire[2] |= dice.choice((0x04, 0x02, 0x06))
            wire[3] = dice.randrange(256)
        elif kind == 10:
            message = self.message()
            message.use_edns(dice.choice((1, 2, 255)), 0, 1232)
            wire = bytearray(message.to_wire())
        elif kind == 11:
            wire = self.with_additional(dice.choice(OPTS))
        elif kind == 12:
            message = self.message()
            message.question[0].rdclass = dice.choice((2, 5, 254, 0))
            wire = bytearray(message.to_wire())
        else:
            wire += bytes(dice.randrange(256) for _ in range(dice.randrange(1, 30)))
        return bytes(wire)

    def with_additional(self, records):
        message = self.message()
        message.use_edns(False)
        wire = bytearray(message.to_wire())
        wire[11] = len(records)
        return wire + b"".join(records)


OPT = bytes.fromhex("00 0029 04d0 00000000 0000")
OPTS = (
    [OPT, OPT],  # two
    [b"\1x" + OPT],  # not owned by the root
    [OPT[:-2] + b"\0\4\0\3\0\0"],  # an option without data
    [OPT[:-2] + b"\0\5\0\3\0\2x"],  # an option longer than the record
    [OPT[:-2] + b"\0\3\0\3\0"],  # half an option
    [OPT[:-2] + b"\0\4"],  # a record longer than the message
    [OPT[:-4]],  # half a record
    [],
)


class Remote:
    """A server on the network.  It answers in order, so a query behind one that is not answered
    shows the silence without waiting for it."""

    PROBE = b"\0\0\1\0\1"

    def __init__(self, address, port, udp=None, timeout=2.0):
        """`udp`: a socket that can reach the address, if a plain one cannot."""
        self.socket = udp or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((address, port))
        self.timeout = timeout

    def ask(self, wires):
        # Its first datagrams may find the way to a machine that is still booting.
        for _ in range(10):
            self.socket.send(b"\0\0\0\0\0\1" + bytes(6) + self.PROBE)
            if select.select([self.socket], [], [], 0.5)[0]:
                break
        return [self.one(wire) for wire in wires]

    def one(self, wire):
        probe = random.randbytes(2)
        while probe == wire[:2]:
            probe = random.randbytes(2)
        probe = probe + b"\0\0\0\1\0\0\0\0\0\0" + self.PROBE
        answer = None
        for _ in range(3):
            self.socket.send(wire)
            self.socket.send(probe)
            while select.select([self.socket], [], [], self.timeout)[0]:
                reply = self.socket.recv(65535)
                if reply[:2] == probe[:2]:
                    return answer
                if reply[:2] == wire[:2]:
                    answer = reply
        raise AssertionError(f"no answer to {probe.hex()}, sent after {wire.hex()}")


def view(wire):
    """What is compared of an answer."""
    if wire is None:
        return None
    try:
        message = dns.message.from_wire(wire, ignore_trailing=False)
    except dns.exception.DNSException as error:
        return f"broken answer ({error}) {wire.hex()}"
    answer = set()
    for rrset in message.answer:
        for rdata in rrset:
            answer.add((rrset.name.canonicalize(), rrset.ttl, rdata.to_digestable()))
    return message.rcode(), message.flags & FLAGS, message.opcode(), answer


def agree(wire, ours, theirs):
    """Whether two answers are equal, or differ where they may."""
    one, other = view(ours), view(theirs)
    if one == other:
        return True
    # NOTIFY is for secondary servers.  NSD is one, and has its reasons to refuse.
    if wire[2] >> 3 & 0xF == dns.opcode.NOTIFY:
        return one is not None and one[0] == dns.rcode.NOTIMP
    if not isinstance(one, tuple) or not isinstance(other, tuple):
        return False
    # A truncated answer is thrown away (RFC 2181 section 9): what is in it does not matter.
    if one[:3] == other[:3]:
        return bool(one[1] & dns.flags.TC)
    # RFC 8482 section 4.1: ANY may be answered with some of what there is.
    if question_type(wire) == dns.rdatatype.ANY and one[:3] == other[:3]:
        return bool(one[3]) == bool(other[3]) and one[3] <= other[3]
    # RFC 9471 section 3.1: glue that does not fit truncates.  Servers older than it leave it out.
    only_tc = (one[0], one[1] & ~dns.flags.TC) == (other[0], other[1])
    return only_tc and lacks_glue(dns.message.from_wire(theirs))


def question_type(wire):
    try:
        return dns.message.from_wire(wire, question_only=True).question[0].rdtype
    except (dns.exception.DNSException, IndexError):
        return None


def lacks_glue(message):
    """Whether it is a referral without an address for a name server inside the delegated zone."""
    addresses = {rrset.name for rrset in message.additional}
    return any(
        rdata.target.is_subdomain(rrset.name) and rdata.target not in addresses
        for rrset in message.authority
        if rrset.rdtype == dns.rdatatype.NS
        for rdata in rrset
    )


def differences(wires, one, other):
    """What the two do not agree about, as text."""
    ours, theirs = one.ask(wires), other.ask(wires)
    # NSD answers only so many malformed queries in a second, so what it did not answer is asked
    # again, as long as that brings something to light.
    silent = [i for i, wire in enumerate(wires) if theirs[i] is None and ours[i] is not None]
    while silent:
        time.sleep(1.1)
        left = []
        for i in silent:
            if left[2:] or not (answer := other.ask([wires[i]])[0]):
                left.append(i)
            else:
                theirs[i] = answer
        if left == silent:
            break
        silent = left
    return [
        f"{describe(wire)}\n  ours   {tell(view(ours))}\n  theirs {tell(view(theirs))}"
        for wire, ours, theirs in zip(wires, ours, theirs, strict=True)
        if not agree(wire, ours, theirs)
    ]


def describe(wire):
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
        question = " ".join(rrset.to_text() for rrset in message.question)
        text = f"{question} opcode {message.opcode()} edns {message.edns} {message.payload}"
    except Exception as error:
        text = f"malformed: {error}"
    return f"{text}  [{wire.hex()}]"


def tell(seen):
    if not isinstance(seen, tuple):
        return seen or "silence"
    code, flags, _, answer = seen
    records = sorted(f"{name} {ttl} {data.hex()}" for name, ttl, data in answer)
    return f"{dns.rcode.to_text(code)} {dns.flags.to_text(flags)} {records}"


def queries(zone, count, seed):
    """`count` random queries and a fifth as many hostile ones."""
    questions = Questions(zone.names, zone.origin, seed)
    wires = [questions.random() for _ in range(count)]
    return wires + [questions.hostile() for _ in range(count // 5)]


def main(arguments):
    from tests.dns import nsd, zones

    address, port, *rest = arguments
    name, count, seed = (*rest, *("bench", "1000", "1")[len(rest) :])
    with tempfile.TemporaryDirectory() as folder:
        zone = zones.make(name, folder)
        wires = queries(zone, int(count), int(seed))
        with nsd.serve(folder, {zone.origin: zone.path}) as place:
            found = differences(wires, Remote(address, int(port)), Remote(*place))
    print("\n".join(found))
    print(f"{len(wires)} queries, {len(found)} differences")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
