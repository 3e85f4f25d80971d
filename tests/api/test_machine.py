"""The modules people know, in the machine."""

import time

import pytest

from tests.support import images, vm
from tests.vm.conftest import ADDRESS, network, static  # noqa: F401 (a fixture)

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]
WAITING = str(images.ROOT / "tests" / "api" / "services" / "waiting.py")


@pytest.fixture
def guest(image, network):  # noqa: F811
    with vm.Machine(
        image(WAITING) / "waiting.elf", nic=network.tap, command_line=static()
    ) as guest:
        guest.wait_for("all set")
        yield guest


def ask(network, port):  # noqa: F811
    sock = network.namespace.socket()
    sock.connect((ADDRESS, port))
    sock.settimeout(2)
    for attempt in range(5):
        sock.send(b"%d" % attempt)
        try:
            return sock.recv(100)
        except TimeoutError:
            continue
    raise AssertionError("no answer")


def test_time_hashes_and_random_numbers(guest):
    assert "slept True" in guest.text
    assert "sha1 a9993e364706816aba3e25717850c26c9cd0d89d" in guest.text
    assert "md5 900150983cd24fb0d6963f7d28e17f72" in guest.text
    assert "urandom 20" in guest.text


def test_asyncio_that_waits_costs_nothing(guest, network):  # noqa: F811
    """Halted: no polling, no tick. The process of QEMU itself gets a few milliseconds."""
    ask(network, 7)
    time.sleep(0.5)
    before = guest.cpu_ticks()
    time.sleep(3)
    assert guest.cpu_ticks() - before <= 1


def test_callbacks_and_tasks_live_together(guest, network):  # noqa: F811
    for _ in range(3):
        assert ask(network, 7).isdigit()
        assert ask(network, 8) == b"from a task"


def test_stopping_ends_asyncio_in_order(guest, network):  # noqa: F811
    network.namespace.socket().sendto(b"stop", (ADDRESS, 9))
    assert guest.wait() == 1  # how isa-debug-exit tells status 0
    assert "last words" in guest.text and "waiting stopped" in guest.text


def test_a_machine_without_entropy_does_not_start_a_service_that_needs_it(image):
    elf = image(WAITING) / "waiting.elf"
    nic = vm.Slirp({})
    with vm.Machine(elf, nic=nic, processor="core2duo,-rdrand", command_line=static()) as guest:
        guest.wait_for("needs numbers that nobody can guess: not started")
        assert guest.wait() == 3  # how isa-debug-exit tells status 1
        assert "all set" not in guest.text
    seed = f"{static()} seed={'5a' * 32}"
    with vm.Machine(elf, nic=nic, processor="core2duo,-rdrand", command_line=seed) as guest:
        guest.wait_for("all set")
        assert "urandom 20" in guest.text
