"""MicroPython's own tests, in the machine: the development image, driven over its serial line.

All of basics, float, micropython, extmod, stress and misc, by MicroPython's own runner; what
may fail stands with its reason in known.txt. A test that the runner skips needs something the
machine does not have (a file system of the host, sockets, TLS, pins): their number is fixed, too.
"""

import json
import re
import subprocess
import sys

import pytest

from tests.support import images
from tests.support.tools import tool

pytestmark = [pytest.mark.suite, pytest.mark.timeout(900)]

# Two halves that take about as long: one for each processor.  With the least number that must run.
HALVES = {"basics": 520, "float micropython extmod stress misc": 285}
KNOWN = {
    line.split()[0]
    for line in (images.ROOT / "tests/micropython/suite/known.txt").read_text().splitlines()
    if line and not line.startswith("#")
}


@pytest.mark.parametrize("half", HALVES)
def test_micropythons_own_tests(image, tmp_path, half):
    elf = image("hello", "--development") / "development-hello.elf"
    # The console is on pipes: QEMU drops bytes of a pseudo-terminal whose reader is slow.
    machine = f"""exec:{tool("qemu-system-i386")} -kernel {elf} -m 64 -display none -no-reboot
        -net none -monitor none -serial stdio -append panic=exit -device isa-debug-exit"""
    command = [sys.executable, "run-tests.py", "-r", tmp_path, "-t", " ".join(machine.split())]

    def run(*which):
        """The runner's report and what failed."""
        done = subprocess.run(
            [*command, *which],
            cwd=images.sources() / "tests",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=800,
        )
        return done.stdout, set(
            json.loads((tmp_path / "_results.json").read_text())["failed_tests"]
        )

    report, failed = run("-d", *half.split())
    performed = int(re.search(r"(\d+) tests performed", report).group(1))
    passed = set(re.findall(r"^pass +(\S+)", report, re.MULTILINE))
    assert performed >= HALVES[half], report[-3000:]
    assert not passed & KNOWN, f"passes: take it out of known.txt: {passed & KNOWN}"
    if failed - KNOWN:
        # Some tests measure time and suffer when the host is busy: they get a second chance, alone.
        report, failed = run(*sorted(failed - KNOWN))
    assert failed <= KNOWN, f"{sorted(failed - KNOWN)}\n{report[-3000:]}"
