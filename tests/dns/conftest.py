import pytest

from tests.dns import zones
from tools.zone.compile import compile_zone


@pytest.fixture(scope="session", params=["bench", "rich"])
def zone(request, tmp_path_factory):
    """A zone, with the table compiled from it."""
    zone = zones.make(request.param, tmp_path_factory.mktemp(request.param))
    zone.table = compile_zone(zone.path)
    return zone
