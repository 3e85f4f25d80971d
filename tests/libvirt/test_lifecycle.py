"""What libvirt does with machines, and what their agent answers: two hosts, real libvirts."""

import json
import re
import time

import pytest

from tests.support import images
from tests.support.images import importos, lock
from tests.support.moving import Download, Upload

SERVICES = str(images.ROOT / "tests/vm/services")
MOVER, HANGS = f"{SERVICES}/mover.py", f"{SERVICES}/hangs.py"
POOL = "/var/lib/libvirt/images"


@pytest.fixture(scope="module", autouse=True)
def built():
    with lock("images"):
        for service in (MOVER, HANGS):
            importos("build", "--cloud", service, "--format", "qcow2")


class Deployed:
    """A machine that `./importos deploy libvirt` has made, and its clients on the Ethernet."""

    def __init__(self, lan, host, service, *words):
        self.lan, self.host = lan, host
        self.name = service.rpartition("/")[2].removesuffix(".py")
        command = ("deploy", "libvirt", service, "--network", "bridge=br0", "--virt", "qemu")
        ended = host.importos(*command, "--no-build", *words)
        assert ended.returncode == 0, ended
        found = re.search(r"10\.0\.9\.\d+", ended.stdout)
        self.address = found and found[0]

    def virsh(self, command, *words, host=None):
        return (host or self.host).virsh(command, self.name, *words)

    def agent(self, command, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(self.virsh("qemu-agent-command", text))["return"]

    def connect(self, port, address):
        client = self.lan.socket(kind=1)
        client.settimeout(60)
        client.connect((address, port))
        return client

    def log(self, host=None):
        return (host or self.host).folder(f"{POOL}/{self.name}.log").read_text(errors="replace")

    def until(self, true, timeout=20, what=""):
        end = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < end, f"{what or 'no change'} after {timeout} s:\n{self.log()}"
            time.sleep(0.1)

    def until_off(self, timeout=10, host=None):
        self.until(
            lambda: self.virsh("domstate", host=host) == "shut off", timeout, "the machine is on"
        )


@pytest.fixture
def deploy(lan, host):
    yield lambda *words: Deployed(lan, host, *words)
    remove(host)


def remove(host):
    for name in host.virsh("list", "--all", "--name").split():
        host.attempt("destroy", name)
        host.attempt("undefine", name, "--managed-save", "--snapshots-metadata")
        for volume in (f"{name}.qcow2", f"{name}.log"):
            host.folder(f"{POOL}/{volume}").unlink(missing_ok=True)


class Talk:
    """A download and an upload at the same time."""

    def __init__(self, machine):
        self.download = Download(machine, machine.address, rate=5_000_000)
        self.upload = Upload(machine, machine.address, rate=2_000_000)
        self.download.until(500_000)

    def finish(self):
        """It goes on, and not a byte was lost."""
        self.download.until(2_000_000)
        self.upload.finish()
        return self.download.finish()


@pytest.mark.parametrize("machine", ["pc", "q35"])
@pytest.mark.parametrize("mode", ["acpi", "agent"])
def test_shutdown_within_ten_seconds(deploy, machine, mode):
    it = deploy(MOVER, "--machine", machine)
    it.virsh("shutdown", "--mode", mode)
    it.until_off()
    assert "mover stopped" in it.log()


def test_the_console_takes_keys(deploy):
    it = deploy(MOVER)
    # The emulator looks for somebody at the other end once a second.
    keys = f"exec 3<>{it.virsh('ttyconsole')} && sleep 2 && printf '\\003' >&3 && sleep 2"
    it.host.run("sh", "-c", keys)
    it.until_off()


def test_a_pause_and_a_file_in_between_lose_nothing(deploy):
    it = deploy(MOVER)
    talk = Talk(it)
    it.virsh("suspend")
    time.sleep(2)
    it.virsh("resume")
    talk.download.until(1_000_000)
    it.virsh("managedsave")
    assert it.virsh("domstate") == "shut off"
    time.sleep(1)
    it.virsh("start")
    talk.finish()


def test_live_migration_loses_nothing(lan, host, other, deploy):
    it = deploy(MOVER)
    other.attempt("pool-define-as", "default", "dir", "--target", POOL)
    other.attempt("pool-build", "default")
    other.attempt("pool-start", "default")
    disk = host.folder(f"{POOL}/mover.qcow2").read_bytes()
    other.folder(f"{POOL}/mover.qcow2").write_bytes(disk)
    other.virsh("pool-refresh", "default")
    talk = Talk(it)
    try:
        began = time.monotonic()
        to = (f"qemu+tcp://{other.address}/system", f"tcp://{other.address}")
        host.virsh(
            *("migrate", "mover", *to, "--live", "--persistent", "--undefinesource", "--unsafe")
        )
        took = time.monotonic() - began
        total = talk.finish()
        job = it.virsh("domjobinfo", "--completed", host=other)
        print(f"{total} bytes, {took:.1f} s, silence {talk.download.gap * 1000:.0f} ms\n{job}")
        assert it.virsh("domstate", host=other) == "running"
        assert host.virsh("list", "--all", "--name") == ""
        # The agent's session begins anew over there.
        assert it.address in it.virsh("domifaddr", "--source", "agent", host=other)
        it.virsh("shutdown", host=other)
        it.until_off(host=other)
    finally:
        remove(other)


def test_the_agent_answers(deploy):
    it = deploy(MOVER)
    assert it.agent("guest-ping") == {}
    assert it.agent("guest-info")["version"]
    assert it.address in it.virsh("domifaddr", "--source", "agent")
    assert it.virsh("domhostname", "--source", "agent")
    it.virsh("domtime", "--now")
    assert abs(int(it.virsh("domtime").split()[-1]) - time.time()) < 3
    it.virsh("domfsfreeze")
    assert it.agent("guest-fsfreeze-status") == "frozen"
    it.virsh("domfsthaw")
    assert it.agent("guest-fsfreeze-status") == "thawed"


def test_the_balloon_tells_and_takes(deploy):
    it = deploy(MOVER)
    it.until(lambda: "unused" in it.virsh("dommemstat"), 15, "no statistics")
    it.virsh("setmem", "40M", "--live")
    it.until(lambda: "actual 40960" in it.virsh("dommemstat"), 15, "nothing was given")
    talk = Talk(it)
    it.virsh("setmem", "64M", "--live")
    it.until(lambda: "actual 65536" in it.virsh("dommemstat"), 15, "nothing was taken back")
    talk.finish()


def test_the_network_unplugged_for_a_while(deploy):
    it = deploy(MOVER)
    talk = Talk(it)
    device = it.virsh("domiflist").split()[-5]
    it.virsh("domif-setlink", device, "down")
    it.until(lambda: "link is down" in it.log())
    time.sleep(1)
    it.virsh("domif-setlink", device, "up")
    it.until(lambda: it.log().count("link is up") > 1)
    talk.finish()


@pytest.mark.parametrize(
    "settings, event",
    [
        (["how=panics", "panic=halt"], "Crashed Panicked"),
        (["how=spins"], "watchdog"),
        (["how=starves"], "watchdog"),
    ],
)
def test_a_broken_machine_is_started_anew(lan, host, settings, event):
    kind = "lifecycle" if event.startswith("Crashed") else "watchdog"
    listener = host.start(
        *("virsh", "event", "--event", kind, "--loop", "--timeout", "60"), stdout=-1, text=True
    )
    words = [word for setting in settings for word in ("--setting", setting)]
    try:
        it = Deployed(lan, host, HANGS, *words)
        it.until(lambda: it.log().count("ImportOS hangs") > 1, 45, "started only once")
        assert any(event in line for line in listener.stdout)
    finally:
        remove(host)
