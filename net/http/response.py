"""Response: what a handler answers with.

    response.send("text/plain", b"Hello")       200, with a length
    response.status(404)                        another status, before send or stream
    response.header("Cache-Control", "no-store")
    response.send_file(type, data, offset, length)   a part of bytes that stay as they are
    response.redirect("/elsewhere", 302)
    response.error(404)                         the status as a line of text
    response.give(answer)                       a ready Answer

    stream = response.stream("text/event-stream")    content of unknown length, as it comes
    stream.write(b"data: 1\\n\\n") -> bool        False: not now; on_writable(stream) follows
    stream.on_writable, stream.on_close         slots (stream)
    stream.close()                              the end of the content

A handler may answer later, and until then request and response are its own; after that they may
be used again for another.  Requests that were pipelined behind it wait meanwhile.  Whether the
client is still there: response.open.  RFC 9112 section 7.1 (chunks), 9110 section 6.6.1 (Date).
Left out: trailers, interim responses other than 100.
"""

from net.http import status as codes
from net.http.answer import INLINE, Answer, content_type


class Response:
    def __init__(self, session, request):
        self.again(session, request)

    def again(self, session, request):
        """Be the response to another request."""
        self.session = session
        self.request = request
        self.code = 200
        self.fields = b""
        self.done = False
        self.known = None  # how the same request was answered before, see server.py

    @property
    def open(self):
        """The client waits for the answer."""
        return not self.done and self.session.connection is not None

    def status(self, code):
        self.code = code
        return self

    def header(self, name, value):
        line = name + ": " + value
        if "\r" in line or "\n" in line:
            raise ValueError("a field has no line ends: " + repr(line))
        self.fields += line.encode() + b"\r\n"
        return self

    def close(self):
        """The connection ends with this answer."""
        self.session.closes = True
        return self

    def send(self, kind, body=b""):
        """The whole answer; `body` is bytes or text."""
        known = self.known
        if known is not None and known.repeats(self, kind, body):
            self.done = True
            self.session.give(known.ready)
            return
        said = body
        if isinstance(body, str):
            body = body.encode()
        fields = (content_type(kind) if kind else b"") + self.fields
        answer = Answer(self.code, fields, [(body, 0, len(body))] if body else [])
        if not self.fields and self.code == 200:
            answer.said = (kind, said)
        self.give(answer)

    def send_file(self, kind, data, offset, length):
        self.give(Answer(self.code, content_type(kind) + self.fields, [(data, offset, length)]))

    def redirect(self, location, code=302):
        self.code = code
        self.header("Location", location).send("text/plain", location + "\n")

    def error(self, code):
        self.code = code
        self.send("text/plain", f"{code} {codes.NAMES.get(code, '')}\n")

    def give(self, answer):
        if self.done:
            raise RuntimeError("this request is answered already")
        self.done = True
        self.session.answer(self.request, answer)

    def stream(self, kind):
        """Send the head; returns what takes the content."""
        if self.done:
            raise RuntimeError("this request is answered already")
        self.done = True
        return self.session.begin_stream(self.request, self.code, content_type(kind) + self.fields)


class Stream:
    """Content of a length that nobody knows yet: chunks, or all up to the end (HTTP/1.0)."""

    def __init__(self, session, chunked, silent):
        self.session = session
        self.chunked = chunked
        self.silent = silent  # the answer to HEAD has no content
        self.on_writable = self.on_close = self.ignore
        self.closed = False

    def ignore(self, stream):
        pass

    def write(self, data):
        """Take all of `data`, or nothing: then `on_writable` tells when to try again."""
        session = self.session
        if self.closed or session.connection is None or session.queue:
            return False
        if data and not self.silent:
            if not isinstance(data, bytes):
                data = bytes(data)
            if not self.chunked:
                session.send([(data, 0, len(data))])
            elif len(data) <= INLINE:
                data = b"%x\r\n" % len(data) + data + b"\r\n"
                session.send([(data, 0, len(data))])
            else:
                size = b"%x\r\n" % len(data)
                session.send([(size, 0, len(size)), (data, 0, len(data)), (b"\r\n", 0, 2)])
        return True

    def close(self):
        if not self.closed:
            self.closed = True
            session = self.session
            if self.chunked and not self.silent:
                session.send([(b"0\r\n\r\n", 0, 5)])
            session.end_stream()
