"""Memory of devices beyond 4 GiB comes within reach, and into nobody's way."""

import pytest

from runtime import pci
from runtime.platform import reach
from tests.support.metal import Machine, PciFunction

HIGH = 0x38_00000000


def device(hardware, address, high=HIGH, msix=None, vendor=0x1AF4):
    it = PciFunction(address, vendor, 0x1041)
    if msix:
        it.bar(1, msix, 0x1000)
    it.bar(4, high, 0x4000, wide=True)
    hardware.add_pci(it)
    return it


def port(hardware, number, behind, window):
    it = PciFunction((0, number, 0), 0x1B36, 0x000C, class_code=0x0604)
    it.bytes[0x19] = behind
    first, last = window
    it.put(0x20, first >> 16, 2)
    it.put(0x22, last >> 16 & 0xFFF0, 2)
    hardware.add_pci(it)


def lowered(name):
    functions = pci.scan()
    reach.lower(functions)
    (function,) = (f for f in functions if f.name == name)
    return function.bar(4).address


def test_behind_a_port_it_moves_into_the_window():
    hardware = Machine()
    port(hardware, 2, 1, (0xC1000000, 0xC11FFFFF))
    raw = device(hardware, (1, 0, 0), msix=0xC11FF000)
    assert lowered("01:00.0") == 0xC11F8000, "below what is at the end already"
    assert raw.load(0x20, 4) & 0xF == 4, "it is what it was"


def test_on_the_first_bus_it_moves_behind_everything():
    hardware = Machine()
    port(hardware, 2, 1, (0xC1000000, 0xC11FFFFF))
    for number in (3, 4):
        device(hardware, (0, number, 0), HIGH + number * 0x4000, msix=0xC1200000 + number * 0x1000)
    places = {lowered("00:03.0"), lowered("00:04.0")}
    assert len(places) == 2
    assert all(0xC1205000 <= place < 0xC1220000 and place % 0x4000 == 0 for place in places)


@pytest.mark.parametrize("window", [(0xC1000000, 0xC0FFFFFF), (0xC1000000, 0xC10FFFFF)])
def test_where_there_is_no_room_it_stays(window):
    hardware = Machine()
    port(hardware, 2, 1, window)
    full = PciFunction((1, 1, 0), 0x1234, 0x1111)
    full.bar(0, 0xC1000000, 0x100000)
    hardware.add_pci(full)
    device(hardware, (1, 0, 0))
    assert lowered("01:00.0") == HIGH


def test_what_is_within_reach_or_of_others_stays():
    hardware = Machine()
    low = device(hardware, (0, 3, 0), 0xFE000000)
    other = device(hardware, (0, 4, 0), vendor=0x8086)
    before = bytes(low.bytes), bytes(other.bytes)
    reach.lower(pci.scan())
    assert (bytes(low.bytes), bytes(other.bytes)) == before
