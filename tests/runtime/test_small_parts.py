"""Log, counters, settings, arena, console, random numbers, garbage: the small parts."""

import collections
import types

import pytest

from runtime import heap, urgent
from runtime.console import Console
from runtime.counters import Counters, Registry
from runtime.dma import Arena
from runtime.entropy import Random
from runtime.log import DEBUG, ERROR, INFO, Log
from runtime.settings import Settings
from tests.support.metal import Machine


def test_log_lines_have_time_level_and_values():
    lines = []
    clock = iter([0, 12, 61_005, 9_999_999]).__next__
    log = Log(lines.append, clock, DEBUG)
    log.info("up")
    log.debug("%s: %d", "eth0", 7)
    log.warning("100%")
    log.error("%s", "bad")
    assert lines == [
        "[    0.000] up\n",
        "[    0.012] debug: eth0: 7\n",
        "[   61.005] warning: 100%\n",
        "[ 9999.999] error: bad\n",
    ]


def test_suppressed_lines_are_not_formatted():
    lines = []
    log = Log(lines.append, lambda: 0, INFO)
    log.debug("%d", "not a number")
    assert lines == []
    log.set_level("error")
    log.warning("x")
    assert lines == []
    assert log.level == ERROR
    with pytest.raises(ValueError, match="log=loud"):
        log.set_level("loud")


def test_counters_and_registry():
    registry = Registry()
    ip4 = registry.add(Counters("ip4", ("received", "sent"), ("checksum", "length")))
    registry.add(Counters("udp", ("received",)))
    ip4.count(0)
    ip4.count(2)
    ip4.count(2)
    assert ip4["checksum"] == 2
    assert registry() == {
        "ip4.received": 1,
        "ip4.sent": 0,
        "ip4.checksum": 2,
        "ip4.length": 0,
        "udp.received": 0,
    }
    assert registry.drops() == {"ip4.checksum": 2}


def test_a_counter_wraps():
    counters = Counters("x", ("y",))
    counters.cells[:] = b"\xff" * 4
    counters.count(0)
    assert counters["y"] == 0


def test_settings_command_line_wins():
    line = "build/dns.elf address=10.0.0.2/24 quiet log=info log=debug empty="
    settings = Settings(line, {"address": "10.9.9.9/8", "greeting": "hello"})
    assert settings.get("address") == "10.0.0.2/24"
    assert settings.get("greeting") == "hello"
    assert settings.get("log") == "debug"
    assert settings.get("quiet") is True
    assert settings.get("empty") == ""
    assert settings.get("gateway") is None
    assert settings.get("gateway", "none") == "none"
    assert "build/dns.elf" not in settings
    assert "address" in settings
    assert settings.strange() == ""


def test_settings_what_nobody_asks_for_is_strange():
    settings = Settings("dns.elf log=info panic=halt adress=1 quiet", {"greeting": "hello"})
    assert settings.strange() == "log, adress, quiet"
    assert settings.get("log") and "quiet" in settings
    assert settings.strange() == "adress"


def test_arena_hands_out_aligned_pieces_until_it_is_empty():
    arena = Arena(0x1001, 0x3000)
    assert arena.take(10) == 0x1040
    assert arena.take(0x1000, 4096) == 0x2000
    assert arena.free == 0x1001
    with pytest.raises(MemoryError, match="4097 bytes left, not 8192"):
        arena.take(0x2000, 1)


def test_ctrl_c_interrupts_and_other_input_is_ignored():
    hardware = Machine()
    told = []
    console = Console(lambda: told.append(1))
    hardware.input = [ord("x"), 3, ord("y")]
    assert not console.service(64)
    assert told == [1]
    assert hardware.input == []


def test_whoever_watches_is_asked_while_a_callback_computes(monkeypatch):
    monkeypatch.setattr(urgent, "nics", [])
    hardware = Machine()
    budgets = []

    def nic(more):
        return types.SimpleNamespace(urgent=lambda budget: budgets.append(budget) or more)

    urgent.watch(nic(0))
    assert hardware.on_busy() is False
    urgent.watch(nic(1))
    urgent.watch(nic(0))
    assert hardware.on_busy() is True
    assert budgets == [urgent.BUDGET] * 4


def test_random_numbers_are_spread_and_differ_by_seed():
    random = Random(b"seed")
    counts = collections.Counter(random.bits(3) for _ in range(8000))
    assert set(counts) == set(range(8))
    assert all(800 < n < 1200 for n in counts.values())
    numbers = {Random(bytes([i])).bits(30) for i in range(256)}
    assert len(numbers) == 256
    assert Random().bits(30) == Random().bits(30)


def test_random_never_sticks_at_zero():
    random = Random()
    random.state[:] = bytes(4)
    assert len({random.bits(30) for _ in range(100)}) == 100


def test_garbage_is_collected_only_when_it_is_worth_it(monkeypatch):
    hardware = Machine()
    collected = []
    monkeypatch.setattr(heap, "gc", types.SimpleNamespace(collect=lambda: collected.append(1)))
    for live, allocated in (
        (0, 0),
        (0, 32_767),
        (0, 32_768),  # worth it
        (200_000, 99_999),
        (200_000, 100_000),  # worth it
    ):
        hardware.live, hardware.allocated = live, allocated
        heap.tidy()
    assert len(collected) == 2
