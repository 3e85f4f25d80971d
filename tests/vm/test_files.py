"""open() on disks of QEMU: littlefs and FAT, made by the machine and by the host."""

import re
import subprocess

import pytest

from tests.support import images, vm
from tests.support.tools import tool

pytestmark = pytest.mark.timeout(300)  # the first one builds the image
SERVICE = str(images.ROOT / "tests" / "vm" / "services" / "files.py")
KINDS = ("littlefs", "fat")


@pytest.fixture(scope="session")
def elf(image):
    return image(SERVICE) / "files.elf"


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(2 << 20)
    return path


def run(elf, disk, line="", device="virtio-blk-pci"):
    node = f"driver=raw,node-name=d0,file.driver=file,file.filename={disk}"
    extra = ("-blockdev", node, "-device", f"{device},drive=d0")
    with vm.Machine(elf, command_line=line, extra=extra) as guest:
        guest.wait_for("files stopped", 60)
        assert "Traceback" not in guest.text
        return guest.text


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_there_after_the_next_start(elf, disk, kind):
    text = run(elf, disk, f"mount=disk0:/:{kind}:format")
    assert f"disk0: formatted, {kind}" in text and "count 1\n" in text
    text = run(elf, disk, f"mount=disk0:/:{kind}:format")  # not again
    assert "formatted" not in text and "count 2\n" in text
    text = run(elf, disk)  # found without being told
    assert f"disk0: {kind} at /\n" in text and "files ['count']\ncount 3\n" in text


@pytest.mark.parametrize("work", ["everything", "meanwhile", "full", "stopped", "imports"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_can_be_done_with_files(elf, disk, kind, work):
    text = run(elf, disk, f"mount=disk0:/:{kind}:format work={work}")
    if work == "everything":
        assert "missing 2\n" in text
        assert 15 << 17 < int(re.search(r"room (\d+) True", text)[1]) <= 2 << 20
    elif work == "meanwhile":
        said = re.search(r"ticks True errors (.*)\n", text)
        assert said and said[1] in ("[16]", "[]"), text  # EBUSY
    elif work == "full":
        assert "full 28\n" in text
    elif work == "stopped":
        assert "closed 14\n" in text
    else:
        assert "no stray import\n" in text and "path ['.frozen']\n" in text
    if kind == "fat":
        subprocess.run([tool("mdir"), "-i", disk, "-/", "::"], check=True, capture_output=True)


@pytest.mark.parametrize("block", [512, 4096])
def test_formatting_by_the_service(elf, disk, block):
    device = f"virtio-blk-pci,logical_block_size={block},physical_block_size={block}"
    text = run(elf, disk, "mount=disk0:/:littlefs:format work=format", device)
    assert "by <class 'VfsFat'>\n" in text and "by <class 'VfsLfs2'>\n" in text


def test_a_disk_that_the_host_has_made(elf, disk, tmp_path):
    subprocess.run([tool("mformat"), "-i", disk, "::"], check=True)
    (tmp_path / "count").write_text("41")
    subprocess.run([tool("mcopy"), "-i", disk, tmp_path / "count", "::count"], check=True)
    assert "count 42\n" in run(elf, disk)
    shown = subprocess.run([tool("mtype"), "-i", disk, "::count"], check=True, capture_output=True)
    assert shown.stdout == b"42"


def test_a_disk_with_something_on_it_is_not_formatted(elf, disk):
    with disk.open("r+b") as file:
        file.seek(40000)
        file.write(b"something")
    before = disk.read_bytes()
    for line in ("mount=disk0:/:littlefs:format", "", "mount=no"):
        drive = f"file={disk},format=raw,if=none,id=d0"
        extra = ("-drive", drive, "-device", "virtio-blk-pci,drive=d0")
        with vm.Machine(elf, command_line=line, extra=extra) as guest:
            guest.wait_for("OSError", 20)  # nothing is mounted: listdir fails
            said = "there is something on it: not formatted" in guest.text
            assert said == ("format" in line)
    assert disk.read_bytes() == before


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("disk7:/", "there is no disk disk7"),
        ("disk0:data", "expected DISK:/PATH and of littlefs, fat, format, ro, poll"),
        ("disk0:/:ext4", "expected DISK:/PATH"),
        ("disk0:/:fat", "disk0: it has littlefs, the setting says fat: not mounted"),
    ],
)
def test_a_mistake_in_the_setting_is_a_line_in_the_log(elf, disk, setting, said):
    run(elf, disk, "mount=disk0:/:littlefs:format")
    node = f"file={disk},format=raw,if=none,id=d0"
    extra = ("-drive", node, "-device", "virtio-blk-pci,drive=d0")
    with vm.Machine(elf, command_line=f"mount={setting}", extra=extra) as guest:
        guest.wait_for(said, 20)


