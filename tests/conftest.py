"""What every test may count on: import paths, a rung for each test, and the fixtures that build
things.

The tests run on CPython with `tools/cpython` in front of the path: its `micropython` module gives
the decorators their plain meaning, and pointers that check their bounds. A test belongs to the rung
of its file or folder, or to `unit`, unless it or its module is marked otherwise: `pytestmark =
pytest.mark.wire`.
"""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
for path in (ROOT, ROOT / "tools" / "cpython"):
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))

from tests.support import images, metal  # noqa: E402 (`import metal` works from here on)
from tools.testing import RUNGS, marker  # noqa: E402

FOLDERS = {"build": "build", "tap": "tap", "vm": "vm", "micropython": "micropython-linux"}
FOLDERS["libvirt"] = "libvirt"
FILES = {
    "ip6/test_two_stacks.py": "wire",
    "net/test_two_stacks.py": "wire",
    "net/test_dhcp.py": "wire",
}
MARKERS = {marker(rung): what for rung, what in RUNGS.items()}


def pytest_configure(config):
    for name, what in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {what}")


def pytest_collection_modifyitems(items):
    for item in items:
        if not any(item.get_closest_marker(name) for name in MARKERS):
            path = item.path.relative_to(ROOT / "tests")
            rung = FILES.get(path.as_posix()) or FOLDERS.get(path.parts[0], "unit")
            item.add_marker(marker(rung))


@pytest.fixture(scope="session")
def image():
    """image("dns", "--set", "address=10.0.0.2/24") -> the folder with dns.elf, dns.img and the
    report, freshly built.
    """
    return images.build


@pytest.fixture(scope="session")
def micropython_linux():
    """The path of MicroPython for Linux, made from the source of the images: 32 bits, so that small
    integers are as small.
    """
    return images.micropython_linux()


@pytest.fixture(autouse=True)
def _no_machine_outlives_its_test():
    yield
    metal.forget()
