"""A power cut at every single write, on MicroPython for Linux: tests/micropython/power_cut.py."""

import re
import subprocess

import pytest

from tests.support import images


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["littlefs", "fat"])
def test_a_power_cut_at_every_write_loses_nothing_that_was_flushed(micropython_linux, kind, seed):
    done = subprocess.run(
        [
            micropython_linux,
            "-X",
            "heapsize=64m",
            "tests/micropython/power_cut.py",
            kind,
            str(seed),
        ],
        cwd=images.ROOT,
        capture_output=True,
        text=True,
    )
    said = re.fullmatch(rf"{kind}: (\d+) writes, (\d+) flushes, (\d+) cuts\n", done.stdout)
    assert said and done.returncode == 0, done.stdout + done.stderr
    writes, _, cuts = map(int, said.groups())
    assert writes > 100 and cuts > 500
