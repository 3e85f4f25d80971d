"""The guest agent and the log's channel, as a host on the other end of sockets has them."""

import time

import pytest

from tests.support import vm
from tests.support.agent import Agent, Channels, Error, wait_until_open
from tests.vm.conftest import static

pytestmark = pytest.mark.timeout(600)  # the first one builds the image
NAMES = {"agent": "org.qemu.guest_agent.0", "log": "org.importos.log", "other": "org.example.x"}


def machine(image, network, channels, device="virtio-serial-pci", more=(), **options):
    options = {"command_line": static() + " metadata=no", **options}
    return vm.Machine(
        image("echo", "--cloud") / "echo-cloud.elf",
        nic=network.tap,
        debug_exit=False,
        extra=(*channels.arguments(device), *more),
        **options,
    )


@pytest.mark.parametrize(
    ("chipset", "device"),
    [
        ("pc", "virtio-serial-pci"),
        ("pc", "virtio-serial-pci,disable-modern=on"),
        ("q35", "virtio-serial-pci-non-transitional"),
    ],
)
def test_the_questions_of_libvirt_and_nova(image, network, chipset, device):
    channels = Channels(**NAMES)
    with machine(image, network, channels, device, machine=chipset) as guest:
        wait_until_open(guest)
        agent = Agent(channels.connect("agent"))
        agent.send(b'{"execute": "half a ques')
        assert agent.sync()
        assert agent("guest-sync", id=1795227392244) == 1795227392244
        assert agent("guest-ping") == {}
        guest.wait_for_ready()
        (eth0,) = agent("guest-network-get-interfaces")
        assert eth0["ip-addresses"] == [
            {"ip-address-type": "ipv4", "ip-address": "10.0.0.2", "prefix": 24}
        ]
        assert agent("guest-get-host-name") == {"host-name": "echo"}
        target = 1_900_000_000_123_456_789
        assert agent("guest-set-time", time=target) == {}
        assert 0 <= agent("guest-get-time") - target < 2_000_000_000
        assert agent("guest-set-time") == {}
        assert abs(agent("guest-get-time") / 1e9 - time.time()) < 2.5, "the RTC's"
        assert agent("guest-fsfreeze-freeze") == 0
        assert agent("guest-fsfreeze-status") == "frozen"
        with pytest.raises(Error, match="frozen state"):
            agent("guest-get-host-name")
        assert agent("guest-fsfreeze-thaw") == 0
        with pytest.raises(Error) as refused:
            agent("guest-set-user-password", crypted=False, username="root", password="c2VjcmV0")
        assert refused.value.kind == "CommandNotFound"
        assert "c2VjcmV0" not in guest.text
        asked = time.monotonic()
        agent.send(b'{"execute":"guest-shutdown","arguments":{"mode":"powerdown"}}\n')
        assert guest.monitor.wait_for("SHUTDOWN")["data"]["reason"] == "guest-shutdown"
        assert time.monotonic() - asked < 2
        assert guest.wait() == 0
        assert guest.text.endswith("echo stopped\n")


def test_hostile_lines_and_the_next_session(image, network):
    """MicroPython's parser, with a stack of 64 KB and little memory."""
    channels = Channels(**NAMES)
    with machine(image, network, channels, memory="16M") as guest:
        wait_until_open(guest)
        connection = channels.connect("agent")
        agent = Agent(connection)
        for line in (
            b"[" * 4000,
            b"x" * 100_000,
            b'{"a":' * 800,
            b"\xfe\xfd{}",
            b'{"execute":1e999}',
        ):
            assert agent.raw(line + b"\n")["error"]["class"] == "GenericError"
        # A host that asks and does not read: it is not read either, then.
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                connection.sendall(b'{"execute":"guest-info"}\n' * 1000)
        connection.close()
        agent = Agent(channels.connect("agent"))
        assert agent.sync(12)
        assert agent("guest-ping") == {}
        assert "Traceback" not in guest.text and "PANIC" not in guest.text


def test_reboot_is_a_reset_after_an_end_in_order(image, network):
    channels = Channels(**NAMES)
    with machine(image, network, channels) as guest:
        wait_until_open(guest)
        agent = Agent(channels.connect("agent"))
        agent.send(b'{"execute":"guest-shutdown","arguments":{"mode":"reboot"}}\n')
        assert guest.monitor.wait_for("SHUTDOWN")["data"]["reason"] == "guest-reset"
        assert guest.wait() == 0, "QEMU was told not to reboot"
        assert guest.text.endswith("echo stopped\n")


def test_the_log_has_a_channel_of_its_own(image, network):
    """Who comes late gets what was kept; the last line arrives, too."""
    channels = Channels(**NAMES)
    with machine(image, network, channels) as guest:
        guest.wait_for_ready()
        log = channels.connect("log")
        time.sleep(0.2)
        guest.monitor.execute("system_powerdown")
        assert guest.wait() == 0
        received = b""
        while piece := log.recv(65536):
            received += piece
        lines = guest.text.splitlines()
        copied = received.decode().splitlines()
        assert copied[0].startswith("[    0.0") and "ImportOS echo, build" in copied[0]
        assert copied[1:] == lines[1:]
        assert copied[-1].endswith("echo stopped")


def test_a_pause_is_over_and_the_time_is_right(image, network):
    """The emulated counter stands still meanwhile; nobody tells the machine."""
    channels = Channels(**NAMES)
    with machine(image, network, channels) as guest:
        wait_until_open(guest)
        agent = Agent(channels.connect("agent"))
        assert abs(agent("guest-get-time") / 1e9 - time.time()) < 1.5
        guest.monitor.execute("stop")
        time.sleep(5)
        guest.monitor.execute("cont")
        time.sleep(1.1)
        assert abs(agent("guest-get-time") / 1e9 - time.time()) < 2.2
        now = time.time_ns()
        agent("guest-set-time", time=now)
        assert abs(agent("guest-get-time") - time.time_ns()) < 500_000_000


def test_a_frozen_machine_with_a_disk_still_ends(image, network, tmp_path):
    channels = Channels(**NAMES)
    with open(tmp_path / "disk.img", "wb") as disk:
        disk.truncate(4 << 20)
    drive = f"file={tmp_path}/disk.img,format=raw,if=none,id=disk"
    with machine(
        image, network, channels, more=("-drive", drive, "-device", "virtio-blk-pci,drive=disk")
    ) as guest:
        wait_until_open(guest)
        agent = Agent(channels.connect("agent"))
        assert agent("guest-fsfreeze-freeze") == 1
        assert agent("guest-fsfreeze-thaw") == 1
        assert agent("guest-fsfreeze-freeze") == 1
        guest.monitor.execute("system_powerdown")
        assert guest.wait(5) == 0
