"""tools/qemu.py: ports, sizes, and a machine on a terminal that stops when told."""

import os
import pty
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import qemu
from tools.errors import UserError
from tools.qemu import Forward

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    "declared, told, forwards",
    [
        (["udp:53"], [], [("udp", 5353, 53)]),
        (
            ["udp:7", "tcp:80", "tcp:8080"],
            [],
            [("udp", 5307, 7), ("tcp", 5380, 80), ("tcp", 8080, 8080)],
        ),
        (["udp:53"], ["udp:1053:53"], [("udp", 1053, 53)]),
        (["udp:53"], ["tcp:1053:53"], [("udp", 5353, 53), ("tcp", 1053, 53)]),
        ([], ["9000:9"], [("udp", 9000, 9)]),
    ],
)
def test_ports(declared, told, forwards):
    assert qemu.find_forwards(declared, told) == [Forward(*f) for f in forwards]


@pytest.mark.parametrize("text", ["53", "udp:53", "sctp:1:2", "udp:0:53", "udp:1:65536", "a:b"])
def test_ports_that_cannot_be_meant(text):
    with pytest.raises(UserError, match="expected udp:HOST:GUEST"):
        qemu.find_forwards([], [text])


def test_a_port_held_at_the_wildcard_address_is_shared():
    # As by a multicast DNS daemon, which a more specific address wins over.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        qemu.check_free(Forward("udp", taken.getsockname()[1], 53))


@pytest.mark.parametrize(
    "text, size", [("8M", 8 << 20), ("1G", 1 << 30), ("2048K", 2 << 20), ("16", 16 << 20)]
)
def test_sizes(text, size):
    assert qemu.memory(text) == size


@pytest.mark.parametrize("text", ["", "M", "0M", "-8M", "8MB", "8 M"])
def test_sizes_that_cannot_be_meant(text):
    with pytest.raises(UserError):
        qemu.memory(text)


def test_drives(tmp_path):
    disk, cd = tmp_path / "a,b.img", tmp_path / "c.ISO"
    with pytest.raises(UserError, match="a folder; it takes a file"):
        qemu.drives([str(tmp_path)], "pc")
    with pytest.raises(UserError, match=r"there is no such file; `truncate -s 64M .*` makes"):
        qemu.drives([str(disk)], "pc")
    disk.touch()
    cd.touch()
    words = " ".join(qemu.drives([str(disk), str(cd)], "q35"))
    assert "a,,b.img,discard=unmap -device virtio-blk-pci,drive=drive0" in words
    assert "read-only=on -device virtio-scsi-pci,id=scsi1 -device scsi-cd,bus=scsi1.0" in words
    assert "virtio-blk-device" in " ".join(qemu.drives([str(disk)], "microvm"))


def test_drives_that_the_image_has_no_driver_for_are_named():
    files = ["a.img", "b.iso"]
    blind = list(qemu.idle_drives(files, {"drivers.virtio.net"}))
    assert [line.split()[1] for line in blind] == files
    assert "drivers.virtio.blk" in blind[0] and "drivers.virtio.scsi" in blind[1]
    assert not list(qemu.idle_drives(files, {"drivers.virtio.blk", "drivers.virtio.scsi"}))


def test_a_microvm_needs_another_image_and_boots_from_no_disk():
    options = SimpleNamespace(machine="microvm", disk="", memory="32M", forward=[], append="")
    options.nic, options.drive = "", []
    qemu.check(options)
    assert qemu.needs(options) == ["bus=mmio"]
    options.disk = "ide"
    with pytest.raises(UserError, match="a microvm boots nothing but a kernel"):
        qemu.check(options)
    options.machine = "pc"
    qemu.check(options)
    assert qemu.needs(options) == []


def test_less_memory_than_the_image_needs_is_refused():
    totals = {"flat": 100 << 10, "bss": 10 << 10}
    qemu.check_memory("1198K", totals)
    with pytest.raises(UserError, match=r"^--memory 1197K: this image needs 1198K at least$"):
        qemu.check_memory("1197K", totals)


COMPUTES = """
def start(machine):
    print("busy")
    while True:
        pass
"""
# Machine code that loops: nothing in the machine can interrupt it.
STUBBORN = """
import micropython

def start(machine):
    print("busy")
    forever()

@micropython.viper
def forever():
    while True:
        pass
"""


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """The folder of services that do not come to an end."""
    folder = tmp_path_factory.mktemp("busy")
    (folder / "computes.py").write_text(COMPUTES)
    (folder / "stubborn.py").write_text(STUBBORN)
    return folder


@pytest.fixture
def started(image):
    """started("echo", b"DHCP") -> `./importos run`, and a terminal of its own after this word."""
    running = []

    def start(service, marker, *words, port=None):
        image(service)
        terminal, theirs = pty.openpty()
        process = subprocess.Popen(
            [ROOT / "importos", "run", service, "--forward", f"udp:{port or free()}:7", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        running.append(process)
        text = b""
        while marker not in text:
            text += os.read(terminal, 4096)
        return process, terminal

    yield start
    for process in running:
        process.kill()
        process.wait()


def free():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rest(terminal):
    text = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            return text
        if not piece:
            return text
        text += piece


def test_interrupt_stops_the_machine_in_order(started):
    process, terminal = started("echo", b"by DHCP")
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 0
    assert b"echo stopped" in rest(terminal)


def test_a_machine_with_a_static_address_is_reached(started):
    port = free()
    started("echo", b"by settings", "--append", "address=10.0.0.2/24", port=port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(10)
        peer.sendto(b"there?", ("127.0.0.1", port))
        assert peer.recv(100) == b"there?"


def test_a_machine_that_does_not_listen_is_ended(started, busy):
    process, terminal = started(str(busy / "stubborn.py"), b"busy")
    begin = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert time.monotonic() - begin >= qemu.PATIENCE
    assert b"the machine does not stop" in rest(terminal)


def test_a_machine_that_computes_ends_itself(started, busy):
    process, terminal = started(str(busy / "computes.py"), b"busy")
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 0
    assert b"stopped" in rest(terminal)


def test_a_second_interrupt_does_not_wait(started, busy):
    process, _ = started(str(busy / "stubborn.py"), b"busy")
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.2)
    assert process.wait(30) == 130


def test_the_guests_status_is_ours(tmp_path):
    path = tmp_path / "fails.py"
    path.write_text("def start(machine):\n    raise ValueError('on purpose')\n")
    done = subprocess.run(
        [ROOT / "importos", "run", path], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "ValueError: on purpose" in done.stdout
