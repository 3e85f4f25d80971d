"""runtime/instance: sources joined, in their order; and sources that are broken or hostile."""

import base64
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.instance import begin, find
from runtime.platform import fw_cfg
from runtime.settings import Settings
from tests.instance.disks import META, NETWORK, UUID, Disk, drive, iso, nocloud
from tests.instance.test_platform import WHERE, FwCfg, entry2, system
from tests.support.metal import Machine as Hardware


class Log:
    def __init__(self):
        self.lines = []
        self.level = None

    def info(self, text, *values):
        self.lines.append(text % values if values else text)

    warning = error = debug = info

    def set_level(self, name):
        self.level = name


class Entropy:
    def __init__(self):
        self.seeds, self.stirred = [], []

    def seed(self, data, name):
        self.seeds.append((bytes(data), name))

    def stir(self, data):
        self.stirred.append(bytes(data))


class Nic:
    name, mac, link = "eth0", bytes.fromhex("525400123456"), True


class Machine:
    def __init__(self, line="", compiled=None, disks=(), files=None, tables=b"", devices=None):
        self.hardware = hardware = Hardware()
        hardware.command_line = line
        firmware = hardware.add_ram(0xF0000, 0x10000)
        firmware[:] = bytes(0x10000)
        if tables:
            firmware[0x40:0x5F] = entry2(len(tables))
            hardware.add_ram(WHERE, len(tables))[:] = tables
        if files is not None:
            own = {"opt/org.importos/" + name: data for name, data in files.items()}
            FwCfg(hardware, own | {name[1:]: files[name] for name in files if name[0] == "/"})
        self.log, self.entropy = Log(), Entropy()
        self.settings = Settings(line, compiled)
        self.nics, self.disks = [Nic()], list(disks)
        begin(self)
        if devices:
            devices(self)
        find(self)

    @property
    def text(self):
        return "\n".join(self.log.lines)


def config(user_data=b"", label="config-2", **options):
    return Disk(iso(drive(user_data, **options), label))


def test_nothing_is_there():
    machine = Machine(compiled={"a": "1"})
    assert machine.settings.values == {"a": "1"} and machine.log.lines == []
    assert (
        machine.instance.source == machine.instance.id == "" and machine.instance.file("x") is None
    )


def test_precedence():
    machine = Machine(
        "a=line",
        dict.fromkeys("abcdefg", "compiled"),
        [config(b"a='user'\nb='user'\nc='user'\nd='user'\nhostname='mine'")],
        {"settings": b"a=fw b=fw", "user-data": b"a='fwu'\nb='fwu'\nc='fwu'"},
    )
    values = [machine.settings.get(name) for name in "abcde"]
    assert values == ["line", "fw", "fwu", "user", "compiled"]
    assert machine.settings.get("hostname") == "mine"
    assert machine.instance.user_data.startswith(b"a='fwu'")
    assert machine.log.lines == [
        "instance: fw_cfg: b",
        "instance: user data of fw_cfg: c",
        "instance: user data of config drive on disk0: d, hostname",
        f"instance: {UUID}, ns1.novalocal, config drive on disk0",
    ]


SOURCES = ("line", "settings", "user-data", "drive-user", "drive", "image")


@pytest.mark.parametrize("kind", ["config-2", "cidata"])
@pytest.mark.parametrize("pair", list(itertools.combinations(SOURCES, 2)), ids="-".join)
def test_precedence_of_each_pair(pair, kind):
    """All six can say what the host is called."""
    says = {name: f"by-{name}" if name in pair else None for name in SOURCES}
    user = f"hostname = '{says['drive-user']}'".encode() if says["drive-user"] else b""
    files = {"user-data": f"hostname = '{says['user-data']}'".encode()}
    files["settings"] = f"hostname={says['settings']}".encode()
    files = {name: data for name, data in files.items() if says[name]}
    inside = drive(user, {"hostname": says["drive"]})
    if kind == "cidata":
        inside = nocloud(
            user, f"local-hostname: {says['drive']}".encode() if says["drive"] else b""
        )
    machine = Machine(
        f"hostname={says['line']}" if says["line"] else "",
        {"hostname": says["image"]} if says["image"] else {},
        [Disk(iso(inside, kind))],
        files,
    )
    assert machine.settings.get("hostname") == f"by-{pair[0]}"


