"""Disks of QEMU against a reference file: every transport, errors to order, CDs behind SCSI."""

import hashlib
import random
import re
import subprocess

import pytest

from tests.support import images, vm
from tests.support.tools import tool

pytestmark = pytest.mark.timeout(300)  # the first one builds the image
SERVICE = str(images.ROOT / "tests" / "vm" / "services" / "disk.py")
SECTORS = 4096
TRANSPORTS = {
    "transitional": "virtio-blk-pci,disable-legacy=off,disable-modern=off",
    "legacy": "virtio-blk-pci,disable-legacy=off,disable-modern=on",
    "modern": "virtio-blk-pci,disable-legacy=on,disable-modern=off",
    "modern-no-msix": "virtio-blk-pci,disable-legacy=on,disable-modern=off,vectors=0",
    "plain": "virtio-blk-pci,disable-legacy=off,disable-modern=on,indirect_desc=off,event_idx=off",
    "small": "virtio-blk-pci,disable-legacy=on,disable-modern=off,queue-size=4,seg-max-adjust=off",
}


@pytest.fixture(scope="session")
def elf(image):
    return image(SERVICE) / "disk.elf"


@pytest.fixture
def disk(tmp_path):
    """A disk of random bytes."""
    path = tmp_path / "disk.img"
    path.write_bytes(random.Random(1).randbytes(512 * SECTORS))
    return path


def drive(path, device="virtio-blk-pci", options="", name="d0"):
    node = f"driver=raw,node-name={name},file.driver=file,file.filename={path}{options}"
    return "-blockdev", node, "-device", f"{device},drive={name}"


def run(elf, do, *extra, settings="", **options):
    """The console's text once the service has done what it should."""
    line = f"do={','.join(do)} {settings}"
    with vm.Machine(elf, command_line=line, extra=extra, **options) as guest:
        guest.wait_for("disk stopped", 60)
        return guest.text


def checksum(data):
    return f"sum {hashlib.sha256(data).hexdigest()}\n"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_reads_and_writes_are_those_of_a_reference(elf, disk, transport):
    dice = random.Random(transport)
    reference = bytearray(disk.read_bytes())
    text = run(elf, ["sum"], *drive(disk, TRANSPORTS[transport]))
    assert checksum(reference) in text
    do, free = [], list(range(0, SECTORS, 64))
    for _ in range(24):
        # At most 64 sectors, so those that are under way at a time do not overlap.
        sector, count, byte = free.pop(dice.randrange(len(free))), dice.randrange(1, 65), 1
        byte = dice.randrange(256)
        do.append(f"w:{sector}:{count}:{byte}")
        reference[512 * sector : 512 * (sector + count)] = bytes([byte]) * (512 * count)
    text = run(elf, [*do, "-", "f", "sum"], *drive(disk, TRANSPORTS[transport]))
    assert all(f"{what} 0\n" in text for what in do)
    assert checksum(reference) in text
    assert disk.read_bytes() == reference
    assert "dropped" not in text


def test_one_request_of_a_megabyte(elf, disk):
    text = run(elf, ["w:1:2048:7", "-", "r:1:2048"], *drive(disk))
    assert "r:1:2048 0 all 7\n" in text
    assert disk.read_bytes()[512 : 512 * 2049] == bytes([7]) * (512 * 2048)


