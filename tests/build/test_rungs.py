"""Which Debian packages a run of the tests asks for: those of a whole cloud only by name."""

import pytest

from tools import testing


@pytest.mark.parametrize(
    "arguments, cloud",
    [
        ([], {"python3-glance"}),
        (["unit"], set()),
        (["lint", "glance"], {"python3-glance"}),
        (["openstack"], {"python3-glance", "python3-nova"}),
        (["tests/openstack/test_openstack.py"], {"python3-glance", "python3-nova"}),
        (["tests/net/test_udp.py", "-k", "port"], set()),
    ],
)
def test_large_packages_come_with_their_rung(arguments, cloud):
    needed = testing.packages(arguments)
    assert cloud == {"python3-glance", "python3-nova"} & set(needed)
    assert set(testing.PACKAGES) <= set(needed)


def test_what_must_be_named_is_not_in_a_run_without_names():
    assert not set(testing.NAMED) & set(testing.DEFAULT)
    assert set(testing.NAMED) | set(testing.DEFAULT) == set(testing.RUNGS)
    assert set(testing.ALONE) <= set(testing.RUNGS)
