"""Session: one connection, its requests one after the other.

    HEAD ──► BODY ──► ANSWERING ──► HEAD ...         one request
      └────────┴──────────┴───────► CLOSING          the last answer is under way, input is dropped

What arrives is consumed as far as the phase allows; what is left is kept and held, that is, taken
from the window that the peer may fill.  So a client that pipelines faster than it is answered, or
does not read, is slowed down by TCP and by nothing else.
RFC 9112 section 9 (connections), 9110 section 10.1.1 (Expect).
Neighbours: server.py receives requests that it has seen before, and looks after time.
"""

from net.config import (
    HTTP_BODY,
    HTTP_BODY_MS,
    HTTP_HEAD,
    HTTP_HEAD_MS,
    HTTP_IDLE_MS,
    HTTP_KEPT,
    HTTP_LINGER_MS,
    HTTP_WRITE_MS,
)
from net.http import head
from net.http import status as codes
from net.http.answer import Answer, content_type
from net.http.body import Chunked, Sized
from net.http.request import Request
from net.http.response import Response, Stream

HEAD, BODY, ANSWERING, CLOSING = 0, 1, 2, 3
SEGMENT = 1400
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Session:
    def __init__(self, http):
        self.http = http
        # Five that server.py sets for each connection; the others are as `gone` leaves them.
        self.connection = None
        self.index = 0
        self.phase = HEAD
        self.fresh = 1  # nothing is kept, nothing is being answered: server.py may
        #                 2: it has; 3: the peer has left
        self.shown = 0  # a Request knows our connection
        self.since = 0
        self.input = None  # bytes kept for later
        self.body = None
        self.request = None
        self.queue = None  # what the connection has not taken yet
        self.stream = None
        self.closes = False  # after this answer
        self.eager = False  # Nagle's algorithm is off
        self.inside = False  # `consume` is at it

    # In.

    def receive(self, buffer, start, end):
        if self.input is None:
            start = self.consume(buffer, start, end)
            if start < end:
                self.keep(memoryview(buffer)[start:end])
        elif self.phase != CLOSING:
            self.keep(memoryview(buffer)[start:end])
            self.go_on()
        self.fresh = 1 if self.phase == HEAD and self.input is None else 0

    def keep(self, data):
        if self.phase == CLOSING or self.connection is None:
            return
        http = self.http
        size = len(data)
        if http.kept + size > HTTP_KEPT:
            http.count_memory()
            self.refuse(503)
            return
        http.kept += size
        if self.input is None:
            self.input = bytearray(data)
        else:
            self.input.extend(data)
        self.connection.hold(size)

    def drop_input(self, count):
        """The first bytes of what was kept are not needed any more."""
        if self.input is not None and count:
            self.http.kept -= count
            rest = self.input[count:]
            self.input = rest if rest else None
            if self.connection is not None:
                self.connection.release(count)

    def hurry(self):
        """Do not wait for acknowledgements with what is less than a segment (RFC 896).

        It is of use where an answer is not alone on its way, that is, not for most.
        """
        if not self.eager and self.connection is not None:
            self.eager = True
            self.connection.set(nodelay=True)

    def go_on(self):
        """With what was kept."""
        if self.input is not None and not self.inside:
            held = self.input
            used = self.consume(held, 0, len(held))
            if self.input is held:
                self.drop_input(used)
            self.fresh = 1 if self.phase == HEAD and self.input is None else 0

    def consume(self, buffer, start, end):
        """Handle what can be handled; returns how far that was."""
        self.inside = True
        while start < end:
            if self.phase == HEAD:
                at = self.consume_head(buffer, start, end)
                if at < 0:
                    break
                start = at
                if start < end:
                    self.hurry()
            elif self.phase == BODY:
                start = self.body.feed(buffer, start, end)
                self.check_body()
            elif self.phase == ANSWERING:
                break
            else:
                start = end
        self.inside = False
        return start

    def consume_head(self, buffer, start, end):
        """A request line and its fields: behind them, or -1 as long as they are not complete."""
        # RFC 9112 section 2.2: an empty line before a request is left over from the last one.
        while end - start >= 2 and buffer[start] == 13 and buffer[start + 1] == 10:
            start += 2
            if start == end:
                return end
        first = buffer[start]
        if not head.KINDS[first] & head.TOKEN and first != 13:
            self.refuse(400)
            return end
        behind = head.find_end(buffer, start, end)
        if not behind:
            if end - start > HTTP_HEAD:
                line = bytes(memoryview(buffer)[start:end]).find(b"\r\n")
                self.refuse(414 if line < 0 else 431)
                return end
            if self.input is None:
                self.since = self.http.now
            return -1
        raw = bytes(memoryview(buffer)[start:behind])
        if len(raw) > HTTP_HEAD:
            self.refuse(431)
            return end
        table = self.http.table
        status = head.parse(raw, 0, len(raw), table, head.KINDS)
        if status:
            self.refuse(status)
            return end
        places = bytes(table[: 16 + 8 * table[8]])
        self.shown = 1
        request = Request(raw, places, self.connection)
        status = request.check()
        if status:
            self.refuse(status)
            return end
        self.begin_request(request, behind == end)
        return behind

    def begin_request(self, request, waits):
        """A request without its body: `waits` if nothing of that is here yet."""
        self.request = request
        if not request.chunked and not request.content_length:
            self.dispatch()
            return
        if request.content_length > HTTP_BODY:
            self.refuse(413)
            return
        self.phase = BODY
        self.since = self.http.now
        self.body = Chunked(HTTP_BODY) if request.chunked else Sized(request.content_length)
        if request.expects and waits:
            self.send([(CONTINUE, 0, len(CONTINUE))])

    def check_body(self):
        body = self.body
        if body.status:
            self.refuse(body.status)
        elif body.done:
            self.request.body = bytes(body.data)
            self.body = None
            self.dispatch()
        elif self.http.kept + len(body.data) > HTTP_KEPT:
            self.http.count_memory()
            self.refuse(503)

    # The answer.

    def dispatch(self):
        self.phase = ANSWERING
        self.since = self.http.now
        request = self.request
        self.http.parsed(request, Response(self, request))

    def start(self, request):
        """A request that was seen before."""
        self.shown = 1
        self.phase = ANSWERING
        self.fresh = 0
        self.since = self.http.now
        self.request = request

    def refuse(self, status):
        """Answer what is not understood, and hear no more: where would the next request begin?"""
        self.http.count_refused()
        self.http.log_answer(self, self.request, status, 0)
        self.closes = True
        self.phase = ANSWERING
        text = b"%d\r\n" % status
        answer = Answer(status, content_type("text/plain"), [(text, 0, len(text))])
        self.give(answer.ready(self.http.clock, False, 11, True))

    def answer(self, request, answer):
        """Send an Answer to the request of this session."""
        if self.connection is None:
            return
        http = self.http
        keep = request.keep and not self.closes
        ready = answer.ready(http.clock, keep, request.version, request.method != "HEAD")
        if self.inside:
            http.remember(request, answer, ready)
        http.log_answer(self, request, answer.status, answer.length)
        self.give(ready)

    def give(self, ready):
        if not ready.keep:
            self.closes = True
        if ready.size > SEGMENT:
            self.hurry()
        taken = self.http.write(self.connection, ready)
        if taken == ready.size and not ready.more:
            self.finish()
        elif self.connection is not None:
            self.send(ready.rest(taken))
            if not self.queue:
                self.finish()

    def go_on_with(self, ready, taken):
        """A fixed answer of which so much was taken."""
        self.phase = ANSWERING
        self.fresh = 0
        if not ready.keep:
            self.closes = True
        if self.connection is not None:
            self.send(ready.rest(taken))
            if not self.queue:
                self.finish()

    def begin_stream(self, request, status, fields):
        chunked = request.version == 11
        if not chunked:
            self.closes = True
        lines = fields + (b"Transfer-Encoding: chunked\r\n" if chunked else b"")
        if not request.keep or self.closes:
            self.closes = True
            lines += b"Connection: close\r\n"
        date = bytes(self.http.clock.text)
        lines = codes.line(status) + b"Date: " + date + b"\r\n" + lines + b"\r\n"
        self.http.count_answer(status)
        self.http.log_answer(self, request, status, 0)
        self.hurry()
        self.stream = Stream(self, chunked, request.method == "HEAD")
        if self.connection is not None:
            self.send([(lines, 0, len(lines))])
        return self.stream

    def end_stream(self):
        if self.connection is not None and not self.queue:
            self.finish()

    def finish(self):
        """The answer is on its way: the next request, or the end."""
        self.stream = None
        self.request = None
        self.since = self.http.now
        if self.closes:
            self.close()
            return
        self.phase = HEAD
        self.fresh = 1 if self.input is None else 0
        self.go_on()

    # Out.

    def send(self, pieces):
        """Queue pieces of bytes and send what the connection takes."""
        if self.connection is None:
            return
        if self.queue:
            self.queue += pieces
            return
        self.queue = pieces
        self.push()

    def push(self):
        queue = self.queue
        while queue:
            data, offset, length = queue[0]
            taken = self.connection.write(data, offset, length) if length else 0
            if self.connection is None:
                return
            if taken < length:
                queue[0] = (data, offset + taken, length - taken)
                return
            queue.pop(0)
        self.queue = None

    def writable(self):
        if not self.queue:
            return
        self.since = self.http.now
        self.push()
        if self.queue:
            return
        stream = self.stream
        if stream is None:
            if self.phase == ANSWERING:
                self.finish()
        elif stream.closed:
            self.finish()
        else:
            stream.on_writable(stream)

    # The end.

    def close(self):
        """Our side is closed; what the peer still says is read, or a reset would eat the answer."""
        self.phase = CLOSING
        self.fresh = 0
        self.since = self.http.now
        self.body = None
        if self.input is not None:
            self.drop_input(len(self.input))
        self.connection.close()

    def end(self):
        """The peer will not say more; it still hears."""
        if self.phase == ANSWERING:
            self.closes = True
        elif self.phase != CLOSING:
            self.close()

    def gone(self):
        """There is no connection any more; True: nor anybody who has this session."""
        if self.input is not None:
            self.http.kept -= len(self.input)
            self.input = None
        self.connection = None
        self.fresh = 0
        self.closes = self.eager = False
        self.shown = 0
        if self.phase == HEAD or self.phase == CLOSING:
            return self.queue is None
        self.queue = self.body = None
        self.phase = CLOSING
        stream = self.stream
        self.stream = None
        if stream:
            stream.on_close(stream)
        return False

    def check_time(self, now):
        """Close whoever has kept us waiting for too long."""
        if self.fresh == 2:
            self.fresh = 1
            self.since = now
        waited = (now - self.since) & 0x3FFFFFFF
        if self.queue:
            if waited > HTTP_WRITE_MS:
                self.expire()
        elif self.phase == HEAD:
            if self.input is None:
                if waited > HTTP_IDLE_MS:
                    self.http.count_idle()
                    self.close()
            elif waited > HTTP_HEAD_MS:
                self.http.count_slow()
                self.refuse(408)
        elif self.phase == BODY:
            if waited > HTTP_BODY_MS:
                self.http.count_slow()
                self.refuse(408)
        elif self.phase == CLOSING and waited > HTTP_LINGER_MS:
            self.expire()

    def expire(self):
        self.http.count_slow()
        self.connection.abort()
