"""The attacks of thc-ipv6 against our stack: nothing falls over, every table finds an end, and it
still answers.

Each test has a namespace of its own; nothing leaves it.
"""

import ast
import re
import time

import pytest

from tests.tap.conftest import Station
from tests.tap.test_ip6 import OURS, STATIC, Six
from tools.host import interpreters

# What implementation6 gets an answer to (PASSED), or a parameter problem of a code.  All else is
# dropped in silence, as the RFCs want it, or as config.py bounds it.
ANSWERED = {0, 1, 5, 7, 11, 12, 18, 22, 24, 25, 26, 27, 39, 41, 43, 44, 45, 46, 56, 58}
PROBLEMS = {
    3: "4:1",  # hop-by-hop options that do not come first
    4: "4:1",
    14: "4:1",
    15: "4:1",
    19: "4:0",  # routing headers that are not done (RFC 5095)
    20: "4:0",
    21: "4:0",
    23: "4:0",
    30: "4:2",  # a home address option: mobility
    32: "4:1",  # AH, ESP
    35: "4:1",
    37: "4:0",
    38: "4:0",
    47: "4:2",  # jumbograms
    49: "4:2",
    50: "4:2",
}


@pytest.fixture
def six():
    """On MicroPython, with so little memory that whatever grows without bounds ends it."""
    station = Station(interpreters.command("micropython", heap="4m"))
    yield Six(station)
    if station.process:
        print("\n".join(station.process.lines))
    station.close()


def settled(six, *words):
    six.start(*(words or STATIC))
    six.station.process.wait_for(f"{OURS}/64" if not words else "/64")
    return six


def alive(six, address=OURS):
    """It still runs, and answers as soon as it has come to the end of what waited."""
    assert six.station.process.child.poll() is None
    six.station.wait_until(lambda: six.ping(address, 56, 1)[0] == 1)
    received, output = six.ping(address)
    assert received == 3, output
    assert six.ask("addresses", address)


@pytest.mark.timeout(300)
def test_implementation6(six):
    settled(six)
    done = six.namespace.run("atk6-implementation6", "tap0", OURS, check=False, timeout=280)
    results = re.findall(r"^Test +(\d+): .*?(PASSED|FAILED - error reply \[(\d:\d)\]|FAILED)",
                         done.stdout, re.M)  # fmt: skip
    assert len(results) == 59, done.stdout
    assert {int(number) for number, result, _ in results if result == "PASSED"} == ANSWERED
    assert {int(number): why for number, _, why in results if why} == PROBLEMS
    alive(six)


FLOODS = [
    ["atk6-flood_router6", "tap0"],
    ["atk6-flood_router26", "tap0"],
    ["atk6-flood_advertise6", "tap0"],
    ["atk6-flood_advertise6", "tap0", OURS],
    ["atk6-flood_solicitate6", "tap0"],
    ["atk6-flood_solicitate6", "tap0", OURS],
    ["atk6-flood_mld6", "tap0"],
    ["atk6-flood_mld26", "tap0"],
    ["atk6-flood_mldrouter6", "tap0"],
    ["atk6-flood_redir6", "tap0", OURS],
    ["atk6-flood_unreach6", "tap0", OURS],
    ["atk6-flood_dhcpc6", "tap0"],
    ["atk6-smurf6", "tap0", OURS],
    ["atk6-rsmurf6", "tap0", OURS],
    ["atk6-sendpees6", "tap0", "512", "2001:db8::", OURS],
]


@pytest.mark.parametrize("words", FLOODS, ids=lambda words: "-".join(words).replace("atk6-", ""))
def test_flood(six, words):
    settled(six)
    six.namespace.run("timeout", "-k", 1, 2, *words, check=False)
    time.sleep(0.5)
    alive(six)
    counters = ast.literal_eval(six.ask("counters"))
    assert counters["ip6.paths"] > 0


def test_flood_of_routers_against_a_machine_that_listens_to_them(six):
    """Without static addresses: some are formed, none without end."""
    settled(six, "secret6=000102030405060708090a0b0c0d0e0f")
    line = six.station.process.wait_for("fe80::")
    link_local = line.split()[-1].split("/")[0] + "%tap0"
    six.namespace.run("timeout", "-k", 1, 3, "atk6-flood_router26", "tap0", check=False)
    six.station.wait_until(lambda: six.ping(link_local, 56, 1)[0] == 1)
    assert six.ping(link_local)[0] == 3


def test_dos_new_ip6(six):
    """Whoever says of every new address that it is taken: a static one is given up, no crash."""
    six.make_tap()
    six.namespace.start("atk6-dos-new-ip6", "tap0")
    time.sleep(0.5)
    six.start(*STATIC)
    six.station.process.wait_for(f"{OURS} is used by")
    time.sleep(1)
    assert six.station.process.child.poll() is None


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "words",
    [
        ["atk6-exploit6", "tap0", OURS],
        ["atk6-fragmentation6", "tap0", OURS],
        ["atk6-denial6", "tap0", OURS, "1"],
        ["atk6-denial6", "tap0", OURS, "2"],
        ["atk6-denial6", "tap0", OURS, "3"],
        ["atk6-denial6", "tap0", OURS, "4"],
        ["atk6-denial6", "tap0", OURS, "5"],
        ["atk6-denial6", "tap0", OURS, "6"],
        ["atk6-denial6", "tap0", OURS, "7"],
        ["atk6-randicmp6", "tap0", OURS],
        ["atk6-toobig6", "tap0", OURS, "2001:db8::1", "1280"],
        ["atk6-fuzz_ip6", "-1", "-2", "-4", "-S", "-D", "-H", "-F", "-n", "1", "tap0", OURS],
    ],
    ids=lambda words: "-".join(words).replace("atk6-", ""),
)
def test_attack(six, words):
    settled(six)
    # These come to an end by themselves, the others do not.
    seconds = 60 if words[0] in ("atk6-exploit6", "atk6-fragmentation6") else 4
    six.namespace.run("timeout", "-k", 1, seconds, *words, check=False, timeout=90)
    alive(six)
