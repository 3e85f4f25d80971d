"""In the steady state TCP allocates nothing: one byte per round trip would be seen."""

import subprocess

import pytest

from tests.support import images

pytestmark = pytest.mark.micropython_linux


@pytest.mark.parametrize("what", ["echo", "bulk", "copy"])
def test_a_round_trip_allocates_nothing(micropython_linux, what):
    done = subprocess.run(
        [micropython_linux, "-X", "heapsize=16m", "tests/tcp/allocation.py", what],
        cwd=images.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{what} 0\n", done.stdout + done.stderr
