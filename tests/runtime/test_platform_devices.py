"""The watchdog i6300esb and pvpanic, on made-up buses."""

import pytest

from runtime import pci
from runtime.platform import pvpanic, watchdog
from tests.support.metal import Machine as Hardware
from tests.support.metal import PciFunction
from tests.support.timer import Timer

BASE = 0xFEB00000


class I6300esb:
    """Its registers; `pet` counts reloads, `strange` what came without the two words before."""

    def __init__(self):
        self.timers, self.unlocked = {}, 0
        self.pet, self.strange = 0, 0

    def load(self, offset, size):
        return 0

    def store(self, offset, size, value):
        if offset == 12 and value == 0x80:
            self.unlocked = 1
        elif offset == 12 and value == 0x86 and self.unlocked == 1:
            self.unlocked = 2
        elif self.unlocked != 2:
            self.strange += 1
        else:
            self.unlocked = 0
            if offset == 12:
                assert (size, value) == (2, 0x100)
                self.pet += 1
            else:
                assert size == 4 and offset in (0, 4)
                self.timers[offset] = value


class Guest:
    def __init__(self, **settings):
        self.settings, self.lines = settings, []
        self.log = self.timers = self
        self.timer = Timer

    def info(self, text, *values):
        self.lines.append(text % values)

    warning = error = info


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(watchdog, "watchdog", None)
    hardware = Hardware()
    function = PciFunction((0, 5, 0), 0x8086, 0x25AB)
    function.bar(0, BASE, 16)
    hardware.add_pci(function)
    device = I6300esb()
    hardware.add_registers(BASE, device, 16)

    def start(**settings):
        guest = Guest(**settings)
        assert watchdog.probe(guest, pci.scan()[0], None) is None, "nothing for the loop"
        return guest, device, function

    return start


def test_it_is_armed_for_half_a_minute_and_fed_four_times_as_often(bench):
    guest, device, function = bench()
    assert device.timers == {0: 30 * 512, 4: 30 * 512}
    assert function.load(0x60, 2) == 3
    assert function.load(0x68, 1) == 2
    timer = watchdog.watchdog.timer
    assert timer.ms == 7500
    before = device.pet
    timer.callback()
    assert (device.pet, device.strange) == (before + 1, 0)
    assert guest.lines == ["watchdog: armed, 30000 ms"]


@pytest.mark.parametrize(("words", "ticks"), [("2", 1024), ("100000", 2000 * 512)])
def test_seconds_are_a_setting(bench, words, ticks):
    _, device, _ = bench(watchdog=words)
    assert device.timers[0] == ticks < 1 << 20


@pytest.mark.parametrize("words", ["0", "soon", True])
def test_it_is_left_alone_if_told(bench, words):
    guest, device, function = bench(watchdog=words)
    assert device.timers == {} and function.load(0x68, 1) == 0
    assert len(guest.lines) == (words != "0")


def test_a_setting_that_comes_after_the_device_was_found(bench):
    guest, device, function = bench()
    for words, ticks, switch in (("5", 5 * 512, 2), ("0", 1, 0), ("9", 9 * 512, 2)):
        guest.settings["watchdog"] = words
        watchdog.choose(guest)
        assert (device.timers[0], function.load(0x68, 1)) == (ticks, switch)
    guest.settings["watchdog"] = "soon"
    watchdog.choose(guest)
    assert device.timers[0] == 9 * 512 and "watchdog=soon is not" in guest.lines[-1]
    assert device.strange == 0


def test_it_never_runs_with_the_time_of_a_watchdog_that_is_switched_off(bench):
    guest, device, function = bench()
    seen, store = [], device.store

    def watched(offset, size, value):
        store(offset, size, value)
        if function.load(0x68, 1):
            seen.append(device.timers[0])

    device.store = watched
    guest.settings["watchdog"] = "0"
    watchdog.choose(guest)
    assert set(seen) <= {30 * 512}, "or it bites at once"


def test_registers_out_of_reach_are_said(bench):
    _, _, function = bench(watchdog="0")
    watchdog.watchdog = None
    function.bar(0, 0, 16)
    guest = Guest()
    watchdog.probe(guest, pci.scan()[0], None)
    assert watchdog.watchdog is None and "out of reach" in guest.lines[0]


class Events:
    def __init__(self, known):
        self.known = known

    def load(self, offset, size):
        return self.known if offset == 0 else 0

    def store(self, offset, size, value):
        raise AssertionError("nothing is panicking")


@pytest.mark.parametrize(("known", "where"), [(1, 0x505), (3, 0x505), (0xFF, None), (2, None)])
def test_pvpanic_at_its_port(known, where):
    hardware = Hardware()
    hardware.panic = None
    hardware.add_pci(PciFunction((0, 1, 0), 0x8086, 0x7000, class_code=0x0601))
    hardware.add_ports(0x505, Events(known), 1)
    assert pvpanic.probe(Guest(), pci.scan()[0], None) is None
    assert hardware.panic == where


@pytest.mark.parametrize(("known", "where"), [(1, BASE), (0, None)])
def test_pvpanic_as_a_pci_device(known, where):
    hardware = Hardware()
    hardware.panic = None
    function = PciFunction((0, 5, 0), 0x1B36, 0x0011)
    function.bar(0, BASE, 16)
    hardware.add_pci(function)
    hardware.add_registers(BASE, Events(known), 16)
    pvpanic.probe(Guest(), pci.scan()[0], None)
    assert hardware.panic == where
