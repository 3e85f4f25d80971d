"""Clouds for the tests: each is brought up once for all tests of a rung."""

import pytest

from tests.openstack.cloud import Cloud, OpenStack


@pytest.fixture(scope="session")
def glance():
    """Keystone and Glance."""
    with Cloud() as cloud:
        yield cloud


@pytest.fixture(scope="session")
def openstack():
    """All of it."""
    with OpenStack() as cloud:
        yield cloud
