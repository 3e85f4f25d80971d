"""An instance is configured from outside: every source, and which one wins."""

import base64
import json
import re
import subprocess

import pytest

from tests.instance.disks import META, NETWORK, UUID, drive, fat, iso, nocloud
from tests.support import images, vm
from tests.support.metadata import Metadata, ec2, openstack
from tests.vm.conftest import ADDRESS, KERNEL, MAC, dig

pytestmark = pytest.mark.timeout(600)  # the first one builds the image
SERVICE = str(images.ROOT / "tests" / "vm" / "services" / "told.py")
OPENSTACK = (
    "-smbios",
    f"type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,serial={UUID},uuid={UUID}",
)
USER = b'{"settings": {"greeting": "user data", "colour": "user data", "shape": "user data"}}'
SECRETS = (META["admin_pass"], META["random_seed"], "AAAA")


@pytest.fixture
def elf(image):
    return image(SERVICE, "--cloud") / "told-cloud.elf"


def told(guest):
    """What the service was told; nothing secret is in the log."""
    guest.wait_for("told {")
    guest.wait_until(lambda text: re.search(r"told \{.*\}\n", text))
    line = re.search(r"told (\{.*\})\n", guest.text)[1]
    rest = guest.text.replace(line, "")
    assert not [secret for secret in SECRETS if secret in rest], rest
    assert "Traceback" not in guest.text
    return json.loads(line)


def boot(elf, *extra, **options):
    options.setdefault("command_line", "network=no")
    return vm.Machine(elf, extra=extra, **options)


@pytest.fixture
def disk(tmp_path):
    """disk(data, kind) -> QEMU's arguments for a disk with these bytes."""

    def make(data, kind="blk"):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.img"
        path.write_bytes(data)
        words = ["-drive", f"file={path},format=raw,if=none,id=d{path.stem},readonly=on"]
        device = {"blk": "virtio-blk-pci,drive=", "scsi": "scsi-cd,drive="}[kind]
        if kind == "scsi":
            words += ["-device", "virtio-scsi-pci"]
        return [*words, "-device", f"{device}d{path.stem}"]

    return make


def test_nobody_says_anything(elf):
    with boot(elf) as guest:
        found = told(guest)
        assert found["greeting"] == "compiled in"
        assert found["instance"]["source"] == found["instance"]["id"] == ""


DRIVES = {
    "iso by virtio-scsi": ("scsi", lambda files, label: iso(files, label)),
    "iso by virtio-blk": ("blk", lambda files, label: iso(files, label)),
    "vfat by virtio-blk": ("blk", lambda files, label: fat(files, label)),
}


@pytest.mark.parametrize("kind", DRIVES)
def test_config_drive(elf, disk, kind):
    how, make = DRIVES[kind]
    with boot(elf, *disk(make(drive(USER), "config-2"), how)) as guest:
        found = told(guest)
        assert found["greeting"] == "user data"
        assert found["hostname"] == "ns1"
        assert found["instance"] == {
            "source": "config drive on disk0",
            "id": UUID,
            "hostname": "ns1.novalocal",
            "name": "ns1",
            "meta": {"role": "dns"},
            "user_data": len(USER),
            "settings": dict.fromkeys(("greeting", "colour", "shape"), "user data"),
            "public_keys": META["public_keys"],
            "launch_index": 3,
            "availability_zone": "nova",
            "networks": 1,
        }
        assert "user data of config drive on disk0: colour, greeting, shape\n" in guest.text


@pytest.mark.parametrize("kind", DRIVES)
def test_nocloud(elf, disk, kind):
    how, make = DRIVES[kind]
    files = {**nocloud(b"greeting = 'hello'\n"), "zone": b"z" * 1000}
    with boot(elf, *disk(make(files, "CIDATA"), how)) as guest:
        found = told(guest)
        assert found["greeting"] == "hello" and found["hostname"] == "ns1"
        assert found["instance"]["source"] == "NoCloud on disk0"
        assert found["instance"]["id"] == "i-1"
        assert found["file"] == 1000


def test_static_addresses_of_a_config_drive(elf, disk, network):
    described = {
        "links": NETWORK["links"],
        "networks": [
            {
                "id": "network0",
                "type": "ipv4",
                "link": "tap0",
                "ip_address": ADDRESS,
                "netmask": "255.255.255.0",
                "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": KERNEL}],
            }
        ],
        "services": [{"type": "dns", "address": KERNEL}],
    }
    words = disk(iso(drive(network=described), "config-2"))
    with boot(elf, *words, nic=network.tap, mac=MAC, command_line="") as guest:
        guest.wait_for(f"eth0: {ADDRESS}/24, gateway {KERNEL}, mtu 1450, by settings")
        assert " 0% packet loss" in network.namespace.run("ping", "-c", 1, ADDRESS).stdout


def test_precedence(elf, disk):
    words = [
        *disk(iso(drive(USER), "config-2"), "scsi"),
        *disk(fat(nocloud(b"greeting = 'nocloud'"), "cidata")),
        *("-fw_cfg", "name=opt/org.importos/settings,string=colour=fw_cfg shape=fw_cfg"),
    ]
    with boot(elf, *words, command_line="network=no shape=line") as guest:
        found = told(guest)
        values = [found[name] for name in ("greeting", "colour", "shape")]
        assert values == ["user data", "fw_cfg", "line"]
        assert "config drive" in found["instance"]["source"]


