"""Receive, answer, transmit: not one byte of the heap, for 1,000 packets of each kind."""

import subprocess

import pytest

from tests.support import images


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """The table of the benchmark's zone, as it is compiled into the image."""
    from tools.zone.compile import compile_zone

    path = tmp_path_factory.mktemp("zone") / "bench.table"
    path.write_bytes(compile_zone(images.ROOT / "services" / "zones" / "bench.zone"))
    return path


@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", ["ping", "echo", "dns", "ping6", "echo6", "dns6"])
def test_nothing_is_allocated_per_packet(micropython_linux, table, what):
    done = subprocess.run(
        [micropython_linux, "-X", "heapsize=16m", "tests/micropython/allocation.py", what, table],
        cwd=images.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{what} 0\n", done.stdout + done.stderr
