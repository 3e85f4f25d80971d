"""Messages, RFC 9112: what is a request, what is not, where it ends, and what becomes of the
connection.  Each test says which section it holds to.
"""

import pytest

from tests.http.peer import Peer, get, only, replies, request


def tell(request, response):
    """An answer that says what was asked."""
    text = f"{request.method} {request.path} {request.query} {request.body!r}"
    response.send("text/plain", text)


def ask(data, handler=tell):
    peer = Peer(handler)
    return only(peer.say(data)), peer


def refused(data, status):
    """It is refused with this status, and the connection closed: nothing behind it is read."""
    peer = Peer(tell)
    reply = only(peer.say(data + get("/smuggled")))
    assert reply.status == status
    assert reply.headers["connection"] == "close"
    assert peer.connection.closed and not peer.say(get("/more"))
    assert peer.counters["refused"] == 1
    return reply


# Section 2: messages.


def test_2_1_request_and_answer():
    reply, peer = ask(get("/a?b=c"))
    assert reply.status == 200 and reply.body == b"GET /a b=c b''"
    assert reply.headers["date"] == "Sat, 21 Nov 2026 12:00:00 GMT"
    assert reply.headers["content-type"] == "text/plain"
    assert not peer.connection.closed


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16])
def test_2_1_however_it_is_cut_into_segments(size):
    peer = Peer(tell)
    data = get("/a", "X: y") + request("POST", "/b", "Content-Length: 3", body=b"abc") + get("/c")
    bodies = [reply.body for reply in replies(peer.say_in_pieces(data, size))]
    assert bodies == [b"GET /a  b''", b"POST /b  b'abc'", b"GET /c  b''"]
    assert peer.connection.held == 0 and peer.http.kept == 0


def test_2_2_an_empty_line_before_a_request_is_skipped():
    reply, _ = ask(b"\r\n\r\n" + get("/"))
    assert reply.status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\rY: z\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        b"\0GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_2_2_lines_end_in_cr_lf_and_nothing_else_does(data):
    peer = Peer(tell)
    heard = peer.say(data + b"\r\n\r\n")
    assert only(heard).status == 400 and peer.connection.closed


def test_2_3_the_version_is_case_sensitive():
    refused(b"GET / http/1.1\r\nHost: x\r\n\r\n", 400)


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9", "HTTP/3.1"])
def test_2_3_another_major_version_is_not_supported(version):
    refused(f"GET / {version}\r\nHost: x\r\n\r\n".encode(), 505)


@pytest.mark.parametrize("version", ["HTTP/1", "HTTP/1.10", "HTTP/11", "HTTP/a.1", "FTP/1.1", ""])
def test_2_3_a_version_that_is_none(version):
    refused(f"GET / {version}\r\nHost: x\r\n\r\n".encode(), 400)


# Section 3: request line.


@pytest.mark.parametrize(
    "line",
    [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        " GET / HTTP/1.1",
        "GET /a b HTTP/1.1",
    ],
)
def test_3_single_spaces(line):
    refused(f"{line}\r\nHost: x\r\n\r\n".encode(), 400)


def test_3_a_line_without_a_target():
    refused(b"GET HTTP/1.1\r\nHost: x\r\n\r\n", 400)


def test_3_target_too_long():
    refused(get("/" + "a" * 5000), 414)


def test_3_target_too_long_to_be_awaited():
    peer = Peer(tell)
    heard = peer.say_in_pieces(b"GET /" + b"a" * 9000, 1000)
    assert only(heard).status == 414


@pytest.mark.parametrize("method", ["BREW", "TRACE", "CONNECT", "get", "G" * 40])
def test_3_1_methods_that_nobody_implements(method):
    refused(request(method, "/"), 501)


@pytest.mark.parametrize("method", ["G(T", "GE\x7fT", "G@T"])
def test_3_1_methods_that_are_no_tokens(method):
    refused(request(method, "/"), 400)


def test_3_2_host_is_required():
    refused(b"GET / HTTP/1.1\r\n\r\n", 400)


def test_3_2_one_host_and_no_second():
    refused(get("/", "Host: example"), 400)


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "a,b", 'a"b'])
def test_3_2_a_host_that_is_none(host):
    refused(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), 400)


@pytest.mark.parametrize("host", ["", "example:8080", "[::1]:80", "10.0.0.2"])
def test_3_2_hosts(host):
    assert ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())[0].status == 200


def test_3_2_without_host_in_http_1_0():
    assert ask(b"GET / HTTP/1.0\r\n\r\n")[0].status == 200


@pytest.mark.parametrize(
    "target, path",
    [
        ("http://example/a?b", "/a b"),
        ("HTTP://example", "/ "),
        ("http://example?q", "/ q"),
        ("https://example:444/x", "/x "),
    ],
)
def test_3_2_2_absolute_form(target, path):
    reply, _ = ask(get(target))
    assert reply.body.startswith(f"GET {path}".encode())


