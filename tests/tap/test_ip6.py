"""Our IPv6 against the Linux kernel and its tools: what the RFCs mean is what the neighbour
understands.
"""

import ast
import socket
import subprocess

import pytest

from tests.support import images
from tests.support.load import Frames

KERNEL, OURS = "2001:db8::1", "2001:db8::2"
STATIC = (f"address6={OURS}/64", f"gateway6={KERNEL}")
PROBE = "tests.support.probe6"


class Six:
    """A station of tests/tap whose kernel speaks IPv6."""

    def __init__(self, station):
        self.station = station
        self.namespace = station.namespace

    def make_tap(self, address=f"{KERNEL}/64"):
        self.station.make_tap()
        run = self.namespace.run
        run("sysctl", "-qw", "net.ipv6.conf.tap0.accept_dad=0", "net.ipv6.conf.tap0.accept_ra=0")
        run("sysctl", "-qw", "net.ipv6.conf.tap0.disable_ipv6=0")
        if address:
            run("ip", "-6", "address", "add", address, "dev", "tap0", "nodad")
        return self

    def start(self, *words, service=PROBE, **options):
        if self.station.descriptor is None:
            self.make_tap()
        self.station.start(*words, service=service, **options)
        return self

    def socket(self):
        return self.namespace.socket(socket.AF_INET6)

    def ask(self, command, address=OURS):
        control = self.socket()
        control.connect((address, 99))
        control.send(command.encode())
        return control.recv(8192).decode()

    def ping(self, address, size=56, count=3, *options):
        """How many answers came."""
        words = ["ping", "-6", "-n", "-c", count, "-i", "0.05", "-W", 2, "-s", size, *options]
        done = self.namespace.run(*words, address, check=False)
        return int(done.stdout.split(" received")[0].rsplit(" ", 1)[1]), done.stdout


@pytest.fixture
def six(station):
    return Six(station)


@pytest.mark.parametrize("size", [0, 1, 56, 1452, 1453, 2000, 9000, 16000])
def test_ping_of_size(six, size):
    """1452 fills an Ethernet frame; above it, fragments both ways."""
    six.start(*STATIC)
    assert six.ping(OURS, size)[0] == 3
    # The kernel tells routers of its groups; nothing else was dropped.
    assert set(ast.literal_eval(six.ask("drops"))) <= {"ip6.destination"}


def test_rfc4443_4_2_ping_of_all_nodes_is_answered(six):
    six.start(*STATIC)
    received, output = six.ping("ff02::1%tap0", 56, 2)
    assert received == 2, output
    assert "fe80::" in output


def test_rfc8200_fragments_at_the_smallest_mtu(six):
    six.start(*STATIC)
    six.namespace.run("ip", "link", "set", "tap0", "mtu", 1280)
    assert six.ping(OURS, 4000)[0] == 3


@pytest.mark.parametrize("size", [0, 1, 2, 511, 1451, 1452, 5000])
def test_udp_echo(six, size):
    six.start(*STATIC)
    client = six.socket()
    client.connect((OURS, 7))
    data = bytes(i * 7 & 0xFF for i in range(size))
    for _ in range(3):
        client.send(data)
        assert client.recv(8192) == data


def test_rfc4443_3_1_closed_port_is_refused(six):
    six.start(*STATIC)
    client = six.socket()
    client.connect((OURS, 12345))
    client.send(b"anybody?")
    with pytest.raises(ConnectionRefusedError):
        client.recv(100)


def test_rfc4443_3_1_the_kernels_refusal_reaches_the_socket(six):
    six.start(*STATIC)
    assert six.ask(f"send {KERNEL} 12345") == "sent"
    six.station.process.wait_for(f"unreachable {KERNEL} 12345 1 4")


def test_rfc4861_nobody_there_is_address_unreachable(six):
    six.start(*STATIC)
    assert six.ask("send 2001:db8::77 12345") == "sent"
    six.station.process.wait_for("unreachable 2001:db8::77 12345 1 3")


def test_rfc4862_an_address_that_the_kernel_has_is_given_up(six):
    six.make_tap(f"{OURS}/64")
    six.namespace.run("ip", "-6", "address", "add", f"{KERNEL}/64", "dev", "tap0", "nodad")
    six.start(*STATIC)
    six.station.process.wait_for(f"{OURS} is used by")


def test_rfc4862_the_kernel_notices_that_we_have_its_address(six):
    six.start(*STATIC)
    six.station.process.wait_for(f"{OURS}/64")  # it is no longer tentative
    run = six.namespace.run
    run("sysctl", "-qw", "net.ipv6.conf.tap0.accept_dad=1")
    run("ip", "-6", "address", "add", f"{OURS}/64", "dev", "tap0")

    def failed():
        return "dadfailed" in run("ip", "-6", "address", "show", "dev", "tap0").stdout

    six.station.wait_until(failed)


def test_rfc3810_the_kernel_hears_our_reports(six):
    """A report with its router alert, as a snooping bridge would see it."""
    six.make_tap()
    frames = Frames(six.namespace)
    six.start(*STATIC)
    assert six.ask("join ff15::77") == "joined"
    group = socket.inet_pton(socket.AF_INET6, "ff15::77")
    while True:
        frame = frames.socket.recv(2048)
        if frame[12:14] == b"\x86\xdd" and frame[20] == 0 and group in frame:
            break
    assert frame[54:62] == bytes.fromhex("3a00050200000100")
    assert frame[62] == 143


