"""Requests that were seen before: the same bytes get the same answer, other bytes never do."""

import pytest

from net.http.answer import Answer
from tests.http.peer import Peer, get, only, replies, request

BODY = b"b" * 3000


class Counting:
    """A handler whose answers are fixed, or the same objects each time, or new each time."""

    def __init__(self, kind):
        self.kind = kind
        self.calls = 0

    def __call__(self, request, response):
        self.calls += 1
        if self.kind == "fixed":
            fields = b"Content-Type: text/plain\r\n"
            response.give(Answer(200, fields, [(BODY, 10, 2000)], fixed=True))
        elif self.kind == "same":
            response.send("text/plain", BODY)
        else:
            response.send("text/plain", f"{self.calls}")


@pytest.mark.parametrize("kind, calls", [("fixed", 1), ("same", 10), ("new", 10)])
def test_a_request_that_repeats(kind, calls):
    handler = Counting(kind)
    peer = Peer(handler)
    bodies = [only(peer.say(get("/"))).body for _ in range(10)]
    if kind == "new":
        assert bodies == [str(n).encode() for n in range(1, 11)]
    else:
        assert len(set(bodies)) == 1 and len(bodies[0]) in (2000, 3000)
    assert handler.calls == calls
    assert peer.counters["repeated"] == 9 and peer.counters["requests"] == 10
    assert peer.counters["answers_2xx"] == 10


@pytest.mark.parametrize("kind", ["fixed", "same", "new"])
def test_the_date_goes_on(kind):
    peer = Peer(Counting(kind))
    dates = []
    for _ in range(3):
        dates.append(only(peer.say(get("/"))).headers["date"][17:25])
        peer.pass_time(3000)
    assert dates == ["12:00:00", "12:00:03", "12:00:06"]


def test_head_and_get_are_different_requests():
    peer = Peer(Counting("fixed"))
    for _ in range(3):
        assert len(only(peer.say(get("/"))).body) == 2000
        assert only(peer.say(request("HEAD", "/")), to_head=True).body == b""


def test_one_byte_makes_another_request():
    """Every byte of a known head, changed: what is answered is what parsing says."""
    data = get("/abc", "X-Field: value")
    for index in range(len(data)):
        changed = bytearray(data)
        changed[index] ^= 1
        fresh = Peer(lambda request, response: response.send("a/b", request.raw))
        known = Peer(lambda request, response: response.send("a/b", request.raw))
        known.say(data)
        assert known.say(changed) == fresh.say(changed)
        assert "repeated" not in known.counters


def test_a_prefix_or_a_longer_one_is_another_request():
    peer = Peer(Counting("same"))
    data = get("/")
    peer.say(data)
    assert peer.say(data[:-1]) == b""
    assert only(peer.say(data[-1:])).status == 200
    assert len(replies(peer.say(data + data))) == 2
    assert "repeated" not in peer.counters


@pytest.mark.parametrize("at", [148, 149, 150, 151, 136])
def test_wherever_it_lies_in_the_segment(at):
    peer = Peer(Counting("same"))
    peer.say(get("/"))
    assert only(peer.say(get("/"), at=at)).body == BODY


def test_a_request_with_a_body_is_never_known():
    handler = Counting("fixed")
    peer = Peer(handler)
    for _ in range(3):
        peer.say(request("POST", "/", "Content-Length: 1", body=b"a"))
        peer.say(request("POST", "/", "Content-Length: 1"))
        peer.say(b"b")
    assert handler.calls == 6 and "repeated" not in peer.counters


def test_close_is_repeated_as_well():
    peer = Peer(Counting("fixed"))
    for client in (peer, peer.another(), peer.another()):
        reply = only(client.say(get("/", "Connection: close")))
        assert reply.headers["connection"] == "close" and client.connection.closed
    assert peer.counters["repeated"] == 2


def test_more_requests_than_there_is_room_for():
    handler = Counting("fixed")
    peer = Peer(handler)
    for _ in range(3):
        for n in range(200):
            assert only(peer.say(get(f"/{n}"))).status == 200
    assert handler.calls <= 600


def test_while_an_answer_waits_nothing_overtakes_it():
    peer = Peer(Counting("fixed"))
    peer.say(get("/"))
    peer.connection.room = 1000
    heard = peer.say(get("/"))
    heard += peer.say(get("/"))
    heard += peer.make_room(1 << 30)
    assert len(replies(heard)) == 2
