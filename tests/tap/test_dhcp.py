"""The DHCP client against dnsmasq: a lease, its options, its renewal, its end."""

import subprocess
import time

from tests.tap.conftest import KERNEL, OURS

RANGE = f"--dhcp-range={OURS},{OURS},255.255.255.0,2m"


def serve(station, *options):
    """Start dnsmasq in the station's namespace; what it says goes to its standard error."""
    words = ["--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0", "--log-dhcp"]
    words += ["--interface=tap0", "--bind-interfaces", "--no-ping", "--leasefile-ro"]
    server = station.namespace.start("dnsmasq", *words, *options, stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        if "started" in line:
            return server
    raise AssertionError("dnsmasq did not start")


def log_until(server, text):
    """dnsmasq's lines up to one that contains a text."""
    lines = []
    for line in server.stderr:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def test_lease(station):
    station.make_tap()
    server = serve(station, RANGE)
    station.start()
    station.process.wait_for(f"eth0: {OURS}/24, gateway {KERNEL}, mtu 1500, by DHCP")
    assert "DHCPACK(tap0) 10.0.0.2" in log_until(server, "DHCPACK")
    assert " 0% packet loss" in station.namespace.run("ping", "-c", 1, OURS).stdout


def test_server_that_comes_later_is_found(station):
    station.start()
    time.sleep(1)
    serve(station, RANGE)
    station.process.wait_for("by DHCP", timeout=30)


def test_option_26_sets_the_mtu(station):
    station.make_tap()
    serve(station, RANGE, "--dhcp-option-force=26,1400")
    station.start()
    station.process.wait_for("mtu 1400, by DHCP")
    # Be neighbours first: of two fragments to a stranger only the last would wait for ARP.
    station.namespace.run("ping", "-c", 1, OURS)
    done = station.namespace.run("ping", "-c", 1, "-s", 1400, OURS)
    assert " 0% packet loss" in done.stdout
    # Our answer is longer than 1400: it came in two fragments.
    assert "'ip4.fragmented': 1" in station.ask("counters")


def test_option_121_gives_classless_routes(station):
    """RFC 3442: a route to 10.9.0.0/16 by 10.0.0.77, and option 3 is ignored."""
    station.make_tap()
    namespace = station.namespace
    serve(
        station,
        RANGE,
        f"--dhcp-option=3,{KERNEL}",
        "--dhcp-option-force=121,10.9.0.0/16,10.0.0.77",
    )
    namespace.run("ip", "address", "add", "10.0.0.77/24", "dev", "tap0")
    namespace.run("ip", "address", "add", "10.9.1.1/32", "dev", "lo")
    station.start()
    station.process.wait_for("gateway none")
    # What we send to 10.9.1.1 asks ARP for the gateway of that route.
    assert station.ask("send 10.9.1.1 4444") == "sent"
    station.process.wait_for("unreachable 10.9.1.1 4444 3 3")


def test_rfc2131_4_4_5_lease_is_renewed_at_t1(station):
    station.make_tap()
    server = serve(station, RANGE, "--dhcp-option-force=58,2", "--dhcp-option-force=59,4")
    station.start()
    station.process.wait_for("by DHCP")
    log_until(server, "DHCPACK")
    # dnsmasq makes T1 one second less than T2.  A renewal is a request without a discovery.
    before = time.monotonic()
    assert "DHCPDISCOVER" not in log_until(server, "DHCPACK")
    assert time.monotonic() - before < 3.9, "only rebound, at T2"
    assert " 0% packet loss" in station.namespace.run("ping", "-c", 1, OURS).stdout


def test_rfc2131_nak_begins_anew(station):
    """The server forgets us and has another address to give: NAK, and then that address."""
    station.make_tap()
    server = serve(station, RANGE, "--dhcp-option-force=58,2", "--dhcp-option-force=59,4")
    station.start()
    station.process.wait_for("by DHCP")
    server.kill()
    server.wait()
    serve(
        station,
        "--dhcp-range=10.0.0.50,10.0.0.50,255.255.255.0,2m",
        "--dhcp-authoritative",
        "--dhcp-option-force=58,60",
    )
    station.process.wait_for("eth0: 10.0.0.50/24", timeout=30)
