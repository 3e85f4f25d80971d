"""net/get.py: answers read as RFC 9112 has them, whatever a server sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from net.get import LONGEST_HEAD, Get, Response
from net.inet import Inet
from net.tcp import Tcp
from tests.clients.scene import Entropy
from tests.support.wire import Host, World

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def answer(data, most=1000, closed=True):
    response = Response(most)
    if not response.feed(data) and closed:
        response.end()
    return response.status, bytes(response.body)


GOOD = [
    (OK + b"Content-Length: 5\r\n\r\nhello", (200, b"hello")),
    (OK + b"content-length:5\r\n\r\nhello, and more", (200, b"hello")),
    (b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", (404, b"")),
    (b"HTTP/1.1 404\r\n\r\n", (404, b"")),
    (OK + b"\r\nuntil the end", (200, b"until the end")),
    (b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", (204, b"")),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx", (200, b"x")),
    (CHUNKED + b"5\r\nhello\r\n1;why=not\r\n!\r\n0\r\n\r\n", (200, b"hello!")),
    (CHUNKED + b"A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", (200, b"0123456789")),
    (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", (200, b"ab")),
]


@pytest.mark.parametrize("data, expected", GOOD)
def test_answers(data, expected):
    assert answer(data) == expected


@given(st.sampled_from(GOOD), st.lists(st.integers(0, 100)))
def test_pieces_of_any_size(good, cuts):
    data, expected = good
    response = Response(1000)
    at = 0
    done = False
    for cut in sorted({min(cut, len(data)) for cut in cuts} | {len(data)}):
        done = response.feed(data[at:cut])
        at = cut
        if done:
            break
    if not done:
        response.end()
    assert (response.status, bytes(response.body)) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"HTTP/1.1 200",
        OK + b"Content-Length: 5\r\n\r\nhell",
        OK + b"Content-Length: -5\r\n\r\nhello",
        OK + b"Content-Length: +5\r\n\r\nhello",
        OK + b"Content-Length: 5_0\r\n\r\nhello",
        OK + b"Content-Length: 5, 6\r\n\r\nhello",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        OK + b"Content-Length: 1a\r\n\r\n" + b"x" * 26,
        OK + b"Content-Length: 0000000000005\r\n\r\nhello",
        OK + b"Content-Length:\r\n\r\nhello",
        OK + b"Content-Length: 1001\r\n\r\n",
        OK + b"Content-Length: 99999999999999999999\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\nx",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\nx",
        OK + b"\r\n" + b"x" * 1001,
        OK + b"X: " + b"y" * LONGEST_HEAD,
        CHUNKED + b"5\r\nhelloworld",
        CHUNKED + b"zz\r\nhello\r\n",
        CHUNKED + b"\r\nhello\r\n",
        CHUNKED + b"5" * 300,
        CHUNKED + b"3e9\r\n",
        CHUNKED + b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n",
        CHUNKED + b"0\r\n",
        CHUNKED + b"0\r\n" + b"Trailer: x\r\n" * 1000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
    ],
)
def test_what_no_server_should_send(data):
    with pytest.raises(ValueError):
        answer(data)


@given(st.lists(st.binary(max_size=60)), st.sampled_from([b"", OK, OK + b"\r\n", CHUNKED]))
def test_no_bytes_raise_anything_else_or_take_memory(pieces, start):
    response = Response(100)
    try:
        for piece in [start, *pieces]:
            if response.feed(piece):
                break
            assert len(response.body) <= 100
            assert len(response.rest) <= LONGEST_HEAD
        else:
            response.end()
    except ValueError:
        pass


class Scene:
    """Two hosts; the server says what it is told, when a request is whole."""

    def __init__(self, *says, close=True):
        self.world = World()
        hosts = [
            Host(self.world, name, address=a + "/24")
            for name, a in (("c", "10.0.0.2"), ("s", "10.0.0.1"))
        ]
        for host in hosts:
            host.entropy = Entropy()
            host.inet = Inet(host, tcp=Tcp)
        self.client, self.server = hosts
        self.says, self.close, self.heard, self.answers = says, close, b"", []
        self.server.inet.tcp.listen(80, self.accept)
        self.world.run(3000)

    def accept(self, connection):
        connection.on_data = self.hear

    def hear(self, connection, segment):
        self.heard += bytes(segment.data)
        if self.heard.endswith(b"\r\n\r\n"):
            for text in self.says:
                connection.write(text)
            if self.close:
                connection.close()

    def get(self, port=80, ms=20_000, **options):
        get = Get(
            self.client.inet,
            bytes([10, 0, 0, 1]),
            port,
            "/a/b",
            lambda *answer: self.answers.append(answer),
            host="meta",
            **options,
        )
        self.world.run(ms)
        return get

    def empty(self):
        return not self.client.inet.tcp.connections


def test_a_request_and_its_answer():
    scene = Scene(OK + b"Content-Length: 5\r\n\r\nhello")
    get = scene.get(ms=1000)
    assert not get.timer.active
    assert scene.heard == b"GET /a/b HTTP/1.1\r\nHost: meta\r\nConnection: close\r\n\r\n"
    assert scene.answers == [(200, b"hello", "")]
    assert scene.empty()


def test_a_server_that_does_not_close():
    scene = Scene(CHUNKED, b"1\r\nx\r\n", b"0\r\n\r\n", close=False)
    scene.get()
    assert scene.answers == [(200, b"x", "")]


def test_a_large_body_arrives_whole():
    body = bytes(range(256)) * 200
    scene = Scene(OK + b"\r\n", body)
    scene.get()
    assert scene.answers == [(200, body, "")]


def test_too_large_a_body_ends_it():
    scene = Scene(OK + b"\r\n", bytes(100_000), close=False)
    scene.get(most=50_000)
    assert scene.answers == [(0, b"", "more than 50000 bytes")]
    assert scene.empty()


def test_a_server_that_says_nothing():
    scene = Scene(close=False)
    scene.get(ms=4999, patience=5000)
    assert scene.answers == []
    scene.world.run(2)
    assert scene.answers == [(0, b"", "no answer in time")]
    assert scene.empty()


def test_a_server_that_hangs_up():
    scene = Scene(OK)
    scene.get()
    assert scene.answers == [(0, b"", "the answer ends too early")]


def test_requests_leave_no_timers_behind():
    scene = Scene(OK + b"Content-Length: 5\r\n\r\nhello")
    before = len(scene.client.timers.heap)
    for _ in range(5):
        scene.get(ms=1000)
    scene.get(ms=0).stop()
    assert len(scene.answers) == 5 and len(scene.client.timers.heap) == before


def test_another_method_and_more_of_a_head():
    scene = Scene(OK + b"Content-Length: 0\r\n\r\n")
    scene.get(ms=1000, method="PUT", head="Content-Length: 0\r\n")
    rest = b"Host: meta\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert scene.heard == b"PUT /a/b HTTP/1.1\r\n" + rest
    assert scene.answers == [(200, b"", "")]


def test_nobody_listens():
    scene = Scene()
    scene.get(port=81)
    assert scene.answers == [(0, b"", "the connection failed, error 111")]


def test_a_request_that_is_not_wanted_any_more():
    scene = Scene(OK + b"\r\nx")
    scene.get(ms=0).stop()
    scene.world.run(10_000)
    assert scene.answers == [] and scene.empty()


def test_without_room_for_a_connection_nothing_is_left_behind(monkeypatch):
    scene = Scene()

    def full(*arguments):
        raise OSError(98)

    monkeypatch.setattr(scene.client.inet.tcp, "connect", full)
    with pytest.raises(OSError):
        scene.get()
    scene.world.run(20_000)
    assert scene.answers == []
