"""Sessions: time, room and memory; answers that come later, in pieces, or to nobody."""

import pytest

from net import config
from net.http import server, session
from tests.http.peer import Machine, Peer, Reply, get, only, replies, request

BODY = bytes(range(256)) * 200


def hello(request, response):
    response.send("text/plain", b"hello")


def large(request, response):
    response.send("application/octet-stream", BODY)


class Later:
    """A handler that answers when the test says so."""

    def __init__(self):
        self.waiting = []

    def __call__(self, request, response):
        self.waiting.append((request, response))

    def answer(self):
        request, response = self.waiting.pop(0)
        response.send("text/plain", request.path.encode())


# Room.


@pytest.mark.parametrize("room", [1, 7, 100, 1000, 4096])
def test_an_answer_leaves_as_there_is_room(room):
    peer = Peer(large)
    peer.connection.room = room
    heard = peer.say(get("/") + get("/b"))
    while peer.connection.starved:
        heard += peer.make_room(room)
    assert [reply.body for reply in replies(heard)] == [BODY, BODY]
    assert peer.connection.held == 0 and peer.http.kept == 0


def test_requests_wait_while_an_answer_does_and_are_held_against_the_window():
    peer = Peer(large)
    peer.connection.room = 10
    peer.say(get("/"))
    peer.say(get("/b"))
    peer.say(get("/c"))
    assert peer.connection.held == peer.http.kept == len(get("/b") + get("/c"))
    heard = peer.make_room(1 << 30)
    assert len(replies(b"HTTP/1.1 2" + heard)) == 3
    assert peer.connection.held == 0


def test_a_repeated_request_without_room_is_answered_later():
    peer = Peer(hello)
    first = peer.say(get("/"))
    peer.connection.room = 5
    heard = peer.say(get("/"))
    assert len(heard) == 5
    heard += peer.make_room(1 << 30)
    assert only(heard).body == only(first).body
    assert only(peer.say(get("/"))).body == b"hello"


def test_what_all_keep_together_is_bounded():
    usual = session.HTTP_KEPT
    session.HTTP_KEPT = 300
    try:
        peer = Peer(Later())
        peer.say(get("/"))
        for _ in range(20):
            peer.say(get("/"))
            assert peer.http.kept <= 300
        assert peer.counters["memory"] == 1 and peer.connection.closed
    finally:
        session.HTTP_KEPT = usual


# Time.


def test_an_idle_connection_is_closed():
    peer = Peer(hello)
    peer.say(get("/"))
    peer.pass_time(config.HTTP_IDLE_MS - 2000)
    assert not peer.connection.closed
    assert peer.pass_time(4000) == b""
    assert peer.connection.closed and peer.counters["idle"] == 1


def test_slow_heads_are_refused_however_they_dribble():
    peer = Peer(hello)
    data = get("/", "X: " + "a" * 100)
    heard = b""
    for byte in data:
        heard += peer.say(bytes([byte])) + peer.pass_time(1000)
        if heard:
            break
    assert only(heard).status == 408 and peer.counters["slow"] == 1
    assert peer.machine.time < 1000 + config.HTTP_HEAD_MS + 3000


def test_slow_bodies_are_refused():
    peer = Peer(hello)
    peer.say(request("POST", "/", "Content-Length: 100", body=b"a"))
    heard = peer.pass_time(config.HTTP_BODY_MS + 2000)
    assert only(heard).status == 408


def test_clients_that_do_not_read_are_dropped():
    peer = Peer(large)
    peer.connection.room = 10
    peer.say(get("/"))
    peer.pass_time(config.HTTP_WRITE_MS + 2000)
    assert peer.connection.aborted


def test_clients_that_do_not_leave_are_dropped():
    peer = Peer(hello)
    peer.say(b"nonsense\r\n\r\n")
    assert peer.connection.closed and not peer.connection.aborted
    peer.say(b"more nonsense" * 100)
    peer.pass_time(config.HTTP_LINGER_MS + 2000)
    assert peer.connection.aborted


def test_a_handler_may_take_its_time():
    later = Later()
    peer = Peer(later)
    peer.say(get("/"))
    peer.pass_time(1_000_000)
    later.answer()
    assert only(peer.heard()).status == 200


def test_without_connections_no_timer_runs():
    peer = Peer(hello)
    peer.say(get("/"))
    peer.leave()
    peer.pass_time(5000)
    assert peer.machine.timers.count == 0
    assert peer.http.sessions == []


def test_many_connections_come_and_go():
    first = Peer(hello)
    peers = [first.another() for _ in range(50)]
    for peer in peers[:25]:
        peer.leave()
    for peer in peers[25:]:
        assert only(peer.say(get("/"))).status == 200
    first.pass_time(config.HTTP_IDLE_MS + 5000)
    assert not [peer for peer in peers[25:] if not peer.connection.closed]
    for peer in [first, *peers[25:]]:
        peer.leave()
    assert first.http.sessions == [] and first.counters["connections"] == 51