@pytest.mark.parametrize("device", ["virtio-blk-pci", "scsi-hd"])
def test_errors_of_the_host_are_errnos(elf, disk, tmp_path, device):
    """blkdebug: a read that fails, a write without space, a flush that fails once."""
    rules = tmp_path / "rules"
    rules.write_text(
        '[inject-error]\nevent = "none"\niotype = "read"\nsector = "100"\nerrno = "5"\n'
        '[inject-error]\nevent = "none"\niotype = "write"\nsector = "200"\nerrno = "28"\n'
        '[inject-error]\nevent = "none"\niotype = "flush"\nerrno = "5"\nonce = "on"\n'
    )
    node = (
        f"driver=raw,node-name=d0,file.driver=blkdebug,file.config={rules},"
        f"file.image.driver=file,file.image.filename={disk}"
    )
    extra = ["-blockdev", node]
    if device == "scsi-hd":
        extra += ["-device", "virtio-scsi-pci,id=scsi0"]
    extra += ["-device", f"{device},drive=d0,werror=report,rerror=report"]
    # One after the other: QEMU makes one request of those that are neighbours.
    do = ["r:96:4", "r:96:8", "r:104:8", "w:192:8:1", "w:200:8:1", "w:208:8:1", "f", "f"]
    text = run(elf, ",-,".join(do).split(","), *extra)
    for what, status in {
        "r:96:4": 0,
        "r:96:8": 5,
        "r:104:8": 0,
        "w:192:8:1": 0,
        "w:200:8:1": 28 if device == "scsi-hd" else 5,  # virtio-blk has no word for it
        "w:208:8:1": 0,
    }.items():
        assert re.search(rf"^{what} {status}\b", text, re.MULTILINE), (what, text)
    assert re.findall(r"^f (\d+)$", text, re.MULTILINE) == ["5", "0"]
    assert "disk0.errors 3\n" in text
    data = disk.read_bytes()
    assert data[512 * 192 : 512 * 200] == data[512 * 208 : 512 * 216] == bytes([1]) * 4096


@pytest.mark.parametrize("device", ["virtio-blk-pci", "scsi-hd"])
def test_a_host_that_stops_at_an_error_and_is_told_to_go_on(elf, disk, tmp_path, device):
    """werror=stop: QEMU 7.2 sends a request again, and counts its bytes twice (scsi-hd)."""
    rules = tmp_path / "rules"
    rules.write_text(
        '[inject-error]\nevent = "none"\niotype = "write"\nsector = "200"\nonce = "on"\n'
        '[inject-error]\nevent = "none"\niotype = "read"\nsector = "400"\nonce = "on"\n'
    )
    image = f"file.driver=blkdebug,file.config={rules},file.image.driver=file"
    extra = ["-blockdev", f"driver=raw,node-name=d0,{image},file.image.filename={disk}"]
    if device == "scsi-hd":
        extra += ["-device", "virtio-scsi-pci,id=scsi0"]
    extra += ["-device", f"{device},drive=d0,werror=stop,rerror=stop"]
    with vm.Machine(elf, command_line="do=w:200:8:1,-,r:400:8,-,r:200:8", extra=extra) as guest:
        for _ in range(2):
            guest.monitor.wait_for("STOP")
            guest.monitor.execute("cont")
        guest.wait_for("disk stopped")
        for said in ("w:200:8:1 0\n", "r:400:8 0 all", "r:200:8 0 all 1\n", "disk0.errors 0\n"):
            assert said in guest.text


@pytest.mark.parametrize("device", ["virtio-blk-pci", "scsi-hd"])
def test_a_read_only_disk(elf, disk, device):
    before = disk.read_bytes()
    node = f"driver=raw,node-name=d0,read-only=on,file.driver=file,file.filename={disk}"
    extra = ["-blockdev", node]
    if device == "scsi-hd":
        extra += ["-device", "virtio-scsi-pci,id=scsi0"]
    text = run(elf, ["w:0:1:0", "d:0:8", "-", "sum"], *extra, "-device", f"{device},drive=d0")
    assert checksum(before) in text
    assert re.search(r"^w:0:1:0 (refused )?30$", text, re.MULTILINE)
    assert disk.read_bytes() == before


def test_discarded_and_zeroed_sectors(elf, disk):
    reference = bytearray(disk.read_bytes())
    do = ["d:512:1024", "z:2048:100", "-", "r:2048:100", "d:4000:97"]
    text = run(elf, do, *drive(disk, options=",discard=unmap"))
    assert "d:512:1024 0\n" in text and "r:2048:100 0 all 0\n" in text
    assert "d:4000:97 refused disk0: " in text
    reference[512 * 512 : 512 * 1536] = bytes(512 * 1024)
    reference[512 * 2048 : 512 * 2148] = bytes(512 * 100)
    assert disk.read_bytes() == reference


