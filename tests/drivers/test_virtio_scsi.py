"""The SCSI adapter against a device made of Python: sense data, strange answers, many targets."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.virtio import scsi
from runtime import pci
from runtime.counters import Registry
from runtime.dma import Arena
from runtime.log import DEBUG, Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers
from tests.drivers.test_virtio_blk import Ticking
from tests.support.metal import Asleep, metal
from tests.support.virtio_block import Chains

GOOD, CHECK, BUSY = 0, 2, 8


def sense(key, code=0, more=0, descriptors=False):
    """A response with sense data, SPC-4 4.5."""
    data = bytearray(96)
    if descriptors:
        data[:4] = bytes((0x72, key, code, more))
    else:
        data[0], data[2], data[7], data[12], data[13] = 0x70, key, 10, code, more
    return struct.pack("<IIHBB", 18, 0, 0, CHECK, 0) + bytes(data)


OK = bytes(108)
NO_TARGET = bytes(11) + b"\3" + bytes(96)


class Unit:
    """A CD-ROM or a disk; `trouble`: responses that come before the good ones."""

    def __init__(self, kind=5, size=2048, blocks=32, trouble=(), medium=True):
        self.kind, self.size, self.blocks, self.medium = kind, size, blocks, medium
        self.trouble = list(trouble)
        self.data = bytearray(bytes(range(256)) * (size * blocks // 256))
        self.synchronized = 0

    def act(self, cdb, data):
        """(response, data for the driver)."""
        op = cdb[0]
        if op == 0x12:
            return OK, bytes(
                (self.kind, 0x80, 5, 2, 31, 0, 0, 0)
            ) + b"MAKER   A\x00DRIVE         1.0 "
        if self.trouble:
            return self.trouble.pop(0), b""
        if not self.medium:
            return sense(2, 0x3A), b""
        if op == 0:
            return OK, b""
        if op == 0x25:
            return OK, struct.pack(">II", self.blocks - 1, self.size)
        if op == 0x35:
            self.synchronized += 1
            return OK, b""
        block, count = struct.unpack(">xxIxHx", cdb[:10])
        start, end = block * self.size, (block + count) * self.size
        if end > len(self.data):
            return sense(5, 0x21), b""
        if op == 0x28:
            return OK, bytes(self.data[start:end])
        assert op == 0x2A
        if self.kind == 5:
            return sense(7), b""
        self.data[start:end] = data
        return OK, b""


class ScsiDevice(Chains):
    NUMBERS = (0x1048, 0x1004, 0x0100)
    QUEUES = 3

    def __init__(self, machine, units, max_sectors=0xFFFF, **options):
        self.units = units
        self.commands = []
        super().__init__(machine, **options)
        struct.pack_into(
            "<IIIIIIIHHI", self.config, 0, 1, 126, max_sectors, 128, 16, 96, 32, 0, 255, 1
        )

    def write_status(self, value):
        if value & 4:
            for queue in self.queues[:2]:
                queue.enabled = True  # the driver leaves those alone
        super().write_status(value)

    def doorbell(self, index):
        ring = self.queues[index]
        while (taken := self.take(ring)) is not None:
            head, parts = taken
            self.answer(ring, head, parts)
        self.want(ring, True)

    def answer(self, ring, head, parts):
        pieces = [
            bytes(self.machine.physical(at, 1)[:n]) for at, n, flags in parts if not flags & 2
        ]
        header, data = pieces[0], b"".join(pieces[1:])
        assert len(header) == 51 and header[0] == 1 and header[2] >> 6 == 1
        target, lun = header[1], (header[2] & 63) << 8 | header[3]
        cdb = header[19:]
        self.commands.append((target, lun, cdb[0]))
        luns = sorted(unit for place, unit in self.units if place == target)
        if not luns:
            response, back = NO_TARGET, b""
        elif cdb[0] == 0xA0:
            listed = b"".join(struct.pack(">HHHH", number, 0, 0, 0) for number in luns)
            response, back = OK, struct.pack(">II", len(listed), 0) + listed
        elif (target, lun) not in self.units:
            response, back = sense(5, 0x25), b""
        else:
            response, back = self.units[target, lun].act(cdb, data)
        rooms = [part for part in parts if part[2] & 2]
        assert rooms[0][1] == 108
        self.machine.physical(rooms[0][0], 1)[:108] = response
        written = 108
        for at, room, _ in rooms[1:]:
            some = back[:room]
            self.machine.physical(at, 1)[: len(some)] = some
            written += len(some)
        self.give_back(ring, head, written)
        self.signal(ring)


class Bench:
    def __init__(self, units, **options):
        self.hardware = Ticking()
        self.hardware.add_ram(0x200000, 1 << 16)
        self.device = ScsiDevice(self.hardware, units, **options)
        timers = Timers(metal.ticks_ms)
        self.loop = Loop(metal, timers, lambda: None)
        log = Log(metal.write, metal.uptime_ms, DEBUG)
        self.machine = Machine(
            log, Settings(""), Registry(), timers, self.loop, None, metal.uptime_ms
        )
        channel = scsi.probe(self.machine, pci.scan()[0], Arena(*metal.arena()))
        if channel:
            self.loop.add(channel)
        self.disks = self.machine.disks
        self.ends = []

    @property
    def output(self):
        return "".join(self.hardware.output)

    def done(self, status, buffer):
        self.ends.append(status)

    def run(self):
        with pytest.raises(Asleep):
            self.loop.run()


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("indirect", [True, False])
def test_a_cd_is_read(modern, indirect):
    unit = Unit(trouble=[sense(6, 0x29)])
    bench = Bench({(3, 5): unit}, modern=modern, indirect=indirect)
    (disk,) = bench.disks
    assert (disk.name, disk.block_size, disk.sectors) == ("disk0", 2048, 128)
    assert disk.read_only
    assert "target 3, unit 5, MAKER A?DRIVE, 128 sectors, blocks of 2048" in bench.output
    assert disk.fetch(4, 8) == unit.data[2048:6144]
    for sector, length in ((1, 2048), (0, 512), (-4, 2048), (124, 4096)):
        with pytest.raises(ValueError):
            disk.read(sector, bytearray(length), bench.done)
    with pytest.raises(OSError):
        disk.write(0, bytes(2048), bench.done)
    disk.flush(bench.done)
    bench.run()
    assert bench.ends == [0]
    assert disk.stop(100)
    assert bench.device.device_status == 0


def test_a_disk_is_written_and_flushed():
    unit = Unit(kind=0, size=512, blocks=64)
    bench = Bench({(0, 0): unit})
    (disk,) = bench.disks
    disk.write(3, b"w" * 1024, bench.done)
    bench.run()
    disk.flush(bench.done)
    bench.run()
    assert bench.ends == [0, 0] and unit.synchronized == 1
    assert unit.data[1536:2560] == b"w" * 1024
    with pytest.raises(OSError):
        disk.discard(0, 8, bench.done)
    assert disk.stop(100) and unit.synchronized == 2


def test_units_of_all_targets_and_more_requests_than_slots():
    units = {(target, lun): Unit() for target in (0, 7, 255) for lun in (0, 1, 300)}
    bench = Bench(units)
    assert [disk.place for disk in bench.disks] == sorted(units)
    for i in range(40):
        bench.disks[i % 9].read(0, bytearray(2048), bench.done)
    bench.run()
    assert bench.ends == [0] * 40
    assert bench.machine.counters.drops() == {}
    for disk in bench.disks[:]:
        assert bench.device.device_status & 4
        assert disk.stop(100)
    assert bench.device.device_status == 0


def test_an_empty_drive_and_other_units_are_no_disks():
    bench = Bench({(0, 0): Unit(medium=False), (1, 0): Unit(kind=1), (2, 0): Unit(size=2352)})
    assert bench.disks == []
    assert "target 0, unit 0: no medium" in bench.output
    assert "blocks of 2352 bytes" in bench.output


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (sense(6, 0x29), 0),  # once more
        (sense(6, 0x28), 5),  # another medium
        (sense(2, 0x04, 1), 0),  # becoming ready
        (sense(2, 0x3A), 123),
        (sense(3, 0x11), 5),  # medium error
        (sense(5, 0x20), 95),
        (sense(7, 0x27), 30),
        (sense(7, 0x27, 7), 28),
        (sense(6, 0x29, 0, True), 0),
        (sense(7, 0x27, 7, True), 28),
        (bytes(10) + bytes((BUSY, 0)) + bytes(96), 0),
        (bytes(10) + bytes((0x18, 0)) + bytes(96), 5),  # reservation conflict
        (bytes(11) + b"\4" + bytes(96), 0),  # the bus was reset
        (bytes(11) + b"\x09" + bytes(96), 5),
        (bytes(11) + b"\3" + bytes(96), 6),  # the target is gone
        (struct.pack("<II", 0, 512) + bytes(100), 5),  # a part is missing
        (b"\xff" * 108, 5),
    ],
)
def test_what_a_unit_says_is_an_errno(response, error):
    unit = Unit()
    bench = Bench({(0, 0): unit})
    unit.trouble = [response]
    bench.disks[0].read(0, bytearray(2048), bench.done)
    bench.run()
    assert bench.ends == [error]


def test_a_unit_that_is_always_busy_is_given_up():
    unit = Unit()
    bench = Bench({(0, 0): unit})
    unit.trouble = [sense(6, 0x29)] * 100
    bench.disks[0].read(0, bytearray(2048), bench.done)
    bench.run()
    assert bench.ends == [5]
    assert len(unit.trouble) == 100 - scsi.ATTEMPTS


def test_long_requests_are_cut_to_what_the_adapter_takes():
    unit = Unit()
    bench = Bench({(0, 0): unit}, max_sectors=9)
    buffer = bytearray(2048 * 5)
    bench.device.commands.clear()
    bench.disks[0].read(4, buffer, bench.done)
    bench.run()
    assert buffer == unit.data[2048 : 2048 * 6]
    assert len(bench.device.commands) == 3


@given(response=st.binary(min_size=108, max_size=108), answer=st.binary(max_size=200))
@settings(max_examples=15, deadline=None)
def test_nothing_that_a_device_says_is_a_traceback(response, answer):
    class Liar(Unit):
        def act(self, cdb, data):
            return response, answer

    Bench({(0, 0): Liar(), (1, 0): Unit()})
    bench = Bench({(0, 0): Unit()})
    bench.device.units[0, 0] = Liar()
    bench.disks[0].read(0, bytearray(2048), bench.done)
    bench.run()
    assert len(bench.ends) == 1


def test_a_device_that_wants_a_reset_gets_one_and_goes_on():
    unit = Unit()
    bench = Bench({(0, 0): unit})
    bench.run()
    bench.device.device_status |= 64
    bench.device.raise_interrupt(2)
    bench.run()
    bench.disks[0].read(0, bytearray(2048), bench.done)
    bench.run()
    assert bench.ends == [0]


def test_an_adapter_that_is_gone_fails_what_it_is_asked():
    bench = Bench({(0, 0): Unit()})
    bench.run()
    (disk,) = bench.disks
    disk.adapter.recoveries = 8
    bench.device.device_status |= 64
    bench.device.raise_interrupt(2)
    bench.run()
    assert "it fails again and again" in bench.output
    for _ in range(40):
        with pytest.raises(OSError, match="5"):
            disk.read(0, bytearray(2048), bench.done)
    assert not disk.busy()
    assert disk.stop(100) is False or disk.read_only


@pytest.mark.parametrize("most", [1, 2, 3])
def test_an_adapter_that_takes_less_than_a_block_at_a_time(most):
    bench = Bench({(0, 0): Unit()}, max_sectors=most)
    bench.run()
    (disk,) = bench.disks
    assert disk.fetch(4, 8) == bench.device.units[0, 0].data[2048:6144]


def test_a_command_that_finds_no_memory_leaves_its_slot():
    bench = Bench({(0, 0): Unit(kind=0, size=512)})
    bench.run()
    (disk,) = bench.disks
    memory, free = scsi.metal.memory, disk.adapter.queue.free()

    def none(*_):
        raise MemoryError

    scsi.metal.memory = none
    try:
        for _ in range(40):
            with pytest.raises(MemoryError):
                disk.read(0, bytearray(512), bench.done)
    finally:
        scsi.metal.memory = memory
    assert disk.adapter.queue.free() == free and not disk.busy()
    assert disk.fetch(0, 1) == bench.device.units[0, 0].data[:512]


class Silent(ScsiDevice):
    """It lists its units and says nothing more."""

    def answer(self, ring, head, parts):
        if self.machine.physical(parts[0][0], 1)[19] == 0xA0:
            super().answer(ring, head, parts)
        else:
            self.commands.append("silence")


def test_a_start_waits_once_for_an_adapter_that_is_silent(monkeypatch):
    monkeypatch.setitem(Bench.__init__.__globals__, "ScsiDevice", Silent)
    bench = Bench({(target, unit): Unit() for target in range(3) for unit in range(3)})
    assert bench.disks == []
    assert bench.device.commands.count("silence") == 1
    assert "no more units are looked at" in bench.output
