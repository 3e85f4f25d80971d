"""What is left out of an image is missed by nobody: programs print in it, from the ELF and from its
disk, what they print on MicroPython for Linux, tracebacks and all.

Each program is an image of its own, so that what another one names is not in it.
"""

import subprocess

import pytest

from tests.support import images, vm

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]
PROGRAMS = images.ROOT / "tests/build/pruned"


def printed(text):
    return text.replace("\r", "").partition("<<<\n")[2].partition("\n>>>")[0]


@pytest.mark.parametrize("name", ["pruned_library", "pruned_methods", "pruned_names"])
def test_an_image_prints_what_micropython_prints(image, name):
    command = [images.micropython_linux(), "-c", f"import {name}; {name}.start(None)"]
    done = subprocess.run(command, cwd=PROGRAMS, capture_output=True, text=True, check=True)
    wanted = printed(done.stdout)
    assert wanted
    # One is packed by the other packer, so that both loaders compute the names of an image.
    packer = "deflate" if name == "pruned_names" else "lzma"
    folder = image(str(PROGRAMS / f"{name}.py"), "--pack", packer)
    for boot, suffix in ("multiboot", "elf"), ("virtio-blk", "img"):
        with vm.Machine(folder / f"{name}.{suffix}", boot=boot) as guest:
            guest.wait_for(">>>")
            assert printed(guest.text) == wanted, guest.text
