"""A machine is moved, paused and restored while it talks: nobody it talks to loses a byte."""

import time

import pytest

from tests.support import images
from tests.support.moving import (
    ADDRESS,
    ADDRESS6,
    Bridge,
    Download,
    Listener,
    Upload,
    move,
    restore,
    save,
)

pytestmark = pytest.mark.timeout(600)  # the first one builds the image
SERVICE = str(images.ROOT / "tests" / "vm" / "services" / "mover.py")


@pytest.fixture
def bridge():
    made = Bridge()
    yield made
    made.close()


@pytest.fixture
def elf(image):
    return image(SERVICE) / "mover.elf"


class Idle:
    """A connection on which nothing is said meanwhile, and that is alive afterwards."""

    def __init__(self, bridge):
        self.client = bridge.connect(7)
        self.speak(b"before")

    def speak(self, word):
        self.client.sendall(word)
        heard = b""
        while len(heard) < len(word):
            heard += self.client.recv(100)
        assert heard == word


@pytest.mark.parametrize("family", [4, 6])
def test_a_download_goes_on_over_a_live_migration(bridge, elf, family):
    guest = bridge.machine(elf, 0)
    guest.wait_for(ADDRESS)
    there = bridge.machine(elf, 1, incoming=True)
    heard = Listener(bridge.namespace)
    download = Download(bridge, ADDRESS if family == 4 else ADDRESS6)
    heard.expect(0, [ADDRESS6])
    download.until(50_000_000)  # 2.5 s: what is announced from now on is not because of the start
    began = time.monotonic()
    report = move(guest, there, bridge.folder)
    download.until(10_000_000)
    total = download.finish()
    heard.expect(began, [ADDRESS, ADDRESS6])
    heard.close()
    print(f"{total} bytes, downtime {report['downtime']} ms, silence {download.gap * 1000:.0f} ms")


@pytest.mark.parametrize("virtio", ["legacy", "modern"])
@pytest.mark.parametrize("offloads", [True, False], ids=["offloads", "plain"])
def test_all_that_is_open_goes_with_the_machine(elf, virtio, offloads):
    """There and back, three times, with an upload, a download and an idle connection."""
    with Bridge(offloads=offloads) as bridge:
        guest = bridge.machine(elf, 0, virtio=virtio)
        guest.wait_for(ADDRESS)
        idle, upload, download = Idle(bridge), Upload(bridge), Download(bridge)
        for place in (1, 0, 1):
            there = bridge.machine(elf, place, virtio=virtio, incoming=True)
            move(guest, there, bridge.folder)
            download.until(1_000_000)
            guest.close()
            guest = there
        idle.speak(b"after")
        download.finish()
        upload.finish()
        _, counters, _ = bridge.ask()
        assert counters.get("tcp.timeout", 0) == 0
        assert "Traceback" not in guest.text


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.stress)])
def test_a_pause_loses_nothing(bridge, elf, seconds):
    guest = bridge.machine(elf, 0)
    guest.wait_for(ADDRESS)
    idle, upload, download = Idle(bridge), Upload(bridge), Download(bridge)
    download.until(1_000_000)
    guest.monitor.execute("stop")
    time.sleep(seconds)
    guest.monitor.execute("cont")
    download.until(5_000_000)
    idle.speak(b"after")
    download.finish()
    upload.finish()


def test_a_machine_restored_from_a_file_goes_on(bridge, elf):
    guest = bridge.machine(elf, 0)
    guest.wait_for(ADDRESS)
    idle, upload, download = Idle(bridge), Upload(bridge), Download(bridge)
    download.until(1_000_000)
    save(guest, bridge.folder / "state")
    guest.close()
    time.sleep(2)
    there = bridge.machine(elf, 1, incoming=True)
    heard = Listener(bridge.namespace)
    began = time.monotonic()
    restore(there, bridge.folder / "state")
    download.until(5_000_000)
    idle.speak(b"after")
    download.finish()
    upload.finish()
    heard.expect(began, [ADDRESS, ADDRESS6])
    heard.close()
