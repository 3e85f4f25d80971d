"""The table of a site: paths, and what each gives.  Made by tools/site, read-only, in the image.

    header, u32 words, little-endian
     0  MAGIC      "SITE"
     1  VERSION
     2  SIZE       of the table
     3  SLOTS      offset of the hash index: u32 offsets of entries, 0 for none
     4  LAST       number of slots less one
     5  MISSING    entry of the page for what is not there (404.html), or 0
    entry, u32 words
     0  PATH       offset, length: decoded, UTF-8, "/a/b.html"; "/a/" for /a/index.html
     2  KIND       FILE, or REDIRECT: to the same path with a slash
     3  TAG        offset, length: the entity tag, with its quotes
     5  MODIFIED   offset of the date, 29 characters
     6  PLAIN      the file: variant
    12  GZIP       the same compressed: variant, or zeros where that is not smaller
    variant, u32 words
     0  FIELDS     offset, length: lines of the head
     2  SHARED     length of those in front that a 304 has, too
     3  BODY       offset, length
     5  reserved, 0

An entry is found through a hash of its path: h = h * 33 ^ byte, from 5381 on, modulo 2^24; then
slot by slot.  Left out: anything that is not a file: listings of folders, parameters.
"""

import micropython
from micropython import const

MAGIC = const(0x45544953)
VERSION = const(1)
SIZE = const(2)
SLOTS = const(3)
LAST = const(4)
MISSING = const(5)
HEADER = const(24)
PATH = const(0)
KIND = const(2)
TAG = const(3)
MODIFIED = const(5)
PLAIN = const(6)
GZIP = const(12)
ENTRY = const(72)
FIELDS = const(0)
SHARED = const(2)
BODY = const(3)
FILE = const(0)
REDIRECT = const(1)
DATE = const(29)
SEED = const(5381)
HASH = const(0xFFFFFF)


class Site:
    def __init__(self, table):
        self.table = table
        if len(table) < HEADER or self.word(0) != MAGIC or self.word(4) != VERSION:
            raise ValueError("this is not a site: compile it with tools/site")
        if self.word(4 * SIZE) != len(table):
            raise ValueError("the site is damaged")

    def word(self, offset):
        return int.from_bytes(self.table[offset : offset + 4], "little")

    def find(self, path):
        """The entry of a path (text, decoded), or None."""
        name = path.encode()
        at = self.search(name, len(name))
        return Entry(self, at) if at else None

    def missing(self):
        at = self.word(4 * MISSING)
        return Entry(self, at) if at else None

    @micropython.viper
    def search(self, name, length: int) -> int:
        table = ptr8(self.table)
        words = ptr32(table)
        wanted = ptr8(name)
        h = int(SEED)
        i = 0
        while i < length:
            h = (h * 33 ^ wanted[i]) & HASH
            i += 1
        slots = words[SLOTS] >> 2
        last = words[LAST]
        while True:
            h &= last
            at = words[slots + h]
            if at == 0:
                return 0
            entry = at >> 2
            if words[entry + 1] == length:
                p = words[entry]
                i = 0
                while i < length and table[p + i] == wanted[i]:
                    i += 1
                if i == length:
                    return at
            h += 1


class Entry:
    """What a path gives."""

    def __init__(self, site, at):
        self.site = site
        self.at = at
        self.redirects = site.word(at + 4 * KIND) == REDIRECT

    def text(self, offset, length):
        return str(self.site.table[offset : offset + length], "utf-8")

    def word(self, index):
        return self.site.word(self.at + 4 * index)

    @property
    def tag(self):
        return self.text(self.word(TAG), self.word(TAG + 1))

    @property
    def modified(self):
        return self.text(self.word(MODIFIED), DATE)

    @property
    def has_gzip(self):
        return self.word(GZIP) != 0

    def variant(self, gzip):
        return Variant(self, GZIP if gzip else PLAIN)


class Variant:
    """A file as it is sent: `fields` of the head, `body` (an offset in the table) and `length`."""

    def __init__(self, entry, base):
        table = entry.site.table
        at = entry.word(base + FIELDS)
        self.fields = table[at : at + entry.word(base + FIELDS + 1)]
        self.shared = self.fields[: entry.word(base + SHARED)]
        self.body = entry.word(base + BODY)
        self.length = entry.word(base + BODY + 1)
