"""libvirtd, for Nova: everything it writes lies in the realm's private folders.

It asks every QEMU on its PATH what it can do, which takes two seconds for each of thirty: its PATH
is a folder of links that has only the one for this architecture.
"""

import os
from pathlib import Path

EMULATOR = "qemu-system-x86_64"
SOCKET = "/run/libvirt/libvirt-sock"
QEMU = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""
LIBVIRTD = """\
host_uuid = "6f1d4f0e-5c0a-4a52-9f7c-1f6a3a6f7c01"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "2:stderr"
"""


# Programs that are others here.
PROGRAMS = {
    # Everything here is root already.
    "sudo": '#!/bin/sh\nexec "$@"\n',
    # ebtables of nftables does not find a rule with --among-src again to delete it, and Neutron's
    # agent tries for minutes: `ebtables -t nat --concurrent -D CHAIN ...`.  It is the first of
    # its chain.
    "ebtables": """\
#!/bin/sh
case "$*" in
*" -D "*--among-src*) exec /usr/sbin/ebtables -t "$2" -D "$5" 1 ;;
*) exec /usr/sbin/ebtables "$@" ;;
esac
""",
}


def links(folder):
    """A folder with links to all programs but other machines' emulators."""
    folder.mkdir()
    for place in ("/usr/sbin", "/usr/bin"):
        for path in Path(place).iterdir():
            link = folder / path.name
            other = path.name.startswith("qemu-system-") and path.name != EMULATOR
            if not other and not link.is_symlink():
                link.symlink_to(path)
    return folder


def start(services):
    path = links(services.folder / "bin")
    for name, text in PROGRAMS.items():
        (path / name).unlink(missing_ok=True)
        (path / name).write_text(text)
        (path / name).chmod(0o755)
    # libvirt looks for the user that its package makes before it reads which one we want.
    for name in ("passwd", "group"):
        known = Path(f"/etc/{name}").read_text()
        line = "libvirt-qemu:x:64055:" + ("64055::/:/bin/false" if name == "passwd" else "")
        own = services.write(f"etc/{name}", f"{known.rstrip()}\n{line}\n")
        services.realm.run("mount", "--bind", own, f"/etc/{name}")
    for name, text in (("qemu.conf", QEMU), ("libvirtd.conf", LIBVIRTD)):
        services.realm.folder(f"/etc/libvirt/{name}").write_text(text)
    services.start("libvirtd", "/usr/sbin/libvirtd", environment={"PATH": path})


def wait(services):
    socket = services.realm.folder(SOCKET)
    services.wait("libvirtd", lambda: os.path.exists(socket))
