"""The responder against the oracle, over zones made up by hypothesis and over the rich one."""

import random

import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
from dns.rdatatype import AAAA, ANY, CNAME, DS, MX, NS, SOA, SRV, TXT, A
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dns.compare import Questions, queries
from tests.dns.local import Slow, Whole
from tests.dns.oracle import NODATA, NXDOMAIN, REFERRAL, REFUSED, Oracle
from tools.zone.compile import compile_zone, compile_zones
from tools.zone.parse import parse_zone


def load(zone):
    """The oracle of a parsed zone, and the TTL of negative answers."""
    names = {
        name: {kind: (rrset.ttl, list(rrset.rdatas)) for kind, rrset in rrsets.items()}
        for name, rrsets in zone.names.items()
    }
    ttl, (soa,) = names[zone.origin][SOA]
    return Oracle(zone.origin, names), min(ttl, soa.minimum)


def records(section):
    return {
        (rrset.name.canonicalize(), rrset.rdtype, rrset.ttl, rdata)
        for rrset in section
        for rdata in rrset
    }


def check(server, oracle, negative_ttl, name, kind):
    """One question: every section of the answer."""
    query = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    (wire,) = server.ask([query.to_wire()])
    message = dns.message.from_wire(wire)
    assert query.is_response(message)
    assert message.question[0].name.labels == query.question[0].name.labels
    outcome, authoritative, answer, cut = oracle.answer(name, kind)
    code = {NXDOMAIN: dns.rcode.NXDOMAIN, REFUSED: dns.rcode.REFUSED}.get(
        outcome, dns.rcode.NOERROR
    )
    assert message.rcode() == code
    assert bool(message.flags & dns.flags.AA) == authoritative
    if message.flags & dns.flags.TC:
        assert records(message.answer) <= answer
        return
    assert records(message.answer) == answer
    authority = records(message.authority)
    if outcome == REFERRAL:
        ttl, rdatas = oracle.zone[cut][NS]
        assert authority == {(cut, NS, ttl, rdata) for rdata in rdatas}
        # RFC 9471: all glue of the child.
        glue = {
            (rdata.target.canonicalize(), kind)
            for rdata in rdatas
            if rdata.target.is_subdomain(cut)
            for kind in oracle.addresses(rdata.target)
        }
        assert glue <= {(rrset.name.canonicalize(), rrset.rdtype) for rrset in message.additional}
    elif outcome in (NODATA, NXDOMAIN):
        # RFC 2308.
        ((owner, soa, ttl, _),) = authority
        assert (owner, soa, ttl) == (oracle.origin, SOA, negative_ttl)
    else:
        assert authority == set()
    for owner, kind, ttl, rdata in records(message.additional):
        assert kind in (A, AAAA)
        assert (ttl, rdata) in [
            (stored[0], one)
            for k, stored in oracle.zone[owner].items()
            if k == kind
            for one in stored[1]
        ]


LABELS = st.sampled_from(["a", "b", "c", "*", "B", "ns"])
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
TARGETS = NAMES | st.sampled_from(["@", "out.other.", "ns.a", "example."])
DATA = st.one_of(
    st.tuples(st.just("A"), st.sampled_from(["192.0.2.1", "192.0.2.2"])),
    st.tuples(st.just("AAAA"), st.just("2001:db8::1")),
    st.tuples(st.just("TXT"), st.just('"text"')),
    st.tuples(st.just("NS"), TARGETS),
    st.tuples(st.just("CNAME"), TARGETS),
    st.tuples(st.just("MX"), TARGETS.map("5 {}".format)),
    st.tuples(st.just("SRV"), TARGETS.map("1 2 3 {}".format)),
    st.tuples(st.just("DS"), st.just("1 8 2 " + "ab" * 32)),
)


@st.composite
def zone_texts(draw):
    """The lines of a zone that has no errors."""
    lines = [
        "$ORIGIN z.example.",
        "@ 100 SOA ns host 1 2 3 4 60",
        "@ 100 NS ns",
        "ns 100 A 192.0.2.9",
    ]
    kinds = {"ns": {"A"}}
    for name, (kind, data) in draw(st.lists(st.tuples(NAMES, DATA), max_size=25)):
        owned = kinds.setdefault(name.lower(), set())
        if owned and ("CNAME" in owned or kind == "CNAME"):
            continue
        if kind == "NS" and name.startswith("*"):
            continue
        owned.add(kind)
        lines.append(f"{name} 100 {kind} {data}")
    return "\n".join(lines) + "\n"


