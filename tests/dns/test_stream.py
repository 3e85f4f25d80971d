"""RFC 7766: the name server over TCP; RFC 5936: whole zones."""

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from net.config import DNS_STREAMS
from services.dns.stream import begins, parse_prefixes
from tests.dns.compare import queries
from tests.dns.local import Slow
from tests.dns.streams import Whole, framed
from tools.zone.compile import compile_zone, compile_zones

ZONE = "$ORIGIN x.example.\n$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"


def query(name, kind="A", **options):
    return dns.message.make_query(name, kind, **options).to_wire()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A zone with an RRset of 40,000 bytes, one of 2,000, and some names."""
    path = tmp_path_factory.mktemp("small") / "x.zone"
    big = "".join(f"big TXT {'b' * 200}{n}\n" for n in range(180))
    some = "".join(f"some TXT {'s' * 200}{n}\n" for n in range(10))
    path.write_text(ZONE + big + some + "".join(f"host{n} A 10.0.0.{n}\n" for n in range(50)))
    table = compile_zone(path)
    return path, table


def test_the_answers_are_those_of_the_responder_but_for_truncation(zone):
    wires = [wire for wire in queries(zone, 1500, seed=77) if len(wire) >= 12]
    for wire, ours, other in zip(
        wires, Whole(zone.table).ask(wires), Slow(zone.table).ask(wires), strict=True
    ):
        if other is None or len(other) < 12:
            assert ours == other
        elif other[2] & 2:
            # Truncated there: here in full, or a transfer's refusal.
            assert not ours[2] & 2
        elif ours != other:
            # More fits into the additional section, or it is about a transfer.
            longer = len(ours) > len(other) and ours[4:8] == other[4:8]
            assert longer or other[3] & 15 == dns.rcode.NOTIMP, (wire.hex(), ours, other)


@pytest.mark.parametrize("size", range(1, 40))
def test_rfc7766_8_queries_come_in_pieces_of_any_size(small, size):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    wires = [query(f"host{n}.x.example") for n in range(20)]
    data = b"".join(map(framed, wires))
    for at in range(0, len(data), size):
        connection.say(data[at : at + size])
    answers = connection.answers()
    # RFC 7766 section 6.2.1.1: pipelined; ours come in order.
    assert [answer[:2] for answer in answers] == [wire[:2] for wire in wires]
    assert answers == Slow(small[1]).ask(wires)
    assert whole.drops == {}


def test_many_queries_in_one_segment(small):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    wires = [query(f"host{n % 50}.x.example") for n in range(1000)]
    connection.say(b"".join(map(framed, wires)))
    assert connection.answers() == Slow(small[1]).ask(wires)


@pytest.mark.parametrize("edns", [None, 512, 1232])
@pytest.mark.parametrize("name", ["some", "big"])
def test_rfc7766_5_nothing_is_truncated(small, edns, name):
    wire = query(f"{name}.x.example", "TXT", use_edns=False if edns is None else 0, payload=edns)
    assert Slow(small[1]).ask([wire])[0][2] & 2
    whole = Whole(small[1])
    (answer,) = whole.ask([wire])
    message = dns.message.from_wire(answer)
    assert not message.flags & dns.flags.TC
    assert len(message.answer[0]) == {"some": 10, "big": 180}[name]
    assert whole.responder.work[4 * 19] == 0


def test_an_rrset_that_no_message_holds_is_truncated_even_here(tmp_path):
    path = tmp_path / "x.zone"
    path.write_text(ZONE + "".join(f"big TXT {'b' * 250}{n}\n" for n in range(300)))
    whole = Whole(compile_zone(path), axfr="10.0.0.0/8")
    (answer,) = whole.ask([query("big.x.example", "TXT")])
    assert answer[2] & 2
    connection = whole.tcp.open()
    connection.say(framed(query("x.example", "AXFR")))
    assert connection.state == "aborted"
    assert whole.drops == {"dns_tcp.too_big": 1}


def test_a_name_far_back_in_a_message_gets_no_pointer(tmp_path):
    """RFC 1035 4.1.4: a pointer has 14 bits."""
    path = tmp_path / "x.zone"
    path.write_text(
        ZONE
        + "".join(f"m MX {n} {'m' * 60}{n:03}.{'d' * 60}\n" for n in range(600))
        + "".join(f"{'m' * 60}{n:03}.{'d' * 60} A 10.0.0.1\n" for n in range(600))
    )
    (answer,) = Whole(compile_zone(path)).ask([query("m.x.example", "MX")])
    message = dns.message.from_wire(answer)
    assert len(answer) > 0x8000
    assert len(message.answer[0]) == 600
    names = {record.exchange for record in message.answer[0]}
    assert all(rrset.name in names for rrset in message.additional)


# Connections.


def test_rfc7766_6_2_3_an_idle_connection_is_closed(small):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    whole.pass_time(8_000)
    connection.say(framed(query("host1.x.example")))
    whole.pass_time(9_000)
    assert connection.state == "open"
    whole.pass_time(4_000)
    assert connection.state == "closed"
    assert whole.drops == {"dns_tcp.idle": 1}
    assert whole.streams.streams == []
    whole.pass_time(20_000)
    assert not whole.streams.timer.active


def test_half_a_query_does_not_keep_a_connection_for_ever(small):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    connection.say(b"\0")
    whole.pass_time(13_000)
    assert connection.state == "closed"


def test_rfc7766_6_2_2_connections_are_limited_and_the_idlest_goes(small):
    whole = Whole(small[1])
    connections = []
    for n in range(DNS_STREAMS):
        connections.append(whole.tcp.open(f"10.0.{n}.1"))
        whole.pass_time(100)
    connections[0].say(framed(query("host1.x.example")))
    newest = whole.tcp.open("10.0.99.1")
    assert newest.state == "open"
    assert connections[1].state == "aborted"
    assert [c.state for c in connections].count("open") == DNS_STREAMS - 1
    assert whole.drops == {"dns_tcp.evicted": 1}


def test_rfc7766_6_2_2_one_client_does_not_take_all(small):
    whole = Whole(small[1])
    connections = [whole.tcp.open() for _ in range(DNS_STREAMS // 4 + 3)]
    assert [c.state for c in connections].count("aborted") == 3
    assert whole.tcp.open("10.0.0.10").state == "open"
    assert whole.drops == {"dns_tcp.crowded": 3}


def test_the_peer_ends_after_its_last_query(small):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    connection.say(framed(query("host1.x.example")))
    connection.on_end(connection)
    assert len(connection.answers()) == 1
    assert connection.state == "closed"


def test_a_query_that_would_be_long_ends_the_connection(small):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    connection.say(b"\xff\xff")
    assert connection.state == "aborted"
    assert whole.drops == {"dns_tcp.long": 1}


def test_a_query_too_short_is_not_answered_and_the_next_is(small):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    connection.say(framed(b"") + framed(b"short") + framed(query("host1.x.example")))
    assert len(connection.answers()) == 1


def test_a_connection_that_is_gone_is_forgotten(small):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    connection.on_close(connection, 104)
    assert whole.streams.streams == []


# Back-pressure.


def test_what_the_connection_does_not_take_is_sent_later(small):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    connection.room = 5
    wires = [query(f"host{n}.x.example") for n in range(30)]
    connection.say(b"".join(map(framed, wires)))
    assert connection.held > 0
    answers = []
    for _ in range(1000):
        connection.grow(7)
        answers += connection.answers()
    assert answers == Slow(small[1]).ask(wires)
    assert connection.held == 0


def test_queries_that_come_meanwhile_wait(small):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    connection.room = 5
    wires = [query(f"host{n}.x.example") for n in range(30)]
    for wire in wires:
        connection.say(framed(wire))
    assert connection.held > 0
    connection.on_end(connection)
    assert connection.state == "open"
    connection.grow(1 << 20)
    assert connection.answers() == Slow(small[1]).ask(wires)
    assert connection.held == 0
    assert connection.state == "closed"


def test_who_only_asks_and_never_reads_is_cut_off(small):
    whole = Whole(small[1])
    connection = whole.tcp.open()
    connection.room = 0
    wire = framed(query("host1.x.example"))
    for _ in range(5000):
        if connection.state != "open":
            break
        connection.say(wire)
    assert connection.state == "aborted"
    assert connection.held <= 65_536
    assert whole.drops == {"dns_tcp.greedy": 1}


def test_many_who_never_read_share_what_is_kept_for_them(small):
    whole = Whole(small[1])
    connections = [whole.tcp.open(f"10.0.{n}.1") for n in range(20)]
    wire = framed(query("host1.x.example")) * 30
    for connection in connections:
        connection.room = 0
    for _ in range(30):
        for connection in connections:
            if connection.state == "open":
                connection.say(wire)
    kept = sum(len(stream.input) for stream in whole.streams.streams)
    assert 200_000 < kept <= 262_144
    assert [c.state for c in connections].count("aborted") > 10


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_pieces_and_any_room_give_the_same_answers(small, data):
    whole = Whole(small[1], axfr="10.0.0.0/8")
    connection = whole.tcp.open()
    names = data.draw(st.lists(st.sampled_from(["host1", "nosuch", "some", "@"]), max_size=6))
    wires = [
        query("x.example", "AXFR") if name == "@" else query(f"{name}.x.example", "TXT")
        for name in names
    ]
    stream = b"".join(map(framed, wires))
    connection.room = 0
    got = []
    while stream:
        size = data.draw(st.integers(1, 200))
        connection.say(stream[:size])
        stream = stream[size:]
        connection.grow(data.draw(st.integers(0, 3000)))
        got += connection.answers()
    connection.grow(1 << 20)
    got += connection.answers()
    reference = Whole(small[1], axfr="10.0.0.0/8")
    expected = []
    for wire in wires:
        other = reference.tcp.open()
        other.say(framed(wire))
        expected += other.answers()
        other.on_end(other)
    assert got == expected
    assert connection.held == 0


# RFC 7828.


def test_rfc7828_who_asks_is_told_how_long_a_connection_may_be_idle(small):
    option = dns.edns.GenericOption(11, b"")
    (answer,) = Whole(small[1]).ask([query("host1.x.example", options=[option])])
    message = dns.message.from_wire(answer)
    (told,) = message.options
    assert (told.otype, told.to_wire()) == (11, b"\0\x64")  # in tenths of a second
    assert message.answer


def test_rfc7828_3_2_1_over_udp_the_option_is_ignored(small):
    option = dns.edns.GenericOption(11, b"")
    (answer,) = Slow(small[1]).ask([query("host1.x.example", options=[option])])
    assert dns.message.from_wire(answer).options == ()


def test_rfc7828_who_does_not_ask_is_not_told(small):
    (answer,) = Whole(small[1]).ask([query("host1.x.example", use_edns=0)])
    assert dns.message.from_wire(answer).options == ()


# Transfers.


def records(wires):
    found = []
    for wire in wires:
        message = dns.message.from_wire(wire, one_rr_per_rrset=True)
        assert message.rcode() == 0
        assert message.flags & (dns.flags.QR | dns.flags.AA) == dns.flags.QR | dns.flags.AA
        assert not message.authority and not message.additional
        for rrset in message.answer:
            for item in rrset:
                name = rrset.name.canonicalize()
                found.append((name, rrset.ttl, rrset.rdtype, item.to_digestable()))
    return found


def content(path, origin):
    zone = dns.zone.from_file(str(path), origin, relativize=False)
    return {
        (name.canonicalize(), ttl, item.rdtype, item.to_digestable())
        for name, ttl, item in zone.iterate_rdatas()
    }


def ixfr(origin):
    """RFC 1995 section 3: with the SOA that the client has."""
    message = dns.message.make_query(origin, "IXFR")
    name = dns.name.from_text(origin)
    message.authority.append(dns.rrset.from_text(name, 60, "IN", "SOA", "a. b. 1 2 3 4 5"))
    return message


@pytest.mark.parametrize("kind", ["AXFR", "IXFR"])
@pytest.mark.parametrize("room", [1 << 30, 1000])
def test_rfc5936_a_zone_is_transferred_whole(zone, kind, room):
    whole = Whole(zone.table, axfr="10.0.0.0/8")
    connection = whole.tcp.open()
    connection.room = room
    message = dns.message.make_query(zone.origin, "AXFR")
    if kind == "IXFR":
        message = ixfr(zone.origin)
    connection.say(framed(message.to_wire()))
    answers = connection.answers()
    while room == 1000 and whole.streams.streams[0].transfer:
        connection.grow(997)
        answers += connection.answers()
        assert len(whole.streams.streams[0].rest) < 4098
    found = records(answers)
    assert found[0] == found[-1]
    assert found[0][2] == dns.rdatatype.SOA
    assert len(found) == len(set(found)) + 1
    assert set(found) == content(zone.path, zone.origin)
    assert all(len(answer) <= 4096 for answer in answers)
    assert connection.state == "open"
    assert whole.drops == {}


def test_rfc5936_an_rrset_longer_than_a_message_of_ours_is_transferred(small):
    path, table = small
    whole = Whole(table, axfr="10.0.0.9")
    connection = whole.tcp.open()
    connection.say(framed(query("x.example", "AXFR")))
    found = records(connection.answers())
    assert set(found) == content(path, "x.example")


def test_rfc5936_of_several_zones_only_the_one_asked_for(tmp_path):
    paths = []
    for origin in ("x.example", "sub.x.example", "other"):
        path = tmp_path / origin
        path.write_text(f"$ORIGIN {origin}.\n" + ZONE.split("\n", 1)[1] + "a.b.c TXT x\n")
        paths.append((origin, path))
    table = compile_zones([path for _, path in paths])
    whole = Whole(table, axfr="0.0.0.0/0")
    for origin, path in paths:
        connection = whole.tcp.open()
        connection.say(framed(query(origin.upper(), "AXFR")))
        assert set(records(connection.answers())) == content(path, origin)


@pytest.mark.parametrize("setting", ["", "10.0.0.8", "192.0.2.0/24,10.0.0.10/32"])
@pytest.mark.parametrize("kind", ["AXFR", "IXFR"])
def test_who_is_not_allowed_gets_no_zone(small, setting, kind):
    whole = Whole(small[1], axfr=setting)
    message = ixfr("x.example") if kind == "IXFR" else dns.message.make_query("x.example", kind)
    (answer,) = whole.ask([message.to_wire()])
    assert dns.message.from_wire(answer).rcode() == dns.rcode.REFUSED
    assert dns.message.from_wire(answer).id == message.id
    assert whole.drops == {"dns_tcp.refused": 1}


def test_rfc5936_2_2_1_a_name_that_is_no_zone_of_ours(small):
    whole = Whole(small[1], axfr="10.0.0.9")
    for name in ("elsewhere", "host1.x.example"):
        (answer,) = whole.ask([query(name, "AXFR")])
        assert dns.message.from_wire(answer).rcode() == dns.rcode.NOTAUTH


def test_a_transfer_that_nobody_reads_ends(zone):
    whole = Whole(zone.table, axfr="10.0.0.0/8")
    connection = whole.tcp.open()
    connection.room = 100
    connection.say(framed(query(zone.origin, "AXFR")))
    whole.pass_time(13_000)
    assert connection.state == "aborted"
    assert whole.streams.streams == []


def test_a_query_behind_a_transfer_is_answered_after_it(small):
    whole = Whole(small[1], axfr="10.0.0.9")
    connection = whole.tcp.open()
    connection.room = 50
    connection.say(framed(query("x.example", "AXFR")) + framed(query("host1.x.example")))
    connection.grow(1 << 20)
    answers = connection.answers()
    assert dns.message.from_wire(answers[-1]).answer[0].name.to_text() == "host1.x.example."
    assert connection.held == 0


def test_rfc1996_a_notify_is_not_for_us(small):
    message = dns.message.make_query("x.example", "SOA")
    message.set_opcode(dns.opcode.NOTIFY)
    (answer,) = Whole(small[1]).ask([message.to_wire()])
    assert dns.message.from_wire(answer).rcode() == dns.rcode.NOTIMP


def test_the_setting():
    assert parse_prefixes("") == []
    assert parse_prefixes("10.0.0.0/8,192.0.2.1") == [(b"\x0a\0\0\0", 8), (b"\xc0\0\2\1", 32)]
    for wrong in ("10.0.0.0/33", "10.0.0", "x", "10.0.0.0/"):
        with pytest.raises(ValueError):
            parse_prefixes(wrong)


@pytest.mark.parametrize("length", range(33))
def test_prefixes_are_compared_bit_by_bit(length):
    prefix = b"\x0a\x55\xaa\xff"
    assert begins(prefix, prefix, length)
    for bit in range(32):
        other = (int.from_bytes(prefix, "big") ^ 1 << (31 - bit)).to_bytes(4, "big")
        assert begins(other, prefix, length) == (bit >= length)
