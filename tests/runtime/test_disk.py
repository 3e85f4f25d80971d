"""Waiting for disks by polling: silent ones, several at a time, and what a watchdog would say."""

import errno

import pytest

from runtime import disk as module
from runtime.disk import LEAST_MS, PATIENCE_MS, TOGETHER_MS, Disk, rouse
from runtime.log import Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.settings import Settings
from runtime.timers import Timers
from tests.support.metal import Asleep, metal
from tests.support.metal import Machine as Hardware


class Slow(Disk):
    """Answers so many milliseconds after it was asked, -1: never."""

    sectors = 64

    def __init__(self, hardware, name, delay, error=0):
        self.hardware, self.name, self.delay, self.error = hardware, name, delay, error
        self.asked = []

    def read(self, sector, buffer, done):
        self.asked.append((self.hardware.ms + self.delay, buffer, done))

    def poll(self):
        self.hardware.ms += 1
        for when, buffer, done in self.asked[:]:
            if self.delay >= 0 and self.hardware.ms >= when:
                self.asked.pop(0)
                done(self.error, buffer)


class Bench:
    def __init__(self):
        self.hardware = Hardware()
        timers = Timers(metal.ticks_ms)
        self.loop = Loop(metal, timers, lambda: None)
        self.machine = Machine(
            Log(metal.write, metal.uptime_ms),
            Settings(""),
            None,
            timers,
            self.loop,
            None,
            metal.uptime_ms,
        )
        module._turned()

    def turn(self):
        with pytest.raises(Asleep):
            self.loop.run()

    def took(self, do):
        """Milliseconds, and the errno."""
        since, error = self.hardware.ms, 0
        try:
            do()
        except OSError as failure:
            error = failure.args[0]
        return self.hardware.ms - since, error


def test_a_disk_that_is_silent_is_waited_for_once():
    bench = Bench()
    disk = Slow(bench.hardware, "disk0", -1)
    took, error = bench.took(lambda: disk.fetch(0, 1))
    assert error == errno.ETIMEDOUT and PATIENCE_MS <= took < PATIENCE_MS + 10
    assert bench.took(lambda: disk.fetch(0, 1)) == (0, errno.ETIMEDOUT)
    disk.delay = 0
    disk.poll()  # it answers after all
    assert disk.fetch(0, 1) == bytes(512)


def test_silent_disks_are_asked_at_the_same_time():
    bench = Bench()
    disks = [Slow(bench.hardware, f"disk{i}", -1 if i % 2 else 5) for i in range(16)]
    took, _ = bench.took(lambda: rouse(disks))
    assert took < PATIENCE_MS + 20
    output = "".join(bench.hardware.output)
    assert output.count(": no answer") == 8 and "disk1: no answer" in output
    assert bench.took(lambda: rouse(disks[1::2])) == (0, 0)  # they owe an answer already
    for disk in disks[::2]:
        assert disk.fetch(0, 1) == bytes(512)
    for disk in disks[1::2]:
        assert bench.took(lambda disk=disk: disk.fetch(0, 1)) == (0, errno.ETIMEDOUT)


def test_all_who_poll_between_two_turns_share_their_time():
    """Sixteen disks that answer once, and then do not: a watchdog has 30 s."""
    bench = Bench()
    disks = [Slow(bench.hardware, f"disk{i}", 0) for i in range(16)]
    rouse(disks)
    for disk in disks:
        disk.delay = -1

    def all_of_them():
        for disk in disks:
            assert bench.took(lambda disk=disk: disk.fetch(0, 1))[1] == errno.ETIMEDOUT

    took, _ = bench.took(all_of_them)
    assert TOGETHER_MS <= took <= TOGETHER_MS + 16 * (LEAST_MS + 10)
    bench.turn()
    late = Slow(bench.hardware, "late", PATIENCE_MS - 100)
    assert late.fetch(0, 1) == bytes(512)  # all the time there is


def test_disks_that_cannot_be_asked_are_left_to_who_comes_next():
    bench = Bench()
    empty = Slow(bench.hardware, "empty", -1)
    empty.sectors = 0
    gone = Slow(bench.hardware, "gone", 0)

    def fails(sector, buffer, done):
        raise OSError(errno.EIO)

    gone.read = fails
    assert bench.took(lambda: rouse([empty, gone])) == (0, 0)
    assert bench.took(lambda: gone.fetch(0, 1)) == (0, errno.EIO)
