"""A real OpenStack: what ./importos deploy openstack dns makes there, and how it lives.

The cloud is brought up once (cloud.py); the user is a member of a project, not its admin.  Two
machines: one on pc, configured by DHCP and metadata, and one on q35, where every device is behind a
root port of its own, configured by a config drive.
"""

import contextlib
import json
import statistics
import sys
import time

import pytest

from tests.openstack import least, network, validate_heat
from tests.openstack.cloud import ROOT
from tests.support import images
from tools.deploy import readiness

pytestmark = [pytest.mark.openstack, pytest.mark.timeout(600)]
MACHINES = ("pc", "q35")
STOP_SECONDS = 10
ROUNDS = 3
SLOWER = 1.3  # than a boot sector, at most
ZONE_TRANSFER = json.dumps({"axfr": [f"{network.ROUTER}/32"], "log": "info"})


@pytest.fixture(scope="session")
def built():
    with images.lock("images"):
        images.importos("build", "--cloud", "dns")


class Deployed:
    """A machine of the cloud under test."""

    def __init__(self, cloud, words, name, said):
        self.cloud, self.words, self.name, self.said = cloud, words, name, said
        server = self.server()
        (self.address,) = [a["addr"] for n in server.addresses.values() for a in n]

    def compute(self, function, *words):
        """Call a method of the SDK's compute proxy."""
        return self.cloud.inside(lambda: getattr(self.cloud.sdk("maria").compute, function)(*words))

    def server(self):
        return self.compute("find_server", self.name)

    def server_id(self):
        return self.server().id

    def status(self):
        return self.compute("get_server", self.server_id()).status

    def log(self):
        """The console; empty while Nova has none to show, as in the middle of a reboot."""
        from openstack import exceptions

        with contextlib.suppress(exceptions.NotFoundException, exceptions.ConflictException):
            answer = self.compute("get_server_console_output", self.server_id()) or {}
            return answer.get("output", "")
        return ""

    def wait_for(self, status, patience=120):
        """Seconds until the server has a status."""
        began, identity = time.monotonic(), self.server_id()
        while True:
            seen = self.compute("get_server", identity)
            if seen.status == status and not seen.task_state:
                return time.monotonic() - began
            assert time.monotonic() - began < patience, (self.name, seen.status, self.log())
            time.sleep(0.3)

    def wait_until_ready(self, patience=120):
        deadline = time.monotonic() + patience
        while not readiness.find(self.log()):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.3)

    def dig(self, *words):
        tool = ["dig", "+tries=10", "+time=2", f"@{self.address}", *words]
        done = self.cloud.client(*tool, timeout=60)
        return done.stdout

    def answers(self):
        out = self.dig("+short", "host42.bench.example", "A").split()
        return len(out) == 1 and out[0].count(".") == 3


@pytest.fixture
def dns(deployed):
    """A machine that runs, whatever the test before has left."""
    if deployed.status() != "ACTIVE":
        deployed.compute("reboot_server", deployed.server_id(), "HARD")
        deployed.wait_for("ACTIVE")
        deployed.wait_until_ready()
    return deployed


@pytest.fixture(scope="session", params=MACHINES)
def deployed(request, openstack, built, tmp_path_factory):
    """The name server on each kind of machine."""
    machine = request.param
    data = tmp_path_factory.mktemp("data") / "settings.json"
    data.write_text(ZONE_TRANSFER)
    words = ["deploy", "openstack", "dns", "--no-build", "--name", f"dns-{machine}"]
    words += ["--property", f"hw_machine_type={machine}", "--user-data", data]
    if machine == "q35":
        # Without the agent libvirt presses the power button.
        words += ["--config-drive", "--property", "hw_qemu_guest_agent="]
    done = openstack.run(*words, cloud="maria")
    assert done.returncode == 0, (done, openstack.logs())
    return Deployed(openstack, words, f"dns-{machine}", done.stdout)


def test_it_answers(dns):
    assert dns.address in dns.said and "ready after" in dns.said
    assert dns.answers()


def test_it_was_configured_from_outside(dns):
    # The zone as a whole is for those that the user data names: the image names nobody.
    transfer = dns.dig("+tcp", "bench.example", "AXFR")
    assert transfer.count("SOA") >= 2, transfer
    source = "config drive" if dns.name.endswith("q35") else "metadata"
    lines = [line for line in dns.log().splitlines() if "instance:" in line]
    assert any(source in line for line in lines), lines
    assert any("axfr" in line for line in lines), lines
    assert any(dns.server_id() in line for line in lines), lines


def test_dhcp_said_the_rest(dns):
    # Neutron's MTU (option 26, or virtio), and its address.
    assert dns.address in readiness.find(dns.log())[1]


def test_logs_are_complete(dns):
    done = dns.cloud.run("logs", "openstack", dns.name, cloud="maria")
    assert done.returncode == 0
    lines = done.stdout.replace("\r", "").splitlines()
    first = next(line for line in lines if line.strip())
    assert "ImportOS" in first or first.startswith("["), lines[:5]
    assert any(f"ready: dns {dns.address}" in line for line in lines)


def test_list(dns):
    done = dns.cloud.run("list", "openstack", cloud="maria")
    (row,) = [line for line in done.stdout.splitlines() if line.startswith(f"{dns.name} ")]
    assert row.split()[1:] == ["dns", "active", dns.address]


def test_the_same_command_changes_nothing(dns):
    identity = dns.server_id()
    done = dns.cloud.run(*dns.words, cloud="maria")
    assert done.returncode == 0 and done.stdout.count("there already") == 2, done
    assert dns.server_id() == identity


