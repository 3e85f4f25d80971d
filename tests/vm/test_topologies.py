"""Machines as clouds and people shape them: on each, an unmodified service answers.

The two of Nova are its command lines with what does not matter left away: the devices, where they
sit, and what else is plugged in that nobody drives.  They boot from their root disk and ask DHCP.
"""

import contextlib

import pytest

from tests.support import load, vm
from tests.vm.conftest import ADDRESS, MAC, dig, static

pytestmark = pytest.mark.timeout(600)  # the first one builds the images

NOVA_PC = """
    -device piix3-usb-uhci,id=usb,bus=pci.0,addr=0x1.0x2 -device usb-tablet,bus=usb.0
    -device cirrus-vga,bus=pci.0,addr=0x2
    -device virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x6
    -object rng-random,id=objrng0,filename=/dev/urandom
    -device virtio-rng-pci,rng=objrng0,id=rng0,bus=pci.0,addr=0x7
    -device i6300esb,id=watchdog0,bus=pci.0,addr=0x8
    -boot strict=on"""
PORTS = " ".join(
    f"-device pcie-root-port,id=pci.{n},bus=pcie.0,port={15 + n},chassis={n},addr=0x2.0x{n - 1}"
    + ",multifunction=on" * (n == 1)
    for n in range(1, 8)
)
NOVA_Q35 = f"""
    {PORTS}
    -device pcie-pci-bridge,id=pci.8,bus=pci.1,addr=0x0
    -device i6300esb,id=watchdog0,bus=pci.8,addr=0x1
    -device virtio-vga,id=video0,bus=pcie.0,addr=0x1
    -device qemu-xhci,id=usb,bus=pci.2,addr=0x0 -device usb-tablet,bus=usb.0
    -device virtio-balloon-pci,id=balloon0,bus=pci.5,addr=0x0,disable-legacy=on
    -object rng-random,id=objrng0,filename=/dev/urandom
    -device virtio-rng-pci,rng=objrng0,id=rng0,bus=pci.6,addr=0x0,disable-legacy=on
    -boot strict=on"""


@contextlib.contextmanager
def serving(image, network, service="dns", options=(), **machine):
    """A machine that answers dig and ping."""
    folder = image(service, *options)
    boot = machine.get("boot", "multiboot")
    kernel = boot in ("multiboot", "pvh")
    if kernel:
        machine["command_line"] = f"{static()} {machine.get('command_line', '')}"
    else:
        network.dhcp()
    path = folder / (f"{service}.elf" if kernel else f"{service}.img")
    with vm.Machine(path, nic=network.tap, mac=MAC, **machine) as guest:
        network.wait_for_answer(guest)
        guest.wait_for("ready: ")
        assert dig(network, "host42.bench.example", "A") == ["10.0.0.43"]
        assert load.pings(network.namespace, ADDRESS, 1000, 200, 20) == 200
        yield guest


def line_of(guest):
    """The interrupt line that the network device has."""
    words = next(line for line in guest.text.splitlines() if "virtio-net" in line)
    return int(words.split(" line ")[1].split(",")[0])


def test_nova_on_pc(image, network):
    with serving(
        image,
        network,
        boot="virtio-blk",
        devices=NOVA_PC,
        disk_options="bus=pci.0,addr=0x5,bootindex=1",
        nic_options="bus=pci.0,addr=0x3,host_mtu=1450",
    ) as guest:
        assert "mtu 1450" in guest.text
        assert line_of(guest) > 16  # a message


def test_nova_on_q35(image, network):
    with serving(
        image,
        network,
        boot="virtio-blk",
        machine="q35",
        virtio="modern",
        devices=NOVA_Q35,
        disk_options="bus=pci.4,addr=0x0,disable-legacy=on,bootindex=1",
        nic_options="bus=pci.3,addr=0x0,host_mtu=1450",
    ) as guest:
        assert "virtio-net, modern" in guest.text and "mtu 1450" in guest.text
        assert line_of(guest) > 16
        devices = guest.monitor.human("info pci")
        assert "PCI bridge: PCI device 1b36:000e" in devices


@pytest.mark.parametrize("command_line", ["", "msix=no"])
@pytest.mark.parametrize("options", ["", "vectors=0", "vectors=1", "mq=on,vectors=4"])
def test_interrupts_are_messages_where_there_can_be_any(image, network, options, command_line):
    """One vector does not do: who shares it with the configuration does not know who is meant."""
    messages = options in ("", "mq=on,vectors=4") and not command_line
    with serving(
        image, network, machine="q35", nic_options=options, command_line=command_line
    ) as guest:
        assert (line_of(guest) > 16) == messages


def test_behind_a_bridge_to_conventional_pci(image, network):
    bridge = "-device pcie-root-port,id=port0,chassis=1 -device pcie-pci-bridge,id=old,bus=port0"
    with serving(
        image, network, machine="q35", devices=bridge, nic_options="bus=old,addr=0x3"
    ) as guest:
        assert "virtio-net, modern" in guest.text


@pytest.mark.parametrize("command_line", ["", "msix=no"])
def test_behind_two_bridges(image, network, command_line):
    bridges = """-device pci-bridge,id=one,chassis_nr=1,addr=0x5
        -device pci-bridge,id=two,chassis_nr=2,bus=one,addr=0x2"""
    with serving(
        image,
        network,
        devices=bridges,
        nic_options="bus=two,addr=0x4",
        command_line=command_line,
    ):
        pass