def test_fw_cfg(elf, tmp_path):
    (tmp_path / "user").write_bytes(b"greeting = 'user data'\ncolour = 'user data'\n")
    (tmp_path / "seed").write_bytes(bytes(range(64)))
    (tmp_path / "zone").write_bytes(b"z" * 200_000)
    name = "name=opt/org.importos/"
    words = ["-fw_cfg", name + "settings,string=colour=fw_cfg log=debug"]
    words += ["-fw_cfg", name + f"user-data,file={tmp_path}/user"]
    words += ["-fw_cfg", name + f"seed,file={tmp_path}/seed"]
    words += ["-fw_cfg", name + f"file/zone,file={tmp_path}/zone"]
    with boot(elf, *words, processor="max,-rdrand") as guest:
        found = told(guest)
        assert (found["greeting"], found["colour"]) == ("user data", "fw_cfg")
        assert found["file"] == 200_000
        guest.wait_for("entropy: fw_cfg")
        guest.wait_for("debug: debugging")


class Cloud:
    """dnsmasq as Neutron starts it, and a metadata service."""

    def __init__(self, network, documents, *options):
        self.namespace = network.namespace
        self.tap = network.tap
        self.metadata = Metadata(network.namespace, documents)
        self.dhcp = network.namespace.start(
            *("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0"),
            *("--interface=tap0", "--bind-interfaces", "--leasefile-ro", "--no-ping", "--log-dhcp"),
            f"--dhcp-range={ADDRESS},{ADDRESS},255.255.255.0,1h",
            "--dhcp-option-force=26,1450",
            f"--dhcp-option-force=121,169.254.169.254/32,{KERNEL},0.0.0.0/0,{KERNEL}",
            stderr=subprocess.PIPE,
            text=True,
        )

    def heard(self):
        """The kinds of DHCP messages that dnsmasq has seen."""
        self.dhcp.kill()
        return re.findall(
            r" (DHCP(?:DISCOVER|REQUEST|RELEASE|DECLINE|NAK))\(", self.dhcp.stderr.read()
        )


@pytest.fixture
def cloud(network):
    clouds = []

    def make(documents, *options):
        clouds.append(Cloud(network, documents, *options))
        return clouds[-1]

    yield make
    for made in clouds:
        made.metadata.close()


def within(elf, cloud, *extra, **options):
    return boot(elf, *extra, nic=cloud.tap, mac=MAC, **{"command_line": "", **options})


def test_metadata_of_openstack(elf, cloud):
    made = cloud(openstack(USER))
    with within(elf, made, *OPENSTACK) as guest:
        found = told(guest)
        assert found["greeting"] == "user data" and found["hostname"] == "ns1"
        assert found["instance"]["source"] == "metadata of OpenStack at 169.254.169.254"
        assert found["instance"]["id"] == UUID
        assert found["instance"]["networks"] == 1
        guest.wait_for(f"eth0: {ADDRESS}/24, gateway {KERNEL}, mtu 1450, by DHCP")
        guest.wait_for(f"ready: told {ADDRESS}")
    assert made.metadata.asked == [
        "/openstack/latest/meta_data.json",
        "/openstack/latest/network_data.json",
        "/openstack/latest/user_data",
    ]
    # One lease, asked for once and then confirmed.
    assert made.heard() == ["DHCPDISCOVER", "DHCPREQUEST", "DHCPREQUEST"]


def test_metadata_leaves_nothing_behind(elf, cloud):
    made = cloud(openstack(USER))
    with within(elf, made, command_line="network=no metadata=no") as guest:
        before = told(guest)
    with within(elf, made, command_line="network=no metadata=yes") as guest:
        after = told(guest)
    assert after["greeting"] == "user data" and before["greeting"] == "compiled in"
    for kind in ("timers", "counters", "packets"):
        assert after[kind] == before[kind], kind
    assert after["packets"] == [True]


@pytest.mark.parametrize("token", [None, "AQAEAH-7_x=="])
def test_metadata_of_ec2(elf, cloud, token):
    made = cloud(ec2(USER))
    made.metadata.chunked, made.metadata.token = not token, token
    with within(elf, made, command_line="metadata=yes") as guest:
        found = told(guest)
        assert found["greeting"] == "user data" and found["hostname"] == "ns2"
        instance = found["instance"]
        assert instance["id"] == "i-0000002a" and instance["availability_zone"] == "zone-b"
        assert instance["launch_index"] == 1
        assert instance["public_keys"] == {"0": "ssh-ed25519 BBBB me"}


