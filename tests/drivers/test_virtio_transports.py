"""How a driver reaches its device and hears from it: MSI-X, slots of memory, strange devices."""

import pytest

from drivers.virtio import mmio, net, rng
from runtime import pci
from runtime.counters import Registry
from runtime.dma import Arena
from runtime.entropy import Random
from runtime.log import DEBUG, Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers
from tests.support.metal import Asleep, metal
from tests.support.metal import Machine as Hardware
from tests.support.virtio import NetDevice, RngDevice
from tests.support.virtio_transports import IoApic, Messages, Mmio


class MessageNet(Messages, NetDevice):
    pass


class MmioNet(Mmio, NetDevice):
    pass


class MmioRng(Mmio, RngDevice):
    pass


class World:
    """A machine; `start` probes as runtime/boot.py does, and `run` turns until it sleeps."""

    def __init__(self, command_line=""):
        self.hardware = Hardware()
        self.hardware.add_ram(0x200000, 1 << 20)
        self.hardware.command_line = command_line

    def start(self):
        command_line = self.hardware.command_line
        timers = Timers(metal.ticks_ms)
        loop = Loop(metal, timers, lambda: None)
        log = Log(metal.write, metal.uptime_ms, DEBUG)
        self.machine = Machine(
            log, Settings(command_line), Registry(), timers, loop, Random(b"7"), metal.uptime_ms
        )
        functions = pci.scan()
        for switch in mmio.switches(self.machine, functions):
            loop.add(switch)
        functions += mmio.slots(self.machine, functions)
        arena = Arena(*metal.arena())
        for function in functions:
            nic = net.probe(self.machine, function, arena)
            if nic:
                loop.add(nic)
                nic.receive = self.echo
        return self

    def echo(self, packet):
        nic = self.machine.nic
        head = memoryview(packet.buffer).cast("H")
        out = nic.allocate()
        to = memoryview(out.buffer).cast("H")
        to[0], to[4] = head[0], head[4]
        out.buffer[head[0] : head[4]] = packet.buffer[head[0] : head[4]]
        nic.transmit(out)

    def run(self):
        with pytest.raises(Asleep):
            self.machine.loop.run()

    @property
    def log(self):
        return "".join(self.hardware.output)


def answers(world, device, count=100):
    """Whether so many frames come back, each of which has to wake the machine."""
    world.run()
    device.sent.clear()
    frames = [bytes([n]) * 60 for n in range(count)]
    for frame in frames:
        assert device.deliver(frame)
        world.run()
    return device.sent == frames


@pytest.mark.parametrize("event_idx", [True, False])
def test_a_device_with_msix_interrupts_by_messages_alone(event_idx):
    world = World()
    device = MessageNet(world.hardware, event_idx=event_idx)
    world.start()
    assert device.enabled
    assert world.machine.nic.line == 18
    assert answers(world, device)
    assert device.isr == 0
    assert set(device.messages) == {0}


def test_a_change_of_the_configuration_is_a_message_of_its_own():
    world = World()
    devices = [MessageNet(world.hardware, slot=slot) for slot in (3, 4)]
    world.start()
    world.run()
    for device, nic in zip(devices, world.machine.nics, strict=True):
        for up in (False, True):
            device.set_link(up)
            world.run()
            assert nic.link == up
        assert device.messages[-2:] == [1, 1]
    assert [nic.line for nic in world.machine.nics] == [18, 19]


def test_vectors_are_set_again_after_a_reset():
    world = World()
    device = MessageNet(world.hardware)
    world.start()
    world.run()
    device.device_status |= 64
    device.raise_interrupt(2)
    world.run()
    assert device.device_status == 15
    assert device.config_vector == 1
    assert answers(world, device)


@pytest.mark.parametrize(
    ("options", "command_line"),
    [
        ({}, "msix=no"),
        ({"entries": 1}, ""),
        ({"table_at": 0x38_FE000000}, ""),
        ({"modern": False}, ""),
        ({}, "virtio=modern msix=no"),
    ],
)
def test_where_messages_do_not_do_interrupts_come_by_the_line(options, command_line):
    """Also where a firmware had enabled MSI-X, which moves a legacy device's configuration."""
    world = World(command_line)
    device = MessageNet(world.hardware, **options)
    device.pci.put(device.control, device.pci.load(device.control, 2) | 0x8000, 2)
    world.start()
    assert not device.enabled
    assert world.machine.nic.line == 11
    assert answers(world, device)
    assert not device.messages


