"""The same services on every host: kernel sockets and our stack in a process, and the machine."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from services.chargen import LINES
from tests.services.conftest import on
from tests.support import images
from tests.support.tools import tool

pytestmark = pytest.mark.timeout(180)


def curl(*words):
    done = subprocess.run([tool("curl"), "-sS", "-m", "10", *words], capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hello_web(hosted):
    running = hosted("hello_web", "tcp:80")
    url = running.url()
    assert curl(url, url, url) == b"Hello from ImportOS.\n" * 3
    head = curl("-i", url).decode().split("\r\n")
    assert head[0] == "HTTP/1.1 200 OK"
    assert head[1].startswith("Date: ") and head[1].endswith(" GMT")
    assert head[2:] == [
        "Content-Type: text/plain",
        "Content-Length: 21",
        "",
        "Hello from ImportOS.\n",
    ]


@pytest.mark.parametrize("word", ["--host", "--tap"])
@pytest.mark.parametrize(
    "text, options, message",
    [
        ("import threading", [], "mistaken.py:1: cannot import threading: there is one thread"),
        ("from net.tcp import TCP", [], "mistaken.py:1: cannot import TCP from net.tcp"),
        ("import microdot", [], "mistaken.py:1: cannot import microdot: no such module"),
        ("", ["--set", "adress=10.0.0.2/24"], "--set adress: nothing in this image reads it"),
    ],
)
def test_what_no_image_could_have_no_process_has(tmp_path, word, text, options, message):
    (tmp_path / "mistaken.py").write_text(text + "\n\ndef start(machine):\n    pass\n")
    command = [sys.executable, "-m", "tools.cli", "run", word, *options]
    done = subprocess.run(
        [*command, str(tmp_path / "mistaken.py")],
        cwd=images.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_a_client_reaches_other_hosts_and_a_service_is_reached_from_here_only(
    tmp_path, interpreter
):
    (tmp_path / "ports.py").write_text(
        "from net.inet import Inet\nfrom net.udp import Udp\n\n\n"
        "def start(machine):\n"
        "    inet = Inet(machine, udp=Udp)\n"
        "    inet.udp.bind(48123, print)\n"
        "    inet.udp.bind(49999, print)\n"
        "    print([line.split()[1] for line in open('/proc/net/udp')])\n"
        "    machine.stop()\n"
    )
    command = [sys.executable, "-m", "tools.cli", "run", "--host", "--interpreter", interpreter]
    done = subprocess.run(
        [*command, str(tmp_path / "ports.py")],
        cwd=images.ROOT,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert "0100007F:BBFB" in done.stdout, done.stderr
    assert "00000000:C34F" in done.stdout


def test_ctrl_c_stops_it_in_order(hosted):
    running = hosted("hello_web", "tcp:80")
    curl(running.url())
    assert running.stop() in (0, 130)
    assert not [line for line in running.lines if "Traceback" in line], running.lines


@on("kernel-cpython", "kernel-micropython", "tap-cpython", "tap-micropython")
def test_what_a_script_started_is_stopped_by_a_signal(hosted):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `./importos run ... &` has it
    try:
        running = hosted("hello_web", "tcp:80")
    finally:
        signal.signal(signal.SIGINT, before)
    curl(running.url())
    assert running.stop(signal.SIGTERM) == 0
    assert [line for line in running.lines if "interrupted" in line], running.lines
    assert not [line for line in running.lines if "Traceback" in line], running.lines


def test_http_serves_the_site(hosted, tmp_path):
    running = hosted("http", "tcp:80")
    site = images.ROOT / "services" / "site"
    for path, file in (("/", "index.html"), ("/about/", "about/index.html"), ("/logo.svg",) * 2):
        content = (site / file.lstrip("/")).read_bytes()
        assert curl(running.url(path)) == content
        assert curl("--compressed", running.url(path)) == content
        assert curl("-r", "5-99", running.url(path)) == content[5:100]
    tags = tmp_path / "tags"
    curl("--etag-save", str(tags), running.url())
    again = ["--etag-compare", str(tags), "-w", "%{http_code}", running.url()]
    assert curl(*again) == b"304"
    assert curl("-o", os.devnull, "-w", "%{http_code}", running.url("/none")) == b"404"
    moved = curl("-o", os.devnull, "-w", "%{http_code} %{redirect_url}", running.url("/about"))
    assert moved == f"301 {running.url('/about/')}".encode()


def test_http_many_at_a_time(hosted):
    running = hosted("http", "tcp:80")
    done = subprocess.run(
        [tool("wrk"), "-t1", "-c20", "-d3", running.url()], capture_output=True, text=True
    )
    assert "requests in" in done.stdout, done.stdout + done.stderr
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    assert curl("-o", os.devnull, "-w", "%{http_code}", running.url()) == b"200"


def read_all(client):
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


def test_echo_of_a_stream(hosted, host):
    running = hosted("echo", "tcp:7", "udp:7")
    data = os.urandom(200_000 if host == "tap-cpython" else 2_000_000)
    with running.connect(7, timeout=60) as client:

        def send():
            client.sendall(data)
            client.shutdown(1)

        sender = threading.Thread(target=send)
        sender.start()
        sender.join(0.5)  # so that it has to wait for us to read
        assert read_all(client) == data
        sender.join()


def test_echo_of_datagrams(hosted):
    running = hosted("echo", "tcp:7", "udp:7")
    with running.datagrams(7) as client:
        for size in (0, 1, 100, 1400):
            client.send(bytes(range(size % 256)) * (size // 255 or 1))
            assert client.recv(2000) == bytes(range(size % 256)) * (size // 255 or 1)


def test_discard(hosted):
    running = hosted("discard", "tcp:9")
    with running.connect(9) as client:
        client.sendall(bytes(300_000))
        client.shutdown(1)
        assert read_all(client) == b""


def test_chargen(hosted):
    running = hosted("chargen", "tcp:19", "udp:19")
    with running.connect(19) as client:
        data = b""
        while len(data) < 100_000:
            piece = client.recv(10_000)
            assert piece
            data += piece
        assert data == (LINES * (len(data) // len(LINES) + 1))[: len(data)]
    with running.datagrams(19) as client:
        client.send(b"1234567890")
        assert client.recv(1000) == LINES[:10]
        client.send(bytes(600))
        assert client.recv(1000) == LINES[:512]


MEASURES = {
    "to us": "-t 1",
    "from us": "-t 1 -R",
    "parallel": "-t 1 -P 3",
    "both ways": "-t 1 --bidir",
    "so many bytes": "-n 300K",
    "datagrams to us": "-t 1 -u -b 2M -l 1400",
    "datagrams from us": "-t 1 -u -b 2M -l 1400 -R",
    "datagrams both ways": "-t 1 -u -b 2M -l 1400 --bidir -P 2",
}


# (With every pointer checked, a megabyte takes CPython a second; what iperf3 has sent, minutes.)
@on("kernel-cpython", "kernel-micropython", "tap-micropython", "machine")
def test_iperf3(hosted, host):
    running = hosted("stream", "tcp:5201", "udp:5201")
    for name, words in MEASURES.items():
        command = [
            tool("iperf3"),
            "-J",
            "-c",
            "127.0.0.1",
            "-p",
            str(running.ports["tcp:5201"]),
            *words.split(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        results = json.loads(done.stdout)
        assert done.returncode == 0 and "error" not in results, (name, done.stdout[-500:])
        end = results["end"]
        received = end.get("sum_received") or end["sum"]
        # (QEMU's user network may forget one direction while the other is busy.)
        if not (host == "machine" and "--bidir" in words):
            assert received["bytes"] > 10_000, name
        if "-u" in words:
            assert end["sum"]["lost_percent"] < 20, name
        if "-n" in words:
            assert received["bytes"] >= 300 * 1024, name
