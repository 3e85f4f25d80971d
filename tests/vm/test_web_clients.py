"""http in the machine before many clients, and before clients that take their time."""

import re
import subprocess
import time

import pytest

from tests.support import images
from tests.support.target import ADDRESS, ADDRESS6, SERVICE, Target

pytestmark = pytest.mark.timeout(1200)  # the first one builds the image

URL = f"http://{ADDRESS}/"


@pytest.fixture
def target():
    with Target(images.build(SERVICE) / "target.elf") as made:
        yield made


def wrk(target, connections, seconds, *words, url=URL):
    """Requests that were answered; all of them were, and rightly."""
    words = ["-t1", f"-c{connections}", f"-d{seconds}", "--timeout", 30, *words, url]
    output = target.namespace.run("wrk", *words, timeout=seconds + 60).stdout
    assert "Socket errors" not in output and "Non-2xx" not in output, output
    return int(re.search(r"(\d+) requests in", output)[1])


@pytest.mark.parametrize("url", [URL, f"http://[{ADDRESS6}]/"])
def test_a_hundred_connections(target, url):
    before = target.look()
    answered = wrk(target, 100, 2, url=url)
    after = target.look()
    # (Of what was under way at the end, nobody knows.)
    assert 0 <= target.grown(before, after)["http.answers_2xx"] - answered <= 200
    wrk(target, 100, 1, "-H", "Connection: close", url=url)
    target.serves()


def test_a_thousand_connections(target):
    wrk(target, 1000, 3)
    target.serves()


@pytest.mark.stress
def test_connections_of_wrk_leave_nothing_behind(target):
    """Three rounds of all that: after TIME-WAIT and HTTP's patience every table is empty."""
    wrk(target, 1000, 2)
    wrk(target, 100, 4, "-H", "Connection: close")
    before = target.rests(target.look(), within=150, heap=10**9)  # tables have grown
    for _ in range(3):
        wrk(target, 100, 10)
        wrk(target, 1000, 10)
        wrk(target, 100, 10, "-H", "Connection: close")
        target.rests(before, within=200)
        target.serves()


def slow(target, kind, connections, seconds):
    """slowhttptest in one of its ways; others are served at once all the while."""
    before = target.look()
    words = [kind, "-c", connections, "-r", 200, "-i", 2, "-l", seconds, "-p", 5, "-u", URL]
    attack = target.namespace.start("slowhttptest", *words, stdout=subprocess.PIPE)
    served = 0
    while attack.poll() is None:
        with target.connect(80, timeout=2) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        served += 1
        time.sleep(0.2)
    output = attack.stdout.read().decode()
    assert served > seconds and "NO" not in output, output
    # What answers were copied into is kept: 512 KB at most (TCP_CHUNKS).
    after = target.rests(before, within=75, but=("time_wait",), heap=1_000_000)
    return target.grown(before, after), output


def test_slow_heads_are_ended_after_ten_seconds(target):
    """Slowloris."""
    counted, output = slow(target, "-H", 200, 14)
    assert "No open connections left" in output, output
    assert counted["http.slow"] == counted["http.answers_4xx"] == 200


@pytest.mark.stress
def test_slow_bodies_are_ended_after_thirty_seconds(target):
    counted, output = slow(target, "-B", 1000, 45)
    assert "No open connections left" in output, output
    assert counted["http.slow"] == counted["http.answers_4xx"] == 1000


@pytest.mark.stress
def test_slow_readers_do_not_hinder_others(target):
    counted, _ = slow(target, "-X", 1000, 60)
    assert counted["tcp.closed"] >= 1000


def test_curl(target):
    def curl(*words):
        return target.namespace.run("curl", "-sS", "-m", 10, *words).stdout

    page = (images.ROOT / "services" / "site" / "index.html").read_text()
    assert curl(URL, URL, URL, "-w", "%{num_connects}") == page + "1" + (page + "0") * 2
    assert curl("--compressed", URL) == page
    assert curl("-r", "0-4,10-14", URL).count("Content-Range: bytes ") == 2
    assert curl("-r", "-20", URL) == page[-20:]
    assert curl("-I", URL).startswith("HTTP/1.1 200 OK")
    assert curl("-0", URL) == page
    assert curl("-X", "DELETE", URL, "-o", "/dev/null", "-w", "%{http_code}") == "405"
    assert curl("-Z", *[URL] * 20).count("</main>") == 20
    target.rests(target.look(), but=("time_wait",))