@settings(max_examples=200, deadline=None)
@given(zone_texts(), st.lists(NAMES, max_size=12), st.randoms(use_true_random=False))
def test_any_zone_is_answered_as_the_oracle_does(tmp_path_factory, text, more, dice):
    path = tmp_path_factory.mktemp("zone") / "z.zone"
    path.write_text(text)
    zone = parse_zone(path)
    oracle, ttl = load(zone)
    server = Whole(compile_zone(path))
    names = [dns.name.from_text(name, zone.origin) for name in more]
    names += [*zone.names, zone.origin.parent()]
    for name in names:
        for kind in dice.sample([A, AAAA, NS, CNAME, MX, TXT, SRV, SOA, DS, ANY], 4):
            check(server, oracle, ttl, name, kind)


@pytest.mark.parametrize("server", [Whole, Slow])
def test_the_zones_of_these_tests_are_answered_as_the_oracle_does(zone, server):
    oracle, ttl = load(parse_zone(zone.path))
    server = server(zone.table)
    questions = Questions(zone.names, zone.origin, seed=40)
    names = random.Random(1).sample(zone.names, min(len(zone.names), 200))
    for name in [*names, *(questions.name() for _ in range(300))]:
        for kind in (A, TXT, MX, NS, SRV, CNAME, DS):
            check(server, oracle, ttl, name, kind)


def test_no_bytes_make_it_fall_over(zone):
    """Each byte of a query changed, each length: an answer or silence, nothing raised."""
    server = Whole(zone.table)
    dice = random.Random(50)
    wires = []
    for wire in queries(zone, 50, seed=51):
        wires += [wire[:length] for length in range(len(wire))]
        for i in range(len(wire)):
            wires.append(wire[:i] + bytes((dice.randrange(256),)) + wire[i + 1 :])
    wires += [dice.randbytes(dice.randrange(100)) for _ in range(2000)]
    for wire, answer in zip(wires, server.ask(wires), strict=True):
        if len(wire) < 12 or wire[2] & 0x80:
            assert answer is None
        else:
            assert answer[:2] == wire[:2]
            assert answer[2] & 0x80
            assert len(answer) <= 1232
            dns.message.from_wire(answer)


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    from tests.dns import zones

    return Whole(compile_zone(zones.make("rich", tmp_path_factory.mktemp("rich")).path))


def ask(server, name, kind, **options):
    query = dns.message.make_query(
        f"{name}.rich.example" if name else "rich.example", kind, **options
    )
    return dns.message.from_wire(server.ask([query.to_wire()])[0])


def targets(message):
    return [str(rrset.name).removesuffix(".rich.example.") for rrset in message.additional]


def test_rfc1034_addresses_of_mail_exchangers_are_additional(rich):
    message = ask(rich, "", "MX")
    assert targets(message) == ["mail", "mail2"]
    assert len(message.additional[0]) == 2


def test_addresses_below_a_zone_cut_are_only_for_name_servers(rich):
    assert targets(ask(rich, "mxglue", "MX")) == []
    assert targets(ask(rich, "", "NS")) == ["ns1", "ns1", "ns2.Sub"]


@pytest.mark.parametrize("name", ["[bracket]", "at\\@sign", "x--y", "1", "under_score"])
def test_rfc4343_only_letters_have_a_case(rich, name):
    assert ask(rich, name, "A").answer
    flipped = dns.name.from_text(name, None).labels[0]
    flipped = dns.name.Name([bytes(b if chr(b).isalpha() else b ^ 0x20 for b in flipped)])
    assert ask(rich, flipped.to_text(), "A").rcode() == dns.rcode.NXDOMAIN


def test_rfc2782_targets_of_srv_are_not_compressed(rich):
    query = dns.message.make_query("_sip._tcp.rich.example", "SRV")
    (wire,) = rich.ask([query.to_wire()])
    assert b"\4sip1\4rich\7example\0" in wire
    assert b"\4SIP2\4rich\7example\0" in wire
    assert targets(dns.message.from_wire(wire)) == ["sip1", "SIP2", "www", "www"]


