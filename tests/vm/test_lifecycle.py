"""How a machine is told to end, and that it does: the power button of each chipset, S5."""

import socket
import time

import pytest

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
