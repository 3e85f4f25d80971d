"""Metadata over HTTP: a server that says what the test says, on a virtual wire; nobody waits."""

import json

import pytest

from net.inet import Inet
from net.tcp import Tcp
from runtime.instance import metadata
from runtime.platform.smbios import System
from runtime.settings import Settings
from tests.instance.disks import META, NETWORK, UUID
from tests.support.wire import Host, World

SERVER = "169.254.169.254"
OPENSTACK = "/openstack/latest/"
DOCUMENTS = {
    OPENSTACK + "meta_data.json": json.dumps(META).encode(),
    OPENSTACK + "network_data.json": json.dumps(NETWORK).encode(),
    OPENSTACK + "user_data": b"a = 'b'",
}


class Loop:
    """`block` lets the world go on until somebody wakes the loop."""

    def __init__(self, world, loop):
        self.world, self.loop, self.woken, self.over = world, loop, False, False
        self.soon, self.turn = loop.soon, loop.turn

    def wake(self):
        self.woken = True

    def stopped(self):
        return self.over

    def block(self, ms):
        end = self.world.time + ms
        self.woken = False
        while not self.woken and self.world.time < end:
            self.world.run(min(5, end - self.world.time))


class Log:
    clock = None

    def __init__(self):
        self.lines = []

    def write(self, text):
        self.lines.append(text.strip())

    def info(self, text, *values):
        self.lines.append(text % values if values else text)

    error = warning = debug = info


class Scene:
    """A machine and a server of `documents`: {path: bytes, or (status, headers, body), or a list of
    these, one a request (the last one lasts), or a function (connection, request) -> None}.
    """

    def __init__(self, documents, line="metadata=yes metadata-wait=20", close=True):
        self.world = world = World()
        self.documents, self.asked, self.requests, self.close = documents, [], [], close
        self.guest = Host(world, "eth0")
        self.guest.settings = Settings(line + " address=169.254.169.10/16")
        self.guest.log = Log()
        self.guest.log.clock = world.clock
        self.guest.loop = Loop(world, self.guest.loop)
        self.guest.uptime_ms = lambda: world.time
        self.guest.nics = [self.guest.nic]
        self.server = Host(world, "server", address=SERVER + "/16")
        self.server.inet = Inet(self.server, tcp=Tcp)
        self.server.inet.tcp.listen(80, self.accept)
        self.heard = {}

    def accept(self, connection):
        connection.on_data = self.hear
        self.heard[connection] = b""
        if not self.close:
            connection.on_end = silent

    def hear(self, connection, segment):
        self.heard[connection] += bytes(segment.data)
        if self.heard[connection].endswith(b"\r\n\r\n"):
            request = self.heard[connection].decode()
            method, path, _ = request.split("\r\n")[0].split(" ")
            self.asked.append(path if method == "GET" else f"{method} {path}")
            self.requests.append(request)
            self.answer(connection, path, request)

    def answer(self, connection, path, request):
        found = self.documents.get(path, (404, "", b"none"))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if callable(found):
            found = found(connection, request)
            if found is None:
                return
        status, headers, body = (200, "", found) if isinstance(found, bytes) else found
        if "Content-Length" not in headers and "chunked" not in headers:
            headers += f"Content-Length: {len(body)}\r\n"
        self.send(connection, f"HTTP/1.1 {status} X\r\n{headers}\r\n".encode() + body)
        if self.close:
            connection.close()

    def send(self, connection, data):
        connection.write(data)

    def find(self, system=None):
        self.started = self.world.time
        source = metadata.find(self.guest, system or System())
        self.took = self.world.time - self.started
        return source

    @property
    def text(self):
        return "\n".join(self.guest.log.lines)

    def rests(self):
        """Nothing is left behind."""
        assert self.guest.timers.count == 0 and self.guest.timers.heap == []
        nic = self.guest.nic
        assert all(pool.free == pool.count for pool in nic.pools)
        assert nic.receive is None and nic.on_link is None


def test_documents_of_openstack():
    scene = Scene(dict(DOCUMENTS))
    source = scene.find()
    assert source.where == "metadata of OpenStack at 169.254.169.254"
    assert source.meta["uuid"] == UUID and source.user_data == b"a = 'b'"
    assert source.network["links"] and scene.text == ""
    scene.rests()