def test_two_devices_each_with_a_static_address_from_metadata(elf, cloud):
    """The second nic's network is another one; both addresses come from network_data.json."""
    macs = ("52:54:00:12:34:56", "52:54:00:12:34:57")
    described = {
        "links": [
            {"id": f"tap{i}", "type": "ovs", "ethernet_mac_address": mac.upper(), "mtu": mtu}
            for i, (mac, mtu) in enumerate(zip(macs, (1450, None), strict=True))
        ],
        "networks": [
            {
                "id": f"network{i}",
                "type": "ipv4",
                "link": f"tap{i}",
                "ip_address": address,
                "netmask": "255.255.255.0",
                "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": gateway}]
                * (not i),
            }
            for i, (address, gateway) in enumerate([(ADDRESS, KERNEL), ("192.168.9.2", "")])
        ],
    }
    made = cloud(openstack(b'{"settings": {"both": "yes"}}', network=described))
    second = ["-netdev", "user,id=b,restrict=on,net=192.168.9.0/24", "-device"]
    second += [f"virtio-net-pci,netdev=b,mac={macs[1]}"]
    with within(elf, made, *OPENSTACK, *second) as guest:
        told(guest)
        guest.wait_for(f"eth0: {ADDRESS}/24, gateway {KERNEL}, mtu 1450, by settings")
        guest.wait_for("eth1: 192.168.9.2/24, gateway none, mtu 1500, by settings")


def test_nocloud_over_http(elf, cloud):
    made = cloud({"/x/meta-data": b"instance-id: i-9", "/x/user-data": b"greeting = 'seed'"})
    seed = "ds=nocloud;s=http://169.254.169.254/x/"
    with within(elf, made, "-smbios", f"type=1,serial={seed}") as guest:
        found = told(guest)
        assert found["greeting"] == "seed" and found["instance"]["id"] == "i-9"


def test_a_busy_service_is_asked_again(elf, cloud):
    made = cloud(openstack(b"#!/bin/sh\necho hunter2hunter2\n"))
    made.metadata.busy = 2
    with within(elf, made, *OPENSTACK) as guest:
        found = told(guest)
        assert found["greeting"] == "compiled in" and found["instance"]["id"] == UUID
        assert guest.text.count("status 503; again") == 2
        assert "a shell script: there is no shell; understood are JSON" in guest.text
    assert made.metadata.asked[:3] == ["/openstack/latest/meta_data.json"] * 3


def test_a_machine_starts_without_a_service_that_it_believed_in(elf, network):
    network.dhcp()
    line = "metadata-wait=3"
    with boot(elf, *OPENSTACK, nic=network.tap, mac=MAC, command_line=line) as guest:
        found = told(guest)
        assert found["instance"]["id"] == UUID and found["instance"]["source"] == ""
        assert "warning: instance: metadata by eth0: " in guest.text
        guest.wait_for("by DHCP")


def test_without_reason_nobody_is_asked(elf, cloud):
    made = cloud(openstack(USER))
    for extra, line in (((), ""), (OPENSTACK, "metadata=no")):
        with within(elf, made, *extra, command_line=line) as guest:
            assert told(guest)["greeting"] == "compiled in"
    assert made.metadata.asked == []


ZONE = """
$ORIGIN outside.example.
@ 3600 IN SOA ns1 admin 7 7200 900 604800 300
@ 3600 IN NS ns1
ns1 300 IN A 10.0.0.2
"""


@pytest.fixture(scope="session")
def dns(image):
    return image("dns", "--cloud") / "dns-cloud.elf"


def compiled(tmp_path):
    from tools.zone.compile import compile_zone

    path = tmp_path / "outside.zone"
    path.write_text(ZONE)
    return compile_zone(path)


@pytest.mark.parametrize("way", ["drive", "user data"])
def test_a_name_server_with_a_zone_from_outside(dns, disk, network, tmp_path, way):
    zone = compiled(tmp_path)
    files = nocloud(f"axfr = ['{KERNEL}']\naddress = '{ADDRESS}/24'".encode())
    files["zone"] = zone
    if way == "user data":
        user = {"axfr": KERNEL, "address": f"{ADDRESS}/24"}
        encoded = base64.b64encode(zone).decode()
        files = nocloud(json.dumps({"settings": user, "files": {"zone": encoded}}).encode())
    with boot(dns, *disk(iso(files, "cidata"), "scsi"), nic=network.tap, command_line="") as guest:
        guest.wait_for("ready: dns")
        assert f"zone: {len(zone)} bytes from outside" in guest.text
        assert dig(network, "ns1.outside.example") == [ADDRESS]
        assert len(dig(network, "+tcp", "AXFR", "outside.example")) > 10


def test_a_name_server_outlives_a_broken_zone_and_settings_from_outside(dns, disk, network):
    user = f"axfr = 'nobody'\naddress = '{ADDRESS}/24'\nmtu = 'much'".encode()
    files = {**nocloud(user), "zone": b"IOZ\2" + bytes(100)}
    with boot(dns, *disk(iso(files, "cidata")), nic=network.tap, command_line="") as guest:
        guest.wait_for("ready: dns")
        assert "axfr is not understood: no transfers" in guest.text
        assert "NoCloud on disk0: mtu is not understood" in guest.text
        assert "zone: the zone table is cut short; serving the image's" in guest.text
        assert dig(network, "host1.bench.example")
        assert dig(network, "+tcp", "AXFR", "bench.example")[1:] == ["Transfer", "failed."]
