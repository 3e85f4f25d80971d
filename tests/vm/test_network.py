"""The machine on its network: pings, echoes, floods, and what it counts meanwhile."""

import ast
import contextlib
import random
import time

import pytest

from tests.support import images, load, malformed, vm
from tests.support.instructions import Lab
from tests.support.meter import Metered
from tests.vm.conftest import ADDRESS, KERNEL, MAC, static

pytestmark = pytest.mark.timeout(600)  # the first one builds the image
PROBE = str(images.ROOT / "tests" / "support" / "probe.py")


@pytest.fixture
def probe(image, network):
    """A machine with an echo and a control port; see tests/support/probe.py."""
    elf = image(PROBE) / "probe.elf"
    with vm.Machine(elf, nic=network.tap, mac=MAC, command_line=static()) as guest:
        guest.wait_for(ADDRESS)
        control = network.namespace.socket()
        control.connect((ADDRESS, 99))
        control.settimeout(0.5)

        def ask(command):
            for _ in range(20):  # after a flood, the device's queue may have no room at once
                control.send(command.encode())
                with contextlib.suppress(TimeoutError):
                    answer = control.recv(4096).decode()
                    return ast.literal_eval(answer) if answer.startswith("{") else answer
            raise AssertionError(f"no answer\n{guest.text}")

        guest.ask = ask
        yield guest


@pytest.mark.parametrize("size", [0, 1, 56, 1472, 1473, 4000, 16000])
def test_ping_of_size(probe, network, size):
    # The first to a stranger asks for his link address: only one fragment could wait for that.
    assert load.pings(network.namespace, ADDRESS) == 1
    assert load.pings(network.namespace, ADDRESS, size, 20) == 20
    assert " 0% packet loss" in network.namespace.run("ping", "-c", 1, "-s", size, ADDRESS).stdout
    assert probe.ask("drops") == {}


@pytest.mark.parametrize("virtio", vm.VIRTIO)
def test_ping_flood_loses_nothing(image, network, virtio):
    elf = image("echo") / "echo.elf"
    with vm.Machine(elf, nic=network.tap, virtio=virtio, command_line=static()) as guest:
        guest.wait_for(ADDRESS)
        assert load.pings(network.namespace, ADDRESS) == 1
        assert load.pings(network.namespace, ADDRESS, 56, 20_000, 20) == 20_000


@pytest.mark.parametrize("size", [0, 1, 1471, 1472, 1473, 9000])
def test_udp_echo_of_size(probe, network, size):
    echo = network.namespace.socket()
    echo.connect((ADDRESS, 7))
    data = bytes(i * 7 & 0xFF for i in range(size))
    echo.send(data)
    assert echo.recv(65535) == data


def test_closed_port_is_port_unreachable(probe, network):
    closed = network.namespace.socket()
    closed.connect((ADDRESS, 4444))
    closed.send(b"anybody?")
    with pytest.raises(ConnectionRefusedError):
        closed.recv(100)


def test_malformed_frames_are_counted_one_by_one(probe, network):
    """20,000 of them, and an echo between them now and then; every counter is exact."""
    frames = load.Frames(network.namespace)
    ours, theirs = (bytes(map(int, text.split("."))) for text in (ADDRESS, KERNEL))
    flood = malformed.Flood(bytes.fromhex(MAC.replace(":", "")), ours, frames.mac, theirs, port=7)

    def answered():
        assert probe.ask("nothing") is not None

    before = probe.ask("drops")
    frames.flood(flood.frames(20_000), answered)
    drops = probe.ask("drops")
    assert {name: n - before.get(name, 0) for name, n in drops.items()} == flood.expected


def test_frames_of_any_bytes_do_no_harm(probe, network):
    """Random bytes behind a header that is ours, through every layer; it goes on answering."""
    dice = random.Random(5)
    frames = load.Frames(network.namespace)
    header = bytes.fromhex(MAC.replace(":", "")) + frames.mac

    def noise():
        for _ in range(20_000):
            kind = dice.choice((b"\x08\x00", b"\x08\x06", b"\x86\xdd", dice.randbytes(2)))
            yield header + kind + dice.randbytes(dice.randrange(1500))

    frames.flood(noise(), lambda: probe.ask("nothing"))
    assert probe.ask("counters")["eth0.received"] > 20_000


