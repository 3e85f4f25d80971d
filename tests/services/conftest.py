"""A service on each of its hosts, as a user starts it: `./importos run [--host | --tap] SERVICE`.

def test_it(hosted):
    running = hosted("echo")
    running.connect(7)          a TCP connection to its port 7, through 127.0.0.1
"""

import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from tests.support import images

HOSTS = {
    "kernel-cpython": ["--host"],
    "kernel-micropython": ["--host", "--interpreter", "micropython"],
    "tap-cpython": ["--tap"],
    "tap-micropython": ["--tap", "--interpreter", "micropython"],
    "machine": [],
}


class Running:
    """A service that runs; its ports are forwarded from ports of ours that were free."""

    def __init__(self, host, service, ports, words=()):
        self.host = host
        numbers = {}  # the same for both protocols
        self.ports = {p: numbers.setdefault(p.split(":")[1], free_port(p)) for p in ports}
        forward = [f"--forward={p.replace(':', f':{n}:')}" for p, n in self.ports.items()]
        options = HOSTS[host]
        self.child = subprocess.Popen(
            [images.ROOT / "importos", "run", *options, *forward, *words, service],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines = []
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.wait_for("ready$" if options else "by DHCP|by settings")

    def _read(self):
        for line in self.child.stdout:
            with self.news:
                self.lines.append(line.rstrip())
                self.news.notify_all()
        with self.news:
            self.lines.append("(ended)")
            self.news.notify_all()

    def wait_for(self, pattern, timeout=60):
        """Wait for a line; returns it."""

        def found():
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self.news:
            self.news.wait_for(lambda: found() or "(ended)" in self.lines, timeout)
            line = found()
        assert line is not None, f"no {pattern!r}:\n" + "\n".join(self.lines)
        return line

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.ports['tcp:80']}{path}"

    def connect(self, port, timeout=10):
        return socket.create_connection(("127.0.0.1", self.ports[f"tcp:{port}"]), timeout)

    def datagrams(self, port, timeout=5):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.settimeout(timeout)
        made.connect(("127.0.0.1", self.ports[f"udp:{port}"]))
        return made

    def stop(self, number=signal.SIGINT):
        """Ctrl-C, as on a terminal, or a signal to what was started; returns the status."""
        if self.child.stdout.closed:
            return self.child.returncode
        if self.child.poll() is None:
            (os.killpg if number == signal.SIGINT else os.kill)(self.child.pid, number)
        try:
            status = self.child.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            status = self.child.wait()
        self.reader.join()
        self.child.stdout.close()
        return status


def free_port(port):
    """One that nobody has."""
    kind = socket.SOCK_DGRAM if port.startswith("udp") else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pytest_generate_tests(metafunc):
    if "host" in metafunc.fixturenames:
        chosen = getattr(metafunc.function, "hosts", HOSTS)
        metafunc.parametrize(
            "host",
            [
                pytest.param(name, marks=pytest.mark.vm if name == "machine" else pytest.mark.tap)
                for name in chosen
            ],
        )


def on(*names):
    """Only on these hosts."""

    def mark(function):
        function.hosts = names
        return function

    return mark


@pytest.fixture
def hosted(host):
    """hosted("http", "tcp:80", "--set", "x=y") -> the service, running on this host."""
    started = []

    def start(service, *rest):
        ports = [word for word in rest if re.fullmatch(r"(tcp|udp):\d+", word)]
        if host.endswith("micropython"):
            images.micropython_linux()
        made = Running(host, service, ports, [word for word in rest if word not in ports])
        started.append(made)
        return made

    yield start
    for each in started:
        each.stop()
        print("\n".join(each.lines))
