"""What the port makes of the machine: memory, clocks, the one-shot timer, the halt."""

import re
import time

import pytest

from tests.support import images, vm

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]
SERVICES = images.ROOT / "tests" / "port" / "services"


def look(image, **options):
    """What the service `metal_check` prints, as {first word: rest}."""
    folder = image(str(SERVICES / "metal_check.py"))
    name = "metal_check." + (
        "elf" if options.get("boot", "multiboot") in ("multiboot", "pvh") else "img"
    )
    options.setdefault("command_line", "panic=exit")
    with vm.Machine(folder / name, **options) as guest:
        assert guest.wait() == 1, guest.text
        return guest.text


def numbers(text, word):
    line = re.search(rf"^{word} (.*)$", text, re.MULTILINE).group(1)
    return [int(n) for n in re.findall(r"\d+", line)]


@pytest.mark.parametrize(
    ("boot", "told"),
    [("multiboot", "multiboot"), ("pvh", "pvh"), ("ide", "disk"), ("virtio-blk", "disk")],
)
def test_every_loader_is_understood(image, boot, told):
    text = look(image, boot=boot, memory="64M")
    assert f"booted by {told}\n" in text
    assert 60 << 20 < numbers(text, "memory")[0] <= 64 << 20
    if boot in ("multiboot", "pvh"):
        assert "panic=exit\n" in text.split("command line ")[1]


def test_processor_without_sse2_is_told(image):
    with vm.Machine(image(str(SERVICES / "clock.py")) / "clock.elf", processor="pentium") as guest:
        guest.wait_for("ImportOS needs a processor with SSE2.")


@pytest.mark.parametrize("memory", ["3M", "8M", "64M", "1G", "3G"])
def test_runs_in_much_and_in_little_memory(image, memory):
    text = look(image, memory=memory)
    arena, length = numbers(text, "arena")
    assert arena % 4096 == length % 4096 == 0
    assert length >= 256 << 10 and arena + length <= 1 << 30
    assert numbers(text, "written") == [2 * 0x5A]


def test_heap_starts_small_and_grows_to_the_memory_there_is(image):
    with vm.Machine(image(str(SERVICES / "heap.py")) / "heap.elf", memory="256M") as guest:
        assert guest.wait(60) == 1, guest.text
        assert numbers(guest.text, "before")[0] <= 1 << 20
        first, second = numbers(guest.text, "pieces")
        assert first * 256 > 225 * 1024, "KB of 256 MB"
        assert second >= first - 2, "what was freed is found again"
        assert "after True" in guest.text


def test_heap_of_a_small_machine_ends_where_the_memory_ends(image):
    with vm.Machine(image(str(SERVICES / "heap.py")) / "heap.elf", memory="4M") as guest:
        assert guest.wait() == 1, guest.text
        assert 6 <= numbers(guest.text, "pieces")[0] <= 12


def test_native_code_converts_numbers_and_buffers_of_all_kinds(image):
    text = look(image)
    assert "numbers True\n" in text
    assert f"first bytes {list(b'acegh')}\n" in text
    assert text.count("TypeError: ") == 2


def test_native_division_by_zero_is_a_python_exception(image):
    assert look(image).count("ZeroDivisionError: divide by zero\n") == 2


@pytest.mark.parametrize("processor", ["max", "qemu32", "qemu32,-apic"])
def test_timer_wakes_at_the_deadline(image, processor):
    """Never before, and not much later; also by the PIT where there is no local APIC."""
    slept = numbers(look(image, processor=processor), "slept")
    for asked, got in zip((1000, 10000, 100000, 1000000), slept, strict=True):
        assert asked - 1000 <= got < asked * 1.1 + 20000


def test_wait_returns_at_once_if_there_is_something_new(image):
    assert numbers(look(image), "at once")[0] < 5000


def test_no_wake_up_is_lost(image):
    """Each byte typed into a machine that sleeps without a deadline comes back.

    Two bytes at once, at changing distances: the second comes while the first is worked on, or just
    before the machine halts again.
    """
    folder = image(str(SERVICES / "echo_serial.py"))
    with vm.Machine(folder / "echo_serial.elf") as guest:
        guest.wait_for("ready")
        for n in range(3000):
            wanted = len("ready") + 2 * n + 2
            guest.type(b"x")
            end = time.perf_counter() + (n % 100) * 1e-6
            while time.perf_counter() < end:
                pass
            guest.type(b"y")
            with guest.news:
                assert guest.news.wait_for(lambda n=wanted: len(guest.console) >= n, 5)


def test_wall_clock_is_that_of_the_host(image):
    told = numbers(look(image, extra=("-rtc", "base=utc")), "time")[0]
    assert abs(told - time.time()) <= 3


def test_wall_clock_knows_leap_days(image):
    text = look(image, extra=("-rtc", "base=2028-02-29T12:00:00"))
    assert 0 <= numbers(text, "time")[0] - 1835438400 < 5


def test_clock_keeps_the_pace_of_the_host(image):
    """The TSC's rate is refined while the machine runs: seconds are seconds.

    What the host is too busy for only makes a line late, so the earliest of three counts.
    """
    with vm.Machine(image(str(SERVICES / "clock.py")) / "clock.elf") as guest:
        ahead = []
        for tick in range(1, 8):
            pattern = rf"tick {tick} at (\d+) ms"
            guest.wait_until(lambda text, pattern=pattern: re.search(pattern, text))
            host = time.monotonic()
            ahead.append(host - int(re.search(pattern, guest.text).group(1)) / 1000)
        assert abs(min(ahead[4:]) - min(ahead[:3])) < 0.05


def test_sleeping_machine_uses_no_processor_time(image):
    with vm.Machine(image(str(SERVICES / "clock.py")) / "clock.elf") as guest:
        guest.wait_for("tick 1")
        before = guest.cpu_ticks()
        guest.wait_for("tick 3")
        assert guest.cpu_ticks() - before <= 1
