"""The power button and power off, on a made-up chipset."""

import pytest

from runtime import pci
from runtime.platform import power
from tests.support.metal import Machine, PciFunction

BASE = 0xB000
STATUS, ENABLE, CONTROL = 0, 2, 4
PRESSED = 0x100


class Pm1:
    """The fixed registers: a status bit that is set only if enabled, and cleared by writing 1."""

    def __init__(self, hardware):
        self.hardware = hardware
        self.status, self.enabled, self.control = PRESSED, 0, 0
        hardware.add_ports(BASE, self, 8)

    def press(self):
        if self.enabled & PRESSED:
            self.status |= PRESSED
            self.hardware.interrupt(9)

    def load(self, offset, size):
        assert size == 2
        return {STATUS: self.status, ENABLE: self.enabled, CONTROL: self.control}[offset]

    def store(self, offset, size, value):
        assert size == 2
        if offset == STATUS:
            self.status &= ~value
        elif offset == ENABLE:
            self.enabled = value
        else:
            assert offset == CONTROL and not value & 0x2000
            self.control = value


class Stopper:
    """A machine, as far as a button knows one."""

    def __init__(self):
        self.stops = 0
        self.log = self
        self.info = print

    def stop(self):
        self.stops += 1


def chipset(device, base=BASE | 1):
    hardware = Machine()
    it = PciFunction((0, 1, 0), 0x8086, device)
    it.put(0x40, base, 4)
    hardware.add_pci(it)
    return hardware, Pm1(hardware)


@pytest.mark.parametrize("device", [0x7113, 0x2918])
def test_power_off_is_found_on_both_chipsets(device):
    hardware, _ = chipset(device)
    power.find(pci.scan(), Stopper())
    assert hardware.poweroff == (BASE + 4, 0x2000)


def test_an_unknown_chipset_is_left_alone():
    hardware = Machine()
    hardware.add_pci(PciFunction((0, 0, 0), 0x8086, 0x1237))
    assert power.find(pci.scan(), None) == []
    assert hardware.poweroff is None


def test_registers_that_the_firmware_put_nowhere_are_left_alone():
    hardware, _ = chipset(0x7113, base=1)
    assert power.find(pci.scan(), None) == []
    assert hardware.poweroff is None


def test_a_press_stops_the_machine_once_and_one_before_our_time_does_not():
    _, pm1 = chipset(0x7113)
    machine = Stopper()
    (button,) = power.find(pci.scan(), machine)
    assert pm1.control == 1, "SCI_EN"
    assert not button.service(64)
    assert machine.stops == 0
    pm1.press()
    button.service(64)
    button.service(64)
    assert machine.stops == 1