@pytest.mark.parametrize("target", ["example", "*", "http:///a", "http://u@h/", "ftp://h/", "/a#b"])
def test_3_2_targets_that_are_none(target):
    refused(get(target), 400)


def test_3_2_4_asterisk_form():
    assert ask(request("OPTIONS", "*"))[0].status == 200


# Section 5: fields.


@pytest.mark.parametrize(
    "line",
    ["X : y", "X", ": y", "X\t: y", "X y: z", "X: a\0b", "X: a\x07b", "X: a\x7fb", "(X): y"],
)
def test_5_1_fields_that_are_none(line):
    refused(get("/", line), 400)


def test_5_2_obsolete_folding_is_refused():
    refused(get("/", "X: a", " b"), 400)
    refused(get("/", "X: a", "\tb"), 400)


def test_5_1_blanks_around_a_value_are_not_part_of_it():
    seen = []

    def handler(request, response):
        seen.append(request.header("x"))
        seen.append(request.headers["x"])
        response.send("text/plain", b"")

    ask(get("/", "X: \t a b\t ", "x:c"), handler)
    assert seen == ["a b, c", "a b, c"]


def test_5_values_may_have_bytes_above_ascii():
    seen = []

    def handler(request, response):
        seen.append(request.header("x"))
        seen.append(request.header("y"))
        response.send("text/plain", b"")

    ask(b"GET / HTTP/1.1\r\nHost: h\r\nX: \xc3\xa9\r\nY: \xe9\r\n\r\n", handler)
    assert seen == ["é", "é"]


def test_5_4_too_many_fields():
    refused(get("/", *[f"X{n}: y" for n in range(64)]), 431)


def test_5_4_a_head_that_is_too_long():
    refused(get("/", "X: " + "a" * 9000), 431)


def test_5_4_a_head_that_is_too_long_to_be_awaited():
    peer = Peer(tell)
    heard = peer.say_in_pieces(get("/")[:-2] + b"X: " + b"a" * 9000, 1000)
    assert only(heard).status == 431


# Section 6: bodies.


def test_6_2_content_length():
    reply, _ = ask(request("POST", "/", "Content-Length: 5", body=b"hello"))
    assert reply.body == b"POST /  b'hello'"


def test_6_3_no_length_is_no_body():
    assert ask(request("POST", "/"))[0].body == b"POST /  b''"


def test_6_3_a_body_of_http_1_0_needs_its_length():
    refused(b"POST / HTTP/1.0\r\n\r\n", 411)


def test_6_3_a_get_may_have_a_body():
    reply, _ = ask(get("/", "Content-Length: 2") + b"hi")
    assert reply.body == b"GET /  b'hi'"


@pytest.mark.parametrize("value", ["", "-1", "+1", "1 1", "0x1", "1,1", "1.0", "٣", "one"])
def test_6_3_lengths_that_are_none(value):
    refused(request("POST", "/", f"Content-Length: {value}"), 400)


def test_6_3_two_lengths():
    refused(request("POST", "/", "Content-Length: 1", "Content-Length: 1"), 400)
    refused(request("POST", "/", "Content-Length: 1", "Content-Length: 2"), 400)


def test_6_3_a_length_that_is_too_large():
    refused(request("POST", "/", "Content-Length: 65537"), 413)
    refused(request("POST", "/", "Content-Length: 99999999999999999999999"), 413)


def test_6_1_both_kinds_of_length_are_smuggling():
    for lines in (
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
    ):
        refused(request("POST", "/", *lines, body=b"0\r\n\r\n"), 400)


@pytest.mark.parametrize(
    "coding",
    [
        "identity",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "chunked;q=1",
        "",
        "chunked,",
        '"chunked"',
        "chunked\x0b",
    ],
)
def test_6_1_transfer_codings_that_do_not_end_the_message(coding):
    refused(request("POST", "/", f"Transfer-Encoding: {coding}", body=b"0\r\n\r\n"), 400)


