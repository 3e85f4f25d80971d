"""The links of an instance: what device and DHCP server say of them, cables pulled, multicasts."""

import socket
import subprocess
import time

import pytest

from tests.support import images, load, vm
from tests.support.moving import (
    ADDRESS,
    ADDRESS6,
    ETH_P_ALL,
    KERNEL,
    MAC,
    Bridge,
    Download,
    Listener,
    Upload,
    restore,
    save,
)
from tests.support.namespace import Namespace
from tests.vm.test_interfaces import EAST, SETTINGS, WEST, Taps, ask

pytestmark = pytest.mark.timeout(600)  # the first one builds the image
FOLDER = images.ROOT / "tests" / "vm" / "services"
METADATA = "169.254.169.254"


@pytest.fixture
def bridge():
    made = Bridge(places=1, offloads=False)
    yield made
    made.close()


@pytest.fixture
def elf(image):
    return image(str(FOLDER / "mover.py")) / "mover.elf"


def longest(namespace, send):
    """The longest datagram that the machine sends after `send()`, of IPv4."""
    ear = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    namespace.inside(ear.bind, ("br0", ETH_P_ALL))
    ear.settimeout(0.5)
    send()
    found = 0
    ours = bytes.fromhex(MAC.replace(":", ""))
    try:
        while True:
            frame = ear.recv(65536)
            if frame[6:12] == ours and frame[12:14] == b"\x08\0":
                found = max(found, len(frame) - 14)
    except TimeoutError:
        return found


@pytest.mark.parametrize(("setting", "is_"), [("", 1450), (" mtu=1300", 1300), (" mtu=1500", 1450)])
def test_the_device_says_the_mtu(bridge, elf, setting, is_):
    line = f"address={ADDRESS}/24{setting}"
    extra = ("-global", "virtio-net-pci.host_mtu=1450")
    guest = bridge.machine(elf, 0, command_line=line, extra=extra)
    guest.wait_for(f"mtu {is_}")
    echo = bridge.namespace.socket()
    echo.connect((ADDRESS, 7))
    assert longest(bridge.namespace, lambda: echo.send(bytes(5000))) in range(is_ - 8, is_ + 1)
    assert echo.recv(65536) == bytes(5000)
    assert bridge.ask()[2]["mtu"] == is_


def dnsmasq(bridge, *options):
    words = f"""--no-daemon --conf-file=/dev/null --user=root --port=0 --interface=br0 --no-ping
        --bind-interfaces --leasefile-ro --dhcp-range={ADDRESS},{ADDRESS},255.255.255.0,2m"""
    return bridge.namespace.start("dnsmasq", *words.split(), *options, stderr=subprocess.DEVNULL)


def test_rfc3442_classless_routes_of_a_cloud(bridge, elf):
    """Options 26, 42 and 121, as Neutron's dnsmasq gives them; with 121, option 3 is ignored."""
    run = bridge.namespace.run
    for address in ("10.0.0.100/24", f"{METADATA}/32", "192.0.2.1/32"):
        run("ip", "address", "add", address, "dev", "br0")
    dnsmasq(
        bridge,
        "--dhcp-option=3,10.0.0.77",
        "--dhcp-option=6,10.0.0.100",
        "--dhcp-option=26,1400",
        "--dhcp-option=42,10.0.0.9",
        f"--dhcp-option=121,{METADATA}/32,10.0.0.100,0.0.0.0/0,{KERNEL}",
    )
    extra = ("-global", "virtio-net-pci.host_mtu=1450")
    guest = bridge.machine(elf, 0, command_line="", extra=extra)
    guest.wait_for("by DHCP")
    heard = Listener(bridge.namespace)
    for source in (METADATA, "192.0.2.1"):
        asker = bridge.namespace.socket()
        asker.bind((source, 0))
        asker.connect((ADDRESS, 7))
        asker.send(b"who is there")
        assert asker.recv(100) == b"who is there"
    heard.close()
    asked = {socket.inet_ntoa(f[38:42]) for _, f in heard.frames if f[12:14] == b"\x08\x06"}
    assert {"10.0.0.100", KERNEL} <= asked
    assert not asked & {"10.0.0.77", METADATA, "192.0.2.1"}
    _, _, known = bridge.ask()
    assert known["gateway"] == socket.inet_aton(KERNEL)
    assert known["mtu"] == 1400
    assert known["ntp"] == [socket.inet_aton("10.0.0.9")]
    assert known["dns"] == [socket.inet_aton("10.0.0.100")]


