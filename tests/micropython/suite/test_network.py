"""MicroPython's tests of the network, in the machine, on a closed network.

extmod and net_hosted run as the rest of the suite does; multi_net has two instances that talk to
each other, the machine and MicroPython for Linux (with the kernel's sockets), each once as the
server.  What a test wants of the world is put in its place, in a copy: PLACES.
Which tests cannot run, and why, stands in network.txt.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.support import images
from tests.support.namespace import Namespace
from tests.support.tools import tool
from tools.host import interpreters

pytestmark = [pytest.mark.suite, pytest.mark.timeout(900)]
KERNEL, OURS, NOBODY = "10.0.0.1", "10.0.0.2", "10.0.0.77"
# The stack has no loopback; the peer of all is the kernel's end of the TAP device.
PLACES = {
    "micropython.org": KERNEL,
    "127.0.0.1": "0.0.0.0",
    "192.0.2.1": NOBODY,
    "1.1.1.1": NOBODY,
}
# In the REPL the first call that waits makes the machine, which takes memory.
FIRST = {"asyncio_heaplock.py": "import time\ntime.sleep_ms(1)\n"}
KNOWN = dict(
    line.split(maxsplit=1)
    for line in (images.ROOT / "tests/micropython/suite/network.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
EXTMOD = ("asyncio_*.py", "select_*.py", "socket_*.py")


@pytest.fixture(scope="module")
def network():
    with Namespace() as namespace:
        namespace.run("ip", "tuntap", "add", "tap0", "mode", "tap")
        namespace.run("sysctl", "-qw", "net.ipv6.conf.tap0.disable_ipv6=1")
        namespace.run("ip", "address", "add", f"{KERNEL}/24", "dev", "tap0")
        namespace.run("ip", "link", "set", "tap0", "up")
        # So MicroPython's runner finds the address of its own end.
        namespace.run("ip", "route", "add", "default", "via", OURS)
        namespace.start(sys.executable, "-m", "http.server", 80, stderr=subprocess.DEVNULL)
        yield namespace


@pytest.fixture(scope="module")
def machine(image, tmp_path_factory):
    """A script that starts the machine with its console on its own input and output."""
    elf = image("hello", "--development") / "development-hello.elf"
    path = tmp_path_factory.mktemp("machine") / "machine.sh"
    path.write_text(
        f"""#!/bin/sh
exec {tool("qemu-system-i386")} -kernel {elf} -m 64 -cpu max -display none -no-reboot \\
    -netdev tap,id=net0,ifname=tap0,script=no,downscript=no -device virtio-net-pci,netdev=net0 \\
    -monitor none -serial stdio -device isa-debug-exit \\
    -append 'panic=exit address={OURS}/24 gateway={KERNEL}'
"""
    )
    path.chmod(0o755)
    return path


def run(network, *command, **environment):
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return subprocess.run(
        network.command(*command),
        cwd=images.sources() / "tests",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=800,
        env={**os.environ, "PATH": path, **environment},
    ).stdout


def copy(folder, names):
    """The tests and what they have to print, with PLACES put in."""
    source = images.sources() / "tests"
    paths = itertools.chain.from_iterable(sorted(source.glob(name)) for name in names)
    for path in paths:
        if f"{path.parent.name}/{path.name}" in KNOWN:
            continue
        text = path.read_text()
        for there, here in PLACES.items():
            text = text.replace(f'"{there}"', f'"{here}"')
        copied = folder / path.parent.name / path.name
        copied.parent.mkdir(exist_ok=True)
        copied.write_text(FIRST.get(path.name, "") + text)
        expected = path.with_name(path.name + ".exp")
        if expected.exists():
            shutil.copy(expected, copied.parent)
        yield copied


@pytest.mark.parametrize("folder, least", [("extmod", 30), ("net_hosted", 6)])
def test_on_a_network(network, machine, tmp_path, folder, least):
    names = [f"extmod/{name}" for name in EXTMOD] if folder == "extmod" else ["net_hosted/*.py"]
    tests = list(copy(tmp_path, names))
    command = [sys.executable, "run-tests.py", "-r", tmp_path, "-t", f"exec:{machine}"]
    report = run(network, *command, *tests)
    failed = json.loads((tmp_path / "_results.json").read_text())["failed_tests"]
    assert not failed, report[-3000:]
    assert "skip" not in re.sub(r"\d+ tests skipped.*", "", report), report[-3000:]
    passed = re.search(r"(\d+) tests passed", report)
    assert passed and int(passed[1]) == len(tests) >= least, report[-3000:]


def test_two_instances(network, machine, tmp_path):
    """Each test twice: the machine is the server, then the client."""
    tests = list(copy(tmp_path, ["multi_net/*.py"]))
    linux = interpreters.micropython_linux()
    report = run(
        network,
        sys.executable,
        "run-multitests.py",
        "-p",
        2,
        "-i",
        f"pyb:exec:{machine}",
        "-i",
        f"micropython,MICROPYPATH=.frozen:{images.sources() / 'extmod'}",
        *tests,
        MICROPY_MICROPYTHON=str(linux),
    )
    assert report.count(": pass") == 2 * len(tests) >= 18, report[-4000:]