def test_connections_are_bounded():
    usual = server.HTTP_CONNECTIONS
    server.HTTP_CONNECTIONS = 2
    try:
        first = Peer(hello)
        second, third = first.another(), first.another()
        assert third.connection.aborted and not second.connection.aborted
        assert first.counters["full"] == 1
    finally:
        server.HTTP_CONNECTIONS = usual


# Answers.


def test_answers_that_come_later_come_in_order():
    later = Later()
    peer = Peer(later)
    assert peer.say(get("/a") + get("/b") + get("/c")) == b""
    assert len(later.waiting) == 1
    for path in ("/a", "/b", "/c"):
        later.answer()
        assert only(peer.heard()).body == path.encode()
    assert peer.connection.held == 0


def test_two_clients_whose_same_request_is_answered_later():
    later = Later()
    peer = Peer(later)
    other = peer.another()
    for _ in range(3):
        peer.say(get("/"))
        other.say(get("/"))
        assert later.waiting[0][0] is not later.waiting[1][0]
        later.answer()
        later.answer()
        assert only(peer.heard()).status == only(other.heard()).status == 200


def test_an_answer_to_nobody():
    later = Later()
    peer = Peer(later)
    peer.say(get("/"))
    _, response = later.waiting[0]
    assert response.open
    peer.leave()
    assert not response.open
    later.answer()
    assert peer.heard() == b""


def test_the_peer_has_closed_its_side_and_waits():
    later = Later()
    peer = Peer(later)
    peer.say(get("/"))
    peer.connection.on_end(peer.connection)
    assert not peer.connection.closed
    later.answer()
    assert only(peer.heard()).status == 200 and peer.connection.closed


def test_one_answer_to_each_request():
    def twice(request, response):
        response.send("text/plain", b"a")
        with pytest.raises(RuntimeError):
            response.send("text/plain", b"b")

    peer = Peer(twice)
    assert only(peer.say(get("/"))).body == b"a"


def test_status_and_fields():
    def handler(request, response):
        response.status(404).header("X-Why", "because").send("text/html", "<p>")

    reply = only(Peer(handler).say(get("/")))
    assert reply.status == 404 and reply.reason == "Not Found"
    assert reply.headers["x-why"] == "because" and reply.body == b"<p>"


def test_a_field_cannot_split_the_answer():
    def handler(request, response):
        with pytest.raises(ValueError):
            response.header("X", "a\r\nSet-Cookie: b")
        response.redirect("/b", 303)

    reply = only(Peer(handler).say(get("/")))
    assert reply.status == 303 and reply.headers["location"] == "/b"


def test_a_handler_closes_the_connection():
    def handler(request, response):
        response.close().send("text/plain", b"bye")

    peer = Peer(handler)
    for client in (peer, peer.another(), peer.another()):
        assert only(client.say(get("/"))).headers["connection"] == "close"
        assert client.connection.closed


def test_streams():
    streams = []

    def handler(request, response):
        stream = response.stream("text/plain")
        streams.append(stream)
        assert stream.write(b"first")

    peer = Peer(handler)
    heard = peer.say(get("/") + get("/"))
    assert streams[0].write(b"x" * 1000) and streams[0].write(b"")
    streams[0].close()
    heard += peer.heard()
    streams[1].close()
    heard += peer.heard()
    bodies = [reply.body for reply in replies(heard)]
    assert bodies == [b"first" + b"x" * 1000, b"first"] and len(streams) == 2


def test_streams_of_http_1_0_end_with_the_connection():
    def handler(request, response):
        stream = response.stream("text/plain")
        stream.write(b"all")
        stream.close()

    peer = Peer(handler)
    reply = only(peer.say(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
    assert reply.body == b"all" and peer.connection.closed


def test_streams_wait_for_room():
    told = []

    def handler(request, response):
        stream = response.stream("text/plain")
        stream.on_writable = lambda stream: told.append("writable")
        stream.on_close = lambda stream: told.append("close")
        told.append(stream)

    peer = Peer(handler)
    heard = peer.say(get("/"))
    peer.connection.room = 3
    stream = told.pop()
    assert stream.write(b"data")
    assert not stream.write(b"more")
    heard += peer.make_room(1000)
    assert told == ["writable"] and stream.write(b"more")
    stream.close()
    assert Reply(heard + peer.heard()).body == b"datamore"
    peer.leave()
    assert told == ["writable"]


def test_a_stream_to_nobody():
    told = []

    def handler(request, response):
        stream = response.stream("text/plain")
        stream.on_close = told.append
        told.append(stream)

    peer = Peer(handler)
    peer.say(get("/"))
    stream = told.pop()
    peer.leave()
    assert told == [stream] and not stream.write(b"x")
    stream.close()


# The log.


def test_access_log():
    machine = Machine({"access_log": "yes"})
    peer = Peer(hello, machine)
    for _ in range(2):
        peer.say(get("/a"))
    assert machine.log.lines == ["http: 10.0.0.1 GET /a 200 5"] * 2
