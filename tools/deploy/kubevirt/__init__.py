"""KubeVirt: virtual machines in a Kubernetes cluster, from a container image with our disk in it.

    ./importos deploy kubevirt dns --registry registry.example/me

writes the manifest and says how image and manifest get into the cluster; with --apply it does that
itself, by skopeo and kubectl, as they are configured, and waits.

manifest.py is what the cluster is told.
Left out: bridges and further networks, storage: the manifest is a file, to be edited.
"""

import hashlib
import json
import re
import shutil
import subprocess
import time
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
POLL = 0.5
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


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

    def __init__(self, options):
        super().__init__(options)
        self.made = []

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
            raise UserError(f"--name {options.name}: Kubernetes takes a-z, 0-9 and -")
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
        names = [name]
        if options.count > 1:
            names = [f"{name}-{number}" for number in range(1, options.count + 1)]
        image = self._reference(built, version)
        documents = [
            manifest.machine(one, built.service, image, f"/disk/{disk.name}", wanted)
            for one in names
        ]
        ports = manifest.exposed(built.service, name, built.report["ports"], wanted)
        path = Path(options.output or built.folder / f"{name}-kubevirt.yaml")
        path.write_text(manifest.yaml([*documents, *([ports] if ports else [])]))
        archive = built.image("oci.tar")
        if not options.apply:
            self._explain(path, archive, built.image("docker.tar"), image, tell)
            return []
        self._push(archive, image)
        tell(f"pushed {image}")
        known = {instance.name for instance in self.instances()}
        self.made = [one for one in names if one not in known]
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

    def withdraw(self):
        left = []
        while self.made:
            name = self.made.pop()
            try:
                self._kubectl("delete", "virtualmachine", name, "--ignore-not-found")
            except UserError as error:
                left.append(f"{name} ({error})")
        return ", ".join(left)

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

    def stop(self, instance, timeout):
        deadline = time.monotonic() + timeout
        self._patch(instance.name, "Halted")
        while self.refresh(instance).state != STOPPED:
            if time.monotonic() > deadline:
                raise UserError(f"{instance.name}: not off after {timeout} s")
            time.sleep(POLL)

    def delete(self, instance):
        self._kubectl("delete", "virtualmachine", instance.name, "--ignore-not-found")
        others = [i for i in self.instances() if i.service == instance.service]
        if not others:
            self._kubectl("delete", "service", "-l", f"{SERVICE_TAG}={instance.service}")

    def _patch(self, name, strategy):
        change = json.dumps({"spec": {"runStrategy": strategy}})
        self._kubectl("patch", "virtualmachine", name, "--type=merge", "-p", change)

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
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"{tool}: {reason.removeprefix('error: ')}")
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


def _instance(item):
    """An Instance of a VirtualMachine as the cluster describes it."""
    service = item["metadata"].get("labels", {}).get(SERVICE_TAG, "")
    state = item.get("status", {}).get("printableStatus", "unknown").lower()
    return provider.Instance(item["metadata"]["name"], service, state)
