"""How a machine is told to end, and that it does: the power button of each chipset, S5."""

import socket
import time

import pytest

from tests.instance.disks import iso, nocloud
from tests.support import images, vm
from tests.vm.conftest import ADDRESS, static

pytestmark = pytest.mark.timeout(600)  # the first one builds the image
SERVICES = images.ROOT / "tests" / "vm" / "services"


def off(guest, within):
    """Press the power button; the machine powers off by itself in time."""
    pressed = time.monotonic()
    guest.monitor.execute("system_powerdown")
    assert guest.monitor.wait_for("SHUTDOWN")["data"]["reason"] == "guest-shutdown"
    took = time.monotonic() - pressed
    assert took < within, f"{took:.1f} s\n{guest.text}"
    assert guest.wait() == 0


@pytest.mark.parametrize("boot", ["multiboot", "virtio-blk"])
@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_the_power_button_ends_in_order(image, network, machine, boot):
    image = image("echo")
    kernel = boot == "multiboot"
    with vm.Machine(
        image / ("echo.elf" if kernel else "echo.img"),
        boot=boot,
        machine=machine,
        nic=network.tap,
        command_line=static() if kernel else "",
        debug_exit=False,
    ) as guest:
        if not kernel:
            guest.wait_for("eth0")
        else:
            assert guest.wait_for_ready() == ["10.0.0.2"]
        time.sleep(0.2)  # it sleeps
        off(guest, within=2)
        assert guest.text.endswith("echo stopped\n")


@pytest.mark.parametrize(
    ("how", "within", "lines"),
    [
        ("nothing", 2, ["stop is called", "last come", "first come"]),
        ("computes", 6, ["stop is called", "last come", "first come"]),
        ("stop", 6, ["cut short", "last come", "first come"]),
        ("blocks", 6, ["cut short", "last come", "first come"]),
        ("raises", 2, ["ValueError: in stop", "last come", "first come"]),
        ("swallows", 10, ["not ended in 9500 ms: switched off"]),
    ],
)
def test_within_ten_seconds_whatever_a_service_does(image, network, how, within, lines):
    """The lines come in this order, and in all cases the power goes off."""
    folder = image(str(SERVICES / "ending.py"))
    command_line = f"{static()} how={how}"
    with vm.Machine(
        folder / "ending.elf", nic=network.tap, command_line=command_line, debug_exit=False
    ) as guest:
        guest.wait_for_ready()
        if how in ("computes", "swallows"):
            guest.wait_for("computing")
        off(guest, within)
        places = [guest.text.index(line) for line in ["power button", *lines]]
        assert places == sorted(places)


def test_connections_are_closed_and_what_they_had_to_send_arrives(image, network):
    folder = image(str(SERVICES / "ending.py"))
    with vm.Machine(
        folder / "ending.elf", nic=network.tap, command_line=static(), debug_exit=False
    ) as guest:
        guest.wait_for_ready()
        clients = [network.namespace.socket(kind=socket.SOCK_STREAM) for _ in range(3)]
        for client in clients:
            client.connect((ADDRESS, 7))
            client.sendall(b"?")
        guest.monitor.execute("system_powerdown")
        for client in clients:
            received = b""
            while piece := client.recv(65536):
                received += piece
            assert received == b"x" * 1000
            client.close()
        assert guest.wait() == 0


# Watchdogs and panics.

WATCHDOG = ("-device", "i6300esb", "-action", "watchdog=poweroff")
BRIDGED = ("-device", "pcie-pci-bridge,id=bridge", "-device", "i6300esb,bus=bridge,addr=1")
BRIDGED += WATCHDOG[2:]


def hangs(image, how, *extra, words="", **options):
    folder = image(str(SERVICES / "hangs.py"), "--cloud")
    return vm.Machine(
        folder / "hangs-cloud.elf",
        command_line=f"how={how} metadata=no {words}",
        debug_exit=False,
        extra=extra,
        **options,
    )


@pytest.mark.parametrize(("machine", "extra"), [("pc", WATCHDOG), ("q35", BRIDGED)])
def test_a_loop_that_hangs_is_ended_by_the_watchdog(image, machine, extra):
    with hangs(image, "spins", *extra, words="watchdog=1", machine=machine) as guest:
        assert guest.monitor.wait_for("WATCHDOG")["data"]["action"] == "poweroff"
        assert "watchdog: armed, 1000 ms" in guest.text


