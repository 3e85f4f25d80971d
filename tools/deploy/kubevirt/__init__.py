"""KubeVirt: virtual machines in a Kubernetes cluster, from a container image with our disk in it.

    ./importos deploy kubevirt dns --registry registry.example/me

writes the manifest and says how image and manifest get into the cluster; with --apply it does that
itself, by skopeo and kubectl, as they are configured, and waits.

manifest.py is what the cluster is told.
Left out: bridges and further networks, storage: the manifest is a file, to be edited.
"""

import functools
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tools.deploy import provider
from tools.deploy.kubevirt import manifest
from tools.deploy.provider import SERVICE_TAG
from tools.errors import UserError

STOPPED = "stopped"
LABEL = "vm.kubevirt.io/name"  # of the pod of a machine
CONSOLE = "guest-console-log"  # its container with the serial line's log
PATIENCE = 120  # seconds for one command
NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")  # of a Service: RFC 1035 section 2.3.1
REFERENCE = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*", re.IGNORECASE)
FATAL = re.compile(r'level=fatal msg="((?:[^"\\]|\\.)*)"')  # skopeo's last words, by logrus
LOGIN = re.compile(r"(?<=://)[^/@\s]+(?=@)")


class Wanted(NamedTuple):
    """What the user chose."""

    namespace: str
    memory: int  # bytes
    expose: str  # a Service's type
    user_data: str
    version: str


