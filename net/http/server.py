"""Http: connections to a port, their limits, and the short cut for requests that repeat.

    http = Http(machine, inet.tcp, handler)     handler(request, response), see response.py
    http.listen(80)
    http.counters["requests"]

Limits stand in net/config.py (HTTP_...), and every refusal has a counter.  One timer looks after
all connections, a part of them each second, and none while there are no connections.
`access_log=yes` among the settings writes a line for each answer; requests then take the long way.
"""

import micropython
from micropython import const

from net.address import text
from net.config import HTTP_CONNECTIONS
from net.http.answer import put_word
from net.http.date import Clock
from net.http.head import TABLE
from net.http.known import Known, Memory
from net.http.response import Response
from net.http.session import Session
from runtime.counters import Counters

COUNTS = ("connections", "requests", "repeated", "answers_2xx", "answers_3xx", "answers_4xx")
COUNTS += ("answers_5xx", "idle")
DROPS = ("refused", "full", "memory", "slow")
_CONNECTIONS = const(0)
_REQUESTS = const(1)
_REPEATED = const(2)
_ANSWERS = const(3)  # 2xx; the others follow
_IDLE = const(7)
_REFUSED = const(8)
_FULL = const(9)
_MEMORY = const(10)
_SLOW = const(11)
_STAMP = const(12)  # behind the counters: which date it is
_OPEN = const(13)  # sessions
_LEFT = const(14)  # of those that had their day
_TICKING = const(15)
CELLS = const(64)

# Repeated from answer.py.
SIZE = const(0)
LENGTH = const(1)
OFFSET = const(2)
TOTAL = const(3)
COUNTER = const(4)
STAMP = const(5)
FIXED = const(7)

# The packet's head.
PAYLOAD = const(6)
END = const(8)

# Repeated from net/tcp/sendqueue.py: bytes that stay as they are.
REFERENCE = const(0)

# Repeated from session.py.
HEAD = const(0)
CLOSING = const(3)
LEAVING = const(3)

SEGMENT = const(1400)
LOOK_MS = const(1000)
IDLE = const(32)  # sessions that are kept for the next connections
LOOK_AT = const(1000)  # connections at a time


