"""A machine of its own for a cloud: network, mounts, processes and host name.

Whatever the services of a cloud write to /run, /etc/libvirt or /var/lib is in memory and theirs
alone, and every process they start, daemons too, ends with the holder: the first process of a PID
namespace takes all others with it.  So there is nothing to clean up, however a test ends.
"""

import subprocess
from pathlib import Path

from tests.support.namespace import Namespace
from tests.support.tools import tool

# What programs insist on writing to, as empty folders in memory.
PRIVATE = ("/run", "/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")


class Realm(Namespace):
    # Children of the first process that nobody waits for must not stay as zombies: daemons are
    # watched by their number.  (A `trap` of dash does not reach what it executes.)
    HOLDER = "env --ignore-signal=CHLD cat"
    UNSHARED = ("--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
    # /sys shows the devices of the network it was mounted in.
    SETUP = "hostname cloud && ip link set lo up && mount -t sysfs sysfs /sys" + "".join(
        f" && if [ -d {path} ]; then mount -t tmpfs tmpfs {path}; fi" for path in PRIVATE
    )

    def enter(self):
        """All namespaces: for what belongs to the cloud.  Its clients only need the network."""
        folder = f"/proc/{self.holder.pid}/ns"
        return [
            tool("nsenter"),
            f"--net={folder}/net",
            f"--mount={folder}/mnt",
            f"--uts={folder}/uts",
            f"--pid={folder}/pid_for_children",
        ]

    def client(self, *words, timeout=120, environment=None):
        """Run a program that is a client of the cloud, in its network only."""
        return subprocess.run(
            [tool("nsenter"), f"--net={self.path}", *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
        )

    def folder(self, path):
        """A path as the realm sees it, from outside."""
        return Path(f"/proc/{self.holder.pid}/root{path}")