def test_counters_add_up_after_a_flood_faster_than_the_machine(probe, network):
    """What the device delivered was echoed, refused for want of a buffer, or dropped by name."""
    before = probe.ask("counters")
    frames = load.Frames(network.namespace)
    ours, theirs = (bytes(map(int, text.split("."))) for text in (ADDRESS, KERNEL))
    flood = malformed.Flood(bytes.fromhex(MAC.replace(":", "")), ours, frames.mac, theirs, port=7)
    frame = flood.ip4(malformed.UDP, flood.udp(bytes(18)))
    for _ in range(100_000):
        frames.send(frame)
    after = probe.ask("counters")
    grown = {name: n - before.get(name, 0) for name, n in after.items()}
    risen = grown["udp.received"] + grown.get("arp.replies", 0) + grown.get("arp.requests", 0)
    risen += grown.get("icmp.errors_received", 0)  # nobody has the ports that were answered
    assert grown["eth0.received"] == risen
    lost = grown.get("eth0.no_buffer", 0) + grown.get("arp.superseded", 0)
    assert grown["udp.received"] <= grown["eth0.sent"] + lost


def test_nothing_is_allocated_per_packet(image):
    """The collector is off: any byte per packet would stay (tests/support/metered.py)."""
    queries = load.bench_queries()
    queries += [load.query("nobody.bench.example"), load.query("bench.example", 6)]

    with Metered(image) as metered:

        def pings(count):
            return load.pings(metered.lab.namespace, ADDRESS, 56, count)

        pings(10)
        assert metered.allocated(metered.load, 20_000, queries, "id")[0] == 0
        assert metered.allocated(pings, 2_000) == (0, 2_000)


# How the device is reached, and its interrupts arrive: a line, messages, edges of an I/O APIC.
WAYS = {
    "legacy": {"virtio": "legacy"},
    "modern": {"virtio": "modern", "words": "msix=no"},
    "messages": {"virtio": "modern"},
    "mmio": {"virtio": "modern", "machine": "microvm", "options": ("--set", "bus=mmio")},
    "mmio-legacy": {"virtio": "legacy", "machine": "microvm", "options": ("--set", "bus=mmio")},
}


@pytest.mark.parametrize("way", WAYS)
def test_bursts_of_20_datagrams_lose_no_wake_up(image, network, way):
    """The short form of the million (tests/vm/test_stress.py)."""
    bursts(image, network, way, 10_000)


def bursts(image, network, way, count, timeout=300):
    network.namespace.neighbour(ADDRESS, MAC)
    machine = dict(WAYS[way])
    elf = image("echo", *machine.pop("options", ())) / "echo.elf"
    words = f"{static()} {machine.pop('words', '')}"
    with vm.Machine(elf, nic=network.tap, mac=MAC, command_line=words, **machine) as guest:
        guest.wait_for(ADDRESS)
        # One datagram first: it has the machine ask for our link address, and only one can wait.
        load.load(network.namespace, ADDRESS, 7, "burst", 1, 1, "echo", load.echoes())
        forgotten = []
        counted = load.load(
            network.namespace,
            ADDRESS,
            7,
            "burst",
            20 * count,
            20,
            "echo",
            load.echoes(),
            timeout=timeout,
            silence=lambda: forgotten.append(guest.forgotten()),
        )
        # A host with much else to do may be silent for a second, too: then nobody sleeps on work.
        assert not any(forgotten), (counted, forgotten)
        assert counted["right"] == 20 * count, counted
        assert counted["stalls"] == 0
        print(f"{count} bursts, {counted['late']} of them late: {counted['seconds']:.0f} s")


def test_queries_at_full_load_are_all_answered(image):
    """A shorter form of the million (`./importos bench flood`)."""
    with Lab(image("dns") / "dns.elf", icount="") as lab:
        lab.first(lab.asker(53, load.bench_queries(), timeout=0.05))
        counted = load.load(
            lab.namespace, ADDRESS, 53, "window", 100_000, 20, "dns", load.bench_queries()
        )
        assert counted["right"] == 100_000, counted


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_idle_machine_uses_no_processor(image, network, machine):
    """0 or 1 ticks of 10 ms in 10 s, of the whole QEMU process."""
    elf = image("dns") / "dns.elf"
    with vm.Machine(elf, nic=network.tap, machine=machine, command_line=static()) as guest:
        network.wait_for_answer(guest)
        time.sleep(3)
        before = guest.cpu_ticks()
        time.sleep(10)
        assert guest.cpu_ticks() - before <= 1


def test_link_down_and_up_again(probe, network):
    probe.monitor.execute("set_link", name="net0", up=False)
    probe.wait_for("link is down")
    probe.monitor.execute("set_link", name="net0", up=True)
    probe.wait_for("link is up")
    assert probe.ask("nothing") is not None
