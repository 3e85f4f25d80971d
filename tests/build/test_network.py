"""tools/network.py: settings refused on the host, and QEMU's network around a static address."""

import pytest

from runtime.log import LEVELS
from runtime.settings import Settings
from tools import network, qemu
from tools.errors import UserError


@pytest.mark.parametrize(
    "line, words, guest",
    [
        ("", "", ""),
        (
            "address=10.0.0.2/24",
            "net=10.0.0.0/24,host=10.0.0.1,dns=10.0.0.3,dhcpstart=10.0.0.4",
            "10.0.0.2",
        ),
        (
            "address=10.0.0.1/24",
            "net=10.0.0.0/24,host=10.0.0.2,dns=10.0.0.3,dhcpstart=10.0.0.4",
            "10.0.0.1",
        ),
        (
            "address=10.0.2.15/24 gateway=10.0.2.2 dns=10.0.2.3",
            "net=10.0.2.0/24,host=10.0.2.2,dns=10.0.2.3,dhcpstart=10.0.2.1",
            "10.0.2.15",
        ),
        (
            "address=192.168.1.6/29 gateway=10.0.0.1 dns=9.9.9.9,192.168.1.1",
            "net=192.168.1.0/29,host=192.168.1.1,dns=192.168.1.2,dhcpstart=192.168.1.3",
            "192.168.1.6",
        ),
        (
            "address=10.0.0.2/8 gateway=10.0.0.2",
            "net=10.0.0.0/8,host=10.0.0.1,dns=10.0.0.3,dhcpstart=10.0.0.4",
            "10.0.0.2",
        ),
    ],
)
def test_the_user_network_fits_the_guest(line, words, guest):
    found, address = network.user_network(Settings(line))
    assert (",".join(found), address) == (words, guest)


def test_ports_lead_to_the_static_address():
    forwards = [qemu.Forward("udp", 5307, 7)]
    static = qemu.user_backend(Settings("", {"address": "10.0.0.2/24"}), forwards)
    assert static.endswith(",hostfwd=udp:127.0.0.1:5307-10.0.0.2:7")
    assert qemu.user_backend(Settings(), forwards).endswith(",hostfwd=udp:127.0.0.1:5307-:7")


@pytest.mark.parametrize("address", ["10.0.0.2/32", "10.0.0.2/30", "10.0.0.0/24", "10.0.0.255/24"])
def test_networks_that_qemu_cannot_make(address):
    with pytest.raises(UserError, match=f"^address={address}: "):
        network.user_network(Settings(f"address={address}"))


@pytest.mark.parametrize(
    "line",
    [
        "address=2001:db8::2/64",
        "address6=10.0.0.2/24",
        "address6=2001:db8::2",
        "address6=2001:db8::2/64,",
        "gateway=fe80::1",
        "gateway6=10.0.0.1",
        "secret6=0011",
        "secret6=" + "g" * 32,
        "identifier6=53",
    ],
)
def test_settings_of_ip6_that_cannot_be_meant(line):
    with pytest.raises(UserError, match=r"^--append "):
        network.check(Settings(line).values, "--append")


def test_settings_of_ip6():
    line = "address6=2001:db8::2/64,fd00::2/48 gateway6=fe80::1 dns=2001:db8::53 identifier6=::53"
    network.check(Settings(line + " secret6=" + "0f" * 16).values, "--append")


@pytest.mark.parametrize("value", ["abc", "-1", "1e3", "٣", "9" * 10])
def test_numbers_of_the_system(value):
    with pytest.raises(UserError, match=r"watchdog=.*: expected a whole number"):
        network.check({"watchdog": value}, "setting", network.OTHERS)
    network.check({"watchdog": "30", "log": "debug"}, "setting", network.OTHERS)


def test_levels_of_the_log_are_those_of_the_machine():
    for level in LEVELS:
        network.OTHERS["log"](level)
    with pytest.raises(ValueError):
        network.OTHERS["log"]("loud")