def test_a_document_that_is_not_there_is_asked_for_once():
    scene = Scene({OPENSTACK + "meta_data.json": b"{}"})
    source = scene.find()
    assert (source.user_data, source.network) == (b"", {})
    names = ("meta_data.json", "network_data.json", "user_data")
    assert sorted(scene.asked) == [OPENSTACK + name for name in names]
    scene.rests()


# Tokens.

EC2 = "/latest/meta-data/"


def ec2(token=b"TOKEN_a-b==", user_data=b"a = 'b'"):
    """Amazon's service that answers only who brings a token."""

    def only(found):
        def answer(connection, request):
            if f"\r\nX-aws-ec2-metadata-token: {token.decode()}\r\n" in request:
                return found if isinstance(found, tuple) else (200, "", found)
            return 401, "", b"who are you"

        return answer

    return {
        "/latest/api/token": (200, "", token),
        EC2 + "instance-id": only(b"i-0000002a\n"),
        EC2 + "hostname": only(b"ip-10-0-0-2.internal"),
        EC2 + "placement/availability-zone": only(b"zone-b"),
        EC2 + "ami-launch-index": only(b"1"),
        EC2 + "public-keys/0/openssh-key": only((404, "", b"")),
        "/latest/user-data": only(user_data),
    }


def test_imdsv2_a_token_is_asked_for_and_goes_with_every_question():
    scene = Scene(ec2(), "metadata-wait=20")
    system = System()
    system.manufacturer = "Amazon EC2"
    source = scene.find(system)
    assert source.meta["uuid"] == "i-0000002a" and source.user_data == b"a = 'b'"
    assert source.meta["hostname"] == "ip-10-0-0-2.internal"
    assert source.meta["launch_index"] == 1 and source.meta["public_keys"] == {}
    assert scene.asked[:4] == [
        OPENSTACK + "meta_data.json",
        EC2 + "instance-id",
        "PUT /latest/api/token",
        EC2 + "instance-id",
    ]
    assert "X-aws-ec2-metadata-token-ttl-seconds: 300\r\nContent-Length: 0" in scene.requests[2]
    assert len(scene.asked) == 9
    scene.rests()


def test_imdsv1_is_not_asked_for_a_token():
    scene = Scene({EC2 + "instance-id": b"i-1", "/latest/user-data": b"x"})
    source = scene.find()
    assert source.meta["uuid"] == "i-1" and not [path for path in scene.asked if "token" in path]


@pytest.mark.parametrize("token", [b"", b"a\r\nEvil: b", b"\xff\xfe", b"a b", b"a" * 5000])
def test_a_token_that_is_none_is_not_repeated(token):
    documents = ec2()
    documents["/latest/api/token"] = (200, "", token)
    scene = Scene(documents)
    assert scene.find() is None and "metadata by eth0: no token" in scene.text
    assert not [request for request in scene.requests if "Evil" in request]
    scene.rests()


# Servers that are busy, strange or hostile: within the time, and nothing is left behind.


def drip(connection, request):
    """A byte a second, for ever."""

    def more():
        try:
            connection.write(b"x")
        except OSError:
            return
        connection.tcp.stack.timers.timer(more).start(1000)

    connection.write(b"HTTP/1.1 200 OK\r\n\r\n")
    more()


def silent(connection, request=None):
    """Takes the question."""


def says(data):
    def answer(connection, request):
        connection.write(data)
        connection.close()

    return answer


META_PATH = OPENSTACK + "meta_data.json"
GOOD = json.dumps(META).encode()
OK = b"HTTP/1.1 200 OK\r\n"

ANSWERED = {
    "busy, then not": [(500, "", b""), (503, "Retry-After: 1\r\n", b"x"), GOOD],
    "chunks": says(
        OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    ),
    "until the end": says(OK + b"\r\n" + GOOD),
    "hung up, then not": [says(b""), GOOD],
    "too early, then not": [says(OK + b"Content-Length: 9999\r\n\r\n" + GOOD), GOOD],
    "drips, then not": [drip, GOOD],
    "silent, then not": [silent, GOOD],
    "not HTTP, then not": [says(b"220 ftp ready\r\n\r\n"), GOOD],
    "too large, then not": [(200, "", bytes(0x40001)), GOOD],
}


