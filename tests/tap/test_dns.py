"""The name server on a TAP device, asked by dig: on the host's interpreters, without a machine."""

import pytest

from tests.support import images
from tests.tap.conftest import OURS, STATIC
from tools.zone.compile import compile_zone


@pytest.fixture(scope="session")
def zone(tmp_path_factory):
    """What the build makes of the benchmark's zone: a module `image` with the table."""
    folder = tmp_path_factory.mktemp("image")
    table = compile_zone(images.ROOT / "services" / "zones" / "bench.zone")
    (folder / "image.py").write_text(f"zone = {table!r}\n")
    return folder


def dig(station, *words):
    done = station.namespace.run("dig", f"@{OURS}", "+timeout=2", *words)
    return done.stdout


def test_dig(station, zone):
    station.start(*STATIC, service="services.dns", path=[zone])
    assert dig(station, "+short", "host42.bench.example", "A") == "10.0.0.43\n"
    assert dig(station, "+short", "HOST9999.Bench.Example", "A") == "10.0.39.16\n"
    assert "status: NXDOMAIN" in dig(station, "nobody.bench.example", "A")
    assert "status: REFUSED" in dig(station, "elsewhere.example", "A")
    soa = dig(station, "bench.example", "SOA")
    assert "status: NOERROR" in soa and "flags: qr aa" in soa
