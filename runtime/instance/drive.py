"""A disk with what a cloud says: OpenStack's config drive, and NoCloud.

The label of the file system tells: `config-2` (openstack/latest/meta_data.json, user_data,
network_data.json) before `cidata` (meta-data, user-data).  Capitals do not count.

    source = find(machine)      None, or
    source.where, meta, user_data, network, drive       see Source

Above: runtime/instance.  Below: volume.py, machine.disks.
"""

from runtime.disk import rouse
from runtime.instance import userdata, volume

LATEST = "openstack/latest/"
TROUBLE = (OSError, ValueError, IndexError, MemoryError)


class Source:
    """What a source says, in OpenStack's words whoever says it."""

    def __init__(self, where, meta, user_data, network=None, drive=None):
        self.where = where
        self.meta = meta  # uuid, hostname, name, meta, public_keys, random_seed, ...
        self.user_data = user_data
        self.network = network or {}
        self.drive = drive


class Drive:
    """A volume whose troubles are lines in the log."""

    def __init__(self, volume, where, log):
        self.volume = volume
        self.where = where
        self.log = log

    def file(self, path, needed=False):
        """Its bytes, or None."""
        try:
            found = self.volume.read(path)
            if needed and found is None:
                raise ValueError("it is not there")
            return found
        except TROUBLE as error:
            self.log.warning("instance: %s of %s: %s", path, self.where, error)
            return None

    def document(self, path, needed=False):
        return document(self.file(path, needed), path + " of " + self.where, self.log)


def document(data, where, log):
    """The object that a JSON text is; {} if there is none, or it is something else."""
    if data is None:
        return {}
    try:
        found = userdata.load(str(data, "utf-8"))
        if isinstance(found, dict):
            return found
    except ValueError:
        pass
    log.warning("instance: %s is not a JSON object", where)
    return {}


def find(machine):
    found = {}
    disks = getattr(machine, "disks", ())
    rouse(disks)
    for disk in disks:
        try:
            for it in volume.find(disk):
                found.setdefault(it.label.lower(), (it, disk.name))
        except TROUBLE as error:
            machine.log.warning("instance: %s: %s", disk.name, error)
    if "config-2" in found:
        it, name = found["config-2"]
        drive = Drive(it, "config drive on " + name, machine.log)
        return Source(
            drive.where,
            drive.document(LATEST + "meta_data.json", True),
            drive.file(LATEST + "user_data") or b"",
            drive.document(LATEST + "network_data.json"),
            drive,
        )
    if "cidata" in found:
        it, name = found["cidata"]
        drive = Drive(it, "NoCloud on " + name, machine.log)
        meta = drive.file("meta-data", True)
        if drive.file("network-config") is not None:
            machine.log.warning("instance: network-config is not read: user data has `address`")
        return Source(
            drive.where, nocloud(meta or b""), drive.file("user-data", True) or b"", None, drive
        )
    return None


def nocloud(data):
    """NoCloud's meta-data, JSON or lines `key: value`, in OpenStack's words."""
    try:
        text = str(data, "utf-8").strip()
        found = userdata.load(text) if text[:1] == "{" else lines(text)
    except ValueError:
        found = {}
    return {
        "uuid": found.get("instance-id"),
        "hostname": found.get("local-hostname") or found.get("hostname"),
        "name": found.get("local-hostname"),
    }


def lines(text):
    """What is not indented in a simple YAML document."""
    found = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon and name[:1] not in (" ", "#", "-", ""):
            found[name.strip()] = value.strip().strip("\"'")
    return found
