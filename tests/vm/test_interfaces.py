"""A machine on two links, opposite a kernel that is on both."""

import socket

import pytest

from tests.support import images, load, vm
from tests.support.namespace import Namespace

SERVICE = str(images.ROOT / "tests" / "vm" / "services" / "two_nics.py")
WEST, EAST = "10.0.0.2", "10.1.0.2"
GROUP = "239.1.2.3"
SETTINGS = f"address={WEST}/24 eth1.address={EAST}/24"

pytestmark = pytest.mark.timeout(600)  # the first one builds the image


class Taps(vm.Tap):
    """Two TAP devices; QEMU inherits both."""

    def __init__(self, first, second):
        vm.Tap.__init__(self, first)
        self.second = second

    def arguments(self):
        text, descriptors = vm.Tap.arguments(self)
        return text, (*descriptors, self.second)


@pytest.fixture
def two_links(image):
    elf = image(SERVICE) / "two_nics.elf"
    with Namespace() as namespace:
        taps = Taps(namespace.tap("tap0", "10.0.0.1/24"), namespace.tap("tap1", "10.1.0.1/24"))
        device = "virtio-net-pci,netdev=net1,mac=52:54:00:12:34:57"
        extra = ("-netdev", f"tap,id=net1,fd={taps.second}", "-device", device)
        with vm.Machine(elf, nic=taps, command_line=SETTINGS, extra=extra) as guest:
            guest.wait_for(EAST)
            yield namespace


def ask(namespace, destination, data, port=7):
    asker = namespace.socket()
    asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.1.0.1"))
    asker.sendto(data, (destination, port))
    return asker.recvfrom(65536)


def test_each_link_has_an_answer_from_its_own_address(two_links):
    for address in (WEST, EAST):
        assert load.pings(two_links, address) == 1
        for size in (0, 100, 5000):
            assert ask(two_links, address, bytes(size)) == (bytes(size), (address, 7))
    copied, _, _ = ask(two_links, WEST, b"", 99)[0].split()
    assert int(copied) == 2, "of one nic's packets by the other; fragments are its own"


def test_rfc1112_a_group_is_heard_on_the_link_where_it_was_joined(two_links):
    data, sender = ask(two_links, GROUP, b"to all")
    assert (data, sender) == (b"to all", (EAST, 7))
    _, reports, _ = ask(two_links, WEST, b"", 99)[0].split()
    assert int(reports) >= 1


def test_rfc1122_3_3_4_2_the_address_of_the_other_link_does_not_answer(two_links):
    two_links.run("ip", "route", "add", f"{WEST}/32", "dev", "tap1")
    two_links.neighbour(WEST, "52:54:00:12:34:57", "tap1")
    with pytest.raises(TimeoutError):
        ask(two_links, WEST, b"?")
    two_links.run("ip", "route", "delete", f"{WEST}/32", "dev", "tap1")
    _, _, dropped = ask(two_links, WEST, b"", 99)[0].split()
    assert int(dropped) >= 1
