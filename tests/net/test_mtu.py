"""The MTU of a link: the nic's, or less if a setting, DHCP or a router says so; never more."""

import pytest

from tests.ip6.test_routers import mtu as option
from tests.support.dhcp_server import Server
from tests.support.station import Station
from tests.support.station6 import Station6


@pytest.mark.parametrize(
    ("nic", "setting", "is_"),
    [
        (1450, None, 1450),
        (1500, 1400, 1400),
        (1450, 1500, 1450),
        (1450, 9000, 1450),
        (1500, 1, 576),
    ],
)
def test_a_setting_only_makes_it_smaller(nic, setting, is_):
    settings = {"mtu": str(setting)} if setting else {}
    assert Station(mtu=nic, more=settings).inet.ip4.mtu == is_


@pytest.mark.parametrize(("setting", "is_"), [(1400, 1400), (9000, 1450), (600, 1280)])
def test_it_is_that_of_ipv6_too_which_needs_1280(setting, is_):
    assert Station6(mtu=1450, more={"mtu": str(setting)}).first.ip6.mtu == is_


@pytest.mark.parametrize(("server", "is_"), [(1400, 1400), (1500, 1450), (1300, 1300)])
def test_option_26_wins_only_downward(server, is_):
    bound = Server(mtu=1450).bind(_26=server.to_bytes(2, "big"))
    assert bound.inet.ip4.mtu == is_


@pytest.mark.parametrize(("server", "is_"), [(1300, 1300), (1500, 1400)])
def test_the_least_of_setting_and_option_26_counts(server, is_):
    bound = Server(mtu=1450, more={"mtu": "1400"}).bind(_26=server.to_bytes(2, "big"))
    assert bound.inet.ip4.mtu == is_


@pytest.mark.parametrize(("router", "is_"), [(1400, 1400), (1500, 1450)])
def test_a_router_wins_only_downward(router, is_):
    station = Station6(mtu=1450)
    station.advertise(option(router))
    assert station.first.ip6.mtu == is_
