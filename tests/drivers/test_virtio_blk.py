"""The block device against a device made of Python: any order, errors, resets, odd sizes."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.virtio import blk, device, requests
from runtime import pci
from runtime.counters import Registry
from runtime.dma import Arena
from runtime.log import DEBUG, Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers
from tests.support.metal import Asleep, metal
from tests.support.metal import Machine as Hardware
from tests.support.virtio_block import FLUSH, IOERR, READ, UNSUPP, WRITE, BlockDevice

KINDS = [
    {"modern": modern, "event_idx": event_idx, "indirect": indirect}
    for modern in (True, False)
    for event_idx in (True, False)
    for indirect in (True, False)
]


def name(options):
    return "-".join(key for key in options if options[key]) or "plain"


class Ticking(Hardware):
    """Time passes whenever somebody looks."""

    looks = 0

    @property
    def ms(self):
        self.looks += 1
        return self.looks

    @ms.setter
    def ms(self, value):
        self.looks = max(self.looks, value)


class Bench:
    def __init__(self, ram=1 << 16, automatic=True, **options):
        self.hardware = Ticking()
        self.hardware.add_ram(0x200000, ram)
        self.device = BlockDevice(self.hardware, **options)
        timers = Timers(metal.ticks_ms)
        self.loop = Loop(metal, timers, lambda: None)
        log = Log(metal.write, metal.uptime_ms, DEBUG)
        self.machine = Machine(
            log, Settings(""), Registry(), timers, self.loop, None, metal.uptime_ms
        )
        self.channel = blk.probe(self.machine, pci.scan()[0], Arena(*metal.arena()))
        if self.channel:
            self.loop.add(self.channel)
            self.disk = self.machine.disks[0]
            self.device.said.clear()
        self.device.automatic = automatic
        self.ends = []

    @property
    def output(self):
        return "".join(self.hardware.output)

    def done(self, status, buffer):
        self.ends.append((status, bytes(buffer)))

    def run(self):
        with pytest.raises(Asleep):
            self.loop.run()

    def serve_all(self):
        while self.device.pending:
            self.device.serve()
            self.run()


@pytest.mark.parametrize("options", KINDS, ids=name)
def test_what_is_written_is_read(options):
    bench = Bench(**options)
    disk = bench.disk
    assert (disk.name, disk.sectors, disk.serial) == ("disk0", 64, "disk-of-tests")
    data = bytes(range(256)) * 6
    disk.write(5, data, bench.done)
    assert bench.ends == []  # never within the call
    bench.run()
    assert bench.device.disk[5 * 512 : 8 * 512] == data
    into = bytearray(1024)
    disk.read(6, into, bench.done)
    bench.run()
    assert bytes(into) == data[512:]
    disk.flush(bench.done)
    bench.run()
    assert bench.device.flushed == 1
    assert [status for status, _ in bench.ends] == [0, 0, 0]
    assert disk.fetch(5, 3) == data
    assert bench.machine.counters.drops() == {}
    assert disk.busy() == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(0, 63), st.integers(1, 8)),
        st.tuples(st.just("write"), st.integers(0, 63), st.integers(1, 8)),
        st.tuples(st.just("serve"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("run"), st.just(0), st.just(0)),
        st.tuples(st.just("discard"), st.integers(0, 63), st.integers(1, 8)),
        st.tuples(st.just("flush"), st.just(0), st.just(0)),
        st.tuples(st.just("fail"), st.integers(0, 63), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("options", KINDS, ids=name)
@given(steps=steps)
@settings(max_examples=40, deadline=None)
def test_any_requests_in_any_order_are_those_of_a_reference(options, steps):
    """The reference is what the device itself did, in its order; more requests than slots wait."""
    bench = Bench(automatic=False, size=16, **options)
    disk, device = bench.disk, bench.device
    asked = answered = 0
    reads = []

    def done(status, buffer):
        nonlocal answered
        answered += 1

    def begin(what, sector, count):
        nonlocal asked
        count = min(count, 64 - sector)
        asked += 1
        if what == "read":
            buffer = bytearray(512 * count)
            reads.append((sector, buffer))

            def compare(status, got):
                assert got is buffer
                bad = any(sector <= at < sector + count for at in device.fail)
                assert status == (errno.EIO if bad else 0)
                if not status:
                    assert bytes(buffer) == snapshots[sector, count].pop(0)
                done(status, got)

            disk.read(sector, buffer, compare)
        elif what == "write":
            disk.write(sector, bytes([asked & 0xFF]) * (512 * count), done)
        elif what == "discard":
            disk.discard(sector, count, done)
        elif what == "flush":
            disk.flush(done)
        else:
            device.fail[sector] = IOERR
            asked -= 1

    snapshots = {}
    act = device.act

    def remember(kind, sector, parts, total):
        if kind == READ:
            piece = bytes(device.disk[512 * sector : 512 * sector + total])
            if not any(sector <= at < sector + total // 512 for at in device.fail):
                snapshots.setdefault((sector, total // 512), []).append(piece)
        return act(kind, sector, parts, total)

    device.act = remember
    for what, at, count in steps:
        if what == "serve":
            if at < len(device.pending):
                device.serve(at)
                bench.run()
        elif what == "run":
            bench.run()
        elif what == "fail" and (device.pending or disk.busy()):
            continue  # which requests it hits would depend on the order
        else:
            begin(what, at, count)
    bench.run()
    bench.serve_all()
    assert answered == asked
    assert disk.busy() == 0
    assert bench.machine.counters.drops() == {}


def test_more_requests_than_slots_wait_in_order():
    bench = Bench(automatic=False, size=16, indirect=False)
    assert bench.disk.queue.count == 4
    for sector in range(10):
        bench.disk.write(sector, bytes([sector]) * 512, bench.done)
    bench.run()
    assert len(bench.device.pending) == 4
    bench.serve_all()
    assert [sector for kind, sector, _ in bench.device.said] == list(range(10))
    assert [data[0] for _, data in bench.ends] == list(range(10))
    assert bench.disk.counters["waited"] == 6


@pytest.mark.parametrize(("status", "error"), [(1, 5), (2, 95), (3, 5), (255, 5)])
def test_an_error_of_the_device_is_an_errno(status, error):
    bench = Bench()
    bench.device.fail[7] = status
    bench.disk.read(6, bytearray(1024), bench.done)
    bench.disk.read(8, bytearray(1024), bench.done)
    bench.run()
    assert [end for end, _ in bench.ends] == [error, 0]
    with pytest.raises(OSError) as caught:
        bench.disk.fetch(7, 1)
    assert caught.value.args[0] == error
    assert bench.disk.counters["errors"] == 2


def test_a_status_that_was_not_written_is_an_error():
    bench = Bench(automatic=False)
    bench.disk.read(0, bytearray(512), bench.done)
    bench.run()
    head, _ = bench.device.pending.pop()
    bench.device.give_back(bench.device.queues[0], head, 0)
    bench.device.raise_interrupt(1)
    bench.run()
    assert bench.ends[0][0] == errno.EIO


def test_a_failed_flush_says_so():
    bench = Bench()
    bench.device.fail["flush"] = IOERR
    bench.disk.flush(bench.done)
    bench.run()
    assert bench.ends == [(errno.EIO, b"")]
    assert not bench.disk.sync(100)


@pytest.mark.parametrize(
    ("sector", "length"),
    [
        (0, 0),
        (0, 511),
        (-1, 512),
        (63, 1024),
        (64, 512),
        (1 << 32, 512),
        (1 << 40, 512),
        (-64, 512),
    ],
)
def test_what_cannot_be_right_raises_at_once(sector, length):
    bench = Bench()
    for request in (bench.disk.read, bench.disk.write):
        with pytest.raises(ValueError, match="disk0: "):
            request(sector, bytearray(length), bench.done)
    bench.run()
    assert bench.device.said == []
    assert bench.disk.busy() == 0


def test_what_is_no_buffer_raises_and_takes_no_slot():
    bench = Bench()
    for _ in range(2 * bench.disk.queue.count):
        with pytest.raises(TypeError):
            bench.disk.read(0, [0] * 512, bench.done)
    assert not bench.disk.busy()


def test_blocks_of_4096_bytes():
    bench = Bench(block_size=4096)
    assert bench.disk.block_size == 4096
    for sector, length in ((1, 4096), (0, 512), (8, 2048)):
        with pytest.raises(ValueError, match="whole blocks of 4096"):
            bench.disk.read(sector, bytearray(length), bench.done)
    bench.disk.write(8, bytes([9]) * 8192, bench.done)
    bench.run()
    assert bench.device.disk[4096:12288] == bytes([9]) * 8192


def test_a_read_only_disk_is_read():
    bench = Bench(read_only=True)
    assert bench.disk.read_only
    with pytest.raises(OSError) as caught:
        bench.disk.write(0, bytes(512), bench.done)
    assert caught.value.args[0] == errno.EROFS
    with pytest.raises(OSError):
        bench.disk.discard(0, 8, bench.done)
    assert bench.disk.fetch(0, 1) == bytes(512)
    assert bench.disk.stop(100)
    assert all(kind != FLUSH for kind, _, _ in bench.device.said)


def test_requests_longer_than_the_device_takes_are_sent_piece_by_piece():
    bench = Bench(size_max=1536)
    data = bytes(range(256)) * 16
    bench.disk.write(3, data, bench.done)
    bench.run()
    assert [end for end, _ in bench.ends] == [0]
    assert bench.device.said == [(WRITE, 3, 1536), (WRITE, 6, 1536), (WRITE, 9, 1024)]
    assert bench.disk.fetch(3, 8) == data
    bench.device.fail[8] = IOERR
    bench.device.said.clear()
    bench.disk.read(3, bytearray(4096), bench.done)
    bench.run()
    assert bench.ends[-1][0] == errno.EIO
    assert len(bench.device.said) == 2  # nothing after the failure


def test_discard_and_zeroes_are_cut_to_what_the_device_likes():
    bench = Bench()
    bench.device.disk[:] = b"x" * len(bench.device.disk)
    bench.device.config[36:40] = (8).to_bytes(4, "little")
    bench.disk.discard(2, 20, bench.done)
    bench.run()
    assert bench.ends == [(0, b"")]
    assert len(bench.device.said) == 3
    assert bench.device.disk == b"x" * 1024 + bytes(20 * 512) + b"x" * (42 * 512)
    bench.disk.write_zeroes(60, 4, bench.done)
    bench.run()
    assert bench.device.disk[60 * 512 :] == bytes(2048)
    with pytest.raises(ValueError, match="there are 64 sectors"):
        bench.disk.discard(60, 5, bench.done)


def test_what_the_device_cannot_do_is_said():
    bench = Bench(discard=False, zeroes=False, flush=False)
    for request in (bench.disk.discard, bench.disk.write_zeroes):
        with pytest.raises(OSError) as caught:
            request(0, 8, bench.done)
        assert caught.value.args[0] == 95
    bench.disk.flush(bench.done)  # there is no cache to flush
    bench.run()
    assert bench.ends == [(0, b"")]
    assert bench.disk.stop(100)


def test_a_disk_without_a_cache_is_not_flushed():
    """5.2.6.2: CONFIG_WCE and its field say so."""
    bench = Bench(writeback=0, physical=3)
    assert not bench.disk.volatile
    assert bench.disk.physical_size == 4096
    bench.disk.flush(bench.done)
    bench.run()
    assert bench.ends == [(0, b"")]
    assert bench.disk.stop(100)
    assert bench.device.flushed == 0


def test_a_disk_of_three_terabytes():
    bench = Bench()
    sectors = 6_000_000_000
    bench.device.act = lambda kind, sector, parts, total: (0, total)
    bench.device.resize(64)
    bench.device.configure(sectors)
    bench.device.raise_interrupt(2)
    bench.run()
    assert bench.disk.sectors == sectors
    for sector in (0, 5, (1 << 32) + 7, sectors - 1):
        bench.disk.read(sector, bytearray(512), bench.done)
        bench.run()
        assert bench.device.said[-1] == (READ, sector, 512)
    with pytest.raises(ValueError, match="6000000000 sectors"):
        bench.disk.read(sectors - 1, bytearray(1024), bench.done)


def test_another_size_is_told():
    bench = Bench()
    sizes = []
    bench.disk.on_change = lambda: sizes.append(bench.disk.sectors)
    bench.run()
    bench.device.resize(128)
    bench.run()
    assert sizes == [128]
    assert "disk0: 128 sectors now, 64 before" in bench.output
    assert bench.disk.fetch(127, 1) == bytes(512)


def test_a_device_that_wants_a_reset_gets_one_and_goes_on():
    bench = Bench(automatic=False)
    for sector in range(3):
        bench.disk.read(sector, bytearray(512), bench.done)
    bench.run()
    bench.device.device_status |= 64
    bench.device.raise_interrupt(2)
    bench.run()
    assert [status for status, _ in bench.ends] == [errno.EIO] * 3
    assert bench.disk.counters["lost"] == 3
    bench.device.automatic = True
    bench.disk.write(9, b"again..." * 64, bench.done)
    bench.run()
    assert bench.ends[-1][0] == 0
    assert bench.device.disk[9 * 512 : 10 * 512] == b"again..." * 64


def test_a_device_that_fails_again_and_again_is_left_alone():
    bench = Bench(automatic=False, size=4, indirect=False)
    for _ in range(device.RECOVERIES):
        bench.device.device_status |= 64
        bench.device.raise_interrupt(2)
        bench.run()
    bench.disk.read(0, bytearray(512), bench.done)
    bench.disk.read(1, bytearray(512), bench.done)  # waits for a slot
    bench.run()
    bench.device.device_status |= 64
    bench.device.raise_interrupt(2)
    bench.run()
    assert [status for status, _ in bench.ends] == [errno.EIO] * 2
    with pytest.raises(OSError):
        bench.disk.read(0, bytearray(512), bench.done)
    assert "it fails again and again" in bench.output


def test_the_end_comes_for_a_disk_that_is_gone():
    bench = Bench()
    bench.disk.recoveries = device.RECOVERIES
    bench.device.device_status |= 64
    bench.device.raise_interrupt(2)
    bench.run()
    assert bench.disk.serial == ""
    with pytest.raises(OSError):
        bench.disk.fetch(0, 1)
    assert bench.disk.stop(100) is False


def test_a_device_that_asks_twice_is_reset_once():
    bench = Bench()
    bench.device.device_status |= 64
    bench.disk.changed()
    bench.disk.changed()
    bench.run()
    assert bench.disk.recoveries == 1


def test_what_waits_for_a_disk_that_shrinks_is_an_error():
    bench = Bench(automatic=False, size_max=512)
    disk = bench.disk
    for sector in range(disk.queue.count - 1):
        disk.read(sector % 8, bytearray(512), lambda status, buffer: None)
    disk.read(40, bytearray(1024), bench.done)  # the second piece of it ...
    disk.read(41, bytearray(512), bench.done)  # ... and what waits are too far behind then
    bench.run()
    bench.device.resize(16)
    bench.run()
    bench.serve_all()
    assert [status for status, _ in bench.ends] == [errno.EIO] * 2


def test_all_that_waits_for_a_disk_that_shrinks_has_an_end():
    """Also if nothing is under way any more that could bring the next one forward."""
    bench = Bench(automatic=False)
    slots = bench.disk.queue.count
    for sector in range(3 * slots):
        bench.disk.read(40 if sector >= slots else 0, bytearray(512), bench.done)
    bench.run()
    bench.device.resize(16)
    bench.run()
    bench.serve_all()
    statuses = [status for status, _ in bench.ends]
    assert sorted(statuses) == [0] * slots + [errno.EIO] * 2 * slots
    assert not bench.disk.busy()


def test_stopping_waits_for_what_is_under_way_and_flushes():
    bench = Bench(automatic=False)
    bench.disk.write(0, b"w" * 512, bench.done)
    bench.run()
    look = bench.device.word
    looks = []

    def slowly(address, size=2):
        return look(address, size)

    bench.device.word = slowly
    bench.device.automatic = True
    poll = bench.disk.poll

    def polled():
        looks.append(1)
        if len(looks) == 5:
            bench.device.serve()
        poll()

    bench.disk.poll = polled
    assert bench.disk.stop(1000)
    assert [kind for kind, _, _ in bench.device.said] == [WRITE, FLUSH]
    assert bench.ends[0][0] == 0
    assert bench.device.device_status == 0
    with pytest.raises(OSError):
        bench.disk.write(0, bytes(512), bench.done)


def test_stopping_has_an_end_and_the_host_is_not_made_to_wait():
    """QEMU waits in the midst of a reset for what the disk was given."""
    bench = Bench(automatic=False)
    bench.disk.write(0, b"w" * 512, bench.done)
    assert not bench.disk.stop(50)
    assert bench.device.device_status == 15


@pytest.mark.parametrize("serial", [None, b"", b"\xff\x00abc", b"exactly-twenty-bytes"])
def test_a_serial_number_is_what_can_be_printed(serial):
    bench = Bench(serial=serial)
    assert bench.disk.serial == (serial or b"").replace(b"\xff\x00", b"").decode()


def test_a_device_that_does_not_tell_its_serial_number_is_a_disk():
    bench = Bench(automatic=False)
    assert bench.disk.serial == ""
    bench.device.automatic = True
    assert bench.disk.fetch(0, 1) == bytes(512)


def test_a_disk_that_owes_an_answer_still_does_after_it_was_asked_for_its_serial_number():
    bench = Bench(automatic=False)
    for _ in range(2):
        with pytest.raises(OSError):
            bench.disk.fetch(0, 1)
        sent = bench.disk.queue.counters["sent"]
        assert bench.disk.serial == "" and sent == 1, "it is not asked another"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"size": 0}, "queue 0 has size 0"),
        ({"block_size": 768}, "blocks of 768 bytes"),
        ({"block_size": 1 << 20}, "blocks of 1048576 bytes"),
        ({"size_max": 100}, "requests of 100"),
        ({"refuse": True}, "it refuses the features"),
        ({"ram": 4096}, "the DMA arena has"),
    ],
)
def test_a_device_that_cannot_be_used_is_said_and_the_machine_lives(options, why):
    bench = Bench(**options)
    assert bench.channel is None
    assert bench.machine.disks == []
    assert "disk0: virtio-blk at 00:03.0: " in bench.output
    assert why in bench.output


def test_the_constants_are_those_of_their_owner():
    assert blk._FREE == requests._FREE
    assert blk._STACK == requests._STACK
    assert blk._DEVICE_READS == requests._NEXT
    assert blk._DEVICE_WRITES == requests._NEXT | requests._WRITE
    assert UNSUPP == blk._UNSUPPORTED
