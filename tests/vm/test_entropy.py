"""Where unpredictable numbers come from; a machine without a source says so."""

import re

import pytest

from tests.support import images, vm

pytestmark = pytest.mark.timeout(300)  # the first one builds the image
SERVICE = str(images.ROOT / "tests" / "vm" / "services" / "entropy.py")
PLAIN = "qemu32"  # a processor without RDRAND


def numbers(elf, **options):
    with vm.Machine(elf, memory="8M", **options) as guest:
        guest.wait_for("entropy stopped")
        found = re.search(r"numbers: (\w{32})\n", guest.text)[1]
        return guest.text, found


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, "RDRAND"),
        *(
            ({"processor": PLAIN, "extra": ("-device", f"virtio-rng-pci,{kind}")}, "virtio-rng")
            for kind in vm.VIRTIO.values()
        ),
        ({"extra": ("-device", "virtio-rng-pci")}, "RDRAND,virtio-rng"),
        ({"processor": PLAIN, "command_line": "seed=" + "5a" * 32}, "setting"),
    ],
)
def test_a_source_seeds(image, options, names):
    elf = image(SERVICE) / "entropy.elf"
    (text, first), (_, second) = (numbers(elf, **options) for _ in range(2))
    assert f"seeded: True {names}\n" in text
    assert first != second


def test_without_a_source_the_machine_says_so(image):
    text, _ = numbers(image(SERVICE) / "entropy.elf", processor=PLAIN)
    assert "warning: entropy: no source" in text
    assert "seeded: False" in text
