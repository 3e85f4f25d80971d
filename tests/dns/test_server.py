"""The short cut in server.py is only that."""

import dns.flags
import dns.message
import pytest

from tests.dns.compare import queries
from tests.dns.local import Slow, Whole


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
