"""The short cut in server.py is only that."""

from random import Random
from unittest import mock

import dns.flags
import dns.message
import pytest

from tests.dns.compare import queries
from tests.dns.local import Slow, Whole
from tools.zone import index
from tools.zone.compile import compile_zone


def test_the_short_cut_answers_with_the_same_bytes(zone):
    wires = queries(zone, 3000, seed=30)
    whole, slow = Whole(zone.table), Slow(zone.table)
    calls = 0
    general = whole.server.general

    def count(*arguments):
        nonlocal calls
        calls += 1
        return general(*arguments)

    whole.server.general = count
    assert whole.ask(wires) == slow.ask(wires)
    assert whole.responder.work[: 4 * 22] == slow.responder.work[: 4 * 22]
    assert 0 < calls < len(wires)


@pytest.mark.parametrize("zone", ["bench"], indirect=True)
@pytest.mark.parametrize("case", [str, str.upper, str.swapcase])
@pytest.mark.parametrize("edns", [None, 0, 512, 1232])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("host42", "A"),
        ("Host9999", "A"),
        ("host1", "AAAA"),
        ("nosuchhost", "MX"),
        ("host2", "HTTPS"),
    ],
)
def test_common_questions_take_the_short_cut(zone, case, edns, name, kind):
    whole = Whole(zone.table)
    whole.server.general = None
    query = dns.message.make_query(
        case(f"{name}.Bench.example"), kind, payload=edns, use_edns=False if edns is None else 0
    )
    (answer,) = whole.ask([query.to_wire()])
    message = dns.message.from_wire(answer)
    assert query.is_response(message)
    assert message.flags & dns.flags.AA
    assert (message.edns >= 0) == (edns is not None)
    # The case of the question comes back.
    assert str(message.question[0].name) == str(query.question[0].name)


@pytest.mark.parametrize("low", index.LOWS)
def test_the_short_cut_finds_what_the_walk_finds(tmp_path, low):
    """Labels of every length that share a slot, and those that only look as if they did."""
    prefixes = ["".join(Random(n).choices("abn0-", k=n)) for n in range(62)]
    there = [f"{prefix}{last}" for prefix in prefixes for last in "abcno012"]
    others = [f"{prefix}{last}" for prefix in prefixes for last in "pqr3@A_"]
    path = tmp_path / "some.zone"
    path.write_text(
        "$ORIGIN example.\n$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n"
        + "".join(f"x{name} A 192.0.2.1\n" for name in there)
    )
    with mock.patch.object(index, "LOWS", (low,)):
        table = compile_zone(path)
    wires = [dns.message.make_query(f"x{n}.example.", "A").to_wire() for n in there + others]
    whole = Whole(table)
    whole.server.general = None
    answers = whole.ask(wires)
    assert answers == Slow(table).ask(wires)
    assert {answer[3] & 15 for answer in answers[: len(there)]} == {0}


@pytest.mark.parametrize("edns", [None, 512, 600, 1232])
def test_the_short_cut_keeps_to_the_limit(tmp_path, edns):
    """16 addresses of a long name below a long origin are more than 512 bytes."""
    origin = ".".join(["o" * 60] * 3)
    path = tmp_path / "long.zone"
    path.write_text(
        f"$ORIGIN {origin}.\n$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n"
        + "".join(f"{'n' * 60} A 192.0.2.{n}\n" for n in range(16))
    )
    table = compile_zone(path)
    query = dns.message.make_query(
        f"{'n' * 60}.{origin}", "A", payload=edns, use_edns=False if edns is None else 0
    )
    (answer,) = Whole(table).ask([query.to_wire()])
    assert [answer] == Slow(table).ask([query.to_wire()])
    assert len(answer) <= (edns or 512)
    assert bool(dns.message.from_wire(answer).flags & dns.flags.TC) == (edns in (None, 512))