def test_user_data_before_what_the_cloud_says():
    machine = Machine(disks=[config(b"hostname = 'mine'\nlog = 'debug'")])
    assert machine.settings.get("hostname") == "mine" and machine.log.level == "debug"


def test_a_level_of_the_log_that_is_none_is_said_and_left_out():
    machine = Machine(disks=[config(b"hostname = 'mine'\nlog = 'loud'")])
    assert machine.settings.get("hostname") == "mine" and not machine.settings.get("log")
    assert any("log is not understood" in line for line in machine.log.lines)


def test_what_comes_too_late_is_said_and_what_is_followed_anew_is_not():
    """Drivers have read theirs before the drive is, but not before fw_cfg is."""

    def read(machine):
        for name in ("virtio", "log", "watchdog", "panic"):
            machine.settings.get(name)

    user = b"virtio='modern'\nlog='debug'\nwatchdog=7\npanic='halt'\nmsix='no'"
    machine = Machine(disks=[config(user)], devices=read)
    assert machine.settings.get("virtio") is None and machine.settings.get("msix") == "no"
    assert "user data of config drive on disk0: too late for virtio, left out" in machine.text
    assert machine.settings.get("watchdog") == "7" and machine.log.level == "debug"
    assert machine.hardware.panic == ord("h")
    machine = Machine(files={"settings": b"virtio=modern"}, devices=read)
    assert machine.settings.get("virtio") == "modern" and "too late" not in machine.text


def test_a_setting_of_the_image_does_not_come_too_late():
    machine = Machine(compiled={"greeting": "hello"}, disks=[config(b"greeting = 'hi'")])
    assert machine.settings.get("greeting") == "hi"


def test_what_a_cloud_says_is_not_strange_and_what_a_person_says_may_be():
    line = "metadata=no ds=x adress=1"
    machine = Machine(line, disks=[config(b"hostnam = 'x'\nlog = 'info'")])
    assert machine.settings.get("hostname") == "ns1"
    assert machine.settings.strange() == "adress, hostnam, log"  # boot would ask for `log`


def test_what_nobody_reads_of_fw_cfg_is_named():
    machine = Machine(files={"settingz": b"a=b", "user_data": b"", "file/zone": b"z", "seed": b""})
    assert machine.log.lines == [
        "instance: fw_cfg: nobody reads settingz",
        "instance: fw_cfg: nobody reads user_data",
    ]


def test_a_part_of_fw_cfg_that_cannot_be_read_leaves_the_others():
    files = {"user-data": bytes(0x40001), "settings": b"a=b", "file/zone": bytes(0x40001)}
    machine = Machine(files=files)
    assert "fw_cfg: user-data: 262145 bytes are too many" in machine.text
    assert machine.settings.get("a") == "b"
    with pytest.raises(ValueError, match="too many"):
        machine.instance.file("zone")


def test_a_part_of_fw_cfg_that_memory_does_not_do_for_is_left_out(monkeypatch):
    read = fw_cfg.read

    def poor(selector, size):
        if size > 1000:
            raise MemoryError("memory allocation failed")
        return read(selector, size)

    monkeypatch.setattr(fw_cfg, "read", poor)
    machine = Machine(files={"user-data": bytes(2000), "settings": b"a=b"})
    assert "fw_cfg: user-data: memory allocation failed" in machine.text
    assert machine.settings.get("a") == "b"