def test_6_1_codings_that_nobody_implements():
    refused(request("POST", "/", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501)
    refused(
        request("POST", "/", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
        501,
    )


def test_6_1_chunked_in_http_1_0_is_faulty():
    refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)


# Section 7: chunks.


def chunked(body):
    return request("POST", "/", "Transfer-Encoding: chunked", body=body)


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED", " chunked "])
def test_7_codings_in_any_case(coding):
    reply, _ = ask(request("POST", "/", f"Transfer-Encoding:{coding}", body=b"1\r\na\r\n0\r\n\r\n"))
    assert reply.body == b"POST /  b'a'"


def test_7_1_chunks():
    body = b"3\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\n"
    assert ask(chunked(body))[0].body == b"POST /  b'abc0123456789'"


def test_7_1_chunks_then_another_request():
    peer = Peer(tell)
    heard = replies(peer.say(chunked(b"1\r\na\r\n0\r\n\r\n") + get("/next")))
    assert [reply.body for reply in heard] == [b"POST /  b'a'", b"GET /next  b''"]


def test_7_1_1_extensions_are_ignored():
    body = b'1;x="a;b"\r\na\r\n0;y\r\n\r\n'
    assert ask(chunked(body))[0].body == b"POST /  b'a'"


def test_7_1_2_trailers_are_dropped():
    seen = []

    def handler(request, response):
        seen.append(request.header("x-later", "none"))
        response.send("text/plain", request.body)

    reply, _ = ask(chunked(b"1\r\na\r\n0\r\nX-Later: no\r\n\r\n"), handler)
    assert reply.body == b"a" and seen == ["none"]


@pytest.mark.parametrize(
    "body, status",
    [
        (b"\r\na\r\n0\r\n\r\n", 400),
        (b"g\r\na\r\n", 400),
        (b"-1\r\na\r\n", 400),
        (b"0x1\r\na\r\n", 400),
        (b" 1\r\na\r\n", 400),
        (b"1\na\n0\n\n", 400),
        (b"1\r\nab\r\n", 400),
        (b"1\r\na0\r\n\r\n", 400),
        (b"1\rX\na\r\n", 400),
        (b"1" + b";x" * 200 + b"\r\n", 400),
        (b"0\r\nno field\r\n\r\n", 400),
        (b"0\r\n folded: x\r\n\r\n", 400),
        (b"10001\r\n", 413),
        (b"fffffffff\r\n", 413),
        (b"0\r\n" + b"x: " + b"y" * 200 + b"\r\n" + (b"x: " + b"y" * 200 + b"\r\n") * 12, 431),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_7_1_chunks_that_are_none(body, status, size):
    peer = Peer(tell)
    reply = only(peer.say_in_pieces(chunked(body) + get("/smuggled"), size))
    assert reply.status == status and peer.connection.closed


# Section 9: connections.


def test_9_3_close_is_answered_and_done():
    reply, peer = ask(get("/", "Connection: close"))
    assert reply.headers["connection"] == "close" and peer.connection.closed
    assert not peer.say(get("/"))


def test_9_3_close_among_others_in_any_case():
    assert ask(get("/", "Connection: foo, Close"))[1].connection.closed


def test_9_3_http_1_0_closes_unless_it_asks():
    reply, peer = ask(b"GET / HTTP/1.0\r\n\r\n")
    assert reply.headers["connection"] == "close" and peer.connection.closed
    reply, peer = ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert reply.headers["connection"] == "keep-alive" and not peer.connection.closed


def test_9_3_2_pipelining_answers_in_order():
    peer = Peer(tell)
    heard = replies(peer.say(b"".join([get(f"/{n}") for n in range(20)])))
    assert [reply.body for reply in heard] == [f"GET /{n}  b''".encode() for n in range(20)]


def test_9_3_2_nothing_is_answered_behind_close():
    peer = Peer(tell)
    assert len(replies(peer.say(get("/", "Connection: close") + get("/b")))) == 1


def test_9_6_a_request_before_the_end_of_the_stream_is_answered():
    peer = Peer(tell)
    assert only(peer.say(get("/"))).status == 200
    peer.connection.on_end(peer.connection)
    assert peer.connection.closed


def test_9_6_half_a_request_before_the_end_is_none():
    peer = Peer(tell)
    assert peer.say(get("/")[:10]) == b""
    peer.connection.on_end(peer.connection)
    assert peer.connection.closed and peer.heard() == b"" and peer.http.kept == 0


# RFC 9110.


def test_rfc9110_9_3_2_head_has_no_body():
    peer = Peer(tell)
    reply = only(peer.say(request("HEAD", "/")), to_head=True)
    assert reply.headers["content-length"] == str(len("HEAD /  b''"))


def test_rfc9110_10_1_1_continue():
    peer = Peer(tell)
    head = request("POST", "/", "Content-Length: 2", "Expect: 100-continue")
    assert peer.say(head) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert only(peer.say(b"hi")).body == b"POST /  b'hi'"


def test_rfc9110_10_1_1_no_continue_where_the_body_is_there():
    head = request("POST", "/", "Content-Length: 2", "Expect: 100-Continue")
    assert ask(head + b"hi")[0].status == 200


def test_rfc9110_10_1_1_no_continue_for_what_is_refused():
    refused(request("POST", "/", "Content-Length: 99999", "Expect: 100-continue"), 413)


def test_rfc9110_10_1_1_other_expectations_fail():
    refused(get("/", "Expect: miracles"), 417)


def test_rfc9110_10_1_1_expectations_of_http_1_0_are_ignored():
    head = b"POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    peer = Peer(tell)
    assert peer.say(head) == b"" and only(peer.say(b"hi")).status == 200


@pytest.mark.parametrize("code", [204, 304])
def test_rfc9110_6_4_1_answers_without_content(code):
    def handler(request, response):
        response.status(code).send("")

    reply, _ = ask(get("/"), handler)
    assert reply.status == code
