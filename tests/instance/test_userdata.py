"""runtime/instance/userdata.py: settings from what the owner of an instance gives."""

import ast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.instance.userdata import parse

GOOD = {
    b"": {},
    b"  \n \n": {},
    b'{"axfr": "10.0.0.0/8", "log": "debug"}': {"axfr": "10.0.0.0/8", "log": "debug"},
    b'{"files": {"zone": "SU9aAQ=="}}': {},
    b'{"files": "a, b"}': {"files": "a, b"},
    b'{"settings": {"axfr": ["10.0.0.0/8", "::/0"]}, "mine": {"x": [null]}}': {
        "axfr": "10.0.0.0/8,::/0"
    },
    b'\n{"mtu": 1400, "probe": true, "release": false, "search": []}': {
        "mtu": "1400",
        "probe": "yes",
        "release": "no",
        "search": "",
    },
    b"# comment\nlog = 'debug'\n\naxfr = [\"10.0.0.0/8\", '::/0',]  # who may\n": {
        "log": "debug",
        "axfr": "10.0.0.0/8,::/0",
    },
    b"mtu = 1400\r\nprobe=True\r\neth1.mtu = -1": {"mtu": "1400", "probe": "yes", "eth1.mtu": "-1"},
    b"motd = 'it\\'s \\\"here\\\"\\n\\\\ # no comment'": {"motd": 'it\'s "here"\n\\ # no comment'},
    b"a = ()\nb = (1, 2)\nc = ''": {"a": "", "b": "1,2", "c": ""},
    "name = 'Zoë'".encode(): {"name": "Zoë"},
}
BAD = {
    b"#!/bin/sh\nrm -rf /": "a shell script",
    b"#!/usr/bin/env python3\nx = 1": "a shell script",
    b"#cloud-config\nhostname: x": "cloud-init's",
    b"#cloud-boothook\n": "cloud-init's",
    b"#include http://x": "cloud-init's",
    b"Content-Type: multipart/mixed": "a mail",
    b"\x1f\x8b\x08\x00": "compressed",
    b"IOZ\x01\xff\xfe": "not text",
    b"{": "not JSON",
    b'{"a": 1,}x': "not JSON",
    b'["a"]': "line 1 is not",
    b'{"settings": [1]}': "settings are not an object",
    b'{"a": null}': "a is neither",
    b'{"a": {"b": "secret"}}': "a is neither",
    b'{"a": 1.5}': "a is neither",
    b'{"a b": "c"}': "a name that no setting has",
    b'{"": "x"}': "a name that no setting has",
    b"hello": "line 1 is not",
    b"a = 1\nb: 2": "line 2 is not",
    b"a = 1\nb = [1, 2": "line 2 is not",
    b"a = 'open": "line 1 is not",
    b"a = 'x' 'y'": "line 1 is not",
    b"a = open('x')": "line 1 is not",
    b"a = 1.5": "line 1 is not",
    b"a =": "line 1 is not",
    b"= 1": "line 1 is not",
    b"a = [[1]]": "line 1 is not",
    b"a = '\\q'": "line 1 is not",
    b"a = __import__('os')": "line 1 is not",
    b"\n".join(b"a%d = 1" % i for i in range(257)): "more than 256",
    b"a" * 65 + b" = 1": "a name that no setting has",
}


@pytest.mark.parametrize("data", GOOD)
def test_settings(data):
    assert parse(data) == (GOOD[data], "")


@pytest.mark.parametrize("data", BAD)
def test_what_is_not_understood(data):
    found, complaint = parse(data)
    assert found == {} and BAD[data] in complaint
    assert "secret" not in complaint


@given(st.binary())
@example(b'{"a": "\\ud800"}')
def test_no_bytes_raise(data):
    found, complaint = parse(data)
    assert not (found and complaint)
    assert all(isinstance(text, str) for pair in found.items() for text in pair)


PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=20)
SCALAR = st.one_of(st.integers(-(10**9), 10**9), st.booleans(), PLAIN)


@given(
    st.dictionaries(
        st.from_regex(r"x_[a-z0-9_]{0,8}", fullmatch=True), st.one_of(SCALAR, st.lists(SCALAR))
    )
)
def test_lines_mean_what_python_means(values):
    text = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    meant = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(text).body}

    def told(value):
        if isinstance(value, list):
            return ",".join(map(told, value))
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)

    assert parse(text.encode()) == ({name: told(value) for name, value in meant.items()}, "")


def test_a_deep_json_is_no_crash():
    found, complaint = parse(b'{"a": ' + b"[" * 100_000)
    assert found == {} and complaint


@pytest.mark.parametrize("text", ["a = 'b'\n", '{"a": "b"}', "a = 'b'\r\n"])
def test_the_mark_that_editors_begin_a_file_with_is_no_part_of_it(text):
    assert parse(b"\xef\xbb\xbf" + text.encode()) == ({"a": "b"}, "")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\n#cloud-config\nhostname: x", "cloud-init's"),
        (b"\xef\xbb\xbf#cloud-config\n{}", "cloud-init's"),
        (b"Content-type: text/x-shellscript\n\n#!/bin/sh", "a mail with parts"),
        (b"mime-version: 1.0\n", "a mail with parts"),
        (b"\x1f\x8b\x08\0", "compressed"),
        (b"#include\nhttp://10.0.0.1/", "cloud-init's"),
        (b"hostname: x\nusers: []\n", "line 1 is not NAME = LITERAL"),
    ],
)
def test_what_is_meant_for_others_is_said(data, why):
    found, complaint = parse(data)
    assert found == {} and why in complaint and complaint.endswith("lines NAME = LITERAL")