@pytest.mark.parametrize("how", ANSWERED)
@pytest.mark.parametrize("close", [True, False])
def test_answers_that_are_followed(how, close):
    documents = {**DOCUMENTS, META_PATH: ANSWERED[how]}
    if isinstance(ANSWERED[how], list):
        documents[META_PATH] = list(ANSWERED[how])
    scene = Scene(documents, close=close)
    source = scene.find()
    assert source and source.meta["uuid"] == UUID, scene.text
    scene.rests()


@pytest.mark.parametrize("how", [drip, silent, says(b""), says(OK + b"\r\n" + b"x" * 0x50000)])
def test_a_server_that_never_answers_is_given_up_in_time(how):
    scene = Scene({META_PATH: how})
    assert scene.find() is None
    assert 20_000 <= scene.took < 21_000
    assert "metadata by eth0: " in scene.text
    scene.rests()


@pytest.mark.parametrize("status", [301, 302, 307, 400, 403, 418])
def test_a_status_that_is_not_followed_is_said(status):
    other = (status, "Location: http://evil.example/\r\n", b"")
    scene = Scene(dict.fromkeys((META_PATH, EC2 + "instance-id"), other))
    assert scene.find() is None and f"metadata by eth0: status {status}" in scene.text
    scene.rests()


@pytest.mark.parametrize(
    "document", [b"", b"{", b"[]", b"\x1f\x8b\x08" + bytes(9), b"\xef\xbb\xbf{}", b"null", b'"x"']
)
def test_documents_that_are_none(document):
    scene = Scene({**DOCUMENTS, META_PATH: document, OPENSTACK + "network_data.json": document})
    source = scene.find()
    assert source.user_data == b"a = 'b'" and source.network == {}
    if document[:3] != b"\xef\xbb\xbf":
        assert source.meta == {} and scene.text.count("is not a JSON object") == 2
    scene.rests()


def test_connections_that_outlive_the_visit_are_reset():
    """The server keeps them open; afterwards nobody would answer it."""
    scene = Scene(dict(DOCUMENTS), close=False)
    scene.find()
    scene.world.run(100)
    assert [c.state for c in scene.server.inet.tcp.connections] == []
    scene.rests()


def test_addresses_of_a_second_device_are_not_too_late():
    """They are looked up for the visit, and still may come from the visit."""
    scene = Scene(dict(DOCUMENTS))
    first = Host(scene.world, "eth9").nic
    first.set_link(False)
    scene.guest.nics.insert(0, first)
    scene.guest.settings.values["eth0.address"] = scene.guest.settings.values.pop("address")
    assert scene.find() and not [name for name in scene.guest.settings.asked if "." in name]
    scene.rests()


def test_nobody_there():
    scene = Scene({}, "metadata=yes metadata-wait=5")
    scene.server.nic.set_link(False)
    assert scene.find() is None and scene.took < 6000
    scene.rests()


SEEDS = {
    "ds=nocloud;s=http://169.254.169.254/": "",
    "ds=nocloud-net;h=box;i=1;s=http://169.254.169.254/;x": "",
    "ds=nocloud;s=http://169.254.169.254:80/": "",
    "ds=nocloud;s=http://169.254.169.254": "",
    "ds=nocloud;s=https://169.254.169.254/": "not http://",
    "ds=nocloud;s=file:///seed": "not http://",
    "ds=nocloud;s=http://169.254.169.254:99999/": "not http://",
    "ds=nocloud;s=http://169.254.169.254:x/": "metadata: ",
    "ds=nocloud;s=http://seed.example/": "metadata: ",
    "ds=nocloud;s=http://[fe80::1]/": "metadata: ",
    "ds=nocloud;s=http://169.254.169.254/a b": "not http://",
    "ds=nocloud;s=": "",
    "ds=nocloud": "",
    "ds=ec2;s=http://169.254.169.254/": "",
    "s=http://169.254.169.254/": "",
    ";;;": "",
}


@pytest.mark.parametrize("serial", SEEDS)
def test_what_the_serial_number_says(serial):
    """Followed, said to be strange, or none of our business."""
    scene = Scene({"/meta-data": b"instance-id: i-9", "/user-data": b"a = 'b'"}, "")
    system = System()
    system.serial = serial
    source = scene.find(system)
    followed = not SEEDS[serial] and "nocloud" in serial and "169" in serial
    assert bool(source) == followed
    assert SEEDS[serial] in scene.text and bool(scene.text) == bool(SEEDS[serial])
    scene.rests()
