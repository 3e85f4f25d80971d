"""PCI enumeration on a made-up configuration space."""

from runtime import pci
from tests.support.metal import Machine, PciFunction


def bridge(hardware, device, behind):
    it = PciFunction((0, device, 0), 0x1B36, 0x000C, class_code=0x0604)
    it.bytes[0x19] = behind
    hardware.add_pci(it)


def test_functions_are_found_through_bridges():
    hardware = Machine()
    hardware.add_pci(PciFunction((0, 0, 0), 0x8086, 0x29C0, class_code=0x0600))
    bridge(hardware, 2, 1)
    hardware.add_pci(PciFunction((1, 0, 0), 0x1AF4, 0x1041, class_code=0x0200))
    nested = PciFunction((1, 3, 0), 0x1B36, 0x0001, class_code=0x0604)
    nested.bytes[0x19] = 2
    hardware.add_pci(nested)
    hardware.add_pci(PciFunction((2, 31, 0), 0x1AF4, 0x1042))
    names = [it.name for it in pci.scan()]
    assert names == ["00:00.0", "00:02.0", "01:00.0", "01:03.0", "02:1f.0"]


def test_a_bridge_without_a_bus_does_not_loop():
    hardware = Machine()
    bridge(hardware, 1, 0)
    assert [it.name for it in pci.scan()] == ["00:01.0"]


def test_all_functions_of_a_multifunction_device():
    hardware = Machine()
    hardware.add_pci(PciFunction((0, 1, 0), 0x8086, 0x7000, multifunction=True))
    hardware.add_pci(PciFunction((0, 1, 3), 0x8086, 0x7113))
    hardware.add_pci(PciFunction((0, 2, 0), 0x8086, 0x100E))
    hardware.add_pci(PciFunction((0, 2, 5), 0x8086, 0x100E))  # not multifunction: not there
    assert [it.name for it in pci.scan()] == ["00:01.0", "00:01.3", "00:02.0"]


def function():
    hardware = Machine()
    it = PciFunction((0, 3, 0), 0x1AF4, 0x1000, line=10)
    it.bar(0, 0xC040, 0x20, io=True)
    it.bar(1, 0xFEBF1000, 0x1000)
    it.bar(4, 0x38_FE000000, 0x4000, wide=True)
    it.capability(bytes([0x11, 0, 1, 2, 3, 4, 5]))
    it.capability(bytes([0x09, 0, 16, 1]))
    hardware.add_pci(it)
    return pci.scan()[0], it


def test_base_addresses_and_their_sizes():
    it, _ = function()
    found = [(it.bar(i).io, it.bar(i).address, it.bar_size(i)) for i in (0, 1, 2, 4)]
    assert found == [
        (True, 0xC040, 0x20),
        (False, 0xFEBF1000, 0x1000),
        (False, 0, 0),
        (False, 0x38_FE000000, 0x4000),
    ]
    assert it.bar(1).address == 0xFEBF1000  # sizing put it back


def test_capabilities_line_and_enabling():
    it, raw = function()
    assert it.capabilities() == [(0x11, 0x40), (0x09, 0x48)]
    assert it.line == 10
    raw.put(0x04, 0x400, 2)
    it.enable()
    assert raw.load(0x04, 2) == 7


def test_a_capability_list_that_loops_ends():
    it, raw = function()
    raw.bytes[0x49] = 0x40
    assert len(it.capabilities()) == 48
