"""Every way to start, both chipsets, every kind of virtio device: and then it answers dig."""

import subprocess

import pytest

from tests.support import images, vm
from tests.support.tools import tool
from tests.vm.conftest import ADDRESS, dig, static

pytestmark = pytest.mark.timeout(600)  # the first one builds the image
SERVICES = images.ROOT / "tests" / "vm" / "services"


@pytest.mark.parametrize("virtio", vm.VIRTIO)
@pytest.mark.parametrize("machine", ["pc", "q35"])
@pytest.mark.parametrize("boot", vm.BOOTS)
def test_it_boots_and_answers_dig(image, network, boot, machine, virtio):
    """A disk has no command line: its machine asks DHCP for an address, as in a cloud."""
    folder = image("dns")
    kernel = boot in ("multiboot", "pvh")
    if not kernel:
        network.dhcp()
    with vm.Machine(
        folder / ("dns.elf" if kernel else "dns.img"),
        boot=boot,
        machine=machine,
        virtio=virtio,
        nic=network.tap,
        command_line=static() if kernel else "",
    ) as guest:
        network.wait_for_answer(guest)
        assert dig(network, "host42.bench.example", "A") == ["10.0.0.43"]
        assert dig(network, "host9999.bench.example", "A") == ["10.0.39.16"]
        booted_by = {"multiboot": "multiboot", "pvh": "pvh"}.get(boot, "disk")
        assert f"started by {booted_by}" in guest.text
        kind = "legacy" if virtio == "legacy" else "modern"
        assert f"virtio-net, {kind}" in guest.text


def test_it_boots_from_qcow2(image, network):
    network.dhcp()
    with vm.Machine(image("dns") / "dns.qcow2", boot="virtio-blk", nic=network.tap) as guest:
        network.wait_for_answer(guest)


@pytest.mark.parametrize("boot", ["multiboot", "virtio-blk"])
def test_it_finds_its_device_behind_a_pci_express_root_port(image, network, boot):
    kernel = boot == "multiboot"
    if not kernel:
        network.dhcp()
    with vm.Machine(
        image("dns") / ("dns.elf" if kernel else "dns.img"),
        boot=boot,
        machine="q35",
        virtio="modern",
        root_port=True,
        nic=network.tap,
        command_line=static() if kernel else "",
    ) as guest:
        network.wait_for_answer(guest)
        assert dig(network, "host1.bench.example", "A") == ["10.0.0.2"]


@pytest.mark.parametrize("memory", ["8M", "3M"])
def test_it_needs_little_memory(image, network, memory):
    with vm.Machine(
        image("dns") / "dns.elf", memory=memory, nic=network.tap, command_line=static()
    ) as guest:
        network.wait_for_answer(guest)
        assert dig(network, "host42.bench.example", "A") == ["10.0.0.43"]


@pytest.mark.parametrize("memory", ["1G", "4G"])
def test_it_is_at_home_in_much_memory(image, network, memory):
    with vm.Machine(
        image("dns") / "dns.elf",
        memory=memory,
        nic=network.tap,
        command_line=static(),
        emulator="qemu-system-x86_64",
    ) as guest:
        network.wait_for_answer(guest)


@pytest.mark.parametrize("processor", ["qemu32", "qemu64", "max"])
def test_it_runs_on_this_processor(image, network, processor):
    """qemu32 is the oldest that QEMU's machines have by default; it has SSE2, and no RDRAND."""
    with vm.Machine(
        image("dns") / "dns.elf", processor=processor, nic=network.tap, command_line=static()
    ) as guest:
        network.wait_for_answer(guest)


def test_it_answers_dig_through_user_mode_networking(image):
    """What `./importos run dns` shows: the host's port 5353 is the guest's port 53."""
    port = vm.free_port()
    with vm.Machine(image("dns") / "dns.elf", nic=vm.Slirp({port: 53})) as guest:
        guest.wait_for("by DHCP")
        command = [tool("dig"), "@127.0.0.1", "-p", str(port), "+short", "+timeout=2"]
        done = subprocess.run([*command, "host42.bench.example", "A"], capture_output=True)
        assert done.stdout == b"10.0.0.43\n"


def test_it_says_what_is_missing_without_a_network_device(image):
    with vm.Machine(
        image("dns") / "dns.elf",
        devices="-netdev user,id=old -device e1000,netdev=old,addr=0x7,romfile=",
        command_line=f"{static()} panic=exit",
    ) as guest:
        guest.wait_for("no network device")
        assert guest.wait() != 0


def test_address_of_the_command_line_wins_over_dhcp(image, network):
    network.dhcp()
    with vm.Machine(
        image("dns") / "dns.elf", nic=network.tap, command_line=static("10.0.0.9")
    ) as guest:
        network.wait_for_answer(guest, "10.0.0.9")
        assert "10.0.0.9/24" in guest.text
        assert ADDRESS not in guest.text


def test_an_import_does_what_it_should(image):
    """Packages with and without a file, relative imports, what is missing: services/imports."""
    with vm.Machine(image(str(SERVICES / "imports")) / "imports.elf") as guest:
        guest.wait_for("every import did what it should")
