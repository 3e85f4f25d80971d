"""Constants that modules repeat, because MicroPython folds them only where they are assigned."""

import re
from itertools import combinations

import pytest

from net import packet
from services.dns import edns, message, responder, server, stream, table, transfer

OURS = (table, responder, edns, message, server, stream, transfer)


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


@pytest.mark.parametrize("module", [table, responder])
def test_the_drawing_is_right(module):
    """Each "NUMBER  NAME [NAME ...]" in it: the names have consecutive numbers from there on."""
    drawn = re.findall(r"(?<=  )(\d+)((?:  ?[A-Z]+(?:_[A-Z]+)*\b)+)", module.__doc__)
    assert len(drawn) > 10
    for number, names in drawn:
        for place, name in enumerate(names.split(), int(number)):
            values = {place, place // 2, place // 4}  # of bytes, u16, u32
            assert getattr(module, name) in (values if place > 511 else {place}), name
