"""The rungs of the tests, from fast to real, and how each is run.

`./importos test [RUNG | PATH | -OPTION ...]` ends here: names of rungs choose what is run (without
any: all but those in NAMED), everything else goes to pytest as it is, so
`./importos test tests/net/test_udp.py -k port` works.

A rung is a pytest marker that `tests/conftest.py` gives by folder.  A tool that is missing is a
failure, never a skip: PACKAGES lists what the rungs need beyond what the build needs, RUNG_PACKAGES
what is so large that only one of them should bring it, and the launcher installs it.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from tools.errors import UserError

ROOT = Path(__file__).resolve().parent.parent

# Debian package -> why the tests need it.
PACKAGES = {
    "arping": "ARP requests to our stack over TAP",
    "avahi-daemon": "another multicast DNS responder",
    "avahi-utils": "its clients",
    "bind9-dnsutils": "dig",
    "chrony": "an NTP server",
    "curl": "an HTTP client",
    "dbus": "the bus between avahi and its clients",
    "dnsmasq-base": "a DHCP server",
    "genisoimage": "CDs as clouds make them for their instances",
    "hping3": "floods of SYNs",
    "iperf3": "the measure that services/stream is a peer of",
    "iproute2": "network namespaces and TAP devices",
    "iputils-ping": "pings with fragments",
    "make": "MicroPython for Linux",
    "mosquitto": "a broker for the MQTT client of a package",
    "mtools": "FAT, as on the disks of clouds",
    "nmap": "scans of ports, and what a stack is known by",
    "nsd": "the DNS server that ours is compared with",
    "ovmf": "UEFI firmware for virtual machines",
    "procps": "sysctl, for the settings of network namespaces",
    "qemu-system-x86": "virtual machines",
    "radvd": "a router that advertises itself",
    "rsyslog": "a syslog receiver",
    "skopeo": "reads container images",
    "slowhttptest": "HTTP clients that take their time",
    "thc-ipv6": "attacks on IPv6, in a namespace of their own",
    "umoci": "unpacks container images",
    "util-linux": "unshare, nsenter",
    "wrk": "many HTTP requests at a time",
}

# Rung -> what only it needs.
RUNG_PACKAGES = {
    "glance": {
        "python3-glance": "the image service of OpenStack",
        "python3-keystone": "its users and passwords",
    },
    "openstack": {
        "conntrack": "what Neutron's security groups are made of",
        "dnsmasq-utils": "addresses that are given back: Neutron's agent does that by it",
        "ebtables": "what they are made of, too",
        "genisoimage": "config drives",
        "haproxy": "metadata",
        "ipset": "sets of addresses in security groups",
        "iptables": "security groups",
        "libvirt-clients": "what a look at libvirt needs",
        "libvirt-daemon": "libvirt, for Nova",
        "libvirt-daemon-driver-qemu": "its driver for QEMU",
        "mariadb-server-core": "the services' database",
        "python3-glance": "images",
        "python3-heat": "the engine that takes our templates",
        "python3-keystone": "users and passwords",
        "python3-libvirt": "libvirt, for Nova",
        "python3-neutron": "networks",
        "python3-nova": "servers",
        "python3-placement": "what hosts have",
        "rabbitmq-server": "messages between the services",
    },
    "libvirt": {
        "libvirt-clients": "virsh",
        "libvirt-daemon": "libvirtd and virtlogd, in namespaces of their own",
        "libvirt-daemon-driver-qemu": "its driver",
    },
}

# Rung -> what it shows. The order is the order of the ladder.
RUNGS = {
    "lint": "layout and obvious mistakes of Python and C",
    "unit": "one module at a time, on CPython",
    "wire": "two stacks on a virtual wire with a virtual clock, loss, reordering and duplication",
    "micropython-linux": "the same source on MicroPython for Linux: native code, no allocation",
    "tap": "our stack over TAP against the Linux kernel and its tools",
    "build": "images: what goes in, what is rebuilt, what is refused",
    "dns": "answers compared with another name server",
    "vm": "virtual machines: every way to boot, devices, floods, stops",
    "glance": "the image service of a real OpenStack, and what is uploaded to it",
    "libvirt": "two real libvirts: deployment, lifecycle, guest agent, live migration",
    "openstack": "a whole OpenStack, and our machines in it: 15 minutes",
    "suite": "MicroPython's own tests in the machine",
    "stress": "the full length of the floods and bursts",
}
# Those that are run when they are named.
NAMED = ("libvirt", "openstack", "stress")
DEFAULT = [rung for rung in RUNGS if rung not in NAMED]

USAGE = """\
usage: importos test [RUNG | PATH | -OPTION ...]

