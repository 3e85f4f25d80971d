"""Get: an HTTP client, one GET at a time, for small answers such as a cloud's metadata.

RFC 9112: status line (section 4), how long a body is (6.3), chunks (7.1); RFC 9110 section 15.2
(informational answers are skipped).  Each request has a connection of its own.

    Get(inet, address, port, path, done, host="", most=0x40000, patience=10_000)
    done(status, body, reason)      once, from the loop: 0, b"" and why, if there is no answer
    OSError                         at once: there is no room for a connection
    get.stop()                      it is not wanted any more: `done` is not called
    method="PUT", head=...          another method, without a body; more lines, each with its end

Response is the parser alone: feed(bytes) -> it is whole; end() -> the peer will send no more;
both raise ValueError about what no server should send.

Law: whatever the peer sends, there is one end within `patience` ms, and not more memory in use than
`most` and a head.
Below: net/tcp.  Not in net/http, whose package is the server.
Left out: bodies of requests, TLS, redirects, codings of content, connections that last.
"""

from micropython import const

LONGEST_HEAD = const(8192)  # bytes of a head, and of what may follow the last chunk
LINE = const(256)  # of the size of a chunk with its extensions


class Response:
    def __init__(self, most):
        self.most = most
        self.rest = b""
        self.body = bytearray()
        self.status = 0
        self.left = 0  # bytes of body or chunk that are still to come
        self.closes = False  # the body lasts until the peer closes
        self.step = self.head

    def feed(self, data):
        self.rest += data
        while self.step and self.step():
            pass
        return not self.step

    def end(self):
        if self.step and not self.closes:
            raise ValueError("the answer ends too early")
        self.step = None

    # Steps: True: there is more to do with what has come.

    def take_head(self):
        """The lines up to an empty one, or None."""
        end = self.rest.find(b"\r\n\r\n", 0, LONGEST_HEAD)
        if end < 0:
            if len(self.rest) >= LONGEST_HEAD:
                raise ValueError("a head without end")
            return None
        lines = self.rest[:end].split(b"\r\n")
        self.rest = self.rest[end + 4 :]
        return lines

    def head(self):
        lines = self.take_head()
        if not lines:
            return False
        first = lines[0].split(b" ", 2)
        if not first[0].startswith(b"HTTP/1.") or len(first) < 2 or len(first[1]) != 3:
            raise ValueError("not HTTP")
        self.status = number(first[1], 10)
        length = coding = None
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            name, value = name.lower(), value.strip()
            if name == b"content-length":
                if length not in (None, value):
                    raise ValueError("two lengths")
                length = value
            elif name == b"transfer-encoding":
                if coding or value.lower() != b"chunked":
                    raise ValueError("an unknown coding")
                coding = value
        if self.status < 200:
            return True
        if self.status in (204, 304):
            self.step = None
        elif coding:
            self.step = self.size
        elif length is None:
            self.closes = True
            self.step = self.until_close
        else:
            self.expect(number(length, 10))
            self.step = self.until_length
        return True

    def expect(self, count):
        if len(self.body) + count > self.most:
            raise ValueError(f"more than {self.most} bytes")
        self.left = count

    def move(self, count):
        self.body += self.rest[:count]
        self.rest = self.rest[count:]

    def until_close(self):
        self.expect(len(self.rest))
        self.move(self.left)
        return False

    def until_length(self):
        count = min(self.left, len(self.rest))
        self.move(count)
        self.left -= count
        if self.left == 0:
            self.step = None
        return False

    def size(self):
        end = self.rest.find(b"\r\n", 0, LINE)
        if end < 0:
            if len(self.rest) >= LINE:
                raise ValueError("a chunk of no size")
            return False
        self.expect(number(self.rest[:end].split(b";")[0].strip(), 16))
        self.rest = self.rest[end + 2 :]
        self.step = self.chunk if self.left else self.trailer
        return True

    def chunk(self):
        if len(self.rest) < self.left + 2:
            return False
        if self.rest[self.left : self.left + 2] != b"\r\n":
            raise ValueError("a chunk without end")
        self.move(self.left)
        self.rest = self.rest[2:]
        self.step = self.size
        return True

    def trailer(self):
        if self.rest[:2] == b"\r\n" or self.take_head():
            self.step = None
        return False


def number(text, base):
    """A number of digits alone: int() takes signs, blanks and underlines, too."""
    value = 0
    for c in text.lower():
        digit = b"0123456789abcdef".find(bytes([c]))
        if not 0 <= digit < base or len(text) > 8:
            raise ValueError("not a number")
        value = value * base + digit
    if not text:
        raise ValueError("not a number")
    return value


class Get:
    def __init__(
        self,
        inet,
        address,
        port,
        path,
        done,
        host="",
        most=0x40000,
        patience=10_000,
        method="GET",
        head="",
    ):
        lines = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{head}\r\n"
        self.request = lines.encode()
        self.response = Response(most)
        self.done = done
        self.connection = connection = inet.tcp.connect(address, port, self.connected)
        self.timers = inet.timers
        self.timer = inet.timers.timer(self.expired)
        self.timer.start(patience)
        connection.on_data = self.heard
        connection.on_end = self.ended
        connection.on_close = self.closed

    def connected(self, connection):
        connection.write(self.request)

    def heard(self, connection, segment):
        try:
            if self.done and self.response.feed(segment.data):
                self.finish()
        except (ValueError, MemoryError) as error:
            self.finish(str(error))

    def ended(self, connection):
        try:
            self.response.end()
            self.finish()
        except ValueError as error:
            self.finish(str(error))

    def closed(self, connection, reason):
        self.finish(f"the connection failed, error {reason}")

    def expired(self):
        self.finish("no answer in time")

    def finish(self, reason=""):
        """Once: say how it went."""
        done = self.done
        self.stop(reason)
        if done:
            response = self.response
            done(0 if reason else response.status, b"" if reason else bytes(response.body), reason)

    def stop(self, reason="stopped"):
        if self.done:
            self.done = None
            self.timers.drop(self.timer)
            if reason:
                self.connection.abort()
            else:
                self.connection.close()
