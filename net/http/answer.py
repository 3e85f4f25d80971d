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
DATE_LENGTH = const(29)
ANSWERS = const(3)  # the counter of 2xx, see server.py

# Words of a Ready.
SIZE = const(0)
LENGTH = const(1)
OFFSET = const(2)
TOTAL = const(3)
COUNTER = const(4)
STAMP = const(5)
DATE_AT = const(6)
FIXED = const(7)


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
        return Ready(b"".join(lines), date_at, pieces, self, keep)


class Ready:
    """The bytes of an answer.

    `head`: with the date in it.  TCP refers to it until it is acknowledged, so a new date goes into
    another object, unless nothing is under way.  `body`: the first piece of the rest, or None;
    `more`: others.
    words, i32:
      0  SIZE  LENGTH  OFFSET   of the head; of the body and in it
      3  TOTAL                  what is taken when all is; -1 if there is something to be done then
      4  COUNTER                see server.py
      5  STAMP  DATE_AT         which date the head has, and where
      7  FIXED                  see Answer
    """

    def __init__(self, head, date_at, pieces, answer, keep):
        self.head = bytearray(head)
        self.body, offset, length = pieces[0] if pieces else (None, 0, 0)
        self.more = pieces[1:]
        self.keep = keep
        size = len(head)
        self.size = size + length
        total = size + length if keep and not self.more else -1
        counter = ANSWERS + answer.status // 100 - 2
        self.words = bytearray(32)
        for index, value in enumerate(
            (size, length, offset, total, counter, -1, date_at, 1 if answer.fixed else 0)
        ):
            put_word(self.words, index, value)

    def set_date(self, text, quiet):
        """Write the date into the head; `quiet`: nobody refers to it."""
        if not quiet:
            self.head = bytearray(self.head)
        copy(text, self.head, word(self.words, DATE_AT))

    def rest(self, taken):
        """The pieces behind the first `taken` bytes."""
        size = len(self.head)
        pieces = [(self.head, 0, size)]
        if self.body is not None:
            pieces.append((self.body, word(self.words, OFFSET), word(self.words, LENGTH)))
            pieces += self.more
        if taken < size:
            pieces[0] = (self.head, taken, size - taken)
        else:
            taken -= size
            pieces.pop(0)
            if taken and pieces:
                data, offset, length = pieces[0]
                pieces[0] = (data, offset + taken, length - taken)
        return pieces


@micropython.viper
def copy(text: ptr8, head: ptr8, at: int):
    i = 0
    while i < DATE_LENGTH:
        head[at + i] = text[i]
        i += 1


@micropython.viper
def word(words: ptr32, index: int) -> int:
    return words[index]


@micropython.viper
def put_word(words: ptr32, index: int, value: int):
    words[index] = value