@pytest.mark.parametrize("policy", ["", "later", "exits", "Halt"])
def test_a_policy_that_is_none_is_not_followed(policy):
    machine = Machine(files={"settings": f"panic={policy}".encode()})
    assert "fw_cfg: panic is not understood" in machine.text
    assert not hasattr(machine.hardware, "panic")


def test_config_drive_before_nocloud_and_labels_in_any_letters():
    other = Disk(iso(nocloud(b"a = 'nocloud'"), "CIDATA"), name="disk1")
    assert Machine(disks=[other, config(b"a = 'drive'", "CONFIG-2")]).settings.get("a") == "drive"
    machine = Machine(disks=[Disk(bytes(9000)), other])
    assert machine.settings.get("a") == "nocloud" and machine.instance.id == "i-1"


@pytest.mark.parametrize(
    "meta",
    [
        b'{"instance-id": "i-7", "local-hostname": "box"}',
        b"# x\ninstance-id: i-7\n\nlocal-hostname: 'box'\nlist:\n  - instance-id: no\n",
    ],
)
def test_meta_data_of_nocloud(meta):
    machine = Machine(disks=[Disk(iso(nocloud(b"", meta), "cidata"))])
    assert (machine.instance.id, machine.settings.get("hostname")) == ("i-7", "box")


@pytest.mark.parametrize(
    ("line", "texts", "asks"),
    [
        ("", (b"OpenStack Foundation", b"OpenStack Nova"), True),
        ("", (b"Amazon EC2", b""), True),
        ("", (b"QEMU", b"Standard PC"), False),
        ("metadata=no", (b"OpenStack Foundation", b"OpenStack Nova"), False),
        ("metadata=yes", (b"QEMU",), True),
        ("ds=nocloud;s=http://10.0.0.1/", (b"QEMU",), True),
        ("ds=nocloud;s=ftp://10.0.0.1/", (b"QEMU",), True),  # and would be refused
    ],
)
def test_metadata_is_asked_for_where_there_is_reason_to_believe_in_it(
    monkeypatch, line, texts, asks
):
    monkeypatch.setattr(Nic, "link", False)
    machine = Machine(line, tables=system(*texts))
    assert ("metadata: no network device has a link" in machine.text) == asks


def test_a_network_config_that_is_not_followed_is_said():
    files = {**nocloud(b"address = '10.0.0.2/24'"), "network-config": b"version: 2"}
    machine = Machine(disks=[Disk(iso(files, "cidata"))])
    assert "network-config is not read" in machine.text
    assert machine.settings.get("address") == "10.0.0.2/24"


@pytest.mark.parametrize("label", ["config-2", "cidata"])
def test_a_drive_with_names_of_iso9660_only_is_said(label):
    """META_DAT.JSO and the like: whoever made it forgot -J and -R."""
    files = drive() if label == "config-2" else nocloud()
    machine = Machine(disks=[Disk(iso(files, label, joliet=False, rock=False))])
    name = "openstack/latest/meta_data.json" if label == "config-2" else "meta-data"
    assert f"instance: {name} of " in machine.text and "it is not there" in machine.text


def test_the_firmware_says_who_this_is():
    machine = Machine(tables=system(b"QEMU"))
    assert machine.instance.id == UUID
    assert f"instance: {UUID}, no host name, nobody says more" in machine.text


def test_what_firmware_of_another_kind_keeps_elsewhere_is_in_fw_cfg():
    """UEFI's tables are not where a BIOS has them."""
    files = {"/etc/smbios/smbios-tables": system(b"OpenStack Foundation")}
    machine = Machine(files=files)
    assert machine.instance.id == UUID


def test_seeds_reach_the_generator_and_only_it():
    machine = Machine(disks=[config()], files={"seed": b"s" * 40})
    seed = base64.b64decode(META["random_seed"])
    assert machine.entropy.seeds == [(b"s" * 40, "fw_cfg"), (seed, "config drive on disk0")]
    assert META["random_seed"] not in repr(vars(machine.instance))


