"""Instance: what a cloud, or whoever starts the machine, says about it; one object for all sources.

    machine.instance
        source                  "config drive on disk1", "" if nobody says anything
        id, hostname, name      text; id is the firmware's if no source has one
        meta                    {name: text}: the properties that the owner gave
        user_data               bytes, as they came
        settings                what was understood of them; machine.settings has it all
        network                 OpenStack's network_data.json, or {}
        public_keys             {name: key}
        launch_index, availability_zone
        file(name)              bytes that replace something of the image, or None; ValueError,
                                TypeError: what is there cannot be that

Which source, in this order; what stands first wins, setting by setting:

    1. the kernel's command line
    2. fw_cfg: opt/org.importos/settings (words as on the command line), then .../user-data
    3. one of: a config drive (label config-2), NoCloud (label cidata), metadata over HTTP; there
       the user data before what the cloud says itself (host name, static addresses)
    4. DHCP and routers say what the settings do not
    5. what the image was built with (--set)

    userdata.py     user data as settings            network.py    networks as settings
    drive.py        config drive and NoCloud         metadata.py   over HTTP, and when to ask
    volume.py, iso9660.py, fat.py                    runtime/platform/{smbios,fw_cfg}.py

Law: a source that is damaged, hostile or not there is a line in the log; the machine starts.
Secrets (passwords, seeds, keys, values of settings) are never in the log.
In an image built with --cloud, or whose service imports this; machine.instance is None elsewhere.
Left out: vendor data, network-config of NoCloud, two sources at once.
"""

import binascii

import metal

from runtime.instance import drive, userdata
from runtime.log import LEVELS
from runtime.parts import part
from runtime.platform import fw_cfg, smbios
from runtime.settings import parse

OURS = "opt/org.importos/"
FILES = OURS + "file/"
WANTED = {name: OURS + name for name in ("settings", "user-data", "seed")}
WANTED["tables"] = str(fw_cfg.TABLES, "utf-8")
METADATA = "runtime.instance.metadata"  # in images with a network
NETWORK = "runtime.instance.network"
LABEL = 63  # of a host name


class Instance:
    source = id = hostname = name = availability_zone = ""
    user_data = b""
    launch_index = 0
    drive = None

    def __init__(self):
        self.meta = {}
        self.network = {}
        self.public_keys = {}
        self.settings = {}
        self.items = {}  # of fw_cfg

    def file(self, name):
        """Bytes from fw_cfg, from "files" of the user data (JSON, base64), or from NoCloud."""
        item = self.items.get(FILES + name)
        if item:
            return fw_cfg.read(*item)
        if self.user_data[:1] == b"{":
            files = userdata.load(str(self.user_data, "utf-8")).get("files")
            if isinstance(files, dict) and name in files:
                return binascii.a2b_base64(files[name])
        return self.drive.file(name) if self.drive else None


def find(machine):
    """Look at all sources; fills machine.instance and adds to machine.settings."""
    machine.instance = instance = Instance()
    log, values = machine.log, machine.settings.values
    last = parse(metal.command_line)
    items = read_fw_cfg(machine, instance)
    # (QEMU's tables are quicker to read there; a search takes a million instructions.)
    system = smbios.parse(items.get("tables", b"")) or smbios.read(metal.memory)
    system = system or smbios.System()

    # (They may say whether to ask for metadata.)
    told = sound(log, "fw_cfg", parse(text_of(items.get("settings", b""), log)))
    for name, value in told.items():
        if name not in last:
            values[name] = value
    source = drive.find(machine)
    if not source:
        metadata = part(METADATA)
        source = metadata.find(machine, system) if metadata else None
    layers = [("fw_cfg", told)]  # the first wins
    if source:
        instance.source = source.where
        layers += understand(machine, instance, source)
    instance.id = instance.id or system.uuid
    mine = items.get("user-data")
    if mine is not None:
        instance.user_data = mine
        layers.insert(1, ("user data of fw_cfg", owned(machine, instance, "fw_cfg")))
    for where, found in layers:
        found = sound(log, where, found)
        names = [name for name in found if name not in last]
        for name in names:
            last[name] = values[name] = found[name]
        if names:
            log.info("instance: %s: %s", where, ", ".join(sorted(names)))
    if values.get("log") in LEVELS:
        log.set_level(values["log"])
    if instance.source or instance.id:
        log.info(
            "instance: %s, %s, %s",
            userdata.shown(instance.id) or "no id",
            instance.hostname or "no host name",
            instance.source or "nobody says more",
        )


def sound(log, where, settings):
    """Those settings that the network, if there is one, would not stop at."""
    network = part(NETWORK)
    found = {}
    for name, value in settings.items():
        try:
            if network:
                network.check(name, value)
            if name == "log" and value not in LEVELS:
                raise ValueError
            found[name] = value
        except (ValueError, AttributeError):
            log.warning("instance: %s: %s is not understood", where, userdata.shown(name))
    return found


def read_fw_cfg(machine, instance):
    """Bytes by the names of WANTED, of what is there; the seed is used up."""
    found = {}
    try:
        instance.items = fw_cfg.directory()
        for name, path in WANTED.items():
            if path in instance.items:
                found[name] = fw_cfg.read(*instance.items[path])
    except ValueError as error:
        machine.log.warning("instance: fw_cfg: %s", error)
    sow(machine, found.pop("seed", b""), "fw_cfg")
    return found


def sow(machine, seed, name):
    """Secret numbers for the generator, if the image has one and they came by a trusted way."""
    if seed and machine.entropy:
        if name:
            machine.entropy.seed(seed, name)
        else:
            machine.entropy.stir(seed)


def text_of(data, log):
    try:
        return str(data, "utf-8")
    except ValueError:
        log.warning("instance: settings that are not text")
        return ""


def understand(machine, instance, source):
    """Take over what a source says; returns layers of settings."""
    log, meta = machine.log, source.meta

    def of(kind, name, default):
        value = meta.get(name)
        return value if isinstance(value, kind) else default

    instance.drive = source.drive
    instance.id = of(str, "uuid", "")
    instance.name = of(str, "name", "")
    instance.availability_zone = of(str, "availability_zone", "")
    instance.launch_index = of(int, "launch_index", 0)
    instance.meta = of(dict, "meta", {})
    instance.public_keys = of(dict, "public_keys", {})
    instance.user_data = source.user_data
    instance.network = source.network
    told = {}
    hostname = of(str, "hostname", "")
    label = hostname.split(".")[0]
    if 0 < len(label) <= LABEL and len(hostname) < 254 and userdata.is_name(hostname, "-."):
        instance.hostname = hostname
        told["hostname"] = label
    elif hostname:
        log.warning("instance: a host name that is none")
    try:
        seed = binascii.a2b_base64(of(str, "random_seed", ""))
        sow(machine, seed, source.where if source.drive else "")
    except ValueError:
        log.warning("instance: a random_seed that is not base64")
    network = part(NETWORK)
    if network and source.network:
        found, complaints = network.read(source.network, machine.nics)
        for complaint in complaints:
            log.warning("instance: network_data.json: %s", userdata.shown(complaint))
        told.update(found)
    return [
        ("user data of " + source.where, owned(machine, instance, source.where)),
        (source.where, told),
    ]


def owned(machine, instance, where):
    """The settings in the user data."""
    instance.settings, complaint = userdata.parse(instance.user_data)
    if complaint:
        machine.log.warning("instance: user data of %s: %s", where, complaint)
    return instance.settings
