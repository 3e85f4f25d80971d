"""The entropy device: the first seed, slow hosts, and answers that are not believed."""

import pytest

from drivers.virtio import rng, virtqueue
from runtime import pci
from runtime.csprng import Entropy
from runtime.dma import Arena
from runtime.log import DEBUG, Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers
from tests.support.metal import Asleep, metal
from tests.support.metal import Machine as Hardware
from tests.support.virtio import RngDevice


class Ticking(Hardware):
    """Time passes whenever somebody looks."""

    @property
    def ms(self):
        self.looks = getattr(self, "looks", 0) + 1
        return self.looks // 4 + self.jump

    @ms.setter
    def ms(self, value):
        self.jump = getattr(self, "jump", 0)


def bench(**options):
    hardware = Ticking()
    hardware.add_ram(0x200000, 1 << 16)
    device = RngDevice(hardware, reset_takes=0, **options)
    timers = Timers(metal.ticks_ms)
    log = Log(metal.write, metal.uptime_ms, DEBUG)
    machine = Machine(
        log, Settings(""), None, timers, Loop(metal, timers, lambda: None), None, metal.uptime_ms
    )
    machine.entropy = Entropy(metal.uptime_ms, metal.cycles)
    driver = rng.probe(machine, pci.scan()[0], Arena(*metal.arena()))
    if driver:
        machine.loop.add(driver)
    return machine, device, driver


def test_a_device_that_asks_for_a_reset_is_initialised_anew_and_asked_again():
    machine, device, _ = bench(gives=[64])
    run(machine)
    device.gives.append(64)
    device.device_status |= 64
    device.raise_interrupt(2)
    run(machine)
    assert device.device_status == 15
    assert device.requests == 2


def test_a_device_that_fails_for_good_is_not_waited_for():
    machine, device, driver = bench(gives=[64])
    for _ in range(20):
        device.device_status |= 64
        device.raise_interrupt(2)
        run(machine)
    assert device.device_status & 128
    requests = device.requests
    driver.request()
    assert device.requests == requests


def run(machine):
    with pytest.raises(Asleep):
        machine.loop.run()


@pytest.mark.parametrize("modern", [True, False])
def test_the_seed_is_there_when_services_start(modern):
    machine, device, _ = bench(modern=modern)
    assert machine.entropy.seeded
    assert machine.entropy.names == ["virtio-rng"]
    assert device.requests == 1


def test_a_host_with_few_bytes_is_asked_again():
    machine, device, _ = bench(gives=[8] * 10)
    assert machine.entropy.seeded
    assert device.requests == 4


def test_a_slow_host_delivers_by_interrupt():
    machine, device, _ = bench(gives=())
    assert not machine.entropy.seeded
    run(machine)
    device.gives = [64]
    device.serve()
    run(machine)
    assert machine.entropy.seeded


@pytest.mark.parametrize("length", [0, 65, 0xFFFFFFFF])
def test_a_length_that_cannot_be_is_no_seed(length):
    machine, _, _ = bench(gives=[length] * 3)
    assert not machine.entropy.seeded


def test_an_old_seed_is_renewed_by_one_request():
    machine, device, _ = bench(gives=[64, 64])
    before = bytes(machine.entropy.state)
    machine.entropy.asked = -(10**6)
    machine.entropy.bytes(1)
    assert device.requests == 2
    run(machine)
    assert bytes(machine.entropy.state) != before
    assert device.gives == []


def test_a_device_without_a_queue_is_said_and_the_machine_lives():
    _, device, driver = bench(size=0)
    assert driver is None
    assert "virtio-rng at 00:03.0: queue 0 has size 0" in "".join(device.machine.output)


def test_the_drivers_constants_are_those_of_their_owner():
    for name in ("INDEX", "SEEN", "MASK", "DESCRIPTORS", "AVAILABLE", "USED", "WRITE"):
        assert getattr(rng, "_" + name) == getattr(virtqueue, name), name
