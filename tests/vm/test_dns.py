"""The machine against NSD: the same zones, the same queries, the same answers."""

import pytest

from tests.dns import nsd, zones
from tests.dns.compare import Remote, differences, queries
from tests.support import vm

pytestmark = pytest.mark.timeout(600)  # the first one builds the image


@pytest.mark.parametrize("name", ["bench", "rich"])
def test_nsd_gives_the_same_answers_as_the_machine(image, tmp_path, name):
    """1,000 random queries and 200 hostile ones, through QEMU's user-mode network."""
    zone = zones.make(name, tmp_path)
    folder = image("dns", "--set", f"zone={zone.path}")
    port = vm.free_port()
    with (
        nsd.serve(tmp_path, {zone.origin: zone.path}) as place,
        vm.Machine(folder / "dns.elf", nic=vm.Slirp({port: 53})) as guest,
    ):
        guest.wait_for("by DHCP")
        wires = queries(zone, 1000, seed=7)
        found = differences(wires, Remote("127.0.0.1", port), Remote(*place))
        assert len(wires) == 1200
        assert not found, "\n".join(found)
        assert not guest.ended
