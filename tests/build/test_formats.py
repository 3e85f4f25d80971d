"""tools/image/formats: every format boots, is the same machine, and the same bytes each time."""

import json
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from tests.support import images
from tests.support.tools import tool
from tests.support.vm import Machine, Slirp
from tools.errors import UserError
from tools.image import disk, formats
from tools.image.formats import container, identity, iso, virtual

ROOT = Path(__file__).resolve().parent.parent.parent
OVMF = "/usr/share/OVMF/OVMF_CODE_4M.fd"
FIRMWARE = 100  # seconds; interpreted UEFI takes 20 of them on a busy machine
GREETING = "Hello from ImportOS."
MADE = [name for name, form in formats.FORMATS.items() if form.module]
VIRTUAL = [name for name, form in formats.FORMATS.items() if form.module == "virtual"]


@pytest.fixture(scope="module")
def hello(image):
    return image("hello", "--format", "all")


def boot(path, how="ide", **more):
    """Boot an image until the machine is off; its console."""
    with Machine(path, boot=how, **more) as machine:
        assert machine.wait(60) in (0, 1)  # switched off, or debug-exit
        return machine.text


def uefi(path, how="virtio-blk", **more):
    flash = f"if=pflash,format=raw,readonly=on,file={OVMF}"
    assert Path(OVMF).is_file(), "the package ovmf is missing"
    options = {"emulator": "qemu-system-x86_64", "memory": "128M", "extra": ("-drive", flash)}
    return Machine(path, boot=how, **options | more)


# Booting.


@pytest.mark.parametrize("name", ["img", *VIRTUAL])
def test_a_disk_of_each_format_boots(hello, name):
    text = boot(hello / f"hello.{name}")
    assert GREETING in text and "started by disk" in text


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_the_cd_boots(hello, machine):
    text = boot(hello / "hello.iso", "cd", machine=machine)
    assert GREETING in text and "started by disk" in text


@pytest.mark.parametrize("name", ["hello.iso", "hello-efi.iso"])
@pytest.mark.parametrize("how", ["ide", "virtio-blk"])
def test_the_cd_boots_from_a_stick(hello, name, how):
    text = boot(hello / name, how)
    assert GREETING in text and "started by disk" in text


def test_the_cd_for_both_firmwares_boots_by_bios(hello):
    assert "started by disk" in boot(hello / "hello-efi.iso", "cd")


@pytest.mark.parametrize("how", ["cd", "virtio-blk"])
def test_the_cd_for_both_firmwares_boots_by_uefi(hello, how):
    with uefi(hello / "hello-efi.iso", how, machine="q35") as machine:
        assert machine.wait(FIRMWARE) in (0, 1)  # switched off, or debug-exit
        assert GREETING in machine.text and "started by multiboot" in machine.text


@pytest.mark.parametrize("how", ["ide", "virtio-blk"])
def test_the_disk_for_both_firmwares_boots_by_bios(hello, how):
    assert "started by disk" in boot(hello / "hello-efi.img", how)


def test_the_disk_for_both_firmwares_boots_by_uefi(hello):
    with uefi(hello / "hello-efi.qcow2", machine="q35") as machine:
        assert machine.wait(FIRMWARE) in (0, 1)  # switched off, or debug-exit
        assert GREETING in machine.text and "started by multiboot" in machine.text


@pytest.mark.parametrize("virtio", ["transitional", "modern"])
def test_a_machine_serves_that_uefi_started(image, virtio):
    # Firmware that may put 64-bit regions above what 32 bits reach, and a device behind a bridge.
    folder = image("echo", "--format", "efi")
    slot = {"machine": "q35", "root_port": True} if virtio == "modern" else {}
    nic = Slirp({})
    with uefi(folder / "echo-efi.img", virtio=virtio, nic=nic, **slot) as machine:
        machine.wait_for("ready: echo 10.0.2.15", FIRMWARE)


def test_command_lines_are_stored_in_every_kind(image):
    folder = image("hello", "--format", "iso,efi", "--append", "log=error panic=exit")
    assert boot(folder / "hello.iso", "cd") == GREETING + "\n"
    with uefi(folder / "hello-efi.img") as machine:
        machine.wait(FIRMWARE)
        assert "hello stopped" not in machine.text and GREETING in machine.text


# Content.