def test_when_lines_run_out_devices_share_the_old_ones():
    world = World()
    world.hardware.lines = 30
    devices = [MessageNet(world.hardware, slot=slot) for slot in range(3, 7)]
    world.start()
    assert [nic.line for nic in world.machine.nics] == [31, 11, 11, 11]
    assert [device.enabled for device in devices] == [True, False, False, False]


@pytest.mark.parametrize("line", [0, 16, 18, 255])
@pytest.mark.parametrize("modern", [True, False])
def test_a_device_whose_interrupt_nobody_has_routed_needs_messages(line, modern):
    world = World()
    device = MessageNet(world.hardware, line=line, modern=modern)
    NetDevice(world.hardware, line=line, modern=modern, slot=4)
    world.start()
    assert len(world.machine.nics) == modern
    assert "00:04.0: its interrupt is routed nowhere" in world.log
    assert answers(world, device) if modern else "00:03.0: its interrupt" in world.log


def test_a_device_without_room_for_a_vector_is_left_alone():
    world = World()
    device = MessageNet(world.hardware, room=1)
    world.start()
    assert not world.machine.nics
    assert "no room for an interrupt vector" in world.log
    assert not device.device_status & 4


# Slots.


@pytest.mark.parametrize("event_idx", [True, False])
@pytest.mark.parametrize("version", [1, 2])
def test_a_slot_of_the_command_line_is_found(version, event_idx):
    world = World("quiet virtio_mmio.device=512@0xd0000e00:12")
    ioapic = IoApic(world.hardware, 0xFEC00000)
    device = MmioNet(world.hardware, ioapic, 0xD0000E00, 12, version=version, event_idx=event_idx)
    world.start()
    name = "mmio" if version == 2 else "mmio, legacy"
    assert f"virtio-net, {name}, mac 52:54:00:12:34:56" in world.log
    assert answers(world, device)
    device.set_link(False)
    world.run()
    assert not world.machine.nic.link


@pytest.mark.parametrize(("pin", "second"), [(5, False), (16, False), (24, True)])
def test_slots_of_a_microvm_are_searched_for_where_the_command_line_is_silent(pin, second):
    """Slot n interrupts at 5 + n, 16 + n or 24 + n: whichever it is, it arrives."""
    world = World()
    first = IoApic(world.hardware, 0xFEC00000)
    other = IoApic(world.hardware, 0xFEC10000) if second else None
    n = 7
    device = MmioNet(
        world.hardware, other or first, 0xFEB00000 + 0x200 * n, (pin + n) % 24, version=2
    )
    world.start()
    assert answers(world, device)


def test_a_machine_with_pci_is_not_searched():
    world = World()
    IoApic(world.hardware, 0xFEC00000)
    MmioNet(world.hardware)
    NetDevice(world.hardware)
    world.start()
    assert [nic.transport.name for nic in world.machine.nics] == ["modern"]


def test_two_slots_have_lines_of_their_own():
    words = [f"virtio_mmio.device=4K@{0xD0000000 + n * 0x1000:#x}:{5 + n}" for n in range(2)]
    world = World(" ".join(words))
    ioapic = IoApic(world.hardware, 0xFEC00000)
    for n in range(2):
        MmioNet(world.hardware, ioapic, 0xD0000000 + n * 0x1000, 5 + n)
    world.start()
    assert [nic.line for nic in world.machine.nics] == [18, 19]
    assert [nic.name for nic in world.machine.nics] == ["eth0", "eth1"]


def test_other_types_of_device_are_found_in_slots():
    world = World("virtio_mmio.device=512@0xfeb00000:5")
    ioapic = IoApic(world.hardware, 0xFEC00000)
    device = MmioRng(world.hardware, ioapic, reset_takes=0)
    world.start()
    world.machine.entropy = type("", (), {"sources": [], "seed": lambda *_: None, "seeded": 1})()
    (slot,) = mmio.slots(world.machine, [])
    driver = rng.probe(world.machine, slot, Arena(*metal.arena()))
    assert not driver.waiting
    assert device.requests == 1


