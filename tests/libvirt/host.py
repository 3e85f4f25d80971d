"""Hosts with libvirt, in namespaces of their own, on one Ethernet.

    with Lan() as lan, lan.host("a") as a, lan.host("b") as b:
        a.virsh("list")                 virsh, on that host
        lan.run("ping", ...)            a client on the same Ethernet

           lan: bridge sw0, 10.0.9.1, DHCP by dnsmasq
            |               |
     a: bridge br0     b: bridge br0           10.0.9.2, 10.0.9.3: libvirtd over TCP
        machines          machines             10.0.9.100..

Each host has its own libvirtd and virtlogd, its own /run, /etc/libvirt and /var/lib/libvirt in
memory, a host name and a UUID: for libvirt they are two machines, so that it migrates between them.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from tests.openstack import hypervisor
from tests.openstack.realm import Realm
from tests.support.namespace import Namespace

ACCOUNT = (
    ("passwd", "libvirt-qemu:x:64055:64055::/:/bin/false"),
    ("group", "libvirt-qemu:x:64055:"),
)
SOCKET = "/run/libvirt/libvirt-sock"
PATIENCE = 60
QEMU = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
"""
LIBVIRTD = """\
host_uuid = "{uuid}"
auth_unix_rw = "none"
auth_unix_ro = "none"
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
log_outputs = "2:stderr"
"""


class Lan(Namespace):
    """The Ethernet, and a client on it."""

    SETUP = (
        "ip link set lo up && ip link add sw0 type bridge && ip address add 10.0.9.1/24 dev sw0"
        " && ip link set sw0 up"
    )

    def __init__(self):
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.hosts = 0
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="lan-")))
        self.leases = self.folder / "leases"
        self.start(
            *("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=sw0"),
            *("--bind-interfaces", "--dhcp-range=10.0.9.100,10.0.9.200,1h", "--no-ping"),
            *(f"--dhcp-leasefile={self.leases}", "--user=root", "--dhcp-authoritative"),
            f"--pid-file={self.folder}/pid",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def host(self, name):
        """Another host with libvirt."""
        self.hosts += 1
        made = Host(name, self.folder / name, f"10.0.9.{1 + self.hosts}")
        port = f"port{self.hosts}"
        try:
            self.run("ip", "link", "add", port, "type", "veth", "peer", "name", "up0")
            self.run("ip", "link", "set", "up0", "netns", made.holder.pid)
            self.run("ip", "link", "set", port, "master", "sw0", "up")
            made.bring_up()
        except BaseException:
            made.close()
            raise
        return made

    def close(self):
        super().close()
        self.stack.close()


class Host(Realm):
    """One host; `close` ends all that runs on it."""

    def __init__(self, name, folder, address):
        self.SETUP = Realm.SETUP.replace("hostname cloud", f"hostname {name}")
        super().__init__()
        self.name, self.address = name, address
        self.where = folder
        folder.mkdir()

    def bring_up(self):
        for words in (
            "ip link add br0 type bridge",
            f"ip address add {self.address}/24 dev br0",
            "ip link set up0 master br0 up",
            "ip link set br0 up",
        ):
            self.run(*words.split())
        # libvirtd asks for this user before it reads that root is to be taken.
        for file, line in ACCOUNT:
            copy = self.where / file
            copy.write_text(f"{Path('/etc', file).read_text()}{line}\n")
            self.run("mount", "--bind", copy, f"/etc/{file}")
        texts = {
            "qemu.conf": QEMU,
            "libvirtd.conf": LIBVIRTD.format(uuid=uuid.uuid4()),
            "virtlogd.conf": "",
        }
        for name, text in texts.items():
            self.folder(f"/etc/libvirt/{name}").write_text(text)
        path = hypervisor.links(self.where / "bin")
        environment = {**os.environ, "PATH": str(path)}
        self.log = open(self.where / "libvirtd.log", "wb")  # noqa: SIM115 (closed by close)
        for daemon in (["virtlogd"], ["libvirtd", "--listen"]):
            self.start(
                *daemon,
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                env=environment,
            )
        deadline = time.monotonic() + PATIENCE
        while not (self.folder(SOCKET).exists() and self.attempt("uri").returncode == 0):
            if time.monotonic() > deadline or self.children[-1].poll() is not None:
                raise AssertionError(f"no libvirtd:\n{self.complaints()}")
            time.sleep(0.1)

    def complaints(self):
        return (self.where / "libvirtd.log").read_text(errors="replace")

    def attempt(self, *words, timeout=60):
        return self.run("virsh", "--quiet", *words, check=False, timeout=timeout)

    def virsh(self, *words, timeout=60):
        done = self.attempt(*words, timeout=timeout)
        if done.returncode:
            raise AssertionError(f"virsh {' '.join(map(str, words))}: {done.stderr}")
        return done.stdout.strip()

    def importos(self, *words, timeout=300):
        """./importos as somebody on this host types it."""
        root = Path(__file__).resolve().parent.parent.parent
        command = [*self.enter(), sys.executable, "-m", "tools.cli", *map(str, words)]
        return subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def close(self):
        super().close()
        if hasattr(self, "log"):
            self.log.close()
