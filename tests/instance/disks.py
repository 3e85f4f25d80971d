"""Disks for tests of the configuration drive: made by the tools that clouds use, or by hand.

disk = Disk(data)                   has what runtime/instance needs of one
data = iso({"user-data": b"..."}, "cidata")        genisoimage
data = fat({...}, "cidata", size=1440, bits=12)    mtools, size in KB
"""

import errno
import json
import subprocess
import tempfile
from pathlib import Path

from tests.support.tools import tool

UUID = "12345678-9abc-def0-1234-56789abcdef0"
META = {
    "uuid": UUID,
    "hostname": "ns1.novalocal",
    "name": "ns1",
    "launch_index": 3,
    "availability_zone": "nova",
    "meta": {"role": "dns"},
    "public_keys": {"mine": "ssh-ed25519 AAAA me"},
    "random_seed": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v",
    "admin_pass": "hunter2hunter2",
    "project_id": "8f1b",
}
NETWORK = {
    "links": [
        {"id": "tap0", "type": "bridge", "ethernet_mac_address": "52:54:00:12:34:56", "mtu": 1450}
    ],
    "networks": [{"id": "network0", "type": "ipv4_dhcp", "link": "tap0", "network_id": "x"}],
    "services": [],
}


class Disk:
    """Sectors of 512 bytes from bytes; `fail`: sectors that cannot be read."""

    def __init__(self, data, block_size=512, name="disk0", fail=()):
        self.data = data + bytes(-len(data) % max(block_size, 512))
        self.name, self.block_size, self.fail = name, block_size, fail
        self.sectors = len(self.data) >> 9
        self.fetched = 0

    def first(self, done):
        """What `ask` is given."""

    def ask(self, request):
        return errno.EIO  # nobody waits

    def fetch(self, sector, count):
        unit = self.block_size >> 9
        assert count > 0 and sector % unit == 0 and count % unit == 0, "not whole blocks"
        assert sector >= 0 and sector + count <= self.sectors, "outside of the disk"
        assert count <= 1024, "half a megabyte at once"
        self.fetched += count
        if any(number in self.fail for number in range(sector, sector + count)):
            raise OSError(5, "input/output error")
        return self.data[sector << 9 : (sector + count) << 9]


def drive(user_data=b"", meta=META, network=NETWORK):
    """The files of a config drive."""
    return {
        "openstack/latest/meta_data.json": json.dumps(meta).encode(),
        "openstack/latest/network_data.json": json.dumps(network).encode(),
        "openstack/latest/user_data": user_data,
        "openstack/2012-08-10/meta_data.json": b"{}",
        "ec2/latest/meta-data.json": b"{}",
    }


def nocloud(user_data=b"", meta=b"instance-id: i-1\nlocal-hostname: ns1\n"):
    return {"meta-data": meta, "user-data": user_data}


def laid(files, folder):
    for name, data in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def iso(files, label, joliet=True, rock=True):
    with tempfile.TemporaryDirectory() as folder:
        laid(files, Path(folder, "in"))
        words = ["-J"] * joliet + ["-R"] * rock + ["-quiet", "-V", label]
        command = [tool("genisoimage"), *words, "-o", f"{folder}/out", f"{folder}/in"]
        subprocess.run(command, check=True, capture_output=True)
        return Path(folder, "out").read_bytes()


def fat(files, label, size=1440, bits=12, cluster=1):
    with tempfile.TemporaryDirectory() as folder:
        laid(files, Path(folder, "in"))
        image = f"{folder}/out"
        with open(image, "wb") as file:
            file.truncate(size << 10)
        words = ["-T", str(size * 2), "-h", "2", "-s", "18", "-c", str(cluster), "-v", label]
        words += ["-F"] * (bits == 32)
        run = {"check": True, "capture_output": True}
        subprocess.run([tool("mformat"), "-i", image, *words, "::"], **run)
        tops = [str(path) for path in sorted(Path(folder, "in").iterdir())]
        subprocess.run([tool("mcopy"), "-s", "-i", image, *tops, "::"], **run)
        return Path(image).read_bytes()
