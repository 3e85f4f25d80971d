"""The name server on a TAP device, asked by dig: on the host's interpreters, without a machine."""

import socket

import dns.message
import pytest

from tests.support import images
from tests.tap import test_ip6
from tests.tap.conftest import OURS, STATIC
from tools.zone.compile import compile_zone


@pytest.fixture(scope="session")
def zone(tmp_path_factory):
    """What the build makes of the benchmark's zone: a module `image` with the table."""
    folder = tmp_path_factory.mktemp("image")
    table = compile_zone(images.ROOT / "services" / "zones" / "bench.zone")
    (folder / "image.py").write_text(f"SETTINGS = {{'protocols': 'all'}}\nzone = {table!r}\n")
    return folder


def dig(station, *words):
    done = station.namespace.run("dig", f"@{OURS}", "+timeout=2", *words)
    return done.stdout


def test_dig(station, zone):
    station.start(*STATIC, service="services.dns", path=[zone])
    assert dig(station, "+short", "host42.bench.example", "A") == "10.0.0.43\n"
    assert dig(station, "+short", "HOST9999.Bench.Example", "A") == "10.0.39.16\n"
    assert "status: NXDOMAIN" in dig(station, "nobody.bench.example", "A")
    assert "status: REFUSED" in dig(station, "elsewhere.example", "A")
    soa = dig(station, "bench.example", "SOA")
    assert "status: NOERROR" in soa and "flags: qr aa" in soa


def test_rfc7766_dig_over_tcp(station, zone):
    station.start(*STATIC, service="services.dns", path=[zone])
    assert dig(station, "+tcp", "+short", "host42.bench.example", "A") == "10.0.0.43\n"
    # Several queries on one connection.
    names = [f"host{n}.bench.example" for n in range(20)]
    answers = dig(station, "+tcp", "+keepopen", "+short", *names).split()
    assert answers == [f"10.0.0.{n + 1}" for n in range(20)]


def test_rfc7766_thousands_of_queries_before_the_first_answer_is_read(station, zone):
    station.start(*STATIC, service="services.dns", path=[zone])
    names = [f"host{n}.bench.example" for n in range(3000)]
    wires = [dns.message.make_query(name, "A").to_wire() for name in names]
    client = station.namespace.socket(kind=socket.SOCK_STREAM)
    client.connect((OURS, 53))
    client.sendall(b"".join(len(wire).to_bytes(2, "big") + wire for wire in wires))
    stream = client.makefile("rb")
    for number, wire in enumerate(wires):
        answer = stream.read(int.from_bytes(stream.read(2), "big"))
        assert answer[:2] == wire[:2]
        expected = 0x0A000001 + number
        assert answer[-4:] == expected.to_bytes(4, "big")


def test_rfc5936_dig_transfers_the_zone(station, zone):
    station.start(*STATIC, "axfr=10.0.0.0/8", service="services.dns", path=[zone])
    text = dig(station, "+noall", "+answer", "bench.example", "AXFR")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith(";")]
    source = (images.ROOT / "services" / "zones" / "bench.zone").read_text()
    assert len(lines) == 10_000 + 4
    assert lines[0][3] == lines[-1][3] == "SOA"
    assert ["host9999.bench.example.", "10.0.39.16"] in [[line[0], line[4]] for line in lines]
    assert source.count("\n") > 10_000


def test_rfc5936_no_zone_for_strangers(station, zone):
    station.start(*STATIC, "axfr=192.0.2.0/24", service="services.dns", path=[zone])
    assert "Transfer failed" in dig(station, "bench.example", "AXFR")


def test_both_families_and_both_transports(station, zone):
    six = test_ip6.Six(station).make_tap()
    station.start(*STATIC, *test_ip6.STATIC, service="services.dns", path=[zone])
    for server in (OURS, test_ip6.OURS):
        for transport in ("+notcp", "+tcp"):
            words = (f"@{server}", "+timeout=2", "+short", transport, "host42.bench.example")
            assert six.namespace.run("dig", *words).stdout == "10.0.0.43\n"
