"""Request: what a handler sees.  RFC 9112 section 3, RFC 9110 sections 7 to 10.

    request.method               "GET"
    request.path                 "/a%20b/c" as it was sent, without the query; decode(path) -> text
    request.query                "x=1&y=2", "" without one
    request.version              10 or 11
    request.header("accept")     the value, "" if there is none; several are joined by ", "
    request.headers              all of them, a dict by lower-case name
    request.body                 bytes
    request.connection           the connection of net/tcp: remote, remote_port ...
    request.content_length, .chunked, .expects, .keep     what is to be known of the body and the
                                 connection; `check` has found out

Left out: parameters of queries and forms as dicts; cookies.
"""

from net.http.head import (
    COUNT,
    FIELD,
    METHOD_END,
    MINOR,
    TARGET,
    TARGET_END,
    find,
)

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
WITH_BODY = ("POST", "PUT", "PATCH")
HEX = "0123456789abcdef"
LONGEST_LENGTH = 15  # digits


class Request:
    """`raw`: the bytes of the head; `table`: where its parts are, see head.py.  Both are kept."""

    def __init__(self, raw, table, connection):
        self.raw = raw
        self.table = memoryview(table).cast("H") if hasattr(memoryview, "cast") else Halves(table)
        self.places = table
        self.connection = connection
        self.method = str(raw[: self.table[METHOD_END]], "ascii")
        self.version = 11 if self.table[MINOR] else 10
        self.path = ""
        self.query = ""
        self.body = b""
        self.content_length = 0
        self.chunked = False
        self.expects = False
        self.keep = False
        self._headers = None

    # What was sent.

    def value(self, number):
        at = FIELD + 4 * number
        return _text(self.raw[self.table[at + 2] : self.table[at + 3]])

    def header(self, name, default=""):
        wanted = name.lower().encode()
        number = find(self.raw, self.places, wanted, len(wanted), 0)
        if number < 0:
            return default
        text = self.value(number)
        while True:
            number = find(self.raw, self.places, wanted, len(wanted), number + 1)
            if number < 0:
                return text
            text += ", " + self.value(number)

    def fields(self, name):
        """Every value of a field, as a list."""
        found = []
        number = find(self.raw, self.places, name, len(name), 0)
        while number >= 0:
            found.append(self.value(number))
            number = find(self.raw, self.places, name, len(name), number + 1)
        return found

    @property
    def headers(self):
        if self._headers is None:
            found = {}
            for number in range(self.table[COUNT]):
                at = FIELD + 4 * number
                name = str(self.raw[self.table[at] : self.table[at + 1]], "ascii").lower()
                value = self.value(number)
                found[name] = found[name] + ", " + value if name in found else value
            self._headers = found
        return self._headers

    # What it means.

    def check(self):
        """0, or the status to refuse the request with.  The order is that of what is most wrong."""
        target = str(self.raw[self.table[TARGET] : self.table[TARGET_END]], "ascii")
        return (
            self.check_host()
            or self.check_length()
            or self.check_method(target)
            or self.check_expectation()
            or self.check_connection()
        )

    def check_host(self):
        # RFC 9112 section 3.2: exactly one, in HTTP/1.1.
        hosts = self.fields(b"host")
        if len(hosts) > 1 or (self.version == 11 and not hosts):
            return 400
        for c in hosts[0] if hosts else "":
            if c in ' \t"#/<>?@\\^`{|},;' or not " " < c < "\x7f":
                return 400
        return 0

    def check_length(self):
        # RFC 9112 section 6.3: two that disagree, or both kinds, are how requests are smuggled.
        lengths = self.fields(b"content-length")
        codings = self.fields(b"transfer-encoding")
        if codings:
            if lengths or self.version == 10:
                return 400
            names = [name.strip(" \t").lower() for name in ",".join(codings).split(",")]
            if names.count("chunked") != 1 or names[-1] != "chunked":
                return 400
            if len(names) > 1:
                return 501
            self.chunked = True
        elif lengths:
            text = lengths[0]
            if len(lengths) > 1 or not text.isdigit() or not _ascii(text):
                return 400
            if len(text) > LONGEST_LENGTH:
                return 413
            self.content_length = int(text)
        elif self.version == 10 and self.method in WITH_BODY:
            return 411
        return 0

    def check_method(self, target):
        if self.method not in METHODS:
            return 501
        if target == "*":
            if self.method != "OPTIONS":
                return 400
        elif target[0] != "/":
            # RFC 9112 section 3.2.2: the absolute form; its host counts, and we have only one.
            scheme, mark, rest = target.partition("://")
            if not mark or scheme.lower() not in ("http", "https"):
                return 400
            host = rest.split("/")[0].split("?")[0]
            if not host or "@" in host:
                return 400
            target = rest[len(host) :]
            if target[:1] != "/":
                target = "/" + target
        if "#" in target:
            return 400
        self.path, _, self.query = target.partition("?")
        return 0

    def check_expectation(self):
        expected = self.header("expect").lower()
        if not expected or self.version == 10:
            return 0  # RFC 9110 section 10.1.1: ignored in HTTP/1.0
        if expected != "100-continue":
            return 417
        self.expects = True
        return 0

    def check_connection(self):
        options = [option.strip(" \t") for option in self.header("connection").lower().split(",")]
        # RFC 9112 section 9.3.
        self.keep = "close" not in options and (self.version == 11 or "keep-alive" in options)
        return 0


class Halves:
    """A bytearray as 16-bit numbers, where memoryview has no cast."""

    def __init__(self, table):
        self.bytes = table

    def __getitem__(self, index):
        return self.bytes[2 * index] | self.bytes[2 * index + 1] << 8


def _text(value):
    """UTF-8, as browsers send it, or the letters of Latin-1, as RFC 9110 5.5 remembers them."""
    try:
        return str(value, "utf-8")
    except UnicodeError:
        return "".join([chr(c) for c in value])


def _ascii(text):
    """`isdigit` takes digits of other alphabets, too."""
    return not [c for c in text if c not in "0123456789"]


def decode(path):
    """The text that a path means, or None if it is none: percent-encoded UTF-8."""
    if "%" not in path:
        return path
    parts = path.split("%")
    decoded = bytearray(parts[0].encode())
    for part in parts[1:]:
        high, low = HEX.find(part[:1].lower()), HEX.find(part[1:2].lower())
        if len(part) < 2 or high < 0 or low < 0:
            return None
        decoded.append(high << 4 | low)
        decoded.extend(part[2:].encode())
    try:
        return str(decoded, "utf-8")
    except UnicodeError:
        return None
