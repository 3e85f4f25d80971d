"""The Ethernet and two hosts, brought up once."""

import pytest

from tests.libvirt.host import Lan


@pytest.fixture(scope="session")
def lan():
    with Lan() as lan:
        yield lan


@pytest.fixture(scope="session")
def host(lan):
    with lan.host("a") as host:
        yield host


@pytest.fixture(scope="session")
def other(lan):
    with lan.host("b") as host:
        yield host