Run the tests: those of some rungs, or what a path names; without any, all rungs but libvirt,
openstack and stress.
"""
NOTES = """\
Options are pytest's: ./importos test unit -k udp; ./importos test tests/net/test_udp.py -x"""

# These load the machine so much that others would suffer, or share what takes long to come up:
# after them, with so many processes.
ALONE = {"glance": "1", "libvirt": "1", "openstack": "1", "suite": "2", "stress": "1"}


NO_TESTS = 5  # pytest's exit status when nothing was selected


def packages(arguments):
    """{Debian package: why} for what `main` would run with these arguments."""
    rungs = [argument for argument in arguments if argument in RUNGS]
    named = [argument for argument in arguments if argument not in RUNGS]
    if not rungs:
        # A path says nothing of rungs but by its folder, as in tests/conftest.py.
        paths = " ".join(named)
        rungs = [rung for rung in RUNG_PACKAGES if rung in paths] if named else DEFAULT
    needed = dict(PACKAGES)
    for rung in rungs:
        needed.update(RUNG_PACKAGES.get(rung, {}))
    return needed


def lint():
    """ruff and clang-format over what git knows or would add; returns an exit status."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c", "*.h"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    c_files = [name for name in listed if (ROOT / name).exists()]
    commands = [
        [sys.executable, "-m", "ruff", "check", "."],
        [sys.executable, "-m", "ruff", "format", "--check", "."],
        [sys.executable, "-m", "codespell_lib", "--toml", ".codespell.toml"],
    ]
    if c_files:
        clang_format = str(Path(sys.executable).with_name("clang-format"))
        commands.append([clang_format, "--dry-run", "-Werror", *c_files])
    return max([run(command) for command in commands])


def run(command, **environment):
    print("+", " ".join(command[:8]), "..." if len(command) > 8 else "", flush=True)
    try:
        return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode
    except FileNotFoundError:
        print(f"importos: {command[0]} is not installed", file=sys.stderr)
        return 1


def marker(rung):
    """The pytest marker of a rung: markers are identifiers."""
    return rung.replace("-", "_")


def pytest(arguments):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        "tests/pytest.ini",
        "--rootdir",
        ".",
        *arguments,
    ]
    if os.geteuid() != 0:
        # Network namespaces and TAP devices need a user namespace where we are root.
        command = ["unshare", "--user", "--map-root-user", *command]
    # Not in /tmp, where a folder of root's may lie: in the user namespace we are called root, too.
    temporary = ROOT / "build" / "tests" / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return run(command, PYTEST_DEBUG_TEMPROOT=str(temporary))


def explain(arguments):
    """What `--help` shows, None where there is something to run; UserError: no such rung."""
    if {"-h", "--help"} & set(arguments):
        width = max(map(len, RUNGS))
        rungs = [f"  {rung:{width}}  {what}" for rung, what in RUNGS.items()]
        return "\n".join([USAGE, *rungs, "", NOTES])
    before = ""
    for argument in arguments:
        # A word after an option may be its value.
        known = argument in RUNGS or (ROOT / argument.partition("::")[0]).exists()
        if not (known or argument.startswith("-") or before.startswith("-")):
            raise UserError(f"no rung or path {argument!r}; the rungs are {', '.join(RUNGS)}")
        before = argument
    return None


def main(arguments):
    """Run what was asked for; returns an exit status."""
    rungs = [argument for argument in arguments if argument in RUNGS]
    others = [argument for argument in arguments if argument not in RUNGS]
    if others and not rungs:
        return pytest(["-m", "not stress", *others])  # a later -m wins
    rungs = rungs or DEFAULT
    results = []

    def step(name, function, *parameters):
        start = time.monotonic()
        status = function(*parameters)
        if status == NO_TESTS and others:
            status = 0  # what was asked for is in another rung
        results.append((name, status, time.monotonic() - start))

    if "lint" in rungs:
        step("lint", lint)
    together = [rung for rung in rungs if rung != "lint" and rung not in ALONE]
    if together:
        expression = " or ".join(marker(rung) for rung in together)
        step(", ".join(together), pytest, ["-m", expression, "-n", "2", *others])
    for rung, processes in ALONE.items():
        if rung in rungs:
            step(rung, pytest, ["-m", marker(rung), "-n", processes, *others])

    print()
    for name, status, seconds in results:
        print(f"{'failed' if status else 'passed'} {seconds:7.1f} s  {name}")
    return max(status for _, status, _ in results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
