"""Packages from PyPI as they are: microdot, urequests, umqtt.simple.

Each three times: in the machine, and with our stack in a Linux process on both interpreters.
Of MicroPython's `requests` PyPI has the version before it was renamed, urequests; its `aiohttp` is
not there, so it is not tested.
"""

import base64
import hashlib
import json
import socket
import subprocess
import sys
import time

import pytest

from tests.support import images, vm
from tests.support.namespace import Namespace
from tests.tap.conftest import Process
from tools.host import interpreters
from tools.image import closure, packages

KERNEL, OURS = "10.0.0.1", "10.0.0.2"
WORDS = (f"address={OURS}/24", f"gateway={KERNEL}")
FOLDER = images.ROOT / "tests" / "api"
FETCH = FOLDER / "services" / "fetch.py"


class Machine:
    """The service of that name or path, in the machine or in a process."""

    def __init__(self, where, image, namespace, service, *words, wait=None):
        """`wait` is called once there is a network."""
        self.namespace = namespace
        words = (*WORDS, *words)
        descriptor = namespace.tap(address=f"{KERNEL}/24")
        self.subscriber = wait() if wait else None
        if where == "machine":
            elf = next(image(str(service)).glob("*.elf"))
            self.guest = vm.Machine(elf, nic=vm.Tap(descriptor), command_line=" ".join(words))
        else:
            found = closure.find_service(str(service), images.ROOT)
            others = packages.provide(found, images.ROOT)
            path = [found.folder] * (found.folder != images.ROOT)
            path += [package.folder for package in others]
            command = interpreters.command(where)
            self.guest = Process(command, descriptor, found.module, words, path)

    def connect(self, port):
        sock = self.namespace.socket(kind=socket.SOCK_STREAM)
        sock.connect((OURS, port))
        return sock


WHERE = [
    pytest.param("machine", marks=pytest.mark.vm),
    pytest.param("cpython", marks=pytest.mark.tap),
    pytest.param("micropython", marks=pytest.mark.tap),
]


@pytest.fixture(params=WHERE)
def start(request, image):
    made = []
    with Namespace() as namespace:

        def start(service, *words, **named):
            made.append(Machine(request.param, image, namespace, service, *words, **named))
            return made[-1]

        start.namespace = namespace
        yield start
        for machine in made:
            machine.guest.close()


pytestmark = pytest.mark.timeout(300)


# microdot


@pytest.fixture
def app(start):
    machine = start("microdot_app")
    machine.guest.wait_for(OURS)
    for _ in range(50):
        try:
            machine.connect(80).close()
            return machine
        except ConnectionRefusedError:
            continue
    raise AssertionError("microdot does not listen")


def curl(app, path, *options):
    done = app.namespace.run("curl", "-s", "-i", "-m", 20, *options, f"http://{OURS}{path}")
    head, _, body = done.stdout.partition("\n\n")
    return int(head.split()[1]), body


def test_microdot_serves_a_page_and_json(app):
    status, page = curl(app, "/")
    assert status == 200 and "<h1>It works</h1>" in page
    assert curl(app, "/api/notes") == (200, '{"notes": []}')
    note = ("-H", "Content-Type: application/json", "-d", '{"text": "milk"}')
    status, made = curl(app, "/api/notes", *note)
    assert status == 201 and json.loads(made) == {"id": 1, "text": "milk"}
    assert json.loads(curl(app, "/api/notes/1")[1])["text"] == "milk"
    assert curl(app, "/api/notes/2")[0] == 404
    assert curl(app, "/nothing")[0] == 404
    assert curl(app, "/api/notes", "-d", "rubbish")[0] == 400


def test_microdot_streams(app):
    status, body = curl(app, "/count?to=20")
    assert status == 200 and body.split() == [str(n) for n in range(1, 21)]


def test_microdot_serves_many_at_once(app):
    socks = [app.connect(80) for _ in range(20)]
    for sock in socks:
        sock.sendall(b"GET /api/notes HTTP/1.0\r\n\r\n")
    for sock in socks:
        answer = b""
        while piece := sock.recv(1000):
            answer += piece
        assert answer.endswith(b'{"notes": []}')