def test_behind_a_switch(image, network):
    """PCI Express: root port, upstream port, downstream port."""
    switch = """-device pcie-root-port,id=root,chassis=1 -device x3130-upstream,id=up,bus=root
        -device xio3130-downstream,id=one,bus=up,chassis=2,slot=1
        -device xio3130-downstream,id=two,bus=up,chassis=2,slot=2"""
    with serving(image, network, machine="q35", devices=switch, nic_options="bus=two"):
        pass


def test_other_processors_stay_parked(image, network):
    with serving(image, network, extra=("-smp", "4")):
        pass


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_what_is_plugged_in_or_is_to_be_pulled_does_not_disturb(image, network, machine):
    """Hot plug is left out: a new device is for the next start, an old one stays where it is."""
    port = "-device pcie-root-port,id=port1,chassis=3" * (machine == "q35")
    with serving(image, network, machine=machine, devices=port, nic_options="id=old") as guest:
        ask = guest.monitor.execute
        ask("netdev_add", type="user", id="net1")
        where = {"bus": "port1"} if port else {}
        ask("device_add", driver="virtio-net-pci", netdev="net1", id="new", romfile="", **where)
        if machine == "pc":  # on q35 it is part of the chipset
            ask("device_del", id="old")
        assert load.pings(network.namespace, ADDRESS, 1000, 20, 10) == 20


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_only_legacy(image, network, machine):
    with serving(image, network, machine=machine, virtio="legacy") as guest:
        assert "virtio-net, legacy" in guest.text


@pytest.mark.parametrize("virtio", vm.VIRTIO)
@pytest.mark.parametrize(
    "sizes", ["rx_queue_size=256,tx_queue_size=256", "rx_queue_size=1024", "packed=on"]
)
def test_rings_are_as_large_as_the_device_says(image, network, virtio, sizes):
    if virtio == "legacy" and "packed" in sizes:
        sizes = "rx_queue_size=512"
    with serving(image, network, machine="q35", virtio=virtio, nic_options=sizes):
        pass


def test_a_device_behind_the_platforms_translation(image, network):
    with serving(image, network, machine="q35", virtio="modern", nic_options="iommu_platform=on"):
        pass


MICROVM = ("bus=mmio",)


@pytest.mark.parametrize("virtio", ["legacy", "modern"])
@pytest.mark.parametrize(
    "machine",
    [
        "microvm",
        "microvm,acpi=off",
        "microvm,ioapic2=off",
        "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on",
    ],
)
def test_microvm(image, network, machine, virtio):
    """With ACPI the kernel command line is silent: devices and interrupts are searched for."""
    with serving(
        image, network, options=("--set", "bus=mmio"), machine=machine, virtio=virtio
    ) as guest:
        name = "mmio" if virtio == "modern" else "mmio, legacy"
        assert f"virtio-net, {name}, mac" in guest.text
        guest.type(b"\x03")  # the serial line's interrupt, also without an 8259
        assert guest.wait() == 1
        assert "dns stopped" in guest.text


def test_microvm_starts_by_pvh_and_keeps_the_pace_without_a_pit(image, network):
    machine = "microvm,acpi=off,pit=off,pic=off,rtc=off"
    with serving(
        image,
        network,
        options=("--set", "bus=mmio"),
        machine=machine,
        virtio="modern",
        boot="pvh",
        command_line="log=debug",
    ) as guest:
        assert "started by pvh" in guest.text


def test_the_power_button_of_a_microvm(image, network):
    with serving(
        image,
        network,
        options=("--set", "bus=mmio"),
        machine="microvm",
        debug_exit=False,
    ) as guest:
        guest.monitor.execute("system_powerdown")
        assert guest.wait() == 0
        assert "dns stopped" in guest.text


def test_an_image_without_mmio_says_what_to_do_on_a_microvm(image, network):
    with vm.Machine(
        image("dns") / "dns.elf", machine="microvm", nic=network.tap, command_line=static()
    ) as guest:
        guest.wait_for("--set bus=mmio")


@pytest.mark.parametrize("virtio", ["legacy", "modern"])
def test_every_driver_finds_its_device_on_a_microvm(image, network, tmp_path, virtio):
    for name in ("disk", "cd"):
        (tmp_path / name).write_bytes(bytes(1 << 20))
    words = f"""-device virtio-rng-device -device virtio-serial-device
        -chardev null,id=agent
        -device virtserialport,chardev=agent,name=org.qemu.guest_agent.0
        -drive file={tmp_path}/disk,format=raw,if=none,id=d0 -device virtio-blk-device,drive=d0
        -device virtio-scsi-device
        -drive file={tmp_path}/cd,format=raw,if=none,id=d1,readonly=on -device scsi-cd,drive=d1"""
    folder = image("echo", "--cloud", "--set", "bus=mmio")
    with vm.Machine(
        folder / "echo-cloud.elf",
        machine="microvm",
        virtio=virtio,
        nic=network.tap,
        mac=MAC,
        extra=tuple(words.split()),
        command_line=static(),
    ) as guest:
        guest.wait_for("port org.qemu.guest_agent.0 is open")
        name = "mmio" if virtio == "modern" else "mmio, legacy"
        for device in ("virtio-console", "virtio-blk", "virtio-net"):
            assert f"{device}, {name}, " in guest.text
        assert "disk0: virtio-blk" in guest.text and "disk1: virtio-scsi" in guest.text
        assert "virtio-rng" in guest.text
        assert load.pings(network.namespace, ADDRESS, 1000, 200, 20) == 200