def test_several_disks_have_names_sizes_and_serial_numbers(elf, tmp_path):
    extra = []
    for i, (size, block) in enumerate([(1 << 20, 512), (2 << 20, 4096), (3 << 20, 512)]):
        path = tmp_path / f"{i}.img"
        path.write_bytes(bytes([i]) * size)
        device = f"virtio-blk-pci,serial=number-{i},logical_block_size={block}"
        device += f",physical_block_size={block}"
        extra += drive(path, device, name=f"d{i}")
    text = run(elf, ["w:8:8:9", "-", "r:8:8", "r:8:1", "sum"], *extra, settings="disk=disk1")
    assert "disk0: 2048 sectors, blocks 512, read only False, serial number-0\n" in text
    assert "disk1: 4096 sectors, blocks 4096, read only False, serial number-1\n" in text
    assert "disk2: 6144 sectors, blocks 512, read only False, serial number-2\n" in text
    assert "r:8:8 0 all 9\n" in text
    assert "r:8:1 refused disk1: whole blocks of 4096 bytes" in text
    written = bytes([1]) * 4096 + bytes([9]) * 4096 + bytes([1]) * ((2 << 20) - 8192)
    assert checksum(written) in text
    assert (tmp_path / "1.img").read_bytes() == written


def test_a_disk_that_grows(elf, disk):
    line = "do=size,-,r:5000:8"
    with vm.Machine(elf, command_line=line, extra=drive(disk)) as guest:
        guest.wait_for("waiting for a size")
        guest.monitor.execute("block_resize", **{"node-name": "d0", "size": 512 * 8192})
        guest.wait_for("disk stopped")
        assert "disk0: 8192 sectors now, 4096 before" in guest.text
        assert "size 8192\n" in guest.text
        assert "r:5000:8 0 all 0\n" in guest.text


@pytest.fixture
def cd(tmp_path):
    folder = tmp_path / "cd" / "openstack"
    folder.mkdir(parents=True)
    (folder / "meta_data.json").write_text("{}")
    path = tmp_path / "cd.iso"
    command = [tool("genisoimage"), "-quiet", "-V", "config-2", "-J", "-r", "-o", path]
    subprocess.run([*command, tmp_path / "cd"], check=True)
    return path


@pytest.mark.parametrize("kind", vm.VIRTIO)
def test_a_cd_behind_scsi(elf, cd, kind):
    extra = ["-device", f"virtio-scsi-pci,id=scsi0,{vm.VIRTIO[kind]}"]
    extra += drive(cd, "scsi-cd,bus=scsi0.0,scsi-id=3,lun=5", ",read-only=on")
    text = run(elf, ["sum", "w:0:4:0"], *extra)
    data = cd.read_bytes()
    assert "virtio-scsi, target 3, unit 5, QEMU QEMU CD-ROM, " in text
    assert f"disk0: {len(data) // 512} sectors, blocks 2048, read only True" in text
    assert checksum(data) in text
    assert "w:0:4:0 refused 30\n" in text


def test_disks_and_empty_drives_behind_scsi(elf, cd, disk):
    extra = ["-device", "virtio-scsi-pci,id=scsi0", "-device", "scsi-cd,scsi-id=9"]
    extra += drive(cd, "scsi-cd,scsi-id=1", ",read-only=on", name="c0")
    extra += drive(disk, "scsi-hd,scsi-id=200,lun=1", name="d0")
    text = run(elf, ["w:8:8:3", "-", "f", "sum"], *extra, settings="disk=disk1")
    assert "target 9, unit 0: no medium\n" in text
    assert "disk1: virtio-scsi, target 200, unit 1, QEMU QEMU HARDDISK, 4096 sectors" in text
    data = disk.read_bytes()
    assert data[4096:8192] == bytes([3]) * 4096
    assert checksum(data) in text


def test_a_disk_of_a_microvm(image, disk):
    elf = image(SERVICE, "--set", "bus=mmio") / "disk.elf"
    for version in ("", "-global virtio-mmio.force-legacy=false"):
        extra = drive(disk, "virtio-blk-device")
        extra = (*version.split(), *extra)
        text = run(elf, ["w:0:8:5", "-", "sum"], *extra, machine="microvm")
        data = disk.read_bytes()
        assert data[:4096] == bytes([5]) * 4096
        assert checksum(data) in text