@pytest.mark.parametrize("name", VIRTUAL)
def test_a_format_is_the_same_disk(hello, name):
    made = hello / f"hello.{name}"
    kind = {"vhd": "vpc"}.get(name, name)
    raw = ["-f", "raw", "-F", kind, hello / "hello.img", made]
    for command in (["compare", *raw], ["check", "-f", kind, made]):
        done = subprocess.run([tool("qemu-img"), *command], capture_output=True, text=True)
        # Not every format can be checked.
        assert done.returncode == 0 or "does not support checks" in done.stderr, done


def test_qcow2_is_hardly_larger_than_what_is_in_it(image):
    folder = image("dns")
    content = disk.bytes_used(folder / "dns.img")
    assert (folder / "dns.qcow2").stat().st_size < content * 1.03 + 3000


def test_the_volume_of_the_cd(hello):
    volume = (hello / "hello.iso").read_bytes()
    assert volume[16 * 2048 + 40 :][:32].rstrip() == b"HELLO"
    listed = identity.run("xorriso", "-indev", hello / "hello.iso", "-find")
    assert {"'./importos.img'", "'./boot.cat'"} <= set(listed.split())


def test_partitions_of_the_cd_as_a_stick(hello):
    # Firmware refuses a table whose partitions overlap or reach beyond the end.
    for name, kinds in (("hello.iso", ["da"]), ("hello-efi.iso", ["da", "ef"])):
        table = json.loads(identity.run(tool("sfdisk"), "--json", hello / name))["partitiontable"]
        parts = table["partitions"]
        assert [part["type"] for part in parts] == kinds and parts[0]["bootable"]
        ends = [part["start"] + part["size"] for part in parts]
        starts = [part["start"] for part in parts[1:]]
        end = (hello / name).stat().st_size // 512
        assert all(a <= b for a, b in zip(ends, [*starts, end], strict=True))


def test_partitions(hello):
    listed = identity.run(tool("sfdisk"), "--json", hello / "hello-efi.img")
    table = json.loads(listed)["partitiontable"]
    assert table["label"] == "gpt"
    assert [part["name"] for part in table["partitions"]] == ["importos", "esp"]
    identity.run(tool("sfdisk"), "--verify", hello / "hello-efi.img")
    files = identity.run("mdir", "-/", "-b", "-i", f"{hello / 'hello-efi.img'}@@1M", "::")
    assert "::/EFI/BOOT/BOOTX64.EFI" in files
    code = (hello / "hello-efi.img").read_bytes()[:440]
    header = disk.Header.read(code)
    assert header.loader_first == table["partitions"][0]["start"]


def test_the_container_image_is_one_that_others_read(hello, tmp_path):
    oci, docker = f"oci-archive:{hello / 'hello.oci.tar'}", hello / "hello.docker.tar"
    seen = [
        json.loads(identity.run(tool("skopeo"), "inspect", where))
        for where in (oci, f"docker-archive:{docker}:{container.reference('hello')}")
    ]
    for one in seen:
        assert (one["Os"], one["Architecture"], len(one["Layers"])) == ("linux", "amd64", 1)
    layout = tmp_path / "layout"
    identity.run(tool("skopeo"), "copy", oci, f"oci:{layout}:latest")
    bundle = tmp_path / "bundle"
    command = ("unpack", "--rootless", "--image", f"{layout}:latest", bundle)
    identity.run(tool("umoci"), *command)
    disks = list((bundle / "rootfs").rglob("*"))
    assert [str(path.relative_to(bundle / "rootfs")) for path in disks] == [
        "disk",
        "disk/hello.qcow2",
    ]
    assert disks[1].read_bytes() == (hello / "hello.qcow2").read_bytes()
    with tarfile.open(docker) as archive:
        (layer,) = json.load(archive.extractfile("manifest.json"))[0]["Layers"]
        with tarfile.open(fileobj=archive.extractfile(layer)) as parts:
            entry = parts.getmember("disk/hello.qcow2")
            assert (entry.uid, entry.gid, entry.mode) == (107, 107, 0o440)


def test_names_of_containers_and_volumes():
    assert container.reference("My_Web.App") == "importos/my-web-app:latest"
    assert iso.label("my-web.app" * 5) == "MY_WEB_APPMY_WEB_APPMY_WEB_APPMY"


