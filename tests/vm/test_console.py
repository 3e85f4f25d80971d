"""What is seen on the serial line, and how machines end: in order, or loudly."""

import subprocess
import time

import pytest

from tests.support import images, vm
from tests.vm.conftest import ADDRESS, static

pytestmark = pytest.mark.timeout(600)  # the first one builds the image
# isa-debug-exit: QEMU ends with (status << 1) | 1.
EXIT_OK = 1
SERVICES = images.ROOT / "tests" / "vm" / "services"


def test_hello_prints_a_line_and_ends(image):
    with vm.Machine(image("hello") / "hello.elf") as guest:
        assert guest.wait() == EXIT_OK
        assert "Hello from ImportOS." in guest.text
        assert guest.text.endswith("hello stopped\n")


def test_every_line_of_the_log_has_a_time(image):
    with vm.Machine(image("hello") / "hello.elf") as guest:
        guest.wait()
        first = guest.text.splitlines()[0]
        assert first.startswith("[    0.0") and "ImportOS hello, build " in first


@pytest.mark.parametrize("boot", ["multiboot", "pvh"])
def test_log_level_is_a_word_of_the_command_line(image, boot):
    with vm.Machine(image("hello") / "hello.elf", boot=boot, command_line="log=error") as guest:
        guest.wait()
        assert guest.text == "Hello from ImportOS.\n"


def test_ctrl_c_stops_in_order(image, network):
    with vm.Machine(image("echo") / "echo.elf", nic=network.tap, command_line=static()) as guest:
        guest.wait_for(ADDRESS)
        guest.type(b"x\x03")
        assert guest.wait() == EXIT_OK
        assert guest.text.endswith("echo stopped\n")


def test_ctrl_c_stops_under_load(image, network):
    with vm.Machine(image("dns") / "dns.elf", nic=network.tap, command_line=static()) as guest:
        network.wait_for_answer(guest)
        ping = network.namespace.start("ping", "-q", "-f", ADDRESS, stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        guest.type(b"\x03")
        assert guest.wait() == EXIT_OK
        ping.kill()


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("raises", ["Traceback", "ValueError: as told", "raises.py"]),
        ("memory", ["Traceback", "MemoryError"]),
        ("recursion", ["Traceback", "RuntimeError: maximum recursion depth exceeded"]),
        ("fault", ["invalid opcode", "eip"]),
        ("fails_later", ["Traceback", "ValueError: in a timer"]),
    ],
)
def test_bugs_end_the_machine_loudly(image, service, words):
    """With the traceback or the registers, the build id, and a status that is not 0."""
    folder = image(str(SERVICES / f"{service}.py"))
    with vm.Machine(folder / f"{service}.elf", command_line="panic=exit") as guest:
        status = guest.wait()
        for word in words:
            assert word in guest.text, guest.text
        build = guest.text.split("build ")[1][:12]
        assert guest.text.count(build) >= 2, "no build id in the panic"
        assert status not in (0, EXIT_OK)


def test_panic_resets_by_default(image):
    """QEMU is started with -no-reboot: a reset ends it with status 0."""
    with vm.Machine(image(str(SERVICES / "raises.py")) / "raises.elf") as guest:
        assert guest.wait() == 0
        assert "ValueError: as told" in guest.text


def test_panic_halts_if_told(image):
    folder = image(str(SERVICES / "raises.py"))
    with vm.Machine(folder / "raises.elf", command_line="panic=halt") as guest:
        guest.wait_for("ValueError: as told")
        time.sleep(0.5)
        before = guest.cpu_ticks()
        time.sleep(1)
        assert guest.process.poll() is None
        assert guest.cpu_ticks() - before <= 1