class Http:
    def __init__(self, machine, tcp, handler, name="http"):
        self.tcp = tcp
        self.handler = handler
        self.log = machine.log
        self.cells = bytearray(CELLS)
        self.counters = machine.counters.add(Counters(name, COUNTS, DROPS, self.cells))
        self.ticks = machine.timers.clock
        self.clock = Clock(self.ticks)
        self.sessions = []
        self.idle = [None] * IDLE  # sessions that had their day
        self.next = 0  # of the sessions, to be looked at
        self.timer = machine.timers.timer(self.look)
        self.recycle = getattr(tcp, "recycle", None)
        self.recycles = 1 if self.recycle else 0
        self.quiet = tcp.table.quiet if hasattr(tcp, "table") else self.never
        self.ours = self  # the context of a connection that may be used again
        self.kept = 0
        self.table = bytearray(TABLE)
        self.memory = Memory()
        self.known = self.memory.known
        self.ready = self.memory.ready
        # Methods as slots: a call from viper finds them at once.
        self.most = HTTP_CONNECTIONS
        self.find = self.memory.find
        self.keep = self.keep
        self.write = self.write_ready
        self.put = None  # of the connections' class, found once
        self.spare = None  # a Response that nobody has any more
        self.logs = machine.settings.get("access_log", "no") not in ("no", "")
        self.set_time()
        # Bound once, so that a connection costs no objects for them.
        self.on_data, self.on_writable = self.receive, self.writable
        self.on_end, self.on_close = self.end, self.gone

    def listen(self, port=80, backlog=128):
        return self.tcp.listen(port, self.accept, backlog)

    # Connections.

    @micropython.viper
    def accept(self, connection):
        cells = ptr32(self.cells)
        cells[_CONNECTIONS] += 1
        index = cells[_OPEN]
        if index >= int(self.most):
            cells[_FULL] += 1
            connection.abort()
            return
        cells[_OPEN] = index + 1
        if cells[_TICKING] == 0:
            self.begin(connection)
        left = cells[_LEFT]
        if left:
            left -= 1
            cells[_LEFT] = left
            session = self.idle[left]
        else:
            session = self.new()
        self.sessions.append(session)
        session.connection = connection
        session.index = index
        session.phase = HEAD
        session.since = self.now
        session.fresh = 1
        if connection.context is self.ours:
            # It was ours before, and has our slots.
            connection.context = session
            return
        connection.context = session
        connection.on_data = self.on_data
        connection.on_writable = self.on_writable
        connection.on_end = self.on_end
        connection.on_close = self.on_close

    def new(self):
        return Session(self)

    def begin(self, connection):
        """There are connections again."""
        self.put = type(connection).put
        put_word(self.cells, _TICKING, 1)
        self.set_time()
        self.timer.start(LOOK_MS)

    def writable(self, connection):
        connection.context.writable()

    @micropython.viper
    def end(self, connection):
        session = connection.context
        if int(session.fresh):
            # Nothing is under way.
            session.fresh = LEAVING
            session.since = self.now
            session.phase = CLOSING
            connection.close()
        else:
            session.end()

    @micropython.viper
    def gone(self, connection, reason):
        session = connection.context
        if session is None:
            return
        sessions = self.sessions
        cells = ptr32(self.cells)
        cells[_OPEN] -= 1
        last = sessions.pop()
        if last is not session:
            index = session.index
            sessions[index] = last
            last.index = index
        connection.context = None
        if int(session.fresh) == LEAVING and int(session.shown) == 0:
            # Nobody but us has seen either.
            session.connection = None
            session.fresh = 0
            session.eager = False
            self.keep(session)
            if int(self.recycles):
                connection.context = self.ours
                self.recycle(connection)
        elif session.gone():
            self.keep(session)

    @micropython.viper
    def keep(self, session):
        cells = ptr32(self.cells)
        left = cells[_LEFT]
        if left < IDLE:
            self.idle[left] = session
            cells[_LEFT] = left + 1

    def look(self):
        """Once a second: who keeps us waiting?"""
        self.set_time()
        count = len(self.sessions)
        if not count:
            put_word(self.cells, _TICKING, 0)
            return
        for _ in range(min(count, LOOK_AT)):
            if self.next >= len(self.sessions):
                self.next = 0
                if not self.sessions:
                    break
            session = self.sessions[self.next]
            self.next += 1
            session.check_time(self.now)
        self.timer.start(LOOK_MS)

    def set_time(self):
        """Once a second is enough for patience, and for the Date field, too."""
        self.now = self.ticks()
        put_word(self.cells, _STAMP, self.clock.refresh())

    # Requests.

    @micropython.viper
    def receive(self, connection, segment):
        """A segment: is it a request that was seen before, whole and alone?"""
        session = connection.context
        buffer = segment.buffer
        head = ptr16(buffer)
        start = int(head[PAYLOAD >> 1])
        end = int(head[END >> 1])
        place = -1
        if int(session.fresh):
            place = int(self.find(buffer, start, end - start))
        if place < 0:
            session.receive(buffer, start, end)
            return
        ready = self.ready[place]
        words = ptr32(ready.words)
        cells = ptr32(self.cells)
        cells[_REQUESTS] += 1
        cells[_REPEATED] += 1
        if words[FIXED] == 0:
            self.repeat(session, place)
            return
        session.fresh = 2
        taken = int(self.write(connection, ready))
        if taken != words[TOTAL]:
            session.go_on_with(ready, taken)
        elif taken > SEGMENT:
            session.hurry()

    @micropython.viper
    def write_ready(self, connection, ready) -> int:
        """Send head and body; returns how much of them was taken."""
        words = ptr32(ready.words)
        cells = ptr32(self.cells)
        cells[words[COUNTER]] += 1
        if words[STAMP] != cells[_STAMP]:
            words[STAMP] = cells[_STAMP]
            ready.set_date(self.clock.text, self.quiet())
        taken = int(self.put(connection, ready.head, 0, words[SIZE], REFERENCE))
        if taken == words[SIZE] and words[LENGTH] != 0:
            taken += int(self.put(connection, ready.body, words[OFFSET], words[LENGTH], REFERENCE))
        return taken

    def never(self):
        """The kernel's connections do not say what is under way."""
        return 0

    def repeat(self, session, place):
        """Call the handler once more with a request of which nothing but the sender is new."""
        known = self.known[place]
        request = known.request
        response = self.spare
        if response is None:
            response = Response(session, request)
        else:
            self.spare = None
            response.again(session, request)
        response.known = known
        request.connection = session.connection
        session.start(request)
        self.handler(request, response)
        if session.request is request:
            # It will be answered later, so it has to remain this sender's.
            self.memory.forget(known)
        else:
            self.spare = response

    def parsed(self, request, response):
        """A request that is not known yet."""
        self.counters.count(_REQUESTS)
        self.handler(request, response)

    def remember(self, request, answer, ready):
        """How a request was answered, if its head is all there is to it."""
        if not (request.body or request.expects or self.logs) and ready.keep == request.keep:
            self.memory.keep(request.raw, Known(request, answer, ready))

    # For sessions.

    def log_answer(self, session, request, status, length):
        if self.logs and session.connection is not None:
            asked = request.method + " " + request.path if request else "-"
            remote = text(session.connection.remote)
            self.log.info("http: %s %s %d %d", remote, asked, status, length)

    def count_answer(self, status):
        self.counters.count(_ANSWERS + status // 100 - 2)

    def count_refused(self):
        self.counters.count(_REFUSED)

    def count_memory(self):
        self.counters.count(_MEMORY)

    def count_slow(self):
        self.counters.count(_SLOW)

    def count_idle(self):
        self.counters.count(_IDLE)
