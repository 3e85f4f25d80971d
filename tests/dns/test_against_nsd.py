"""The same queries to NSD, which is loaded with the same zones: the same answers."""

import pytest

from tests.dns import nsd
from tests.dns.compare import Remote, differences, queries
from tests.dns.local import Slow, Whole

pytestmark = pytest.mark.dns


@pytest.fixture(scope="module")
def oracle(zone, tmp_path_factory):
    with nsd.serve(tmp_path_factory.mktemp("nsd"), {zone.origin: zone.path}) as place:
        yield Remote(*place)


@pytest.mark.parametrize("server", [Whole, Slow])
def test_nsd_gives_the_same_answers(zone, oracle, server):
    wires = queries(zone, 1000, seed=20)
    assert len(wires) == 1200
    found = differences(wires, server(zone.table), oracle)
    assert not found, "\n".join(found)
