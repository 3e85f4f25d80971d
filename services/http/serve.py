"""From request to answer, for files that never change while the machine runs.

RFC 9110: methods (section 9.3), preconditions in the order of section 13.2.2, negotiation of the
coding (12.5.3), ranges (14).  Every answer is a function of the head of the request, so Http may
give it again to whoever sends the same (net/http/known.py).
Neighbours: site.py has the files, ranges.py and accept.py read the fields.
"""

from net.http import status as codes
from net.http.answer import Answer, content_type
from net.http.date import order
from net.http.request import decode
from services.http import accept, ranges

ALLOW = b"Allow: GET, HEAD, OPTIONS\r\n"
TEXT = content_type("text/plain")


class Server:
    def __init__(self, site):
        self.site = site

    def handle(self, request, response):
        response.give(self.answer(request))

    def answer(self, request):
        if request.method == "OPTIONS":
            return Answer(204, ALLOW, fixed=True)
        if request.method not in ("GET", "HEAD"):
            return plain(405, ALLOW)
        path = decode(request.path)
        entry = self.site.find(path) if path else None
        if entry is None:
            return self.missing(request)
        if entry.redirects:
            query = "?" + request.query if request.query else ""
            return plain(301, b"Location: %s/%s\r\n" % (_safe(request.path), query.encode()))
        return self.file(request, entry)

    def missing(self, request):
        page = self.site.missing()
        if page is None:
            return plain(404)
        variant = page.variant(False)
        kind = variant.fields[variant.fields.find(b"Content-Type") :]
        return Answer(404, kind, [(self.site.table, variant.body, variant.length)], fixed=True)

    def file(self, request, entry):
        tags = (entry.tag, entry.tag[:-1] + '-gz"') if entry.has_gzip else (entry.tag,)
        wanted = request.header("range") if request.method == "GET" else ""
        coding = accept.choose(request.header("accept-encoding"), entry.has_gzip and not wanted)
        if coding is None:
            return plain(406)
        variant = entry.variant(coding == "gzip")
        status = precondition(request, tags, entry.modified)
        if status == 304:
            return Answer(304, variant.shared, fixed=True)
        if status:
            return plain(status)
        if wanted and unchanged(request, entry):
            parts = ranges.parse(wanted, variant.length)
            if parts is not None:
                return self.partial(variant, parts)
        whole = [(self.site.table, variant.body, variant.length)] if variant.length else []
        return Answer(200, variant.fields, whole, fixed=True)

    def partial(self, variant, parts):
        table, length = self.site.table, variant.length
        if not parts:
            return plain(416, b"Content-Range: bytes */%d\r\n" % length)
        if len(parts) == 1:
            first, size = parts[0]
            line = b"Content-Range: bytes %d-%d/%d\r\n" % (first, first + size - 1, length)
            pieces = [(table, variant.body + first, size)]
            return Answer(206, variant.fields + line, pieces, fixed=True)
        at = variant.fields.find(b"Content-Type")
        kind = variant.fields[at:]
        line, pieces = ranges.multipart(table, variant.body, length, kind, parts)
        return Answer(206, variant.fields[:at] + line, pieces, fixed=True)


def plain(status, fields=b""):
    """The status as a line of text."""
    text = b"%d %s\n" % (status, codes.NAMES[status].encode())
    return Answer(status, TEXT + fields, [(text, 0, len(text))], fixed=True)


def _safe(path):
    """A path that is a path and nothing else: //host/ would lead elsewhere."""
    while path[:2] == "//":
        path = path[1:]
    return path.encode()


def _tags(field):
    """The entity tags of a list: (weak, opaque)."""
    found = []
    for part in field.split(","):
        part = part.strip(" \t")
        weak = part[:2] == "W/"
        found.append((weak, part[2:] if weak else part))
    return found


def precondition(request, tags, modified):
    """RFC 9110 section 13.2.2: 0 to go on, 304 or 412."""
    field = request.header("if-match")
    if field:
        if field != "*" and not [t for weak, t in _tags(field) if not weak and t in tags]:
            return 412
    else:
        field = order(request.header("if-unmodified-since"))
        if field and order(modified) > field:
            return 412
    field = request.header("if-none-match")
    if field:
        if field == "*" or [tag for _, tag in _tags(field) if tag in tags]:
            return 304
    else:
        field = order(request.header("if-modified-since"))
        if field and order(modified) <= field:
            return 304
    return 0


def unchanged(request, entry):
    """RFC 9110 section 13.1.5: a range of what the client has a part of already."""
    field = request.header("if-range")
    return not field or field == entry.tag or field == entry.modified
