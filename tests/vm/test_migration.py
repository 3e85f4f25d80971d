"""A machine is moved, paused and restored while it talks: nobody it talks to loses a byte."""

import time

import pytest

from tests.support import images
from tests.support.moving import ADDRESS, ADDRESS6, Bridge, Download, Listener, Upload, move

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


@pytest.mark.parametrize("family", [4, 6])
def test_a_download_goes_on_over_a_live_migration(bridge, elf, family):
    guest = bridge.machine(elf, 0)
    guest.wait_for(ADDRESS)
    there = bridge.machine(elf, 1, incoming=True)
    heard = Listener(bridge.namespace)
    download = Download(bridge, ADDRESS if family == 4 else ADDRESS6)
    download.until(5_000_000)
    began = time.monotonic()
    report = move(guest, there, bridge.folder)
    download.until(10_000_000)
    total = download.finish()
    heard.close()
    arp, advertised, _ = heard.announced(began)
    assert ADDRESS in arp
    assert ADDRESS6 in advertised
    print(f"{total} bytes, downtime {report['downtime']} ms, silence {download.gap * 1000:.0f} ms")
