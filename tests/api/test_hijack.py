"""Unmodified CPython programs talk through our stack over TAP; the kernel is the other end."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from tests.support import images
from tests.support.namespace import Namespace
from tools.hijack import RUN
from tools.host import interpreters

pytestmark = pytest.mark.tap
KERNEL, OURS = "10.0.0.1", "10.0.0.2"
PROGRAMS = images.ROOT / "tests" / "api" / "programs"


class Program:
    """A hijacked program; `wait_for` its words."""

    def __init__(self, namespace, name, *arguments):
        descriptor = namespace.tap(address=f"{KERNEL}/24")
        os.set_blocking(descriptor, False)
        command = [sys.executable, "-u", str(RUN), "tap", str(descriptor), "hijack"]
        command += [f"address={OURS}/24", "--", str(PROGRAMS / f"{name}.py"), *arguments]
        self.child = subprocess.Popen(
            command,
            pass_fds=[descriptor],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=interpreters.environment(),
            text=True,
        )
        self.text = ""
        self.news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            with self.news:
                self.text += line
                self.news.notify_all()

    def wait_for(self, text):
        with self.news:
            assert self.news.wait_for(lambda: text in self.text, 20), self.text

    def close(self):
        self.child.kill()
        self.child.wait()


@pytest.fixture
def run():
    made = []
    with Namespace() as namespace:

        def run(name, *arguments):
            made.append(Program(namespace, name, *arguments))
            return made[-1]

        run.namespace = namespace
        yield run
        for program in made:
            program.close()


def connect(namespace, port):
    sock = namespace.socket(kind=socket.SOCK_STREAM)
    sock.connect((OURS, port))
    return sock


def test_datagrams_with_a_selector_and_a_thread(run):
    program = run("datagrams")
    program.wait_for("serving")
    assert "timeout: timed out" in program.text
    sock = run.namespace.socket()
    for word in (b"one", b"two", b"three"):
        sock.sendto(word, (OURS, 7))
        assert sock.recv(100) == word.upper()
    program.wait_for("done")
    assert program.child.wait(10) == 0


def test_a_threading_http_server(run, tmp_path):
    program = run("web_server")
    program.wait_for("serving")
    socks = [connect(run.namespace, 80) for _ in range(3)]
    for number, sock in enumerate(socks):  # all of them at once, each with a thread of its own
        sock.sendall(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    for number, sock in enumerate(socks):
        answer = b""
        while not answer.endswith(b"asked for /%d" % number):
            piece = sock.recv(1000)
            assert piece, answer
            answer += piece
    body = tmp_path / "body"
    body.write_bytes(b"abc" * 50_000)
    done = run.namespace.run("curl", "-s", "--data-binary", f"@{body}", f"http://{OURS}/")
    assert done.stdout == "cba" * 50_000


def test_urllib_against_a_server_of_the_kernel(run):
    server = run.namespace.start(sys.executable, PROGRAMS / "web_server.py", stdout=subprocess.PIPE)
    assert server.stdout.readline() == b"serving\n"
    program = run("web_client", f"http://{KERNEL}")
    assert program.child.wait(30) == 0, program.text
    program.wait_for("ConnectionRefusedError")
    assert program.text.splitlines()[:2] == ["200 you asked for /hello", "200000"]


def test_asyncio_of_cpython(run):
    program = run("echo_asyncio")
    program.wait_for("serving")
    socks = [connect(run.namespace, 7) for _ in range(5)]
    for number, sock in enumerate(socks):
        sock.sendall(b"line %d\nand another\n" % number)
    for number, sock in enumerate(socks):
        answer = b""
        while answer.count(b"\n") < 2:
            answer += sock.recv(100)
        assert answer == b"LINE %d\nAND ANOTHER\n" % number
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