def test_no_secret_is_in_the_log():
    user = json.dumps({"password": "user-secret-1", "bad": {"x": "user-secret-2"}}).encode()
    for data in (user, b"password = 'user-secret-1'\nuser-secret-2", b"#!user-secret-1"):
        machine = Machine(disks=[config(data)], files={"settings": b"p=user-secret-3"})
        text = machine.text
        assert "user-secret" not in text
        assert META["admin_pass"] not in text and "ssh-ed25519" not in text


def test_no_line_of_the_log_is_forged():
    forged = "x\n[    0.000] ready: forged"
    network = {
        "links": [{"id": 1, "ethernet_mac_address": forged}],
        "networks": [{"type": "ipv4", "link": 1}],
    }
    user = json.dumps({"settings": {forged: 1}}).encode()
    machine = Machine(disks=[config(user, meta={"uuid": forged}, network=network)])
    assert len(machine.log.lines) == 3 and "\n[" not in "".join(machine.log.lines)


def test_files():
    zone = base64.b64encode(b"zone").decode()
    user = json.dumps({"settings": {}, "files": {"zone": zone, "bad": 7}}).encode()
    machine = Machine(
        disks=[Disk(iso({**nocloud(user), "other": b"o"}, "cidata"))], files={"file/x": b"fw"}
    )
    file = machine.instance.file
    assert (file("zone"), file("other"), file("x"), file("none")) == (b"zone", b"o", b"fw", None)
    with pytest.raises((ValueError, TypeError)):
        file("bad")


def test_a_drive_that_fails():
    disk = config(b"a = 'b'")
    disk.fail = range(64, 1 << 20)
    assert "input/output error" in Machine(disks=[disk]).text
    data = disk.data
    # Everything behind the first directories: the label is read, no file is.
    disk = Disk(data, fail=range(data.index(b'"uuid"') >> 9, 1 << 20))
    machine = Machine(disks=[disk])
    assert machine.instance.source == "config drive on disk0" and machine.instance.id == ""
    assert machine.text.count("input/output error") >= 1


@pytest.mark.parametrize("meta", [b"", b"[]", b"{", b"\xff\xfe", b'"x"', b"7", b"null"])
def test_metadata_that_is_no_object(meta):
    files = drive(b"a = 'b'")
    files["openstack/latest/meta_data.json"] = meta
    machine = Machine(disks=[Disk(iso(files, "config-2"))])
    assert "meta_data.json of config drive on disk0 is not a JSON object" in machine.text
    assert machine.settings.get("a") == "b"


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**31), 2**31), st.text(max_size=12)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(META)), JSON),
    st.dictionaries(st.sampled_from(sorted(NETWORK)), JSON),
)
def test_no_document_raises(meta, network):
    from runtime.instance import drive as module

    source = module.Source("here", meta, b"", network)
    before = module.find
    module.find = lambda machine: source
    try:
        machine = Machine(compiled={"a": "1"})
    finally:
        module.find = before
    instance = machine.instance
    assert isinstance(instance.id, str) and isinstance(instance.hostname, str)
    assert isinstance(instance.meta, dict) and isinstance(instance.public_keys, dict)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["settings", "user-data", "seed"]), st.binary(max_size=200)))
def test_no_file_of_fw_cfg_raises(files):
    Machine(files=files)


@pytest.mark.parametrize(
    "hostname",
    [
        "",
        "-" * 64,
        "a b",
        "x\n[   0.0] ready: forged",
        "a" * 64 + ".example",
        "\x1b[2J",
        "ä",
        "ns1.\nx",
    ],
)
def test_a_host_name_that_is_none(hostname):
    machine = Machine(disks=[config(meta={"hostname": hostname})])
    assert machine.instance.hostname == "" and machine.settings.get("hostname") is None
    assert len(machine.log.lines) == 2 - (hostname == "")
    assert "forged" not in machine.text and "\x1b" not in machine.text
