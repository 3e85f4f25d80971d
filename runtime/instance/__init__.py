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
FILES = "file/"
TABLES = str(fw_cfg.TABLES, "utf-8")
METADATA = "runtime.instance.metadata"  # in images with a network
NETWORK = "runtime.instance.network"
WATCHDOG = "runtime.platform.watchdog"
LABEL = 63  # of a host name
# Whoever reads these has done so before the sources are asked; they are followed when they come.
AGAIN = {"log": LEVELS, "panic": ("reset", "exit", "halt"), "watchdog": ()}
OWN = ("metadata", "metadata-wait", "ds")  # settings that a drive makes superfluous
FACTS = {"uuid": "", "hostname": "", "name": "", "availability_zone": "", "launch_index": 0}
FACTS.update({"meta": {}, "public_keys": {}})


class Instance:
    source = ""
    user_data = None
    drive = None

    def __init__(self):
        self.network = {}
        self.settings = {}
        self.items = {}  # of fw_cfg, without OURS
        self.given = parse(metal.command_line)  # what weaker sources cannot change any more
        self.learn({})

    def learn(self, meta):
        """What a cloud says of itself: each fact that is of the right kind."""
        for name, default in FACTS.items():
            value = meta.get(name)
            value = value if isinstance(value, type(default)) else default
            setattr(self, "id" if name == "uuid" else name, value)

    def read(self, name, log):
        """Bytes of fw_cfg; b"" if there are none."""
        try:
            return fw_cfg.read(*self.items.get(name, (0, 0)))
        except (ValueError, MemoryError) as error:
            log.warning("instance: fw_cfg: %s: %s", name, error)
            return b""

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


def begin(machine):
    """Before there are devices: what fw_cfg says, which needs none."""
    machine.instance = instance = Instance()
    log, items = machine.log, instance.items
    try:
        for name, item in fw_cfg.directory().items():
            if name == TABLES:
                items[name] = item
            elif name.startswith(OURS):
                name = name[len(OURS) :]
                items[name] = item
                if not name.startswith(FILES) and name not in ("settings", "user-data", "seed"):
                    log.warning("instance: fw_cfg: nobody reads %s", userdata.shown(name))
        take(machine, "fw_cfg", parse(str(instance.read("settings", log), "utf-8")))
    except ValueError as error:
        log.warning("instance: fw_cfg: %s", error)
    if "user-data" in items:
        own(machine, "fw_cfg", instance.read("user-data", log))


def find(machine):
    """Look at all other sources; fills machine.instance and adds to machine.settings."""
    instance, log = machine.instance, machine.log
    sow(machine, instance.read("seed", log), "fw_cfg")
    # (QEMU's tables are quicker to read there; a search takes a million instructions.)
    system = smbios.parse(instance.read(TABLES, log)) or smbios.read(metal.memory)
    system = system or smbios.System()
    source = drive.find(machine)
    if not source:
        metadata = part(METADATA)
        source = metadata.find(machine, system) if metadata else None
    if source:
        understand(machine, instance, source)
    machine.settings.asked.update([(name, True) for name in OWN])
    instance.user_data = instance.user_data or b""
    instance.id = instance.id or system.uuid
    if instance.source or instance.id:
        log.info(
            "instance: %s, %s, %s",
            userdata.shown(instance.id) or "no id",
            instance.hostname or "no host name",
            instance.source or "nobody says more",
        )


def take(machine, where, settings):
    """Follow those settings that no stronger source has given, and nobody would stop at."""
    log, asked, given = machine.log, machine.settings.asked, machine.instance.given
    network = part(NETWORK)
    taken, late = [], []
    for name, value in sorted(settings.items()):
        if name in given:
            continue
        again = AGAIN.get(name)
        try:
            if network:
                network.check(name, value)
            if (again and value not in again) or not userdata.is_name(name, "_-."):
                raise ValueError
        except (ValueError, AttributeError):
            log.warning("instance: %s: %s is not understood", where, userdata.shown(name))
            continue
        if name in asked and again is None:
            late.append(name)
            continue
        taken.append(name)
        given[name] = machine.settings.values[name] = value
        if name == "log":
            log.set_level(value)
        elif name == "panic":
            metal.set_panic(ord(value[0]))
        elif name == "watchdog":
            watchdog = part(WATCHDOG)
            if watchdog:
                watchdog.choose(machine)
    if taken:
        log.info("instance: %s: %s", where, ", ".join(taken))
    if late:
        log.warning("instance: %s: too late for %s, left out", where, ", ".join(late))


def sow(machine, seed, name):
    """Secret numbers for the generator, if the image has one and they came by a trusted way."""
    if seed and machine.entropy:
        if name:
            machine.entropy.seed(seed, name)
        else:
            machine.entropy.stir(seed)


def understand(machine, instance, source):
    """Take over what a source says: its user data first."""
    log, meta = machine.log, source.meta
    instance.source = source.where
    instance.drive = source.drive
    instance.network = source.network
    instance.learn(meta)
    told = {}
    hostname, instance.hostname = instance.hostname, ""
    label = hostname.split(".")[0]
    if 0 < len(label) <= LABEL and len(hostname) < 254 and userdata.is_name(hostname, "-."):
        instance.hostname = hostname
        told["hostname"] = label
    elif hostname:
        log.warning("instance: a host name that is none")
    try:
        seed = binascii.a2b_base64(meta.get("random_seed") or "")
        sow(machine, seed, source.where if source.drive else "")
    except (ValueError, TypeError):
        log.warning("instance: a random_seed that is not base64")
    own(machine, source.where, source.user_data)
    network = part(NETWORK)
    if network and source.network:
        found, complaints = network.read(source.network, machine.nics)
        for complaint in complaints:
            log.warning("instance: network_data.json: %s", userdata.shown(complaint))
        told.update(found)
    take(machine, source.where, told)
    machine.settings.asked.update(told)  # not of a person, who might mistype it


def own(machine, where, data):
    """Follow the settings in user data; what is fw_cfg's stays the service's."""
    instance = machine.instance
    where = "user data of " + where
    settings, complaint = userdata.parse(data)
    if complaint:
        machine.log.warning("instance: %s: %s", where, complaint)
    if instance.user_data is None:
        instance.user_data = data
        instance.settings = settings
    take(machine, where, settings)