RADVD = """
interface tap0 {
  AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 1800;
  AdvLinkMTU 1400; AdvCurHopLimit 63; AdvDefaultPreference high; AdvOtherConfigFlag off;
  prefix 2001:db8:7::/64 { AdvOnLink on; AdvAutonomous on; };
  route 2001:db8:9::/48 { AdvRoutePreference high; };
  RDNSS 2001:db8::53 2001:db8::54 { };
  DNSSL example.com example.org { };
};
"""


def start_radvd(six, tmp_path, text=RADVD):
    path = tmp_path / "radvd.conf"
    path.write_text(text)
    six.make_tap("2001:db8:7::1/64")
    six.namespace.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    six.namespace.start(
        "radvd", "-n", "-C", path, "-p", tmp_path / "pid", "-m", "stderr", "-u", "root"
    )


def test_rfc4862_addresses_from_radvd(six, tmp_path):
    start_radvd(six, tmp_path)
    six.start("secret6=000102030405060708090a0b0c0d0e0f")
    line = six.station.process.wait_for("2001:db8:7:")
    ours = line.split()[-1].split("/")[0]
    assert six.ping(ours)[0] == 3
    assert ours in six.ask("addresses", ours)
    network = six.ask("network", ours)
    assert "['2001:db8::53', '2001:db8::54'], 'example.com'" in network
    assert "['example.com', 'example.org']" in network
    assert six.ask("routers", ours).startswith("fe80::")
    assert six.ask("mtu 2001:db8:7::1", ours) == "1400"
    # Beyond the router.
    six.namespace.run("ip", "-6", "address", "add", "2001:db8:8::1/128", "dev", "lo")
    client = six.socket()
    client.bind(("2001:db8:8::1", 0))
    client.connect((ours, 7))
    client.send(b"from afar")
    assert client.recv(100) == b"from afar"


def test_rfc8415_name_servers_from_dnsmasq(six, tmp_path):
    six.make_tap("2001:db8:7::1/64")
    six.namespace.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    six.namespace.start(
        *("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--interface=tap0", "--port=0"),
        *("--enable-ra", "--dhcp-range=2001:db8:7::,ra-stateless", "--user=root"),
        *("--dhcp-option=option6:dns-server,[2001:db8::53]", "--leasefile-ro", "--bind-interfaces"),
        *("--dhcp-option=option6:domain-search,example.net", "--ra-param=tap0,4,1800"),
        *("--dhcp-option=option6:ntp-server,[2001:db8::123]",),
        stderr=subprocess.DEVNULL,
    )
    six.start()
    ours = six.station.process.wait_for("2001:db8:7:").split()[-1].split("/")[0]

    def learned():
        return "2001:db8::123" in six.ask("network", ours)

    six.station.wait_until(learned)
    network = six.ask("network", ours)
    assert "2001:db8::53" in network
    assert "example.net" in network


def test_dig_over_ip6(six, tmp_path):
    """The name server of services/dns, on a stack without IPv4."""
    from tools.zone.compile import compile_zone

    table = compile_zone(images.ROOT / "services" / "zones" / "bench.zone")
    (tmp_path / "image.py").write_text(f"zone = {table!r}\n")
    (tmp_path / "names6.py").write_text(NAMES)
    six.start(*STATIC, service="names6", path=(tmp_path,))
    for name, answer in (("host42.bench.example", "10."), ("ns1.bench.example", "")):
        done = six.namespace.run("dig", "-6", f"@{OURS}", "+short", "+timeout=2", name)
        assert answer in done.stdout
    done = six.namespace.run("dig", "-6", f"@{OURS}", "+timeout=2", "host42.bench.example")
    assert "status: NOERROR" in done.stdout


NAMES = """
from image import zone
from net.inet6 import Inet6
from net.udp import Udp
from services.dns.responder import Responder
from services.dns.server import Server


def start(machine):
    inet = Inet6(machine, udp=Udp)
    inet.udp.bind(53, Server(Responder(zone)).receive)
"""


def test_both_families_on_one_interface(six):
    """DHCP and advertisements from one dnsmasq, an echo over each family."""
    six.make_tap("2001:db8:7::1/64")
    six.namespace.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    six.namespace.start(
        *("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--interface=tap0", "--port=0"),
        *("--enable-ra", "--dhcp-range=2001:db8:7::,ra-stateless", "--user=root"),
        *("--dhcp-range=10.0.0.2,10.0.0.2,255.255.255.0", "--leasefile-ro", "--bind-interfaces"),
        *("--ra-param=tap0,4,1800",),
        stderr=subprocess.DEVNULL,
    )
    six.start(service="tests.support.probe46")
    ours = six.station.process.wait_for("2001:db8:7:").split()[-1].split("/")[0]
    six.station.process.wait_for("10.0.0.2/24")
    for family, address in ((socket.AF_INET, "10.0.0.2"), (socket.AF_INET6, ours)):
        for size in (0, 100, 1452, 5000):
            client = six.namespace.socket(family)
            client.connect((address, 7))
            client.send(bytes(size))
            assert client.recv(8192) == bytes(size)
