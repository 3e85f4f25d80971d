"""containerDisk: a container image with a disk in it, as KubeVirt starts machines from.

    NAME.oci.tar        OCI image layout (image-spec 1.0): oci-layout, index.json, blobs/sha256/...
    NAME.docker.tar     the same image as `docker save` writes it: manifest.json and its parts

One layer, from nothing: /disk/NAME.qcow2, which KubeVirt's uid 107 may read.  The layer is not
compressed, the disk is.  Pushed with `skopeo copy oci-archive:NAME.oci.tar docker://...`, or loaded
with `docker load`.

Left out: a registry of our own; architectures other than amd64.
"""

import hashlib
import io
import json
import re
import tarfile
import tempfile
from pathlib import Path

from tools.image.formats import identity, virtual

UID = 107  # qemu in KubeVirt's launcher
CREATED = identity.DATE.strftime("%Y-%m-%dT%H:%M:%SZ")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def make(name, elf, raw, targets, command_line):
    service = Path(raw).stem
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / f"{service}.qcow2"
        virtual.make("qcow2", elf, raw, [disk], command_line)
        content = disk.read_bytes()
    layer = archive({"disk/": None, f"disk/{service}.qcow2": content}, owner=UID, mode=0o440)
    config = encode(
        {
            "architecture": "amd64",
            "config": {},
            "created": CREATED,
            "history": [{"created": CREATED, "created_by": "importos build"}],
            "os": "linux",
            "rootfs": {"diff_ids": [f"sha256:{digest(layer)}"], "type": "layers"},
        }
    )
    oci, docker = targets
    Path(oci).write_bytes(oci_layout(layer, config))
    Path(docker).write_bytes(docker_archive(layer, config, reference(service)))


def reference(service):
    """The name of an image: lower case, and few characters (distribution-spec)."""
    return f"importos/{re.sub('[^a-z0-9]+', '-', service.lower()).strip('-') or 'service'}:latest"


def oci_layout(layer, config):
    manifest = encode(
        {
            "config": descriptor(CONFIG, config),
            "layers": [descriptor(LAYER, layer)],
            "mediaType": MANIFEST,
            "schemaVersion": 2,
        }
    )
    entry = descriptor(MANIFEST, manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    entry["platform"] = {"architecture": "amd64", "os": "linux"}
    blobs = {f"blobs/sha256/{digest(blob)}": blob for blob in (layer, config, manifest)}
    index = encode({"manifests": [entry], "schemaVersion": 2})
    layout = encode({"imageLayoutVersion": "1.0.0"})
    folders = {"blobs/": None, "blobs/sha256/": None}
    return archive({"oci-layout": layout, "index.json": index, **folders, **blobs})


def docker_archive(layer, config, name):
    parts = {f"{digest(layer)}.tar": layer, f"{digest(config)}.json": config}
    layers, configs = parts
    manifest = encode([{"Config": configs, "Layers": [layers], "RepoTags": [name]}])
    return archive({"manifest.json": manifest, **parts})


def descriptor(kind, blob):
    return {"digest": f"sha256:{digest(blob)}", "mediaType": kind, "size": len(blob)}


def digest(blob):
    return hashlib.sha256(blob).hexdigest()


def encode(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def archive(files, owner=0, mode=0o644):
    """A tar (ustar) of files in this order; None makes a folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path.rstrip("/"))
            info.uid = info.gid = owner
            info.mtime = int(identity.DATE.timestamp())
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                info.size, info.mode = len(content), mode
                tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()