class KubeVirt(provider.Provider):
    NAME = "kubevirt"
    HELP = "virtual machines in a Kubernetes cluster with KubeVirt"
    EPILOG = (
        "Without --apply nothing is sent anywhere: the manifest is written beside the images, and "
        "what to type is shown."
    )
    OFF = STOPPED
    HARDER = "virtctl stop --force --grace-period=0 {}"
    FAILED = (STOPPED, "crashloopbackoff", "errimagepull", "imagepullbackoff", "errorunschedulable")
    FORMATS = ("qcow2", "containerdisk")

    @classmethod
    def add_connection(cls, parser):
        parser.add_argument("--namespace", default="default", metavar="NAME", help="of Kubernetes")
        parser.add_argument("--context", metavar="NAME", help="kubectl's, if not the current one")

    @classmethod
    def add_options(cls, parser):
        add = parser.add_argument
        add(
            "--registry",
            metavar="HOST/PATH",
            help="where the container image goes (default: loaded into the cluster's nodes)",
        )
        add("--memory", default="64M", metavar="SIZE", help="default: 64M")
        add(
            "--expose",
            choices=("ClusterIP", "NodePort", "LoadBalancer"),
            default="ClusterIP",
            help="the Service of the ports (default: ClusterIP)",
        )
        add("--user-data", metavar="FILE", help="configuration for the service (docs/cloud.md)")
        add("--output", metavar="FILE", help="the manifest (default: beside the images)")
        add("--apply", action="store_true", help="push the image, apply the manifest, and wait")

    def check(self):
        from tools import qemu

        options = self.options
        qemu.memory(options.memory)
        self.user_data = ""
        if options.user_data:
            try:
                self.user_data = Path(options.user_data).read_text()
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "not text"
                raise UserError(f"--user-data {options.user_data}: {reason}") from None
        if options.name and not NAME.fullmatch(options.name):
            raise UserError(
                f"--name {options.name}: Kubernetes takes a-z, 0-9 and -, a letter first"
            )
        if not NAME.fullmatch(options.namespace):
            raise UserError(f"--namespace {options.namespace}: Kubernetes takes a-z, 0-9 and -")
        registry = options.registry and options.registry.rstrip("/")
        if registry and not REFERENCE.fullmatch(registry):
            raise UserError(
                f"--registry {LOGIN.sub('***', options.registry)}: expected HOST[:PORT]/PATH,"
                " without https:// and who logs in"
            )
        if options.apply:
            if not options.registry:
                raise UserError("--apply needs --registry: where the cluster gets the image from")
            self._kubectl("version", "--client")

    def deploy(self, built, tell):
        from tools import qemu

        options = self.options
        qemu.check_memory(options.memory, built.report["totals"])
        disk = built.image("qcow2")
        version = hashlib.sha256(disk.read_bytes()).hexdigest()[:12]
        wanted = Wanted(
            options.namespace, qemu.memory(options.memory), options.expose, self.user_data, version
        )
        name = options.name or re.sub("[^a-z0-9]+", "-", built.service.lower()).strip("-")
        names = self.names(name)
        image = self._reference(built, version)
        documents = [
            manifest.machine(one, built.service, image, f"/disk/{disk.name}", wanted)
            for one in names
        ]
        ports = manifest.exposed(built.service, name, built.report["ports"], wanted)
        path = Path(options.output or built.folder / f"{name}-kubevirt.yaml")
        try:
            path.write_text(manifest.yaml([*documents, *([ports] if ports else [])]))
        except OSError as error:
            raise UserError(f"--output {path}: {error.strerror}") from None
        archive = built.image("oci.tar")
        if not options.apply:
            self._explain(path, archive, built.image("docker.tar"), image, tell)
            return []
        self._push(archive, image)
        tell(f"pushed {image}")
        known = {instance.name for instance in self.instances()}
        for one in names:
            if one not in known:
                self.made.append((f"machine {one}", functools.partial(self._delete, one)))
        self._kubectl("apply", "-f", str(path))
        tell(f"applied {path}")
        return [provider.Instance(one, built.service, "starting") for one in names]

    def _reference(self, built, version):
        from tools.image.formats import container

        if self.options.registry:
            name = container.reference(built.service).partition("/")[2].partition(":")[0]
            return f"{self.options.registry.rstrip('/')}/{name}:{version}"
        return container.reference(built.folder.name)

    def _explain(self, path, archive, loaded, image, tell):
        if self.options.registry:
            tell(f"skopeo copy oci-archive:{archive} docker://{image}")
        else:
            tell(f"ctr -n k8s.io images import {loaded}    # on every node; image {image}")
        tell(f"kubectl apply -f {path}")

    def _push(self, archive, image):
        if not shutil.which("skopeo"):
            raise UserError("--apply needs skopeo (Debian: skopeo)")
        command = ["skopeo", "copy", "--quiet", f"oci-archive:{archive}", f"docker://{image}"]
        self._run(command, "skopeo")

    def instances(self):
        answer = self._json("get", "virtualmachines", "-l", SERVICE_TAG)
        return sorted((_instance(item) for item in answer["items"]), key=lambda i: i.name)

    def refresh(self, instance):
        fresh = _instance(self._json("get", "virtualmachine", instance.name))
        command = ("get", "virtualmachineinstance", instance.name, "--ignore-not-found")
        running = self._json(*command)
        found = running.get("status", {}).get("interfaces", [])
        fresh.addresses = [one["ipAddress"] for one in found if one.get("ipAddress")]
        return fresh

    def console(self, instance):
        words = ("logs", "-l", f"{LABEL}={instance.name}", "-c", CONSOLE, "--tail=-1")
        done = self._attempt(*words)
        return "" if done.returncode else done.stdout  # its pod is not there yet, or no more

    def press(self, instance):
        change = json.dumps({"spec": {"runStrategy": "Halted"}})
        self._kubectl("patch", "virtualmachine", instance.name, "--type=merge", "-p", change)

    def delete(self, instance):
        self._delete(instance.name)

    def _delete(self, name):
        self._kubectl("delete", "virtualmachine", name, "--ignore-not-found")

    def tidy(self, services, tell):
        there = {instance.service for instance in self.instances()}
        for service in services:
            if service not in there:
                self._kubectl("delete", "service", "-l", f"{SERVICE_TAG}={service}")

    def _json(self, *words):
        return json.loads(self._kubectl(*words, "-o", "json") or "{}")

    def _kubectl(self, *words):
        return self._run(self._command(words), "kubectl")

    def _attempt(self, *words):
        return self._process(self._command(words), "kubectl")

    def _command(self, words):
        context = ["--context", self.options.context] if self.options.context else []
        return ["kubectl", *context, "--namespace", self.options.namespace, *words]

    def _run(self, command, tool):
        done = self._process(command, tool)
        if done.returncode:
            raise UserError(f"{tool}: {complaint(done.stderr)}")
        return done.stdout

    def _process(self, command, tool):
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE,
            )
        except FileNotFoundError:
            raise UserError(f"{tool} is not installed") from None
        except subprocess.TimeoutExpired:
            raise UserError(f"{tool}: no answer in {PATIENCE} s") from None


def complaint(text):
    """The reason among a tool's words: skopeo's are fields of a log, kubectl's lines."""
    fatal = FATAL.findall(text)
    if fatal:
        reason = json.loads(f'"{fatal[-1]}"', strict=False)
    else:
        reason = (text.strip().splitlines() or ["no message"])[-1].removeprefix("error: ")
    return LOGIN.sub("***", " ".join(reason.split()))


def _instance(item):
    """An Instance of a VirtualMachine as the cluster describes it."""
    service = item["metadata"].get("labels", {}).get(SERVICE_TAG, "")
    state = item.get("status", {}).get("printableStatus", "unknown").lower()
    return provider.Instance(item["metadata"]["name"], service, state)