@pytest.mark.parametrize(
    "word",
    [
        "virtio_mmio.device=",
        "virtio_mmio.device=512@",
        "virtio_mmio.device=512@0xfeb00000",
        "virtio_mmio.device=512@here:5",
        "virtio_mmio.device=512@0xfeb00000:five",
    ],
)
def test_a_word_that_names_no_slot_is_said(word):
    world = World(word).start()
    assert f"{word}: expected SIZE@ADDRESS:INTERRUPT" in world.log
    assert not world.machine.nics


@pytest.mark.parametrize(
    ("options", "command_line", "expected"),
    [
        ({"version": 3}, "", "no usable interface but version 3"),
        ({"version": 1}, "virtio=modern", "no modern interface but version 1"),
        ({"version": 2}, "virtio=legacy", "no legacy interface but version 2"),
        ({"ioapic": None}, "", "there is no I/O APIC for interrupt 5"),
        ({"size": 0}, "", "queue 0 has size 0"),
        ({"refuse": True}, "", "it refuses the features"),
        ({"reset_takes": 10**6}, "", "it does not reset"),
    ],
)
def test_a_slot_that_cannot_be_used_is_said_and_left_alone(options, command_line, expected):
    world = World(f"virtio_mmio.device=512@0xfeb00000:5 {command_line}")
    if "ioapic" not in options:
        options = {"ioapic": IoApic(world.hardware, 0xFEC00000), **options}
    MmioNet(world.hardware, **options)
    world.start()
    assert expected in world.log
    assert not world.machine.nics


def test_without_an_8259_the_serial_line_arrives_by_the_io_apic():
    world = World()
    ioapic = IoApic(world.hardware, 0xFEC00000)
    MmioNet(world.hardware, ioapic)
    world.start()
    assert ioapic.redirection[4] == 64  # port/cpu/vectors.S


class EventDevice:
    """ACPI's, of a microvm."""

    def __init__(self, world):
        self.events = 4
        world.hardware.add_registers(0xFEA00000, self, 0x300)

    def load(self, offset, size):
        assert (offset, size) == (0, 4)
        events, self.events = self.events, 0
        return events


def test_the_power_button_of_a_microvm():
    world = World()
    ioapic = IoApic(world.hardware, 0xFEC00000)
    MmioNet(world.hardware, ioapic)
    events = EventDevice(world)
    world.start()
    assert world.hardware.poweroff == (0xFEA00200, 0x34)
    world.run()
    events.events = 2
    ioapic.set(9, 1)
    world.machine.loop.run()  # stops
    assert "the power button is pressed" in world.log


# Rings and features.


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("size", [4, 8, 16, 64, 1024])
def test_rings_of_any_size(size, modern):
    world = World()
    device = NetDevice(world.hardware, size=size, modern=modern)
    world.start()
    assert answers(world, device, 40)


@pytest.mark.parametrize("size", [1, 2])
def test_rings_without_room_for_a_packet_are_refused(size):
    world = World()
    NetDevice(world.hardware, size=size)
    world.start()
    assert f"queues of {size} and {size} do not do" in world.log


@pytest.mark.parametrize("size", [0, 3, 96])
def test_a_size_that_is_no_power_of_two_is_refused(size):
    world = World()
    NetDevice(world.hardware, size=size)
    world.start()
    assert f"queue 0 has size {size}" in world.log


def test_what_a_platform_translates_is_accepted_and_packed_rings_are_not():
    world = World()
    device = NetDevice(world.hardware, features=(33, 34, 36, 40))
    world.start()
    assert device.accepted >> 33 == 1


def test_base_addresses_beyond_reach_are_said():
    world = World()
    device = NetDevice(world.hardware)
    world.hardware.pci[0, 3, 0].bar(4, 0x38_00000000, 0x4000, wide=True)
    world.start()
    assert "above 4 GiB" in world.log
    assert device.steps == []