def test_a_cable_is_pulled_and_plugged_in_again(bridge, elf):
    """Twice under a download and an upload; the lease is asked about, neighbours are told."""
    dnsmasq(bridge)
    guest = bridge.machine(elf, 0, command_line=f"address6={ADDRESS6}/64")
    guest.wait_for("by DHCP")
    heard = Listener(bridge.namespace)
    download, upload = Download(bridge), Upload(bridge)
    for _ in range(2):
        download.until(1_000_000)
        guest.monitor.execute("set_link", name="net0", up=False)
        time.sleep(0.5)
        got = download.received
        time.sleep(0.2)
        assert download.received == got
        began = time.monotonic()
        guest.monitor.execute("set_link", name="net0", up=True)
        heard.expect(began, [ADDRESS, ADDRESS6])
    download.until(1_000_000)
    download.finish()
    upload.finish()
    heard.close()
    assert guest.text.count("link is down") == guest.text.count("link is up") - 1 == 2
    _, counters, _ = bridge.ask()
    assert counters["dhcp.acks"] == 3, "one for the start, one for each time that the link came up"


@pytest.mark.stress
def test_a_lease_runs_out_while_the_machine_is_in_a_file(elf):
    """Two minutes are the shortest lease that dnsmasq gives."""
    with Bridge(offloads=False) as bridge:
        dnsmasq(bridge)
        guest = bridge.machine(elf, 0, command_line="")
        guest.wait_for("by DHCP")
        save(guest, bridge.folder / "state")
        guest.close()
        time.sleep(125)
        there = bridge.machine(elf, 1, incoming=True, command_line="")
        restore(there, bridge.folder / "state")
        there.wait_for(f"the lease of {ADDRESS} is over")
        there.wait_for("by DHCP")
        assert "s away" in there.text
        assert load.pings(bridge.namespace, ADDRESS) == 1


def filters(guest, within=5):
    """What QEMU has been told to hand over, by the MAC of the device."""
    end = time.monotonic() + within
    while True:
        found = guest.monitor.execute("query-rx-filter")
        if not any(one["promiscuous"] for one in found):
            return {one["main-mac"]: one for one in found}
        assert time.monotonic() < end, "nobody tells the devices what to hand over"
        time.sleep(0.05)


@pytest.fixture
def two_links(image):
    elf = image(str(FOLDER / "two_nics.py"), "--cloud") / "two_nics-cloud.elf"
    with Namespace() as namespace:
        taps = Taps(namespace.tap("tap0", "10.0.0.1/24"), namespace.tap("tap1", "10.1.0.1/24"))
        device = "virtio-net-pci,netdev=net1,mac=52:54:00:12:34:57"
        extra = ("-netdev", f"tap,id=net1,fd={taps.second}", "-device", device, "-S")
        with vm.Machine(elf, nic=taps, command_line=SETTINGS, extra=extra) as guest:
            guest.monitor.execute("set_link", name="net1", up=False)
            guest.monitor.execute("cont")
            guest.wait_for(EAST)
            yield namespace, guest


def reaches(namespace, address, data=b"x"):
    try:
        return ask(namespace, address, data) == (data, (address, 7))
    except (TimeoutError, OSError):
        return False


def test_of_two_nics_one_has_no_link(two_links):
    namespace, guest = two_links
    guest.wait_for("eth0: link is up")
    assert "eth1: link is up" not in guest.text
    assert load.pings(namespace, WEST) == 1
    guest.monitor.execute("set_link", name="net1", up=True)
    guest.wait_for("eth1: link is up")
    assert reaches(namespace, EAST)
    guest.monitor.execute("set_link", name="net0", up=False)
    guest.wait_for("eth0: link is down")
    assert reaches(namespace, EAST)
    guest.monitor.execute("set_link", name="net0", up=True)
    guest.monitor.execute("set_link", name="net1", up=False)
    guest.wait_for("eth1: link is down")
    assert reaches(namespace, WEST)


def test_5_1_6_5_1_the_device_hands_over_what_is_wanted(two_links):
    namespace, guest = two_links
    guest.monitor.execute("set_link", name="net1", up=True)
    guest.wait_for("eth1: link is up")
    assert reaches(namespace, EAST)
    first, second = (filters(guest)[f"52:54:00:12:34:5{end}"] for end in (6, 7))
    for one in (first, second):
        assert one["multicast"] == "normal"
        assert "01:00:5e:00:00:01" in one["multicast-table"]
    assert "01:00:5e:01:02:03" in second["multicast-table"]
    assert "01:00:5e:01:02:03" not in first["multicast-table"]
    assert ask(namespace, "239.1.2.3", b"to all") == (b"to all", (EAST, 7))
    before = ask(namespace, EAST, b"", 99)[0].split()[2]
    stranger = namespace.socket()
    stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.1.0.1"))
    for number in range(20):
        stranger.sendto(b"to others", (f"239.7.7.{number}", 7))
    assert ask(namespace, EAST, b"", 99)[0].split()[2] == before
