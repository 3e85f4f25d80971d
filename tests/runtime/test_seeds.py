"""What seeds the generator of the machine: the processor, a setting."""

import types

import pytest

from runtime import csprng
from tests.support.metal import Machine, metal


def machine(seed=None):
    log = types.SimpleNamespace(lines=[])
    log.warning = log.info = lambda text, *values: log.lines.append(text % values)
    settings = {} if seed is None else {"seed": seed}
    return types.SimpleNamespace(uptime_ms=metal.uptime_ms, settings=settings, log=log)


@pytest.mark.parametrize("rdrand", [True, False])
def test_the_processor_seeds_if_it_can(rdrand):
    Machine().rdrand = rdrand
    it = machine()
    entropy = csprng.make(it, metal)
    assert entropy.seeded == rdrand
    csprng.report(entropy, it.log)
    assert it.log.lines == [
        "entropy: RDRAND"
        if rdrand
        else "entropy: no source; start the machine with RDRAND or a virtio-rng device"
    ]


@pytest.mark.parametrize(
    ("seed", "seeded"), [("ab" * 32, True), ("ab" * 31, False), ("xyz", False), (True, False)]
)
def test_the_setting_seeds(seed, seeded):
    Machine()
    it = machine(seed)
    assert csprng.make(it, metal).seeded == seeded
    assert ("hexadecimal" in "".join(it.log.lines)) == (seed in ("xyz", True))