def test_stop_and_start(dns):
    began = time.monotonic()
    dns.compute("stop_server", dns.server_id())
    dns.wait_for("SHUTOFF")
    took = time.monotonic() - began
    dns.cloud.note(f"{dns.name}: off {took:.1f} s after `openstack server stop`")
    # Nova does not show the console of a server that is off.
    place = dns.cloud.folder / "nova" / "instances" / dns.server_id() / "console.log"
    last = place.read_text(errors="replace")
    dns.compute("start_server", dns.server_id())
    dns.wait_for("ACTIVE")
    dns.wait_until_ready()
    assert dns.answers()
    assert took < STOP_SECONDS
    asked = "power button" if dns.name.endswith("q35") else "the agent is told: powerdown"
    assert asked in last and "dns stopped" in last, last


@pytest.mark.parametrize("kind", ["SOFT", "HARD"])
def test_reboot(dns, kind):
    before = dns.log()
    dns.compute("reboot_server", dns.server_id(), kind)
    deadline = time.monotonic() + 120
    while dns.log() == before or not readiness.find(dns.log()):
        assert time.monotonic() < deadline, dns.log()
        time.sleep(0.3)
    dns.wait_for("ACTIVE")
    assert dns.answers()


def test_pause(dns):
    dns.compute("pause_server", dns.server_id())
    dns.wait_for("PAUSED")
    time.sleep(3)
    dns.compute("unpause_server", dns.server_id())
    dns.wait_for("ACTIVE")
    assert dns.answers()


def test_suspend(dns):
    dns.compute("suspend_server", dns.server_id())
    dns.wait_for("SUSPENDED")
    dns.compute("resume_server", dns.server_id())
    dns.wait_for("ACTIVE")
    assert dns.answers()


def test_snapshot(dns):
    image = dns.compute("create_server_image", dns.server_id(), f"{dns.name}-snapshot")
    identity = getattr(image, "id", image)
    deadline = time.monotonic() + 120
    while True:
        made = dns.cloud.inside(lambda: dns.cloud.sdk("maria").image.get_image(identity))
        if made.status == "active":
            break
        assert time.monotonic() < deadline, made.status
        time.sleep(0.3)
    assert made.size > 0
    dns.wait_for("ACTIVE")
    assert dns.answers()


def test_several_then_stop_and_delete(openstack, built):
    words = ["deploy", "openstack", "echo", "--name", "several", "--count", "2"]
    done = openstack.run(*words, cloud="maria")
    assert done.returncode == 0, (done, openstack.logs())
    assert done.stdout.count("ready after") == 2
    done = openstack.run("stop", "openstack", "several-1", cloud="maria")
    assert done.returncode == 0 and "several-1: off" in done.stdout, done
    done = openstack.run("delete", "openstack", "echo", cloud="maria")
    assert done.returncode == 0 and done.stdout.count("several-") == 2, done
    lines = [line for line in done.stdout.splitlines() if not line.startswith("several-")]
    assert [line.split()[0] for line in lines] == ["image", "security"], lines
    assert all(line.endswith(": deleted") for line in lines), lines
    assert "several" not in openstack.run("list", "openstack", cloud="maria").stdout


def test_a_machine_that_never_gets_ready_is_removed(openstack, tmp_path):
    folder = least.folder(tmp_path)
    least.write(folder, least.boot_sector().replace(b"ready: least", b"mute : least"))
    done = deploy_folder(openstack, folder, "mute", "--timeout", "8")
    assert done.returncode == 1 and "not ready after 8 s" in done.stderr, done
    assert "mute : least" in done.stdout and "what was made is removed" in done.stdout
    assert "mute" not in openstack.run("list", "openstack", cloud="maria").stdout


def deploy_folder(cloud, folder, name, *words):
    environment = {**cloud.environment(), "OS_CLOUD": "maria", "PYTHONPATH": str(ROOT)}
    module = [sys.executable, "-m", "tests.openstack.least", folder, name, *words]
    return cloud.client(*module, environment=environment)


def test_time_from_upload_to_marker(openstack, built, tmp_path):
    """Beside a boot sector that prints one line, on the same cloud, in turn."""
    folders = {"least": least.folder(tmp_path), "dns": ROOT / "build" / "dns-cloud"}
    seconds = {name: [] for name in folders}
    for turn in range(ROUNDS):
        for name, folder in folders.items():
            # A property that is new makes an image that is new: every turn uploads.
            words = ["--property", f"turn={turn}", "--flavor", "tiny"]
            done = deploy_folder(openstack, folder, f"timed-{name}", *words)
            assert done.returncode == 0, (done, openstack.logs())
            seconds[name].append(float(done.stdout.splitlines()[-1].split()[0]))
            openstack.run("delete", "openstack", f"timed-{name}", cloud="maria")
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    ratio = medians["dns"] / medians["least"]
    openstack.note(f"from upload to marker, seconds: {seconds}")
    openstack.note(f"medians {medians}: dns takes {ratio:.2f} times as long")
    assert ratio < SLOWER, seconds


def test_heat_takes_the_template(tmp_path):
    """Heat's own engine has nothing to say against it; and it would have."""
    words = ["deploy", "openstack", "dns", "--no-build", "--heat", tmp_path / "stack.yaml"]
    images.importos(*map(str, words))
    files = (tmp_path / "stack.yaml", tmp_path / "stack.member.yaml")
    said = validate_heat.run(*files)
    assert said.returncode == 0 and "resources" in said.stdout, said
    files[0].write_text(files[0].read_text().replace("lb_algorithm", "algorithm"))
    assert validate_heat.run(*files).returncode != 0
