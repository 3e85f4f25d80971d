"""nmap against the machine: its scans see what is there, and what nmap -O sees is pinned."""

import re

import pytest

from tests.support import images
from tests.support.target import ADDRESS, ADDRESS6, SERVICE, Target

pytestmark = pytest.mark.timeout(600)  # the first one builds the image

OPEN = {7, 9, 19, 80, 5201}

# What nmap -O calls them: https://nmap.org/book/osdetect-methods.html.  A change of it is a change
# that every peer sees: options and their order, windows, what is answered and what is not.
OPTIONS = "M5B4ST11NW3"
SYN_ACK = {"R": "Y", "DF": "Y", "T": "40", "S": "O", "A": "S+", "F": "AS", "RD": "0", "Q": ""}
RESET = {"R": "Y", "DF": "Y", "T": "40", "W": "0", "O": "", "RD": "0", "Q": "", "F": "R"}
TO_ACK = {**RESET, "S": "A", "A": "Z"}
TO_OTHERS = {**RESET, "S": "Z", "A": "S+", "F": "AR"}
FINGERPRINT = {
    "OPS": {**{f"O{n}": OPTIONS for n in (1, 2, 4, 5)}, "O3": "M5B4NNT11NW3", "O6": "M5B4ST11"},
    "WIN": {f"W{n}": "FFFF" for n in range(1, 7)},
    "ECN": {"R": "Y", "DF": "Y", "T": "40", "W": "FFFF", "O": "M5B4NNSNW3", "CC": "Y", "Q": ""},
    "T1": SYN_ACK,
    "T2": {"R": "N"},
    "T3": {**SYN_ACK, "W": "FFFF", "O": OPTIONS},
    "T4": TO_ACK,
    "T5": TO_OTHERS,
    "T6": TO_ACK,
    "T7": TO_OTHERS,
    "U1": {"R": "Y", "DF": "N", "T": "40", "IPL": "164", "UN": "0", "RIPL": "G", "RID": "G",
           "RIPCK": "G", "RUCK": "G", "RUD": "G"},
    "IE": {"R": "Y", "DFI": "N", "T": "40", "CD": "S"},
}  # fmt: skip


@pytest.fixture
def target():
    with Target(images.build(SERVICE) / "target.elf") as made:
        yield made


def scan(target, kind, ports, address=ADDRESS, *more):
    """{port: state} of the ports that are not like most, and what most are."""
    words = ["-n", "-Pn", f"-s{kind}", "-p", ports, "--max-retries", 3, *more, address]
    if ":" in address:
        words.insert(0, "-6")
    output = target.namespace.run("nmap", *words, timeout=300).stdout
    found = {int(port): state for port, state in re.findall(r"^(\d+)/\w+ +(\S+)", output, re.M)}
    rest = re.findall(r"(\d+) ([a-z|]+) \w+ ports", output)
    return found, rest


@pytest.mark.parametrize(
    "kind, opened, others",
    [
        ("S", "open", "closed"),
        ("T", "open", "closed"),
        # RFC 9293 3.10.7.2: an open port is silent, a closed one resets.
        ("F", "open|filtered", "closed"),
        ("X", "open|filtered", "closed"),
        ("N", "open|filtered", "closed"),
        # Both answer with a reset, and nothing in it tells which is which.
        ("A", None, "unfiltered"),
        ("W", None, "closed"),
        ("M", None, "closed"),
    ],
)
def test_a_scan_sees_what_is_there(target, kind, opened, others):
    before = target.look()
    found, rest = scan(target, kind, "1-1000")
    assert found == ({port: opened for port in OPEN if port <= 1000} if opened else {})
    assert rest == [(str(1000 - len(found)), others)]
    after = target.rests(before)
    grown = target.grown(before, after)
    assert grown["tcp.resets_sent"] >= 1000 - len(found)
    target.serves()


@pytest.mark.stress
def test_a_scan_of_all_ports(target):
    before = target.look()
    found, rest = scan(target, "S", "-")
    assert found == dict.fromkeys(OPEN, "open")
    assert rest == [(str(65535 - len(OPEN)), "closed")]
    target.rests(before)
    target.serves()


def test_a_scan_over_ip6(target):
    before = target.look()
    found, rest = scan(target, "S", "1-1000", ADDRESS6)
    assert found == {port: "open" for port in OPEN if port <= 1000}
    assert rest == [("996", "closed")]
    target.rests(before)
    target.serves(ADDRESS6)


def test_a_scan_of_datagrams(target):
    """A closed port says so, as often as the limit of errors allows."""
    before = target.look()
    found, _ = scan(target, "U", "7,8,9,53,99,123")
    closed = dict.fromkeys((8, 9, 53, 123), "closed")
    assert found == {7: "open", 99: "open", **closed}
    grown = target.grown(before)
    assert grown["udp.port"] >= 4
    assert grown["icmp.errors_sent"] == grown["udp.port"]


def test_rfc1812_4_3_2_8_errors_have_a_limit_in_a_scan_of_datagrams(target):
    before = target.look()
    scan(target, "U", "1000-2999", ADDRESS, "--min-rate", 2000, "--max-retries", 0)
    grown = target.grown(before)
    assert grown["udp.port"] >= 1000
    # 100 a second and a burst of 20, and the scan takes a few seconds at most.
    assert grown["icmp.errors_sent"] <= 700 < grown["udp.port"]
    assert grown["icmp.limited"] == grown["udp.port"] - grown["icmp.errors_sent"]
    target.serves()


@pytest.mark.stress
def test_version_detection_talks_to_every_port(target):
    """nmap -sV says hello in many protocols."""
    before = target.look()
    words = ["-n", "-Pn", "-sV", "--version-intensity", 2, "-p", "7,80", ADDRESS]
    output = target.namespace.run("nmap", *words, timeout=100).stdout
    assert re.search(r"^7/tcp +open +echo", output, re.M), output
    assert re.search(r"^80/tcp +open +http", output, re.M), output
    target.rests(before, but=("time_wait",), heap=300_000)
    target.serves()


def fingerprint(output):
    text = "".join(re.findall(r"^OS:(.*)$", output, re.M))
    return {
        name: dict(field.split("=", 1) for field in fields.split("%"))
        for name, fields in re.findall(r"(\w+)\(([^)]*)\)", text)
    }


def test_fingerprint(target):
    words = ["-n", "-Pn", "-O", "-d", "--max-os-tries", 1, "-p", "80,81", ADDRESS]
    output = target.namespace.run("nmap", *words, timeout=100).stdout
    seen = fingerprint(output)
    sequence = seen["SEQ"]
    assert {name: seen[name] for name in FINGERPRINT} == FINGERPRINT, output
    # RFC 6528: no number is guessed from others (for nmap, from 250 on it is "good luck").
    assert int(sequence["SP"], 16) > 230 and sequence["GCD"] == "1"
    # RFC 6864 4.1: what is not fragmented needs no identification; a counter would let others
    # scan through us (nmap -sI), or count what we send.
    assert (sequence["TI"], sequence["CI"]) == ("Z", "Z")
    target.serves()
