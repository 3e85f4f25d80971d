"""Names and messages: dnspython is the oracle, and what is broken stays inside its frame."""

import dns.exception
import dns.message
import dns.name
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.dns import answer, wire
from net.dns.name import Malformed, decode, encode, read_name
from net.dns.wire import Reader, Writer
from tests.clients.replies import OK, SOA

LABEL = st.text("abcXYZ019-_", min_size=1, max_size=12)
NAME = st.lists(LABEL, max_size=5).map(".".join)


@given(NAME)
def test_names_are_those_of_dnspython(text):
    assert encode(text) == dns.name.from_text(text or ".").to_wire()
    assert decode(encode(text)) == (text + ".")
    assert read_name(b"x" + encode(text) + b"y", 1) == (encode(text), 1 + len(encode(text)))


@pytest.mark.parametrize("text", ["a..b", ".a", "x" * 64, ".".join(["x" * 63] * 4), "é" * 32])
def test_rfc1035_2_3_4_what_is_too_long_or_empty_is_refused(text):
    with pytest.raises(ValueError):
        encode(text)


HEADER = bytes(12)


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"\3ab",
        b"\xc0",
        b"\xc0\x0c",  # to itself
        b"\xc0\x0e\0",  # forward
        b"\1a\xc0\x0c",  # a loop through a label
        b"\xc0\x00",  # into the header
        b"\x40a\0",  # a label type that is not defined
        b"\x80a\0",
        b"\x3f" + b"x" * 62,
        (b"\x3f" + b"x" * 63) * 4 + b"\0",
        b"\1x" * 128 + b"\0",
    ],
)
def test_rfc1035_4_1_4_broken_names_are_malformed(name):
    with pytest.raises(Malformed):
        read_name(HEADER + name, 12)


def test_a_name_of_255_bytes_is_the_longest():
    name = b"\1x" * 127 + b"\0"
    assert read_name(HEADER + name, 12) == (name, 12 + 255)


RDATA = st.one_of(
    st.tuples(st.just(wire.A), st.binary(min_size=4, max_size=4), st.none()),
    st.tuples(st.just(wire.AAAA), st.binary(min_size=16, max_size=16), st.none()),
    st.tuples(st.just(wire.PTR), st.just(b""), NAME),
    st.tuples(st.just(wire.SRV), st.binary(min_size=6, max_size=6), NAME),
    st.tuples(st.just(wire.CNAME), st.just(b""), NAME),
)
RECORDS = st.lists(st.tuples(NAME, RDATA, st.integers(0, 3)), max_size=8)


@given(NAME, RECORDS)
def test_what_we_write_dnspython_reads(asked, records):
    writer = Writer(4000)
    assert writer.question(encode(asked), wire.A)
    for section in (wire.ANSWER, wire.AUTHORITY, wire.ADDITIONAL):
        for owner, (kind, rdata, target), where in records:
            if where == section:
                target = None if target is None else encode(target)
                assert writer.record(section, encode(owner), kind, 1, 77, rdata, target)
    data = bytes(writer.finish(0x1234, OK))
    message = dns.message.from_wire(data, one_rr_per_rrset=True)
    assert message.id == 0x1234
    found = [
        (rrset.name.canonicalize(), rrset.rdtype, item.to_digestable())
        for section in message.sections[1:]
        for rrset in section
        for item in rrset
    ]
    expected = []
    for section in (wire.ANSWER, wire.AUTHORITY, wire.ADDITIONAL):
        for owner, (kind, rdata, target), where in records:
            if where == section:
                tail = b"" if target is None else encode(target.lower())
                expected.append(
                    (dns.name.from_text(owner or ".").canonicalize(), kind, rdata + tail)
                )
    assert found == expected
    assert len(data) <= len(message.to_wire(max_size=65535))


def test_a_record_that_does_not_fit_is_not_there():
    writer = Writer(60)
    writer.question(encode("www.example"), wire.A)
    assert writer.record(wire.ANSWER, encode("www.example"), wire.A, 1, 1, bytes(4))
    assert not writer.record(wire.ANSWER, encode("other.example"), wire.A, 1, 1, bytes(4))
    # Nor does anything point to it.
    assert not writer.record(wire.ANSWER, encode("other.example"), wire.A, 1, 1, bytes(4))
    data = bytes(writer.finish(1, OK))
    assert len(dns.message.from_wire(data).answer) == 1


@given(st.binary(max_size=80))
def test_random_bytes_are_read_or_malformed(data):
    try:
        for _section, name, _kind, _class, _ttl, at, end in Reader(data):
            assert len(name) <= 255
            assert 12 <= at <= end <= len(data)
    except Malformed:
        pass


def sample():
    writer = Writer(1232)
    name = encode("www.example")
    writer.question(name, wire.A)
    writer.record(wire.ANSWER, name, wire.CNAME, 1, 60, b"", encode("x.elsewhere"))
    writer.record(wire.ANSWER, encode("x.elsewhere"), wire.A, 1, 60, b"\1\2\3\4")
    writer.record(wire.AUTHORITY, encode("elsewhere"), wire.SOA, 1, 60, SOA + bytes(4))
    writer.opt(1232)
    return name, bytes(writer.finish(77, OK))


def test_every_prefix_of_an_answer_is_malformed():
    name, data = sample()
    assert answer.interpret(data, 77, name, wire.A).addresses == [b"\1\2\3\4"]
    for end in range(len(data)):
        with pytest.raises(Malformed):
            assert answer.interpret(data[:end], 77, name, wire.A).outcome == answer.MISMATCH
            raise Malformed


def test_every_byte_of_an_answer_replaced():
    name, data = sample()
    for at in range(len(data)):
        for value in (0, 1, 12, 63, 64, 128, 192, 255, data[at] ^ 1):
            broken = data[:at] + bytes([value]) + data[at + 1 :]
            try:
                heard = answer.interpret(broken, 77, name, wire.A)
            except Malformed:
                continue
            assert heard.outcome <= answer.NXDOMAIN
            assert all(len(address) == 4 for address in heard.addresses)


@given(st.binary(max_size=64), st.integers(0, 120))
def test_rubbish_within_an_answer_never_raises_anything_else(rubbish, at):
    name, data = sample()
    broken = data[:at] + rubbish + data[at + len(rubbish) :]
    try:
        heard = answer.interpret(broken, 77, name, wire.A)
        assert heard.seconds <= answer.NEGATIVE_S * 8
    except Malformed:
        pass