# The same bytes.


def contents(folder, name):
    return {path.name: path.read_bytes() for path in folder.glob(f"{name}*") if path.is_file()}


def test_formats_made_twice_are_the_same(hello, tmp_path, monkeypatch):
    """Later, by somebody whose files nobody else may read, in another time zone."""
    seen = []
    for folder, pause, umask, zone in ("one", 0, 0o022, "UTC"), ("the other", 2.1, 0o077, "UTC-6"):
        time.sleep(pause)  # clocks of whole seconds, and FAT's of two
        monkeypatch.setenv("TZ", zone)
        (tmp_path / folder).mkdir()
        before = os.umask(umask)
        try:
            for name in MADE:
                files = formats.FORMATS[name].files("hello")
                targets = [tmp_path / folder / file for file in files]
                formats.make(name, hello / "hello.elf", hello / "hello.img", targets, "")
        finally:
            os.umask(before)
        seen.append(contents(tmp_path / folder, "hello"))
    assert [name for name in seen[0] if seen[0][name] != seen[1][name]] == []
    assert len(seen[0]) > len(MADE)


def test_machines_do_not_share_identifiers(hello, tmp_path):
    changed = tmp_path / "hello.img"
    changed.write_bytes((hello / "hello.img").read_bytes()[:-1] + b"\1")
    formats.make("vdi", hello / "hello.elf", changed, [tmp_path / "hello.vdi"])
    ours, others = (path.read_bytes() for path in (tmp_path / "hello.vdi", hello / "hello.vdi"))
    assert ours[0x188:0x198] != others[0x188:0x198]


@pytest.mark.timeout(600)
def test_another_folder_makes_the_same_images(hello, tmp_path):
    """All from the start, in a folder with a longer name: MicroPython, the port, the service."""
    other = tmp_path / "a copy of the source".replace(" ", "-") / "importos"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout
    for name in names.decode().split("\0"):
        if (ROOT / name).is_file():
            (other / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, other / name)
    (other / "build").mkdir()
    (other / "build/venv").symlink_to(ROOT / "build/venv")
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    source = shutil.copytree(images.sources(), other / "build/micropython")
    if "MICROPYTHON" in os.environ:
        environment["MICROPYTHON"] = str(source)
    else:
        shutil.copy2(ROOT / "build/micropython.stamp", other / "build")
    command = [other / "importos", "build", "hello", "--format", "all"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done
    expected = contents(hello, "hello")
    made = contents(other / "build/hello", "hello")
    del made["hello.map"]
    assert [name for name in made if made[name] != expected[name]] == []


# The tools.


def test_crc32c_of_its_standard():
    assert virtual.crc32c(b"123456789") == 0xE3069283


def test_lists_of_formats():
    assert formats.chosen("iso,vmdk,iso") == ["iso", "vmdk"]
    assert formats.chosen("all") == list(formats.FORMATS)
    assert set(formats.chosen("default")) < set(formats.FORMATS)
    with pytest.raises(UserError, match="no format 'ova'; there are img, qcow2"):
        formats.chosen("qcow2,ova")


def test_only_what_is_asked_for_needs_packages():
    assert set(formats.packages(formats.DEFAULT)) == {"qemu-utils"}
    assert "xorriso" in formats.packages(["iso"])
    assert formats.packages(["img"]) == {}


def test_what_is_left_of_another_image_goes(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    for at, name in enumerate(("x.vmdk", "x.qcow2", "x.img", "x.vdi")):
        (folder / name).touch()
        os.utime(folder / name, (at, at))
    formats.remove_old(folder, ["img", "qcow2"])
    assert sorted(path.name for path in folder.iterdir()) == ["x.img", "x.qcow2", "x.vdi"]


@pytest.mark.parametrize("line", ["a='b'", "a\\b"])
def test_a_command_line_that_grub_would_change(hello, tmp_path, line):
    files = formats.FORMATS["efi"].files("x")
    targets = [tmp_path / file for file in files]
    with pytest.raises(UserError, match="cannot have quotes"):
        formats.make("efi", hello / "hello.elf", hello / "hello.img", targets, line)


def test_a_tool_that_fails_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^qemu-img: .*none\.img"):
        formats.make("vdi", "x.elf", tmp_path / "none.img", [tmp_path / "x.vdi"])
