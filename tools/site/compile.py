"""Compile a site: a folder becomes the table that services/http/site.py draws.

    compile_site(folder) -> bytes

Everything that can be decided now is: types, entity tags, dates, compressed variants (libdeflate,
kept where they are smaller, head included), the lines of each head, which path is a folder's index
and which is missing its slash.  Names that begin with a dot are left out.  SOURCE_DATE_EPOCH caps
the dates of files, so that a fresh clone can make the same image as another.

The constants of the layout are read from services/http/site.py.
"""

import ast
import hashlib
import os
import struct
import time
import zlib
from pathlib import Path

import deflate

from tools.site.mime import media_type

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ("services/http/site.py",)
INDEX, MISSING_PAGE = "index.html", "404.html"
COMPRESSED = ("gz", "zip", "png", "jpg", "jpeg", "webp", "avif", "woff2", "mp4", "zst", "xz", "br")


def _constants():
    """NAME = const(...) of the module that reads the table."""
    found = {}
    for node in ast.parse((ROOT / SOURCES[0]).read_text()).body:
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("const"), [ast.Constant(value)])):
                found[name] = value
    return found


C = _constants()


class Table:
    """Bytes that grow; everything is put once."""

    def __init__(self):
        self.data = bytearray(C["HEADER"])
        self.known = {}

    def put(self, content):
        """The offset of some bytes, of equal ones if there are any."""
        if content not in self.known:
            self.known[content] = len(self.data)
            self.data += content
        return self.known[content]

    def align(self):
        self.data += bytes(-len(self.data) % 4)


def compile_site(folder):
    folder = Path(folder)
    files = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            files["/" + "/".join(parts)] = path
    if not files:
        raise ValueError("there are no files in this folder")
    table = Table()
    entries = {}
    for name, path in files.items():
        entries[_address(name)] = _entry(table, name, path)
    for name in list(entries):
        if name.endswith("/") and name != "/":
            entries.setdefault(name[:-1], struct.pack("<3I", 0, 0, C["REDIRECT"]))
    missing = entries.get("/" + MISSING_PAGE)
    return _finish(table, entries, missing)


def _address(name):
    """An index is at its folder's path."""
    return name[: -len(INDEX)] if name.endswith("/" + INDEX) else name


def _entry(table, name, path):
    content = path.read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:16]
    seconds = min(path.stat().st_mtime, int(os.environ.get("SOURCE_DATE_EPOCH", 1 << 40)))
    modified = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))
    packed = b""
    if name.rpartition(".")[2].lower() not in COMPRESSED:
        packed = gzip(content)
        if len(packed) + 24 >= len(content):  # Content-Encoding: gzip
            packed = b""
    vary = "Vary: Accept-Encoding\r\n" if packed else ""
    kind = f"Content-Type: {media_type(name)}\r\n"

    def variant(body, suffix, more):
        shared = f'ETag: "{tag}{suffix}"\r\nLast-Modified: {modified}\r\n{vary}'
        fields = (shared + "Accept-Ranges: bytes\r\n" + kind + more).encode()
        return struct.pack(
            "<6I", table.put(fields), len(fields), len(shared), table.put(body), len(body), 0
        )

    quoted = f'"{tag}"'.encode()
    words = struct.pack("<3I", C["FILE"], table.put(quoted), len(quoted))
    words += struct.pack("<I", table.put(modified.encode()))
    words += variant(content, "", "")
    words += variant(packed, "-gz", "Content-Encoding: gzip\r\n") if packed else bytes(24)
    return bytes(8) + words


def gzip(content):
    """RFC 1952, without a name and a time."""
    head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    tail = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return head + bytes(deflate.deflate_compress(content, 12)) + tail


def _finish(table, entries, missing):
    last = 1
    while last + 1 < 2 * len(entries):
        last = last << 1 | 1
    slots = [0] * (last + 1)
    places = {}
    for name, words in entries.items():
        path = name.encode()
        words = struct.pack("<2I", table.put(path), len(path)) + words[8:]
        words = words.ljust(C["ENTRY"], b"\0")
        table.align()
        places[name] = at = len(table.data)
        table.data += words
        h = hash_path(path)
        while slots[h & last]:
            h += 1
        slots[h & last] = at
    table.align()
    index = len(table.data)
    table.data += struct.pack(f"<{len(slots)}I", *slots)
    header = (C["MAGIC"], C["VERSION"], len(table.data), index, last)
    header += (places["/" + MISSING_PAGE] if missing else 0,)
    table.data[: C["HEADER"]] = struct.pack("<6I", *header)
    return bytes(table.data)


def hash_path(path):
    h = C["SEED"]
    for byte in path:
        h = (h * 33 ^ byte) & C["HASH"]
    return h
