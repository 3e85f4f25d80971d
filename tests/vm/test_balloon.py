"""Memory that is lent to the host and taken back, under a machine that needs it after all."""

import time

import pytest

from tests.support import images, vm
from tests.vm.conftest import ADDRESS, static

pytestmark = pytest.mark.timeout(600)  # the first one builds the image
HUNGRY = str(images.ROOT / "tests" / "vm" / "services" / "hungry.py")
MB = 1 << 20


class Guest(vm.Machine):
    def __init__(self, image, network, device="virtio-balloon-pci", words="", **options):
        self.network = network
        super().__init__(
            image(HUNGRY, "--cloud") / "hungry-cloud.elf",
            nic=network.tap,
            memory="256M",
            command_line=static() + " metadata=no " + words,
            debug_exit=False,
            extra=("-device", device + ",id=balloon"),
            **options,
        )

    def ask(self, megabytes):
        """Have the machine use so much more, or 0: nothing; its answer."""
        asker = self.network.namespace.socket()
        asker.settimeout(20)
        asker.sendto(b"%d" % megabytes, (ADDRESS, 9))
        return asker.recv(100)

    def balloon(self, megabytes):
        self.monitor.execute("balloon", value=megabytes * MB)

    def actual(self):
        """What QEMU believes that the machine has, in MB."""
        return self.monitor.execute("query-balloon")["actual"] // MB

    def settle(self, true, what, within=10):
        end = time.monotonic() + within
        while not true():
            assert time.monotonic() < end, f"{what}: {self.actual()} MB\n{self.text}"
            time.sleep(0.05)

    def statistics(self):
        found = self.monitor.execute(
            "qom-get", path="/machine/peripheral/balloon", property="guest-stats"
        )
        return found["last-update"], found["stats"]


@pytest.mark.parametrize(
    ("chipset", "device"),
    [
        ("pc", "virtio-balloon-pci"),
        ("pc", "virtio-balloon-pci,disable-modern=on"),
        ("q35", "virtio-balloon-pci-non-transitional"),
    ],
)
def test_the_host_is_lent_what_it_wishes_and_gives_it_back(image, network, chipset, device):
    with Guest(image, network, device, machine=chipset) as guest:
        guest.wait_for_ready()
        guest.balloon(64)
        guest.settle(lambda: guest.actual() == 64, "lent")
        assert guest.ask(4) == b"4 good"
        guest.balloon(256)
        guest.settle(lambda: guest.actual() == 256, "back")
        assert guest.ask(100) == b"104 good"


def test_a_host_that_wishes_too_much_gets_what_there_is(image, network):
    with Guest(image, network) as guest:
        guest.wait_for_ready()
        guest.balloon(1)
        guest.settle(lambda: guest.actual() < 64, "lent")
        time.sleep(1.5)
        assert 8 < guest.actual() < 64, "some is never lent"
        assert guest.ask(2) == b"2 good"


def test_what_is_lent_is_there_when_the_machine_needs_it(image, network):
    """The heap grows into it, nothing is spoilt, and the host hears of it."""
    with Guest(image, network) as guest:
        guest.wait_for_ready()
        guest.balloon(32)
        guest.settle(lambda: guest.actual() == 32, "lent")
        for round in range(3):
            assert guest.ask(150) == b"150 good"
            guest.settle(lambda: guest.actual() >= 160, f"taken back, round {round}")
            assert guest.ask(0) == b"0 good"
        assert guest.ask(150) == b"150 good"
        assert "MemoryError" not in guest.text


def test_pages_that_were_used_and_lent_cost_the_host_nothing(image, network):
    with Guest(image, network, words="first=180") as guest:
        guest.wait_for_ready()
        used = guest.resident()
        assert used > 180 * MB
        guest.balloon(32)
        path = "/machine/peripheral/balloon"
        guest.monitor.execute(
            "qom-set", path=path, property="guest-stats-polling-interval", value=1
        )
        guest.wait_for("the heap gives back")
        guest.settle(lambda: guest.actual() == 32, "lent")
        assert guest.resident() < used - 150 * MB


def test_statistics(image, network):
    with Guest(image, network) as guest:
        guest.wait_for_ready()
        path = "/machine/peripheral/balloon"
        guest.monitor.execute(
            "qom-set", path=path, property="guest-stats-polling-interval", value=1
        )
        guest.settle(lambda: guest.statistics()[0], "statistics")
        time.sleep(2.2)
        _, stats = guest.statistics()
        assert 240 * MB < stats["stat-total-memory"] <= 256 * MB
        assert 200 * MB < stats["stat-free-memory"] < 256 * MB
        assert stats["stat-available-memory"] == stats["stat-free-memory"]
        assert guest.ask(100) == b"100 good"
        guest.settle(
            lambda: guest.statistics()[1]["stat-free-memory"] < stats["stat-free-memory"] - 80 * MB,
            "less is free",
        )


def test_what_a_large_heap_leaves_is_reported(image, network):
    device = "virtio-balloon-pci,free-page-reporting=on"
    with Guest(image, network, device, words="first=180") as guest:
        guest.wait_for_ready()
        used = guest.resident()
        assert used > 180 * MB
        path = "/machine/peripheral/balloon"
        guest.monitor.execute(
            "qom-set", path=path, property="guest-stats-polling-interval", value=1
        )
        guest.wait_for("the heap gives back")
        guest.settle(lambda: guest.resident() < used - 150 * MB, "reported")
        assert guest.ask(180) == b"180 good"
