"""Connections that come and go: heap flat, nothing left in any table."""

import os
import socket
import struct
import time

import pytest

from tests.support import images
from tests.support.target import ADDRESS, MAC, SERVICE, Target

pytestmark = pytest.mark.timeout(4 * 3600)  # the first one builds the image

REQUEST = b"GET /style.css HTTP/1.1\r\nHost: x\r\n\r\n"
RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def target():
    with Target(images.build(SERVICE) / "target.elf") as made:
        made.namespace.neighbour(ADDRESS, MAC)
        made.namespace.run("sysctl", "-qw", "net.ipv4.tcp_max_tw_buckets=99", check=False)
        yield made


def come_and_go(count, first=0):
    """Each ends in its own way: an end at once, an end after the answer, a reset, silence."""
    for number in range(first, first + count):
        way = number & 3
        with socket.socket() as client:
            client.settimeout(20)
            client.connect((ADDRESS, 80 if way < 3 else 7))
            if way < 3:
                client.sendall(REQUEST)
                assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
            if way == 1:
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            elif way == 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def churn(target, count, step):
    inside = target.namespace.inside
    inside(come_and_go, 200)
    before = target.rests(target.look(), heap=10**9)
    start = time.monotonic()
    for done in range(0, count, step):
        inside(come_and_go, step, done)
        look = target.rests(before, within=75)
        seconds = time.monotonic() - start
        print(f"{done + step} connections in {seconds:.0f} s, heap {look.heap - before.heap:+}",
              flush=True)  # fmt: skip
        # To the byte it is not: what a collection finds varies with what lies on the stack.
        assert abs(look.heap - before.heap) < 8_000
    assert target.grown(before)["tcp.accepted"] >= count
    target.serves()


def test_connections_come_and_go(target):
    churn(target, 4_000, 2_000)


@pytest.mark.stress
def test_a_million_connections_come_and_go(target):
    """CHURN=100000 for fewer."""
    churn(target, int(os.environ.get("CHURN", "1000000")), 10_000)
