"""Clients that mean no good, against http on each host; afterwards it serves as before."""

import socket
import subprocess
import time

import pytest

from tests.services.conftest import on
from tests.support.tools import tool

pytestmark = pytest.mark.timeout(180)

GOOD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
# What is refused with which status; GOOD behind it must not be answered.
REFUSED = {
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200): 400,
    b"GET / HTTP/1.1\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n": 400,
    b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n": 400,
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n": 505,
    b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n": 501,
    b"GET /" + b"a" * 6000 + b" HTTP/1.1\r\nHost: x\r\n\r\n": 414,
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100 + b"\r\n": 431,
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20000 + b"\r\n\r\n": 431,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nG": 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab": 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1 \n\na\r\n0\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n": 413,
    b"POST / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 1\r\n\r\n": 417,
}


def read_all(client):
    data = b""
    try:
        while piece := client.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def serves(running):
    with running.connect(80) as client:
        client.sendall(GOOD)
        return client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_what_is_refused(hosted):
    running = hosted("http", "tcp:80")
    for data, status in REFUSED.items():
        with running.connect(80) as client:
            client.sendall(data)
            client.sendall(GOOD)
            answer = read_all(client)
            assert answer.startswith(b"HTTP/1.1 %d " % status), (data[:60], answer[:60])
            assert answer.count(b"HTTP/1.1 ") == 1, data[:60]
    assert serves(running)


def test_one_byte_at_a_time(hosted):
    running = hosted("http", "tcp:80")
    with running.connect(80) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GOOD + GOOD[:-2]:
            client.send(bytes([byte]))
            time.sleep(0.002)
        client.shutdown(1)
        assert read_all(client).count(b"HTTP/1.1 200 OK\r\n") == 1


def test_a_thousand_requests_in_a_row(hosted):
    running = hosted("http", "tcp:80")
    with running.connect(80, timeout=60) as client:
        client.sendall(GOOD * 999 + GOOD[:-2] + b"Connection: close\r\n\r\n")
        time.sleep(0.3)  # it does not get rid of its answers
        assert read_all(client).count(b"HTTP/1.1 200 OK\r\n") == 1000
    assert serves(running)


def test_connections_that_say_nothing_or_vanish(hosted):
    running = hosted("http", "tcp:80")
    silent = [running.connect(80) for _ in range(100)]
    for n, client in enumerate(silent):
        if n % 2:
            client.send(GOOD[: n % len(GOOD)])
    assert serves(running)
    for n, client in enumerate(silent):
        if n % 3 == 0:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    assert serves(running)


@on("kernel-micropython", "machine")
def test_slow_heads_are_ended(hosted):
    running = hosted("http", "tcp:80")
    with running.connect(80, timeout=30) as client:
        start = time.monotonic()
        for byte in GOOD[:-2] + b"X: " + b"y" * 100:
            try:
                client.send(bytes([byte]))
            except OSError:
                break
            time.sleep(0.5)
            if time.monotonic() - start > 20:
                break
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 408 ") or not answer
        assert time.monotonic() - start < 20
    assert serves(running)


@on("kernel-micropython", "tap-micropython", "machine")
def test_under_load_while_others_are_hostile(hosted):
    running = hosted("http", "tcp:80")
    with subprocess.Popen(
        [tool("wrk"), "-t1", "-c10", "-d4", running.url()], stdout=subprocess.PIPE, text=True
    ) as load:
        for data in REFUSED:
            with running.connect(80) as client:
                client.sendall(data)
                client.sendall(b"x" * 10_000)
        output = load.communicate()[0]
    assert "Non-2xx" not in output and "Socket errors" not in output, output
