"""A network for virtual machines: TAP in a namespace, the kernel at 10.0.0.1, ours at .2."""

import contextlib
import subprocess
import time

import pytest

from tests.support import load, vm
from tests.support.namespace import Namespace
from tests.support.tools import tool

KERNEL, ADDRESS, MAC = "10.0.0.1", "10.0.0.2", "52:54:00:12:34:56"


def static(address=ADDRESS):
    return f"address={address}/24 gateway={KERNEL}"


class Network:
    def __init__(self):
        self.namespace = Namespace()
        self.tap = vm.Tap(self.namespace.tap(address=f"{KERNEL}/24"))

    def dhcp(self, *options):
        """A DHCP server that has one address to give."""
        return self.namespace.start(
            "dnsmasq",
            "--no-daemon",
            "--conf-file=/dev/null",
            "--user=root",
            "--port=0",
            "--interface=tap0",
            "--bind-interfaces",
            "--leasefile-ro",
            "--no-ping",
            f"--dhcp-range={ADDRESS},{ADDRESS},255.255.255.0,1h",
            *options,
            stderr=subprocess.DEVNULL,
        )

    def wait_for_answer(self, guest, address=ADDRESS, within=20):
        """Ask the name server until it answers; returns the seconds since the start of QEMU."""
        asker = self.namespace.socket()
        asker.settimeout(0.05)
        asker.connect((address, 53))
        question = load.query("host0.bench.example")
        while True:
            elapsed = time.monotonic() - guest.started
            assert elapsed < within and not guest.ended, f"no answer\n{guest.text}{guest.errors()}"
            with contextlib.suppress(OSError):  # not yet: silence, or nobody has the address
                asker.send(question)
                asker.recv(512)
                return elapsed

    def close(self):
        self.namespace.close()


@pytest.fixture
def network():
    made = Network()
    yield made
    made.close()


def dig(network, *words, address=ADDRESS):
    """The answer section of dig, in short form."""
    done = network.namespace.run("dig", f"@{address}", "+short", "+timeout=2", *words)
    return done.stdout.split()


@pytest.fixture(scope="session", autouse=True)
def programs():
    """All that these tests call, missed at once and by name."""
    for name in ("qemu-system-i386", "qemu-system-x86_64", "dnsmasq", "dig", "ping"):
        tool(name)