def test_rfc9471_glue_that_does_not_fit_truncates(rich):
    message = ask(rich, "www.bulky", "A")
    assert message.flags & dns.flags.TC
    message = ask(rich, "www.bulky", "A", use_edns=0, payload=1232)
    assert not message.flags & dns.flags.TC
    assert len(message.additional) == 13


def test_additional_addresses_that_do_not_fit_are_left_out_without_tc(rich):
    message = ask(rich, "manymx", "MX")
    assert not message.flags & dns.flags.TC
    assert len(message.answer[0]) == 20
    assert len(message.additional) < 20
    assert len(ask(rich, "manymx", "MX", use_edns=0, payload=1232).additional) == 20


@pytest.mark.parametrize("payload", [None, 0, 511, 512, 513, 600, 1000, 1231, 1232, 1233, 65535])
@pytest.mark.parametrize("name", ["size28", "size29", "size30", "size74", "size75", "six41"])
def test_an_answer_is_whole_or_truncated_and_never_too_long(rich, name, payload):
    kind = "AAAA" if name.startswith("six") else "A"
    query = dns.message.make_query(
        f"{name}.rich.example", kind, payload=payload, use_edns=-1 if payload is None else 0
    )
    (wire,) = rich.ask([query.to_wire()])
    limit = max(512, min(payload or 0, 1232))
    assert len(wire) <= limit
    message = dns.message.from_wire(wire)
    full = int(name.lstrip("sizex"))
    size = 16 if kind == "A" else 28
    fits = len(query.to_wire()) + full * size <= limit
    assert bool(message.flags & dns.flags.TC) == (not fits)
    assert [len(rrset) for rrset in message.answer] == ([full] if fits else [])


def test_rfc8482_any_is_one_rrset(rich):
    message = ask(rich, "www", "ANY")
    assert [rrset.rdtype for rrset in message.answer] == [A]
    message = ask(rich, "", "ANY")
    assert [rrset.rdtype for rrset in message.answer] == [SOA]


def test_a_chain_of_aliases_is_followed_and_ends(rich):
    assert len(ask(rich, "chain0", "A", use_edns=0).answer) == 9
    assert len(ask(rich, "loop1", "A").answer) == 3
    assert len(ask(rich, "self", "A").answer) == 1


def test_rfc3225_do_comes_back(rich):
    assert ask(rich, "www", "A", want_dnssec=True).ednsflags & dns.flags.DO
    assert ask(rich, "www", "MX", want_dnssec=True).ednsflags & dns.flags.DO


def test_names_compress_against_each_other(rich):
    # 13 names of 20 bytes: compressed they fit easily.
    message = ask(rich, "x.many", "A")
    assert len(message.authority[0]) == 13
    assert not message.flags & dns.flags.TC


def test_of_two_zones_the_deeper_answers_but_the_parent_for_its_ds(tmp_path):
    head = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"
    parent, child = tmp_path / "parent.zone", tmp_path / "child.zone"
    parent.write_text(f"$ORIGIN example.\n{head}sub NS ns.sub\nsub DS 1 8 2 {'ab' * 32}\n")
    child.write_text(f"$ORIGIN sub.example.\n{head}www A 192.0.2.2\n")
    server = Whole(compile_zones([parent, child]))

    def ask(name, kind):
        query = dns.message.make_query(name, kind)
        return dns.message.from_wire(server.ask([query.to_wire()])[0])

    assert ask("www.sub.example", "A").answer[0][0].address == "192.0.2.2"
    assert ask("ns.example", "A").answer[0][0].address == "192.0.2.1"
    assert ask("sub.example", "NS").flags & dns.flags.AA
    assert [rrset.rdtype for rrset in ask("sub.example", "DS").answer] == [DS]
    # Of a zone whose parent is elsewhere, all there is to say is that there is none.
    nothing = ask("example", "DS")
    assert nothing.answer == []
    assert str(nothing.authority[0].name) == "example."
    assert ask("www.other", "A").rcode() == dns.rcode.REFUSED
