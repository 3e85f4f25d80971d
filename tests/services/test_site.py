"""services/http without a network: the table of a site, and what RFC 9110 says about files."""

import gzip
import os
import random

import pytest

from services.http import accept, ranges
from services.http.serve import Server
from services.http.site import Site
from tests.http.peer import Peer, get, only, request
from tools.site import compile as compiler
from tools.site.mime import media_type

DATE = "Sat, 21 Nov 2026 12:00:00 GMT"
TEXT = b"".join(b"line %d of a text that compresses well\n" % n for n in range(200))
NOISE = random.Random(1).randbytes(1000)
FILES = {
    "index.html": b"<p>front",
    "text.txt": TEXT,
    "noise.bin": NOISE,
    "empty": b"",
    "dir/index.html": b"<p>dir",
    "dir/a b.html": b"<p>blank",
    "dir/\u00e9t\u00e9.txt": b"coffee",
    ".hidden": b"secret",
    ".git/config": b"secret",
}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1795262400, 1795262400))
    return tmp_path / "site"


@pytest.fixture
def peer(folder):
    return Peer(Server(Site(compiler.compile_site(folder))).handle)


def ask(peer, path, *lines, method="GET"):
    return only(peer.say(request(method, path, *lines)), to_head=method == "HEAD")


# The table.


def test_everything_is_found_and_nothing_else(peer):
    for name, content in FILES.items():
        if not name.startswith("."):
            path = "/" + name.replace(" ", "%20").replace("é", "%C3%A9")
            path = path.removesuffix("index.html")
            reply = ask(peer, path)
            assert (reply.status, reply.body) == (200, content), path
    for path in ("/index.html/", "/.hidden", "/.git/config", "/text", "//", "/dir/a", "/%00"):
        assert ask(peer, path).status == 404, path


def test_the_same_folder_makes_the_same_table(folder):
    assert compiler.compile_site(folder) == compiler.compile_site(folder)


def test_many_files(tmp_path):
    for n in range(500):
        (tmp_path / f"{n}.txt").write_text(f"file {n}")
    server = Server(Site(compiler.compile_site(tmp_path)))
    peer = Peer(server.handle)
    for n in (0, 1, 250, 499):
        assert ask(peer, f"/{n}.txt").body == f"file {n}".encode()
    assert ask(peer, "/500.txt").status == 404


def test_a_folder_without_files_is_the_users_mistake(tmp_path):
    with pytest.raises(ValueError, match="no files"):
        compiler.compile_site(tmp_path)


def test_a_damaged_table_is_refused(folder):
    table = compiler.compile_site(folder)
    for wrong in (b"", table[:-1], b"x" + table[1:]):
        with pytest.raises(ValueError):
            Site(wrong)