def test_microdot_echoes_over_a_websocket(app):
    """RFC 6455: the handshake of section 1.3, masked frames there, plain ones back."""
    sock = app.connect(80)
    key = base64.b64encode(bytes(range(16))).decode()
    sock.sendall(
        f"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    file = sock.makefile("rb")
    assert file.readline().split()[1] == b"101"
    headers = {}
    while (line := file.readline()) != b"\r\n":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    magic = key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    expected = base64.b64encode(hashlib.sha1(magic).digest()).decode()
    assert headers["sec-websocket-accept"] == expected
    for text in (b"hello", b"x" * 125, b"y" * 16_000):
        length = len(text)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
        mask = b"\x12\x34\x56\x78"
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
        sock.sendall(b"\x81" + size + mask + masked)
        first, size = file.read(2)
        assert first == 0x81
        assert file.read(int.from_bytes(file.read(2), "big") if size == 126 else size) == text


# Clients


# urequests puts text into bytes (b"%s" % "GET"), which only MicroPython does.
@pytest.mark.parametrize("start", [WHERE[0], WHERE[2]], indirect=True)
def test_urequests_against_a_server_of_cpython(start):
    server = start.namespace.start(
        sys.executable, FOLDER / "programs" / "json_server.py", 8000, stdout=subprocess.PIPE
    )
    # The device first: the server is bound to all addresses.
    assert server.stdout.readline() == b"serving\n"
    machine = start(FETCH, f"url=http://{KERNEL}:8000")
    machine.guest.wait_for("finished", 30)
    text = words(machine)
    assert "get 200 /hello yes" in text
    assert "post 7" in text
    assert "put 100000" in text
    assert "refused 111" in text
    assert "https" in text


class Subscriber:
    """As little of MQTT 3.1.1 as it takes: connect, publish, subscribe, hear."""

    def __init__(self, namespace):
        self.sock = namespace.socket(kind=socket.SOCK_STREAM)
        for _ in range(100):
            if self.sock.connect_ex((KERNEL, 1883)) == 0:
                break
            time.sleep(0.05)
        self.sock.sendall(b"\x10\x10\0\4MQTT\4\2\0\x3c\0\4test")
        assert self.sock.recv(4) == b"\x20\2\0\0"

    def publish(self, topic, message):
        """Retained: whoever subscribes later hears it."""
        body = len(topic).to_bytes(2, "big") + topic + message
        self.sock.sendall(bytes([0x31, len(body)]) + body)

    def subscribe(self, topic):
        body = b"\0\1" + len(topic).to_bytes(2, "big") + topic + b"\0"
        self.sock.sendall(bytes([0x82, len(body)]) + body)
        assert self.sock.recv(5) == b"\x90\3\0\1\0"

    def hear(self):
        kind, length = self.sock.recv(2)
        body = self.sock.recv(length)
        assert kind & 0xF0 == 0x30
        end = 2 + int.from_bytes(body[:2], "big")
        return body[2:end], body[end:]


def test_umqtt_against_mosquitto(start, tmp_path):
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text("listener 1883 0.0.0.0\nallow_anonymous true\n")
    start.namespace.start("mosquitto", "-c", configuration)
    machine = start(FETCH, "broker=10.0.0.1", wait=lambda: subscribe(start.namespace))
    machine.guest.wait_for("finished", 30)
    assert "heard [(b'to/machine', b'good morning')]" in words(machine)
    assert "nothing yet None" in words(machine)
    topic, message = machine.subscriber.hear()
    assert topic == b"from/machine" and json.loads(message) == {"up": True}


def subscribe(namespace):
    subscriber = Subscriber(namespace)
    subscriber.publish(b"to/machine", b"good morning")
    subscriber.subscribe(b"from/machine")
    return subscriber


def words(machine):
    guest = machine.guest
    return guest.text if hasattr(guest, "text") else "\n".join(guest.lines)
