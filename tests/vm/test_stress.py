"""The full length: `./importos test stress`. About 20 minutes on a quiet machine."""

import pytest

from tests.support import load
from tests.support.instructions import Lab
from tests.vm.conftest import ADDRESS
from tests.vm.test_network import WAYS, bursts

pytestmark = [pytest.mark.stress, pytest.mark.timeout(7200)]


@pytest.mark.parametrize("way", WAYS)
def test_a_million_bursts_of_20_datagrams_lose_no_wake_up(image, network, way):
    bursts(image, network, way, 1_000_000, timeout=7200)


def test_ten_million_queries_are_all_answered(image):
    with Lab(image("dns") / "dns.elf", icount="") as lab:
        lab.first(lab.asker(53, load.bench_queries(), timeout=0.05))
        counted = load.load(
            lab.namespace,
            ADDRESS,
            53,
            "window",
            10_000_000,
            20,
            "dns",
            load.bench_queries(),
            timeout=7200,
        )
        assert counted["right"] == 10_000_000, counted