def test_source_date_epoch_caps_dates(folder, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    peer = Peer(Server(Site(compiler.compile_site(folder))).handle)
    assert ask(peer, "/").headers["last-modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize(
    "name, expected",
    [
        ("a.html", "text/html; charset=utf-8"),
        ("A.PNG", "image/png"),
        ("a.tar.gz", "application/gzip"),
        ("README", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_media_types(name, expected):
    assert media_type(name) == expected


# Methods and paths.


def test_head_is_get_without_the_body(peer):
    whole, head = ask(peer, "/text.txt"), ask(peer, "/text.txt", method="HEAD")
    assert whole.headers == head.headers and whole.headers["content-length"] == str(len(TEXT))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_rfc9110_15_5_6_other_methods_are_not_allowed(peer, method):
    reply = ask(peer, "/", method=method)
    assert reply.status == 405 and reply.headers["allow"] == "GET, HEAD, OPTIONS"


def test_rfc9110_9_3_7_options(peer):
    assert ask(peer, "*", method="OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS"
    assert ask(peer, "/", method="OPTIONS").status == 204


def test_a_folder_without_its_slash_redirects(peer):
    reply = ask(peer, "/dir?x=1")
    assert reply.status == 301 and reply.headers["location"] == "/dir/?x=1"


def test_a_redirect_never_leads_to_another_host(tmp_path):
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "index.html").write_text("x")
    peer = Peer(Server(Site(compiler.compile_site(tmp_path))).handle)
    for path in ("//evil", "/%2Fevil", "/\\evil", "///evil"):
        reply = ask(peer, path)
        assert reply.status == 404 or not reply.headers["location"].startswith("//")


@pytest.mark.parametrize("path", ["/%", "/%4", "/%zz", "/%ff", "/%C3", "/..", "/dir/../text.txt"])
def test_paths_that_are_none(peer, path):
    assert ask(peer, path).status == 404


def test_the_page_for_what_is_missing(folder):
    (folder / "404.html").write_text("<p>gone")
    peer = Peer(Server(Site(compiler.compile_site(folder))).handle)
    reply = ask(peer, "/nothing")
    assert (reply.status, reply.body) == (404, b"<p>gone")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "etag" not in reply.headers


# Codings.


def test_what_compresses_is_compressed_if_that_is_accepted(peer):
    plain, packed = ask(peer, "/text.txt"), ask(peer, "/text.txt", "Accept-Encoding: br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body == TEXT
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert plain.headers["etag"] != packed.headers["etag"]


def test_what_does_not_compress_is_not(peer):
    for path in ("/noise.bin", "/", "/empty"):
        reply = ask(peer, path, "Accept-Encoding: gzip")
        assert "content-encoding" not in reply.headers and "vary" not in reply.headers


@pytest.mark.parametrize(
    "field, chosen",
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("br", "identity"),
        ("*", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0, *", "identity"),
        ("gzip; q=0.5, identity; q=0.4", "gzip"),
        ("gzip;q=0.5, identity;q=0.6", "identity"),
        ("identity;q=0", None),
        ("*;q=0", None),
        ("*;q=0, gzip", "gzip"),
        ("gzip;q=nonsense", "identity"),
        ("identity", "identity"),
    ],
)
def test_rfc9110_12_5_3_accept_encoding(field, chosen):
    assert accept.choose(field, True) == ("gzip" if chosen == "gzip" else chosen)


def test_rfc9110_12_5_3_nothing_is_acceptable(peer):
    assert ask(peer, "/noise.bin", "Accept-Encoding: identity;q=0").status == 406


# Conditions.


def test_rfc9110_13_1_2_if_none_match(peer):
    for accepts in ((), ("Accept-Encoding: gzip",)):
        tag = ask(peer, "/text.txt", *accepts).headers["etag"]
        for field in (tag, "W/" + tag, f'"other", {tag}', "*"):
            reply = ask(peer, "/text.txt", "If-None-Match: " + field, *accepts)
            assert reply.status == 304 and reply.headers["etag"] == tag and reply.body == b""
            assert "content-type" not in reply.headers and "last-modified" in reply.headers
        assert ask(peer, "/text.txt", 'If-None-Match: "other"', *accepts).status == 200


@pytest.mark.parametrize(
    "date, status",
    [
        (DATE, 304),
        ("Sun, 22 Nov 2026 00:00:00 GMT", 304),
        ("Sat, 21 Nov 2026 11:59:59 GMT", 200),
        ("Fri, 01 Jan 1999 00:00:00 GMT", 200),
        ("yesterday", 200),
        ("Saturday, 21-Nov-26 12:00:00 GMT", 200),
    ],
)
def test_rfc9110_13_1_3_if_modified_since(peer, date, status):
    assert ask(peer, "/", "If-Modified-Since: " + date).status == status


def test_rfc9110_13_2_2_none_match_goes_before_modified_since(peer):
    fields = ['If-None-Match: "other"', "If-Modified-Since: " + DATE]
    assert ask(peer, "/", *fields).status == 200


def test_rfc9110_13_1_1_if_match(peer):
    tag = ask(peer, "/").headers["etag"]
    assert ask(peer, "/", "If-Match: " + tag).status == 200
    assert ask(peer, "/", "If-Match: *").status == 200
    assert ask(peer, "/", 'If-Match: "other"').status == 412
    assert ask(peer, "/", "If-Match: W/" + tag).status == 412


def test_rfc9110_13_1_4_if_unmodified_since(peer):
    assert ask(peer, "/", "If-Unmodified-Since: " + DATE).status == 200
    assert ask(peer, "/", "If-Unmodified-Since: Fri, 01 Jan 1999 00:00:00 GMT").status == 412


# Ranges.


@pytest.mark.parametrize(
    "field, first, last",
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=10-", 10, 999),
        ("bytes=-10", 990, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=990-5000", 990, 999),
        ("BYTES=1-2", 1, 2),
        ("bytes=5-6, ,", 5, 6),
    ],
)
def test_rfc9110_14_2_one_range(peer, field, first, last):
    reply = ask(peer, "/noise.bin", "Range: " + field)
    assert reply.status == 206 and reply.body == NOISE[first : last + 1]
    assert reply.headers["content-range"] == f"bytes {first}-{last}/1000"


@pytest.mark.parametrize("field", ["bytes=1000-", "bytes=-0", "bytes=2000-3000"])
def test_rfc9110_15_5_17_ranges_that_cannot_be_satisfied(peer, field):
    reply = ask(peer, "/noise.bin", "Range: " + field)
    assert reply.status == 416 and reply.headers["content-range"] == "bytes */1000"


@pytest.mark.parametrize(
    "field",
    [
        "bytes=2-1",
        "bytes=a-b",
        "bytes=1",
        "bytes=--1",
        "bytes=",
        "lines=1-2",
        "1-2",
        "bytes=0-,0-,0-",
        "bytes=" + ",".join(["0-1"] * 17),
        "bytes=1-2-3",
        "bytes=" + "9" * 30 + "-",
    ],
)
def test_rfc9110_14_2_ranges_that_are_ignored(peer, field):
    reply = ask(peer, "/noise.bin", "Range: " + field)
    assert reply.status == 200 and reply.body == NOISE


def test_rfc9110_14_6_several_ranges(peer):
    reply = ask(peer, "/noise.bin", "Range: bytes=0-9,100-109,-10,5000-")
    kind, _, boundary = reply.headers["content-type"].partition("; boundary=")
    assert reply.status == 206 and kind == "multipart/byteranges"
    parts = reply.body.split(b"--" + boundary.encode())
    assert parts[0] == b"\r\n" and parts[-1] == b"--\r\n" and len(parts) == 5
    for part, (first, last) in zip(parts[1:-1], [(0, 9), (100, 109), (990, 999)], strict=True):
        head, _, body = part.partition(b"\r\n\r\n")
        assert f"Content-Range: bytes {first}-{last}/1000".encode() in head
        assert body == NOISE[first : last + 1] + b"\r\n"


@pytest.mark.parametrize("room", [1, 10, 100, 1000])
def test_several_ranges_leave_as_there_is_room(peer, room):
    whole = ask(peer, "/noise.bin", "Range: bytes=0-9,100-109").body
    peer.connection.room = room
    heard = peer.say(get("/noise.bin", "Range: bytes=0-9,100-109"))
    while peer.connection.starved:
        heard += peer.make_room(room)
    assert only(heard).body == whole


def test_ranges_are_of_the_file_as_it_is(peer):
    reply = ask(peer, "/text.txt", "Range: bytes=0-9", "Accept-Encoding: gzip")
    assert reply.body == TEXT[:10] and "content-encoding" not in reply.headers


def test_rfc9110_14_2_ranges_are_for_get(peer):
    assert ask(peer, "/noise.bin", "Range: bytes=0-9", method="HEAD").status == 200


def test_rfc9110_13_1_5_if_range(peer):
    tag = ask(peer, "/noise.bin").headers["etag"]
    for field, status in ((tag, 206), (DATE, 206), ('"other"', 200), ("W/" + tag, 200)):
        assert ask(peer, "/noise.bin", "Range: bytes=0-9", "If-Range: " + field).status == status


def test_rfc9110_13_2_2_conditions_go_before_ranges(peer):
    tag = ask(peer, "/noise.bin").headers["etag"]
    assert ask(peer, "/noise.bin", "Range: bytes=0-9", "If-None-Match: " + tag).status == 304


def test_a_range_is_never_more_than_the_file():
    for length in (0, 1, 10):
        for first in ("", "0", "1", "9", "10", "99"):
            for last in ("", "0", "1", "9", "10", "99"):
                for start, size in ranges.parse(f"bytes={first}-{last}", length) or []:
                    assert 0 <= start < length and 0 < size <= length - start


# All of it is repeated.


def test_every_answer_is_the_same_when_it_repeats(peer):
    for lines in (
        ["/"],
        ["/text.txt", "Accept-Encoding: gzip"],
        ["/noise.bin", "Range: bytes=0-9,20-29"],
        ["/noise.bin", "Range: bytes=5000-"],
        ["/none"],
        ["/dir"],
        ["/", "If-Modified-Since: " + DATE],
    ):
        replies = [peer.say(get(*lines)) for _ in range(3)]
        assert len(set(replies)) == 1
    assert peer.counters["repeated"] == 14
