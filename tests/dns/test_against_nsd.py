"""The same queries to NSD, which is loaded with the same zones: the same answers."""

import contextlib
import socket

import dns.message
import dns.query
import dns.rdatatype
import dns.zone
import pytest

from tests.dns import nsd
from tests.dns.compare import Remote, differences, queries, question_type
from tests.dns.local import Slow, Whole
from tests.dns.streams import Whole as Streams
from tests.dns.streams import framed

pytestmark = pytest.mark.dns


class RemoteTcp:
    """A server over TCP, a connection for each query."""

    def __init__(self, address, port):
        self.place = address, port

    def ask(self, wires):
        return [self.one(wire) for wire in wires]

    def one(self, wire):
        with socket.create_connection(self.place, timeout=2) as connection:
            data = b""
            with contextlib.suppress(OSError):
                connection.sendall(framed(wire))
                # No answer, and no more queries: the server ends, too.
                connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    data += piece
        if len(data) < 2:
            return None
        assert len(data) == 2 + int.from_bytes(data[:2], "big")
        return data[2:]


@pytest.fixture(scope="module")
def place(zone, tmp_path_factory):
    with nsd.serve(tmp_path_factory.mktemp("nsd"), {zone.origin: zone.path}) as place:
        yield place


@pytest.mark.parametrize("server", [Whole, Slow])
def test_nsd_gives_the_same_answers(zone, place, server):
    wires = queries(zone, 1000, seed=20)
    assert len(wires) == 1200
    found = differences(wires, server(zone.table), Remote(*place))
    assert not found, "\n".join(found)


def test_nsd_gives_the_same_answers_over_tcp(zone, place):
    # (NSD hangs up on whoever sends a malformed query, so there are none here.)
    transfers = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)
    some = queries(zone, 1000, seed=21)[:1000]
    wires = [wire for wire in some if question_type(wire) not in transfers]
    assert len(wires) > 900
    found = differences(wires, Streams(zone.table), RemoteTcp(*place))
    assert not found, "\n".join(found)


def test_nsd_transfers_the_same_zone(zone, place):
    def content(messages):
        return sorted(
            (rrset.name.canonicalize(), rrset.ttl, rrset.rdtype, item.to_digestable())
            for message in messages
            for rrset in message.answer
            for item in rrset
        )

    query = dns.message.make_query(zone.origin, "AXFR")
    ours = Streams(zone.table, axfr="10.0.0.0/8").tcp.open()
    ours.say(framed(query.to_wire()))
    messages = [dns.message.from_wire(wire, one_rr_per_rrset=True) for wire in ours.answers()]
    assert messages[0].answer[0].rdtype == dns.rdatatype.SOA
    assert messages[-1].answer[-1].rdtype == dns.rdatatype.SOA
    theirs = list(dns.query.xfr(place[0], zone.origin, port=place[1], relativize=False))
    assert content(messages) == content(theirs)
