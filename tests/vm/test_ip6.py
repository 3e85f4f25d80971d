"""The machine with IPv6 only: what is in its image, what it answers, what that costs."""

import socket
import struct

import pytest

from tests.support import images, instructions
from tests.support.instructions6 import ADDRESS, QUERIES, STATIC, Lab6, costs

SERVICES = images.ROOT / "tests" / "vm" / "services"
IP4 = ["acd", "arp", "dhcp", "fragments4", "icmp", "igmp", "inet", "interface4", "internet4"]
IP4 += ["ip4", "routes"]


def elf(folder):
    return folder / f"{folder.name.rpartition('-')[0]}.elf"


@pytest.fixture(scope="module")
def echo():
    return images.build(str(SERVICES / "echo6.py"))


@pytest.fixture(scope="module")
def names():
    return images.build(str(SERVICES / "names6.py"))


def test_no_module_of_ip4_is_in_an_image_with_ip6_only(echo):
    inside = {line.split()[0] for line in (echo / "report.txt").read_text().splitlines() if line}
    assert "net.ip6.header" in inside
    assert not inside & {"net." + name for name in IP4}


def test_no_module_of_ip6_is_in_an_image_with_ip4_only():
    report = images.build(str(SERVICES / "echo4.py")) / "report.txt"
    inside = {line.split()[0] for line in report.read_text().splitlines() if line}
    assert "net.ip4.header" in inside
    assert not [name for name in inside if "ip6" in name]


def test_ping_and_echo(echo):
    with Lab6(elf(echo)) as lab:
        lab.first(lab.pinger())
        for size in (0, 56, 1452, 4000):
            words = ["ping", "-6", "-n", "-c", 3, "-i", "0.1", "-W", 5, "-s", size, ADDRESS]
            assert " 0% packet loss" in lab.namespace.run(*words).stdout
        client = lab.namespace.socket(socket.AF_INET6)
        client.connect((ADDRESS, 7))
        client.send(b"hello")
        assert client.recv(100) == b"hello"
        client.close()


def test_dig(names):
    with Lab6(elf(names)) as lab:
        lab.first(lab.pinger())
        words = ["dig", "-6", f"@{ADDRESS}", "+timeout=5", "host42.bench.example"]
        assert "status: NOERROR" in lab.namespace.run(*words).stdout


def test_it_answers_as_soon_as_it_has_started(echo):
    """Optimistic duplicate address detection: no second is waited for, if who asks is known."""
    with Lab6(elf(echo)) as lab:
        lab.namespace.run("ip", "-6", "neighbour", "del", ADDRESS, "dev", "tap0")
        lab.first(lab.pinger(timeout=0.05))
        lines = lab.machine.text
        assert f"{ADDRESS}/64" not in lines, "it was confirmed before it answered"


def test_addresses_from_a_router(echo):
    """Without any setting: an advertisement, and there is an address."""
    with Lab6(elf(echo), command_line="") as lab:
        lab.machine.wait_for("fe80::")
        sender = lab.namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        prefix = struct.pack(">BBBBIII", 3, 4, 64, 0xC0, 3600, 1800, 0)
        prefix += socket.inet_pton(socket.AF_INET6, "2001:db8::")
        message = struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
        index = lab.namespace.inside(socket.if_nametoindex, "tap0")
        sender.sendto(message, ("ff02::1", 0, 0, index))
        lab.machine.wait_for("2001:db8::")


@pytest.mark.timeout(300)
def test_dns_over_ip6_costs_little_more_than_over_ip4(names):
    with instructions.Lab(elf(images.build("dns", "--set", "protocols=udp4"))) as lab:
        ping4, dns4 = costs(lab, 53, QUERIES)
    with Lab6(elf(names)) as lab:
        ping6, dns6 = costs(lab, 53, QUERIES)
    assert ping6 <= ping4 * 1.15
    assert dns6 <= dns4 * 1.15


def test_memory_of_three_megabytes_is_enough(echo):
    with Lab6(elf(echo), memory="3M") as lab:
        assert lab.first(lab.pinger())


def test_names_over_both_families_and_both_transports():
    """The image of services/dns as it is."""
    folder = images.build("dns")
    words = f"{STATIC} address=10.0.0.2/24"
    with Lab6(elf(folder), command_line=words) as lab:
        lab.namespace.run("ip", "address", "add", "10.0.0.1/24", "dev", "tap0")
        lab.first(lab.pinger())
        for server in (ADDRESS, "10.0.0.2"):
            for transport in ("+tcp", "+notcp"):
                asked = ["dig", f"@{server}", "+timeout=5", transport, "host42.bench.example"]
                assert "status: NOERROR" in lab.namespace.run(*asked).stdout
