"""hping3's floods of SYNs from random addresses: others do not notice."""

import statistics
import subprocess
import time

import pytest

from tests.support import images
from tests.support.target import ADDRESS, MAC, SERVICE, Target

pytestmark = pytest.mark.timeout(1200)  # the first one builds the image

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SYNS = ["-S", "-p", "80", "--rand-source"]
BACKLOG = 128


@pytest.fixture
def target():
    with Target(images.build(SERVICE) / "target.elf") as made:
        made.namespace.neighbour(ADDRESS, MAC)
        made.namespace.neighbour("10.0.0.9", MAC)
        yield made


class Flood:
    def __init__(self, target, *words, to=ADDRESS):
        words = ["hping3", "-q", *words, to]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.child = target.namespace.start(*words, **quiet)

    def __enter__(self):
        time.sleep(0.3)

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def bulk(client, seconds):
    """Bytes a second of a connection to chargen."""
    end = time.monotonic() + seconds
    got = 0
    while time.monotonic() < end:
        got += len(client.recv(1 << 20))
    return got / seconds


def visit(target):
    """Seconds that a new connection to the port under attack takes, with its answer."""
    start = time.monotonic()
    with target.connect(80) as client:
        client.sendall(REQUEST)
        data = b""
        while piece := client.recv(65536):
            data += piece
    assert data.startswith(b"HTTP/1.1 200 OK")
    return time.monotonic() - start


def compare(target, client, rate, pairs=8, seconds=0.4):
    """Medians of what a bulk connection gets beside a flood at another address, and at ours.

    Medians of floods that alternate: when the host has other things to do, both suffer.
    """
    elsewhere, flooded = [], []
    for _ in range(pairs):
        with Flood(target, *SYNS, *rate, to="10.0.0.9"):
            elsewhere.append(bulk(client, seconds))
        with Flood(target, *SYNS, *rate):
            flooded.append(bulk(client, seconds))
    ratio = statistics.median(flooded) / statistics.median(elsewhere)
    print(f"{' '.join(rate)}: bulk {ratio:.2f} of what it is beside a flood at another address")
    return ratio


def test_connections_go_on_and_new_ones_get_in(target):
    """5,000 SYNs a second, compared with as many frames that are somebody else's."""
    before = target.look()
    rate = ["-i", "u200"]
    with target.connect(19) as client:
        bulk(client, 0.5)
        assert compare(target, client, rate) > 2 / 5
        with Flood(target, *SYNS, *rate):
            times = sorted([visit(target) for _ in range(25)])
    print(f"new connections {1000 * times[12]:.1f} ms, at most {1000 * times[-1]:.1f} ms")
    assert times[12] < 0.5
    after = target.rests(before, but=("half_open", "time_wait"), heap=200_000)
    assert after.tables["half_open"] <= BACKLOG
    grown = target.grown(before, after)
    assert grown["tcp.cookies_sent"] == grown["tcp.no_half_open"] > 1000
    assert grown["tcp.cookies_accepted"] >= 10
    # Cookies cost no memory: as much again, and the heap is the same.
    with Flood(target, *SYNS, *rate):
        time.sleep(2)
    target.rests(after, but=("half_open", "time_wait"))
    target.serves()


def test_connections_go_on_when_there_are_more_syns_than_can_be_answered(target):
    """20,000 a second, or what hping3 makes of that: SYN-ACKs do not take all packets and time."""
    with target.connect(19) as client:
        bulk(client, 0.5)
        assert compare(target, client, ["-i", "u50"]) > 1 / 4
    target.serves()


def test_a_flood_without_limit_is_survived(target):
    """As fast as the host can; most are lost in front of the machine, good ones among them."""
    with Flood(target, *SYNS, "--flood"):
        time.sleep(3)
    before = target.look()
    assert before.counters["tcp.cookies_sent"] > 1000
    assert visit(target) < 5
    with Flood(target, *SYNS, "--flood"):
        time.sleep(3)
    target.rests(before, but=("half_open", "time_wait"))
    target.serves()


@pytest.mark.stress
def test_a_long_flood_leaves_nothing_behind(target):
    before = target.look()
    with target.connect(19, 60) as client, Flood(target, *SYNS, "-i", "u500"):
        for _ in range(60):
            assert bulk(client, 5) > 0
            assert visit(target) < 5
    target.rests(before, within=200, heap=200_000)
    target.serves()
