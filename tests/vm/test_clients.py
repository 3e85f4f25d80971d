"""The clients in the machine: its clock; names, time, log and its own name opposite real servers.

What they say and hear is tested over TAP (tests/tap/test_clients.py); here, that they are whole in
an image.
"""

import contextlib

import pytest

from tests.support import images, vm
from tests.vm.conftest import ADDRESS, KERNEL, static

pytestmark = pytest.mark.timeout(600)  # the first one builds the image
SERVICES = images.ROOT / "tests" / "vm" / "services"

CHRONY = """\
local stratum 2
allow all
cmdport 0
bindcmdaddress /
pidfile {folder}/chrony.pid
"""


def test_time_is_what_the_steered_clock_says(image):
    folder = image(str(SERVICES / "wallclock.py"))
    with vm.Machine(folder / "wallclock.elf") as guest:
        guest.wait_for("wallclock stopped")
        for what in ("rtc", "stepped", "nanoseconds", "slept"):
            assert f"{what} True\n" in guest.text


def test_the_machine_asks_for_names_and_time_and_says_what_it_does(image, network, tmp_path):
    folder = image(str(SERVICES / "clients.py"))
    (tmp_path / "chrony.conf").write_text(CHRONY.format(folder=tmp_path))
    network.namespace.start("chronyd", "-d", "-x", "-u", "root", "-f", tmp_path / "chrony.conf")
    network.namespace.start(
        *("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--no-resolv"),
        *("--interface=tap0", "--bind-interfaces", "--no-hosts"),
        f"--host-record=server.example,{KERNEL}",
    )
    log = network.namespace.socket()
    log.bind((KERNEL, 514))
    words = f"{static()} dns={KERNEL} ntp=server.example syslog=udp:server.example hostname=box"
    with vm.Machine(folder / "clients.elf", nic=network.tap, command_line=words) as guest:
        guest.wait_for(f"server.example is {KERNEL}")
        guest.wait_for("ntp: the clock was", 30)
        guest.wait_for("mdns: box", 30)
        heard = ""
        with contextlib.suppress(TimeoutError):
            while "mdns: box" not in heard or "ntp: the clock was" not in heard:
                heard += log.recv(2048).decode() + "\n"
        assert " box importos - - - mdns: box\n" in heard
        assert "ntp: the clock was" in heard
        assert not guest.ended
        assert ADDRESS in guest.text
