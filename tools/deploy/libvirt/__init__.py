"""libvirt: domains of KVM or QEMU on this host or another, by virsh.

    ./importos deploy libvirt dns --network default --count 2
    ./importos deploy libvirt dns --connect qemu+ssh://root@host/system --network bridge=br0

Each machine has a disk of its own in a storage pool, and beside it, in the same folder, the log of
its console: what is in a pool can be fetched through libvirt, from any host and without being root.
Domains stay defined when they are off, as libvirt's do; `delete` removes domain, disk and log.

domain.py is the definition, virsh.py the way to libvirt.
Left out: booting the ELF directly (its path would have to be one on the host), storage pools that
are no folders, several networks (edit the domain: `virsh edit`).
"""

import pathlib
import tempfile
import xml.etree.ElementTree as xml
from types import MappingProxyType

from tools.deploy import provider, readiness
from tools.deploy.libvirt import domain
from tools.deploy.libvirt.virsh import Virsh
from tools.errors import UserError

OFF, CRASHED = "shut off", "crashed"
POOL = "default"
SYSTEM_FOLDER = "/var/lib/libvirt/images"
SESSION_FOLDER = "~/.local/share/libvirt/images"


class Libvirt(provider.Provider):
    NAME = "libvirt"
    HELP = "domains of a libvirt, here or elsewhere"
    EPILOG = (
        "What is there already in the same version is left as it is, or started.  Console logs "
        "and disks lie in the storage pool, which is made if it is the default one."
    )
    OFF = OFF
    HARDER = "virsh destroy {}"
    FAILED = (OFF, CRASHED)
    PACKAGES = MappingProxyType({"libvirt-clients": "virsh, the way to libvirt"})

    @classmethod
    def add_connection(cls, parser):
        parser.add_argument(
            "--connect",
            metavar="URI",
            default="",
            help="as virsh takes it (default: LIBVIRT_DEFAULT_URI or virsh's own)",
        )

    @classmethod
    def add_options(cls, parser):
        add = parser.add_argument
        add("--memory", default="64M", metavar="SIZE", help="default: 64M")
        add("--machine", choices=("pc", "q35"), default="q35")
        add(
            "--network",
            default="default",
            metavar="NAME",
            help="a network of libvirt's, bridge=NAME of the host's, or user (default: default)",
        )
        add(
            "--setting",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="for the machine to read at its start: --setting address=10.0.0.2/24",
        )
        add("--user-data", metavar="FILE", help="configuration for the service (docs/cloud.md)")
        add("--pool", default=POOL, metavar="NAME", help=f"for disks (default: {POOL})")
        add("--virt", choices=("kvm", "qemu"), help="default: kvm where the host has it")
        add("--replace", action="store_true", help="define and boot anew what runs otherwise")
        add("--print-xml", action="store_true", help="show the definition, make nothing")

    def __init__(self, options):
        super().__init__(options)
        self.virsh = Virsh(options.connect)

    def check(self):
        from tools import qemu

        qemu.memory(self.options.memory)
        self.configuration = self._configuration()
        if not self.options.print_xml:
            self.virsh("uri")

    def deploy(self, built, tell):
        from tools import qemu

        options = self.options
        qemu.check_memory(options.memory, built.report["totals"])
        wanted = domain.Wanted(
            options.machine,
            qemu.memory(options.memory),
            options.network,
            options.virt or self._kind(),
            options.pool,
            self.configuration,
        )
        image = built.image("qcow2")
        version = domain.version(image.read_bytes(), wanted)
        names = self.names(built.service)
        if options.print_xml:
            folder = pathlib.PurePosixPath(SYSTEM_FOLDER)
            for name in names:
                tell(self._definition(name, built.service, wanted, folder, version))
            return []
        return [self._one(name, built.service, image, wanted, version, tell) for name in names]

    def _one(self, name, service, image, wanted, version, tell):
        """Make one machine, or start the one that is there."""
        known = self._described(name)
        if known:
            tag = domain.tag(known)
            if not tag:
                raise UserError(f"{name}: there is a domain of that name that is not ours; --name")
            if tag[1] == version:
                started = self._state(name) == OFF
                if started:
                    self._empty_log(known)
                    self.virsh("start", name)
                    self.changed.append(f"{name} started")
                tell(f"{name}: started" if started else f"{name}: there already")
                return self.refresh(provider.Instance(name, service, ""))
            if not self.options.replace:
                raise UserError(f"{name} runs another version: --replace boots this one instead")
            self._check_network(wanted.network)
            self._remove(name)
            self.changed.append(f"the former {name} is gone")
        self._check_network(wanted.network)
        folder = self._pool_folder(wanted.pool)
        self.made.append((f"domain {name}", lambda: self._remove(name)))
        self._upload(image, wanted.pool, f"{name}.qcow2")
        text = self._definition(name, service, wanted, folder, version)
        self.virsh.with_file("define", text)
        self.virsh("start", name)
        tell(f"{name}: {'replaced' if known else 'made'}, {wanted.kind} {wanted.machine}")
        return self.refresh(provider.Instance(name, service, ""))

    def _definition(self, name, service, wanted, folder, version):
        volume, log = f"{name}.qcow2", str(folder / f"{name}.log")
        return domain.definition(name, service, wanted, volume, log, version)

    def _configuration(self):
        found = []
        for text in self.options.setting:
            if not text.partition("=")[2] or len(text.split()) != 1:
                raise UserError(f"--setting {text}: expected NAME=VALUE")
        if self.options.setting:
            found.append(("settings", " ".join(self.options.setting)))
        path = self.options.user_data
        if path:
            try:
                found.append(("user-data", pathlib.Path(path).read_text()))
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "not text"
                raise UserError(f"--user-data {path}: {reason}") from None
        return tuple(found)

    def _kind(self):
        """kvm, where the host can."""
        done = self.virsh.attempt("domcapabilities", "--virttype", "kvm", "--arch", "x86_64")
        return "qemu" if done.returncode else "kvm"

    def _check_network(self, network):
        if network == "user" or "=" in network:
            return
        networks = self.virsh("net-list", "--all", "--name").split()
        if network not in networks:
            there = ", ".join(networks) or "none; bridge=NAME takes one of the host's bridges"
            raise UserError(f"--network {network}: libvirt has {there}")
        if network not in self.virsh("net-list", "--name").split():
            raise UserError(f"--network {network} is not active: virsh net-start {network}")

    def _pool_folder(self, pool):
        """The folder of a storage pool; the default one is made as virt-install makes it."""
        pools = self.virsh("pool-list", "--all", "--name").split()
        if pool not in pools:
            if pool != POOL:
                raise UserError(f"--pool {pool}: libvirt has {', '.join(pools) or 'none'}")
            session = self.virsh("uri").strip().endswith("/session")
            folder = pathlib.Path(SESSION_FOLDER).expanduser() if session else SYSTEM_FOLDER
            self.virsh("pool-define-as", pool, "dir", "--target", folder)
            self.virsh("pool-build", pool)
            self.virsh("pool-autostart", pool)
        if pool not in self.virsh("pool-list", "--name").split():
            self.virsh("pool-start", pool)
        path = xml.fromstring(self.virsh("pool-dumpxml", pool)).findtext("target/path")
        if not path:
            raise UserError(f"--pool {pool} is not a folder")
        return pathlib.PurePosixPath(path)

    def _upload(self, image, pool, volume):
        """The disk of one machine, in the pool."""
        self.virsh("pool-refresh", pool)
        if self.virsh.attempt("vol-info", volume, "--pool", pool).returncode == 0:
            self.virsh("vol-delete", volume, "--pool", pool)
        size = image.stat().st_size
        self.virsh("vol-create-as", pool, volume, size, "--format", "raw")
        self.virsh("vol-upload", volume, image, "--pool", pool)
        self.virsh("pool-refresh", pool)

    def instances(self):
        found = []
        for name in sorted(self.virsh("list", "--all", "--name").split("\n")):
            tag = domain.tag(self._described(name)) if name else None
            if tag:
                found.append(self.refresh(provider.Instance(name, tag[0], "")))
        return found

    def refresh(self, instance):
        state = self._state(instance.name)
        addresses = instance.addresses
        if state != OFF and not addresses:
            ready = readiness.find(self.console(instance))
            addresses = ready[1] if ready else []
        return provider.Instance(instance.name, instance.service, state, addresses)

    def console(self, instance):
        pool, _, log = domain.files(self._described(instance.name) or "<domain/>")
        if not log:
            raise UserError(f"{instance.name}: its definition names no log any more")
        self.virsh("pool-refresh", pool)
        with tempfile.TemporaryDirectory(prefix="importos-") as folder:
            path = pathlib.Path(folder) / "log"
            name = pathlib.PurePosixPath(log).name
            done = self.virsh.attempt("vol-download", name, path, "--pool", pool)
            if done.returncode:
                return ""  # it has not said anything yet
            return path.read_text(errors="replace")

    def press(self, instance):
        self.virsh("shutdown", instance.name, "--mode", "acpi")

    def delete(self, instance):
        self._remove(instance.name)

    def _remove(self, name):
        """Domain, disk and log, as far as they are there."""
        text = self._described(name)
        pool, volume, log = domain.files(text) if text else (POOL, None, None)
        volumes = [volume or f"{name}.qcow2", pathlib.PurePosixPath(log or f"{name}.log").name]
        if text:
            if self._state(name) not in (OFF, CRASHED):
                self.virsh("destroy", name)
            self.virsh("undefine", name, "--managed-save", "--snapshots-metadata")
        self.virsh.attempt("pool-refresh", pool)
        for volume in volumes:
            if self.virsh.attempt("vol-info", volume, "--pool", pool).returncode == 0:
                self.virsh("vol-delete", volume, "--pool", pool)

    def _empty_log(self, text):
        """So that readiness is not that of the last time."""
        pool, _, log = domain.files(text)
        name = pathlib.PurePosixPath(log).name
        self.virsh("pool-refresh", pool)
        self.virsh.attempt("vol-delete", name, "--pool", pool)

    def _described(self, name):
        """The XML of a domain, or None where there is none."""
        done = self.virsh.attempt("dumpxml", name)
        return None if done.returncode else done.stdout

    def _state(self, name):
        return self.virsh("domstate", name).strip()