@pytest.mark.parametrize("size", [0, 512])
@pytest.mark.parametrize("line", ["mount=disk0:/:format", ""])
def test_a_disk_without_room_for_a_file_system_is_not_mounted(elf, disk, size, line):
    with disk.open("wb") as file:
        file.truncate(size)
    node = f"driver=raw,node-name=d0,file.driver=file,file.filename={disk}"
    extra = ("-blockdev", node, "-device", "virtio-blk-pci,drive=d0")
    with vm.Machine(elf, command_line=line + " log=debug", extra=extra) as guest:
        guest.wait_for("not mounted", 20)
        guest.wait_for("OSError", 20)  # of the service, which has started
        assert "ValueError" not in guest.text


def blkdebug(disk):
    image = f"file.driver=blkdebug,file.image.driver=file,file.image.filename={disk}"
    node = f"driver=raw,node-name=d0,{image}"
    return ("-blockdev", node, "-device", "virtio-blk-pci,drive=d0")


@pytest.mark.parametrize("event", ["read", "write"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_falls_silent_is_an_error_and_the_machine_goes_on(elf, disk, kind, event):
    line = f"mount=disk0:/:{kind}:format work=silent"
    with vm.Machine(elf, command_line=line, extra=blkdebug(disk)) as guest:
        guest.wait_for("silence", 20)
        guest.monitor.human(f'qemu-io d0 "break {event}_aio A"')
        guest.wait_for("speak", 20)
        # FAT has one word for all errors, and may know without a look at the disk.
        errors = "110" if kind == "littlefs" else "[05]"
        assert re.search(rf"write {errors} late\nticks True\nagain {errors} soon\n", guest.text)
        assert guest.text.count("disk0: no answer: files fail until there is one") == 1
        guest.monitor.human('qemu-io d0 "resume A"')
        guest.wait_for("files stopped", 20)
        assert guest.text.count("disk0: it answers again") == 1
        assert "later 0 soon\n" in guest.text
        assert "Traceback" not in guest.text


def test_a_disk_that_is_silent_to_the_end_does_not_keep_the_machine(elf, disk):
    line = "mount=disk0:/:littlefs:format work=silent end=1"
    with vm.Machine(elf, command_line=line, extra=blkdebug(disk)) as guest:
        guest.wait_for("silence", 20)
        guest.monitor.human('qemu-io d0 "break write_aio A"')
        guest.wait_for("again 110 soon", 20)
        guest.wait_for("files stopped", 15)
        assert "disk0: not all is written" in guest.text
        assert "Traceback" not in guest.text


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_nobody_closed_are_closed_at_the_end(elf, disk, kind):
    run(elf, disk, f"mount=disk0:/:{kind}:format work=left")
    text = run(elf, disk, "work=shown")
    assert "log all of it\nother and this\n" in text


@pytest.mark.parametrize("kind", KINDS)
def test_the_collector_does_not_take_a_file_from_a_file_system_that_works(elf, disk, kind):
    assert "collected\n" in run(elf, disk, f"mount=disk0:/:{kind}:format work=collected")


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_within_a_file_operation_is_an_error_and_the_next_one_works(elf, disk, kind):
    text = run(elf, disk, f"mount=disk0:/:{kind}:format work=hungry")
    assert re.search(r"hungry (12|5) soon\nfed 0 soon\n", text), text


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_open_when_its_disk_is_unmounted(elf, disk, kind):
    text = run(elf, disk, f"mount=disk0:/:{kind}:format work=unmounted")
    assert "unmounted 19 soon\n" in text
    assert "kept whole\n" in text or kind == "fat", text


def partitioned(disk, kind=0x0C, start=63):
    """A table with one partition, from there to the end of the disk."""
    size = disk.stat().st_size // 512 - start
    entry = bytes((0, 0, 0, 0, kind, 0, 0, 0)) + start.to_bytes(4, "little")
    with disk.open("r+b") as file:
        file.seek(446)
        file.write(entry + size.to_bytes(4, "little") + bytes(48) + b"\x55\xaa")


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (1 << 20, "-d 1"),  # FAT12, one table
        (1440 << 10, "-f 1440"),
        (32 << 20, ""),  # FAT16
        (64 << 20, "-F -c 1"),
        (3 << 30, "-F -c 64"),
        (64 << 20, "-M 4096"),
    ],
)
def test_every_fat_that_the_host_makes(elf, disk, tmp_path, size, options):
    with disk.open("wb") as file:
        file.truncate(size)
    mformat = [tool("mformat"), "-i", disk]
    if "-f" not in options:
        mformat += ["-T", str(size // 512), "-h", "16", "-s", "63"]
    subprocess.run([*mformat, *options.split(), "::"], check=True)
    assert "by the guest\n" in run(elf, disk, "work=names")
    shown = subprocess.run(
        [tool("mtype"), "-i", disk, "::a folder/a name that is long.text"],
        check=True,
        capture_output=True,
    )
    assert shown.stdout == b"by the guest"


def test_a_fat_in_the_first_partition(elf, disk):
    with disk.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run([tool("mformat"), "-i", f"{disk}@@32256", "-T", "65000", "::"], check=True)
    partitioned(disk)
    text = run(elf, disk, "mount=disk0:/:fat work=names")
    assert "disk0: fat at /\n" in text and "by the guest\n" in text
    listed = [tool("mdir"), "-i", f"{disk}@@32256", "-/", "-b", "::"]
    assert b"long.text" in subprocess.run(listed, check=True, capture_output=True).stdout


@pytest.mark.parametrize("block", [512, 4096])
def test_a_fat_of_small_sectors_on_a_disk_of_large_ones(elf, disk, block):
    subprocess.run([tool("mformat"), "-i", disk, "::"], check=True)
    device = f"virtio-blk-pci,logical_block_size={block},physical_block_size={block}"
    for count in (1, 2):
        assert f"count {count}\n" in run(elf, disk, "", device)
    subprocess.run([tool("mtype"), "-i", disk, "::count"], check=True, capture_output=True)


def named(what):
    def make(disk):
        with disk.open("r+b") as file:
            file.write(b"\xeb\x76\x90" + what.ljust(8))
            file.seek(510)
            file.write(b"\x55\xaa")

    return make


def small_littlefs(disk):
    """As another tool makes it, for a flash memory: blocks of 256 bytes."""
    with disk.open("r+b") as file:
        file.seek(8)
        file.write(b"littlefs" + bytes(8) + (256).to_bytes(4, "little") + bytes([4]))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (named(b"EXFAT"), "EXFAT"),
        (named(b"NTFS"), "NTFS"),
        (lambda disk: partitioned(disk, 0xEE, 1), "a partition table (GPT), which is not read"),
        (partitioned, "a partition table without a FAT"),
        (small_littlefs, "littlefs that needs a larger disk, or one with smaller blocks"),
        (lambda disk: None, "no file system that is known here"),
    ],
)
def test_what_cannot_be_mounted_has_a_name(elf, disk, make, said):
    make(disk)
    before = disk.read_bytes()
    for setting in ("", ":format") if any(before) else ("",):
        node = f"driver=raw,node-name=d0,file.driver=file,file.filename={disk}"
        extra = ("-blockdev", node, "-device", "virtio-blk-pci,drive=d0")
        with vm.Machine(elf, command_line=f"mount=disk0:/{setting}", extra=extra) as guest:
            guest.wait_for(f"disk0: {said}: not mounted", 20)
            guest.wait_for("no disk is mounted there", 20)
    assert disk.read_bytes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_not_moved_into_itself(elf, disk, kind):
    text = run(elf, disk, f"mount=disk0:/:{kind}:format work=swallowed")
    assert re.search(r"(moved (1|13|22) soon\n){3}moved 0 soon\nthere \['kept'\]\n", text), text
