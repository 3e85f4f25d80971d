"""Answers that are ready to be sent: a head with its date, and pieces of content.

    answer = Answer(200, content_type("text/plain"), [(body, 0, len(body))])
    ready = answer.ready(clock, keep, version, with_body)

An Answer knows nothing of a connection; a Ready is its bytes for one kind of request, with the date
in its place, and may be sent any number of times.  A short body is in the same buffer.
Law: the bytes of a body are never copied if they are more than INLINE.
"""

import micropython
from micropython import const

from net.http import status as codes

INLINE = const(512)
DATE = b"Date: "
LENGTH = const(29)
ANSWERS = const(3)  # the counter of 2xx, see server.py


def content_type(name):
    return b"Content-Type: " + name.encode() + b"\r\n"


class Answer:
    """`fields`: bytes of whole lines; `pieces`: (bytes, offset, length) of the body.

    `fixed`: whoever sends the same request gets the same answer, until the service stops.
    `said`: what Response.send was told, if it was told the same another time.
    """

    def __init__(self, status, fields, pieces=(), fixed=False):
        self.status = status
        self.fields = fields
        self.pieces = pieces
        self.fixed = fixed
        self.said = None
        self.length = sum([piece[2] for piece in pieces])

    def ready(self, clock, keep, version, with_body):
        lines = [codes.line(self.status), DATE, bytes(clock.text), b"\r\n", self.fields]
        length = self.length
        if not codes.without_body(self.status):
            lines.append(b"Content-Length: %d\r\n" % length)
        if not keep:
            lines.append(b"Connection: close\r\n")
        elif version == 10:
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        pieces = list(self.pieces) if with_body else []
        if pieces and length <= INLINE:
            for data, offset, size in pieces:
                lines.append(bytes(memoryview(data)[offset : offset + size]))
            pieces = []
        date_at = len(lines[0]) + len(DATE)
        return Ready(bytearray(b"".join(lines)), date_at, pieces, self.status, keep)


class Ready:
    """`head`: all that is copied; `body`: the first piece of the rest, or None; `more`: others."""

    def __init__(self, head, date_at, pieces, status, keep):
        self.head = head
        self.size = len(head)
        self.date_at = date_at
        self.stamp = -1
        self.body, self.offset, self.length = pieces[0] if pieces else (None, 0, 0)
        self.more = pieces[1:]
        # What `taken` is when all has been; never, if there is something to be done then.
        self.total = self.size + self.length if keep and not self.more else -1
        self.count = ANSWERS + status // 100 - 2
        self.status = status
        self.keep = keep

    @micropython.viper
    def set_date(self, text):
        """Write the date, if it is another one than last time."""
        to = ptr8(self.head)
        date = ptr8(text)
        at = int(self.date_at)
        i = 0
        while i < LENGTH:
            to[at + i] = date[i]
            i += 1

    def rest(self, taken):
        """The pieces behind the first `taken` bytes."""
        pieces = [(self.head, 0, self.size)]
        if self.body is not None:
            pieces.append((self.body, self.offset, self.length))
            pieces += self.more
        if taken < self.size:
            # The date of the buffer will be another one by then.
            pieces[0] = (bytes(self.head), taken, self.size - taken)
        else:
            taken -= self.size
            pieces.pop(0)
            if taken and pieces:
                data, offset, length = pieces[0]
                pieces[0] = (data, offset + taken, length - taken)
        return pieces
