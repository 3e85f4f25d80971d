"""The committed zone of the benchmark is what its generator prints."""

from tests.conftest import ROOT
from tools.zone.bench import bench_zone


def test_the_committed_zone_is_the_generated_one():
    assert (ROOT / "services" / "zones" / "bench.zone").read_text() == bench_zone()
