"""The machine against NSD: the same zones, the same queries, the same answers."""

import pytest

from tests.dns import nsd, zones
from tests.dns.compare import Remote, differences, queries
from tests.support import vm
from tests.vm.conftest import ADDRESS, dig, static

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


def test_rfc7766_rfc5936_the_machine_answers_over_tcp_and_gives_its_zone(image, network):
    folder = image("dns")
    with vm.Machine(
        folder / "dns.elf", nic=network.tap, command_line=f"{static()} axfr=10.0.0.0/24"
    ) as guest:
        guest.wait_for("by settings")
        assert dig(network, "+tcp", "host42.bench.example") == ["10.0.0.43"]
        names = [f"host{n}.bench.example" for n in range(100)]
        answers = dig(network, "+tcp", "+keepopen", *names)
        assert answers == [f"10.0.0.{n + 1}" for n in range(100)]
        for _ in range(3):
            done = network.namespace.run("dig", f"@{ADDRESS}", "bench.example", "AXFR")
            assert "XFR size: 10004 records" in done.stdout
        assert not guest.ended


def test_without_tcp_and_ip6_the_image_is_small_and_answers(image, network):
    folder = image("dns", "--set", "protocols=udp4")
    report = (folder / "report.json").read_text()
    assert "net.tcp" not in report
    assert "net.ip6" not in report
    with vm.Machine(folder / "dns.elf", nic=network.tap, command_line=static()) as guest:
        guest.wait_for("by settings")
        assert dig(network, "host42.bench.example") == ["10.0.0.43"]
        words = ("dig", f"@{ADDRESS}", "+tcp", "+tries=1", "host42.bench.example")
        assert "invalid protocol" in network.namespace.run(*words, check=False).stdout
        assert not guest.ended
