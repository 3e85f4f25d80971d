"""How a machine is told to end, and that it does: the power button of each chipset, S5."""

import time

import pytest

from tests.support import vm
from tests.vm.conftest import static

pytestmark = pytest.mark.timeout(600)  # the first one builds the image


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
