"""The manifest: VirtualMachines with a containerDisk, and a Service for the ports.

KubeVirt's API, kubevirt.io/v1: VirtualMachine; the user guide's pages on containerDisk, interfaces,
boot from BIOS (the default), watchdog and the log of the serial console.  A document is what JSON
can say; `yaml` writes it so that people read and edit it.
"""

import json
import re

from tools.deploy.provider import SERVICE_TAG

VERSION_TAG = "importos_version"
GRACE = 15  # seconds from the power button to the end
PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/_.-]*")
MEANT = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}  # not texts in YAML


def machine(name, service, image, disk, wanted):
    """One VirtualMachine as a dictionary."""
    devices = {
        "autoattachGraphicsDevice": False,
        "autoattachSerialConsole": True,
        "logSerialConsole": True,
        "rng": {},
        "watchdog": {"name": "watchdog", "i6300esb": {"action": "reset"}},
        "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
        "interfaces": [{"name": "default", "masquerade": {}, "model": "virtio"}],
    }
    volumes = [
        {"name": "root", "containerDisk": {"image": image, "path": disk}},
    ]
    if wanted.user_data:
        devices["disks"].append({"name": "seed", "disk": {"bus": "virtio"}})
        volumes.append({"name": "seed", "cloudInitNoCloud": {"userData": wanted.user_data}})
    tags = {SERVICE_TAG: service, VERSION_TAG: wanted.version}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name, "namespace": wanted.namespace, "labels": tags},
        "spec": {
            "runStrategy": "Always",
            "template": {
                "metadata": {"labels": {**tags, "kubevirt.io/domain": name}},
                "spec": {
                    "domain": {
                        "cpu": {"cores": 1},
                        "devices": devices,
                        "machine": {"type": "q35"},
                        "memory": {"guest": f"{wanted.memory // 1024}Ki"},
                    },
                    "networks": [{"name": "default", "pod": {}}],
                    "readinessProbe": {"guestAgentPing": {}, "periodSeconds": 5},
                    "terminationGracePeriodSeconds": GRACE,
                    "volumes": volumes,
                },
            },
        },
    }


def exposed(service, name, ports, wanted):
    """A Service for the ports that the service declares, or None."""
    if not ports:
        return None
    pairs = [(protocol, int(port)) for protocol, _, port in (p.partition(":") for p in ports)]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": wanted.namespace,
            "labels": {SERVICE_TAG: service},
        },
        "spec": {
            "type": wanted.expose,
            "selector": {SERVICE_TAG: service},
            "ports": [
                {
                    "name": f"{protocol}-{port}",
                    "protocol": protocol.upper(),
                    "port": port,
                    "targetPort": port,
                }
                for protocol, port in pairs
            ],
        },
    }


def yaml(documents):
    return "---\n".join("\n".join(_lines(document)) + "\n" for document in documents)


def _lines(value):
    """The lines of a block: of a mapping that is not empty, or a sequence."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner and isinstance(inner, (dict, list)):
                yield f"{_scalar(key)}:"
                yield from (f"  {line}" for line in _lines(inner))
            else:
                yield f"{_scalar(key)}: {_scalar(inner)}"
    else:
        for item in value:
            first = True
            for line in _lines(item) if isinstance(item, dict) and item else [_scalar(item)]:
                yield f"{'- ' if first else '  '}{line}"
                first = False


def _scalar(value):
    """A text without quotes where YAML takes it for one; everything else as JSON."""
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in MEANT:
        return value
    return json.dumps(value)