@pytest.mark.parametrize("where", ["start", "stop"])
def test_a_service_that_hangs_in_machine_code_is_ended_by_the_watchdog(image, where):
    with hangs(image, where, *WATCHDOG, words="watchdog=1") as guest:
        if where == "stop":
            guest.wait_for_ready()
            guest.monitor.execute("system_powerdown")
        assert guest.monitor.wait_for("WATCHDOG")["data"]["action"] == "poweroff"
        assert ("power button" in guest.text) == (where == "stop")


def test_a_loop_that_turns_is_left_alone(image):
    with hangs(image, "", *WATCHDOG, words="watchdog=1") as guest:
        guest.wait_for_ready()
        time.sleep(3)
        guest.monitor.execute("system_powerdown")
        assert guest.wait() == 0
        assert guest.text.endswith("hangs stopped\n")


def test_a_machine_that_halted_after_a_panic_is_ended_by_the_watchdog(image):
    with hangs(image, "panics", *WATCHDOG, words="watchdog=1 panic=halt") as guest:
        guest.monitor.wait_for("WATCHDOG")
        assert "ValueError: a bug" in guest.text


SETTINGS = "name=opt/org.importos/settings,string="


def test_what_fw_cfg_says_of_watchdog_and_panic_is_followed(image):
    """They were the command line's alone."""
    words = ("-fw_cfg", SETTINGS + "watchdog=1 panic=halt")
    with hangs(image, "panics", *WATCHDOG, *words) as guest:
        guest.monitor.wait_for("WATCHDOG")
        assert "armed, 1000 ms" in guest.text and "ValueError: a bug" in guest.text


def test_a_watchdog_that_a_drive_puts_to_sleep(image, tmp_path):
    (tmp_path / "seed.iso").write_bytes(iso(nocloud(b"watchdog = 0\nvirtio = 'legacy'"), "cidata"))
    drive = ("-drive", f"file={tmp_path}/seed.iso,format=raw,if=virtio,readonly=on")
    words = ("-fw_cfg", SETTINGS + "wachdog=3")
    with hangs(image, "spins", *WATCHDOG, *drive, *words) as guest:
        guest.wait_for("ready: hangs")
        assert "armed, 30000 ms" in guest.text and "armed, 0 ms" in guest.text
        assert "user data of NoCloud on disk0: too late for virtio, left out" in guest.text
        assert "settings that nobody has asked for: wachdog" in guest.text


def test_wdt_is_the_watchdog_and_the_loop_feeds_it_no_more(image):
    with hangs(image, "starves", *WATCHDOG) as guest:
        guest.monitor.wait_for("WATCHDOG")
        assert "armed, 500 ms" in guest.text


def test_wdt_without_a_device_starts_the_machine_anew(image):
    with hangs(image, "starves") as guest:
        assert guest.monitor.wait_for("SHUTDOWN")["data"]["reason"] == "guest-reset"
        assert "machine.WDT was not fed in time" in guest.text


def test_a_watchdog_that_is_not_wanted_stays_asleep(image):
    with hangs(image, "spins", *WATCHDOG, words="watchdog=0") as guest:
        guest.wait_for_ready()
        time.sleep(1.5)
        assert guest.process.poll() is None
        assert not [event for event in guest.monitor.events if event["event"] == "WATCHDOG"]


@pytest.mark.parametrize(
    ("machine", "device"), [("pc", "pvpanic"), ("q35", "pvpanic"), ("q35", "pvpanic-pci")]
)
def test_a_panic_is_told_to_the_hypervisor_after_the_report(image, machine, device):
    with hangs(image, "panics", "-device", device, machine=machine) as guest:
        guest.monitor.wait_for("GUEST_PANICKED")
        guest.wait_for("booted by")
        assert "ValueError: a bug" in guest.text


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_reset_starts_the_machine_anew(image, machine):
    """What a panic does unless told otherwise; QEMU goes on here."""
    with hangs(image, "panics", "-action", "reboot=reset", machine=machine) as guest:
        guest.wait_until(lambda text: text.count("ImportOS hangs") >= 2, what="second start")
