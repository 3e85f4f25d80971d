"""Constants that modules repeat, because MicroPython folds them only where they are assigned."""

from itertools import combinations

import pytest

from net import packet
from services.dns import edns, message, responder, server, table

OURS = (table, responder, edns, message, server)


def constants(module):
    return {k: v for k, v in vars(module).items() if k.isupper() and isinstance(v, int)}


@pytest.mark.parametrize(("one", "other"), [*combinations(OURS, 2), (packet, server)])
def test_repeated_constants_are_equal(one, other):
    first, second = constants(one), constants(other)
    assert {k: v for k, v in first.items() if second.get(k, v) != v} == {}


def test_counters_have_the_indices_of_their_names():
    for index, name in enumerate(responder.COUNTS + responder.DROPS):
        constant = name.upper() if index >= responder.NOERROR else f"TYPE_{name.upper()}"
        assert getattr(responder, constant) == index
