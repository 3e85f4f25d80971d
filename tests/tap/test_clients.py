"""The clients of net/ before the servers of a Linux distribution, over TAP."""

import ast
import contextlib
import os
import subprocess
import tempfile
import time

import pytest

from tests.dns import nsd
from tests.support.tools import tool
from tests.tap import test_ip6
from tests.tap.conftest import KERNEL, OURS, STATIC
from tests.tap.test_ip6 import Six

PROBE = "tests.support.client_probe"
NAMES = (f"dns={KERNEL}", "hostname=box")


class Client:
    def __init__(self, station):
        self.station = station
        self.namespace = station.namespace
        self.tap = Six(station).make_tap()

    def start(self, *words):
        self.station.start(*STATIC, *NAMES, *words, service=PROBE)
        return self

    def ask(self, command):
        return self.station.ask(command)

    def wait_until(self, condition, timeout=20):
        self.station.wait_until(condition, timeout)

    def server(self, *words):
        return self.namespace.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def client(station):
    return Client(station)


# The resolver and NSD.

ZONE = """\
$ORIGIN example.org.
$TTL 60
@ SOA ns host 1 2 3 4 5
@ NS ns
ns A 10.0.0.1
www CNAME web
web A 192.0.2.1
web AAAA 2001:db8::80
empty TXT "no address"
""" + "".join(f"many A 192.0.2.{n}\n" for n in range(1, 200))


@pytest.fixture
def names(client, tmp_path):
    (tmp_path / "zone").write_text(ZONE)
    config = nsd.CONFIG.format(port=53, folder=tmp_path).replace("127.0.0.1", KERNEL)
    config += nsd.ZONE.format(name="example.org", file=tmp_path / "zone")
    (tmp_path / "nsd.conf").write_text(config)
    client.server("nsd", "-d", "-c", tmp_path / "nsd.conf")

    def answers():
        words = ("dig", f"@{KERNEL}", "+short", "+tries=1", "web.example.org")
        done = client.namespace.run(*words, check=False)
        return "192.0.2.1" in done.stdout

    client.wait_until(answers)
    return client.start("search=example.org")


def test_names_are_found_and_not_found(names):
    assert names.ask("lookup web.example.org").split()[-1] == "192.0.2.1"
    assert names.ask("lookup www").split()[-1] == "192.0.2.1"
    assert names.ask("lookup nobody.example.org") == "-2"
    assert names.ask("lookup empty.example.org.") == "-5"
    # NSD refuses what it has no zone for.
    assert names.ask("lookup example.net.") == "-3"


def test_rfc7766_a_long_answer_comes_over_tcp(names):
    found = names.ask("lookup many.example.org.").split()
    assert len(found) == 16
    assert set(found) <= {f"192.0.2.{n}" for n in range(1, 200)}
    assert ast.literal_eval(names.ask("drops")).get("resolver.truncated") is None


def test_name_servers_are_asked_over_ip6(names, tmp_path):
    """The same server, known by its other address; then its AAAA records come first."""
    names.station.process.close()
    config = (tmp_path / "nsd.conf").read_text()
    config = config.replace("do-ip6: no", "do-ip6: yes").replace(
        f"ip-address: {KERNEL}@53", f"ip-address: {test_ip6.KERNEL}@53"
    )
    (tmp_path / "nsd6.conf").write_text(config)
    names.server("nsd", "-d", "-c", tmp_path / "nsd6.conf")
    words = ("dig", f"@{test_ip6.KERNEL}", "+short", "+tries=1", "web.example.org")
    names.wait_until(lambda: "192.0.2.1" in names.namespace.run(*words, check=False).stdout)
    six = (*test_ip6.STATIC, f"dns={test_ip6.KERNEL}")
    names.station.start(*STATIC, *six, service=PROBE)
    assert names.ask("lookup www.example.org") == "2001:db8::80 192.0.2.1"
    assert len(names.ask("lookup many.example.org").split()) == 16


# The NTP client and chrony.

CHRONY = """\
local stratum 2
allow all
cmdport 0
bindcmdaddress /
pidfile {folder}/chrony.pid
"""


def test_chrony_tells_the_time(client, tmp_path):
    (tmp_path / "chrony.conf").write_text(CHRONY.format(folder=tmp_path))
    client.server("chronyd", "-d", "-x", "-u", "root", "-f", tmp_path / "chrony.conf")
    client.start(f"ntp={KERNEL}")

    def synchronised():
        return ast.literal_eval(client.ask("clock"))[0]

    client.wait_until(synchronised)
    _, error, steps = ast.literal_eval(client.ask("clock"))
    assert abs(error) < 20_000
    assert steps == 1
    assert not [name for name in ast.literal_eval(client.ask("drops")) if name.startswith("ntp.")]


def test_rfc2132_8_3_time_servers_come_by_dhcp(client, tmp_path):
    (tmp_path / "chrony.conf").write_text(CHRONY.format(folder=tmp_path))
    client.server("chronyd", "-d", "-x", "-u", "root", "-f", tmp_path / "chrony.conf")
    client.server(
        *("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0"),
        *("--interface=tap0", "--bind-interfaces", "--leasefile-ro", "--no-ping"),
        *(f"--dhcp-range={OURS},{OURS},255.255.255.0,1h", f"--dhcp-option=42,{KERNEL}"),
    )
    client.station.start(service=PROBE)
    client.station.process.wait_for("by DHCP")
    client.wait_until(lambda: ast.literal_eval(client.ask("clock"))[0])
    assert abs(ast.literal_eval(client.ask("clock"))[1]) < 20_000


