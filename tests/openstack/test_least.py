"""The boot sector that deployments are compared with does what it says."""

import pytest

from tests.openstack import least
from tests.support.vm import Machine
from tools.deploy import readiness


@pytest.mark.vm
@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_the_least_image_prints_the_marker(tmp_path, machine):
    image = tmp_path / "least.img"
    image.write_bytes(least.boot_sector())
    with Machine(image, boot="virtio-blk", machine=machine) as guest:
        guest.wait_for("ready: least")
        assert readiness.find(guest.text) == ("least", [])
