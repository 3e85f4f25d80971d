"""runtime/instance/network.py: what a cloud says about its networks, as settings."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.instance.network import check, read

MACS = ("52:54:00:12:34:56", "52:54:00:12:34:57")


class Nic:
    def __init__(self, number):
        self.name = f"eth{number}"
        self.mac = bytes.fromhex(MACS[number].replace(":", ""))


NICS = [Nic(0), Nic(1)]
LINKS = [
    {"id": f"tap{i}", "ethernet_mac_address": mac.upper(), "mtu": [1450, None][i]}
    for i, mac in enumerate(MACS)
]
FOUR = {
    "id": "network0",
    "type": "ipv4",
    "link": "tap0",
    "ip_address": "10.0.0.2",
    "netmask": "255.255.240.0",
    "routes": [
        {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
        {"network": "192.168.0.0", "netmask": "255.255.0.0", "gateway": "10.0.0.9"},
    ],
    "services": [{"type": "dns", "address": "10.0.0.3"}],
}
SIX = {
    "id": "network1",
    "type": "ipv6",
    "link": "tap1",
    "ip_address": "2001:db8::2",
    "netmask": "ffff:ffff:ffff:ffff::",
    "routes": [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}],
}
DESCRIPTION = {
    "links": LINKS,
    "networks": [FOUR, SIX],
    "services": [{"type": "dns", "address": "9.9.9.9"}],
}


def test_static_addresses_of_two_devices():
    assert read(DESCRIPTION, NICS) == (
        {
            "address": "10.0.0.2/20",
            "gateway": "10.0.0.1",
            "static-routes": [(b"\xc0\xa8\0\0", 16, b"\x0a\0\0\x09")],
            "mtu": "1450",
            "eth1.address6": "2001:db8::2/64",
            "eth1.gateway6": "2001:db8::1",
            "dns": "9.9.9.9,10.0.0.3",
        },
        [],
    )


@pytest.mark.parametrize(
    "kind", ["ipv4_dhcp", "ipv6_slaac", "ipv6_dhcpv6-stateful", "bridge", None]
)
def test_what_configures_itself_is_left_alone(kind):
    description = {
        "links": LINKS,
        "networks": [{**FOUR, "type": kind}],
        "services": DESCRIPTION["services"],
    }
    assert read(description, NICS) == ({}, [])


def test_prefixes_as_some_clouds_write_them():
    network = {**SIX, "ip_address": "2001:db8::2/56", "routes": [], "gateway": "fe80::1"}
    del network["netmask"]
    second = {**network, "ip_address": "2001:db8::3/56"}
    found, _ = read({"links": LINKS, "networks": [network, second]}, NICS)
    assert found == {"eth1.address6": "2001:db8::2/56,2001:db8::3/56", "eth1.gateway6": "fe80::1"}


@pytest.mark.parametrize(
    "change",
    [
        {"link": "tap9"},
        {"ip_address": "10.0.0.256"},
        {"ip_address": "2001:db8::2"},
        {"ip_address": None},
        {"netmask": "255.0.255.0"},
        {"netmask": "ffff::"},
        {"netmask": None},
        {"ip_address": "10.0.0.2/33"},
        {"routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "::1"}]},
        {"routes": [{"network": "0.0.0.0"}]},
        {"routes": [7]},
        {"routes": 7},
        {"services": [{}]},
        {"services": [{"type": "dns", "address": "x"}]},
    ],
)
def test_a_network_that_is_not_understood_is_left_out_whole(change):
    found, complaints = read({"links": LINKS, "networks": [{**FOUR, **change}, SIX]}, NICS)
    assert set(found) <= {"eth1.address6", "eth1.gateway6", "dns"} and "eth1.address6" in found
    assert len(complaints) == 1


@pytest.mark.parametrize(
    "link",
    [
        {"type": "vlan", "vlan_id": 7, "vlan_link": "tap1", "vlan_mac_address": MACS[0]},
        {"type": "bond", "bond_links": ["tap1"], "ethernet_mac_address": MACS[0]},
    ],
)
@pytest.mark.parametrize("kind", ["ipv4", "ipv4_dhcp"])
def test_bonds_and_vlans_are_refused_clearly(link, kind):
    """The address would be that of the device below."""
    networks = [{**FOUR, "type": kind}, SIX]
    found, complaints = read(
        {"links": [{"id": "tap0", **link}, LINKS[1]], "networks": networks}, NICS
    )
    assert set(found) == {"eth1.address6", "eth1.gateway6"}
    assert len(complaints) == 1 and f"its link is a {link['type']}" in complaints[0]


@pytest.mark.parametrize("service", [{"type": "dns"}, {"address": "x", "type": "dns"}, 7, None])
def test_a_service_that_is_none_leaves_the_networks(service):
    found, complaints = read({**DESCRIPTION, "services": [service]}, NICS)
    assert found["address"] == "10.0.0.2/20" and found["dns"] == "10.0.0.3"
    assert len(complaints) == 1


def test_what_is_missing_is_named():
    _, complaints = read({**DESCRIPTION, "networks": [{"type": "ipv4", "link": "tap0"}]}, NICS)
    assert complaints == ["a network: KeyError('ip_address')"]


def test_a_link_of_nobody():
    description = {**DESCRIPTION, "links": [{**LINKS[0], "ethernet_mac_address": "0:1"}, LINKS[1]]}
    found, complaints = read(description, NICS)
    assert "address" not in found and "no device has its mac 0:1" in complaints[0]


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
)


@given(st.dictionaries(st.sampled_from(["links", "networks", "services"]), JSON))
def test_no_description_raises(description):
    read(description, NICS)


@given(st.data())
def test_no_damage_raises_and_all_that_is_found_is_sound(data):
    description = copy.deepcopy(DESCRIPTION)
    for _ in range(data.draw(st.integers(1, 3))):
        where = description
        while isinstance(where, (dict, list)) and where:
            key = data.draw(
                st.sampled_from(sorted(where) if isinstance(where, dict) else range(len(where)))
            )
            if not isinstance(where[key], (dict, list)) or data.draw(st.booleans()):
                where[key] = data.draw(JSON)
                break
            where = where[key]
    found, _ = read(json.loads(json.dumps(description)), NICS)
    for name, value in found.items():
        check(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("address", "10.0.0.2"),
        ("address", "10.0.0.2/33"),
        ("address", "2001:db8::2/64"),
        ("address", True),
        ("eth1.address", "x"),
        ("address6", "2001:db8::2/64,10.0.0.2/24"),
        ("gateway", "::1"),
        ("gateway6", "10.0.0.1"),
        ("last-address", "x"),
        ("mtu", "many"),
        ("dns", "10.0.0.1,"),
        ("ntp", "10.0.0.999"),
        ("hostname", "x" * 64),
        ("hostname", ""),
        ("hostname", "evil\n[    0.000] ready: x"),
        ("hostname", "a b"),
        ("hostname", "ä"),
        ("secret6", "x"),
        ("secret6", "00"),
        ("syslog", "10.0.0.1"),
        ("syslog", "udp:10.0.0.1:99999"),
        ("syslog", True),
        ("buffers", "many"),
        ("buffers", True),
        ("buffers", "-1"),
        ("buffers", "3"),
        ("eth1.mtu", "67"),
        ("ndots", "-1"),
        ("ntp", True),
        ("search", True),
        ("ndots", "x"),
        ("static-routes", "10.0.0.0/8"),
        ("eth1.static-routes", True),
    ],
)
def test_settings_that_the_stack_would_stop_at(name, value):
    with pytest.raises(ValueError):
        check(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("address", "10.0.0.2/24"),
        ("eth1.address6", "2001:db8::2/64,2001:db8::3/64"),
        ("gateway6", "fe80::1"),
        ("dns", "10.0.0.1,::1"),
        ("ntp", "10.0.0.1,time.example"),
        ("mtu", "1400"),
        ("hostname", "ns1"),
        ("hostname", "ns-1.example.org"),
        ("secret6", "0f" * 16),
        ("syslog", "udp:10.0.0.1:514"),
        ("buffers", "64"),
        ("quiet", True),
        ("anything", "else"),
        ("static-routes", []),
    ],
)
def test_settings_that_are_fine(name, value):
    check(name, value)


def test_an_endless_mtu_is_a_network_that_is_not_understood():
    links = [dict(LINKS[0], mtu=float("inf"))]
    found, complaints = read({"links": links, "networks": [FOUR]}, NICS)
    assert found == {} and len(complaints) == 1