# The syslog sender and rsyslog.

RSYSLOG = """\
module(load="imudp")
module(load="imtcp")
input(type="imudp" port="514")
input(type="imtcp" port="601")
template(name="parts" type="string"
 string="%syslogseverity-text%|%hostname%|%app-name%|%protocol-version%|%msg%\\n")
*.* action(type="omfile" file="{folder}/log" template="parts")
"""


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_rsyslog_gets_the_log(client, tmp_path, transport):
    (tmp_path / "rsyslog.conf").write_text(RSYSLOG.format(folder=tmp_path))
    client.server("rsyslogd", "-n", "-f", tmp_path / "rsyslog.conf", "-i", tmp_path / "rsyslog.pid")
    client.start(f"syslog={transport}:{KERNEL}")

    def arrived():
        client.ask("log the kettle boils")
        path = tmp_path / "log"
        return path.exists() and "warning|box|importos|1|the kettle boils\n" in path.read_text()

    client.wait_until(arrived)
    for n in range(10):
        client.ask(f"log line {n}")

    def all_there():
        text = (tmp_path / "log").read_text()
        return all(f"|line {n}\n" in text for n in range(10))

    client.wait_until(all_there)


# The mDNS responder and avahi.

BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
 <type>system</type>
 <listen>unix:path={bus}</listen>
 <auth>EXTERNAL</auth>
 <policy context="default">
  <allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
 </policy>
</busconfig>
"""
AVAHI = """\
[server]
host-name=neighbour
allow-interfaces=tap0
use-ipv4=yes
use-ipv6=yes
ratelimit-burst=1000
[wide-area]
enable-wide-area=no
[publish]
publish-workstation=no
"""


class Avahi:
    def __init__(self, client, folder):
        self.client = client
        # D-Bus takes no socket whose path is longer than 99 bytes: pytest's own folders may be.
        self.folder = tempfile.TemporaryDirectory(prefix="bus-")
        bus = f"{self.folder.name}/bus"
        (folder / "bus.conf").write_text(BUS.format(bus=bus))
        (folder / "avahi.conf").write_text(AVAHI)
        self.environment = {
            **os.environ,
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}",
        }
        self.bus = client.server("dbus-daemon", "--nofork", f"--config-file={folder}/bus.conf")
        client.wait_until(lambda: os.path.exists(bus))
        self.process = client.namespace.start(
            *("unshare", "--mount", "sh", "-c"),
            'mount -t tmpfs none /run && mkdir -p /run/avahi-daemon && exec "$@"',
            "sh",
            tool("avahi-daemon"),
            *("--no-drop-root", "--no-chroot", "--no-rlimits", "-f", folder / "avahi.conf"),
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *words):
        done = subprocess.run(
            self.client.namespace.command(*words),
            capture_output=True,
            text=True,
            timeout=30,
            env=self.environment,
        )
        return done.stdout

    def resolve(self, name, *options):
        return self.run("avahi-resolve", *options, "-n", name).split()[-1:]


@pytest.fixture
def avahi(client, tmp_path):
    made = Avahi(client, tmp_path)
    client.wait_until(lambda: "avahi" in made.run("avahi-daemon", "--version"))
    yield made
    with contextlib.suppress(ProcessLookupError):
        made.process.terminate()
    made.folder.cleanup()


def test_avahi_finds_our_name_and_our_service(client, avahi):
    client.start()
    client.wait_until(lambda: avahi.resolve("box.local", "-4") == [OURS])

    def browsed():
        lines = avahi.run("avahi-browse", "-rptk", "_http._tcp").splitlines()
        found = [line.split(";") for line in lines if line.startswith("=")]
        return [
            part
            for part in found
            if part[3] == "Test\\032page" and part[6:9] == ["box.local", OURS, "80"]
        ]

    client.wait_until(browsed)
    assert browsed()[0][9] == '"path=/index.html"'
    assert avahi.run("avahi-resolve", "-a", OURS).split()[-1:] == ["box.local"]


def test_avahi_finds_us_over_ip6(client, avahi):
    client.station.start(*STATIC, *test_ip6.STATIC, "hostname=box", service=PROBE)
    client.wait_until(lambda: avahi.resolve("box.local", "-6") == [test_ip6.OURS])


def test_rfc6762_8_1_avahi_keeps_its_name(client, avahi):
    """Both want to be `neighbour`: who comes second becomes another."""
    client.wait_until(lambda: avahi.resolve("neighbour.local", "-4") == [KERNEL])
    client.station.start(*STATIC, f"dns={KERNEL}", "hostname=neighbour", service=PROBE)
    client.wait_until(lambda: client.ask("host") == "neighbour-2.local")
    client.wait_until(lambda: avahi.resolve("neighbour-2.local", "-4") == [OURS])
    assert avahi.resolve("neighbour.local", "-4") == [KERNEL]


def test_rfc6762_10_1_avahi_hears_the_goodbye(client, avahi):
    client.start()
    client.wait_until(lambda: avahi.resolve("box.local", "-4") == [OURS])
    client.ask("goodbye")
    time.sleep(2)
    assert avahi.resolve("box.local", "-4") != [OURS]
