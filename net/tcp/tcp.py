"""Tcp: ports and connections; the page that makes and wires the parts.

    tcp = Tcp(stack)            by net/stack.py, which then fills `output`, `allocate`, and calls
                                `rewired`; `tcp.receive`, `unreachable` and `path_mtu_changed` go to
                                the families

    tcp.listen(port, on_connection, backlog=...)
    tcp.connect(address, port, on_connected, source_port=0)
    tcp.connections             all there are; `tcp.counts()` the sizes of the tables
    tcp.ecn                     ask for ECN, and grant it (RFC 3168)

Segments rise through fast, arrive and stranger; everything falls through output and segment.
"""

import micropython
from micropython import const

from net.config import (
    TCP_CONNECTIONS,
    TCP_FIN_WAIT_2_MS,
    TCP_RESERVE,
    TCP_WINDOW,
    TCP_WINDOW_SHIFT,
)
from net.tcp import recovery, rtt
from net.tcp.acknowledge import Acknowledge
from net.tcp.active import Active
from net.tcp.arrive import Arrive
from net.tcp.baker import Baker
from net.tcp.clock import Clock
from net.tcp.connection import Connection, Listener, nothing
from net.tcp.cookies import Cookies
from net.tcp.establish import Establish, number
from net.tcp.fast import Fast
from net.tcp.halfopen import HalfOpen
from net.tcp.isn import Isn
from net.tcp.output import Output
from net.tcp.paths import Paths
from net.tcp.reassembly import Reassembly
from net.tcp.segment import Segments, pseudo
from net.tcp.sendqueue import Queues
from net.tcp.stranger import Strangers
from net.tcp.table import FIRST, Table
from net.tcp.text import Text
from net.tcp.timers import Deadlines
from net.tcp.timewait import TimeWait
from net.tcp.turn import Turn
from net.tcp.voice import Voice
from net.tcp.words import (
    fin_sent,
    flag,
    later_stamps,
    put,
    template,
    word,
)

# The packet's head (see net/packet.py).
TRANSPORT = const(4)
FLAGS = const(10)
SOURCE = const(16)
DESTINATION = const(32)
HEAD = const(64)
IP6 = const(0x20)

# The block (see block.py).
STATE = const(10)
B_FLAGS = const(11)
EVENTS = const(12)
RCV_SCALE = const(27)
UNACKED = const(32)
RTX_AT = const(37)
ACK_AT = const(38)
KEEP_AT = const(39)
GONE_AT = const(40)
KEEP_IDLE = const(81)
REASON = const(103)
WORDS = const(104)
CLOSED = const(0)
SYN_SENT = const(2)
SYN_RECEIVED = const(3)
ESTABLISHED = const(4)
IS_IP6 = const(0x1)
TIMESTAMPS = const(0x2)
SACK_OK = const(0x4)
SCALED = const(0x8)
FIN_SENT = const(0x200)
KEEPALIVE = const(0x4000)
OUT_OF_ORDER = const(0x8000)
STARVED = const(0x20000)
WANT_ECN = const(0x100000)
ACK_NOW = const(0x2)
OUTPUT = const(0x4)
ACCEPTED = const(0x8)
CONNECTED = const(0x10)
ENDED = const(0x20)
WRITABLE = const(0x40)
GONE = const(0x80)
OVER = const(0x200)
WAITS = const(0x400)

# Shared words (see turn.py).
_CLOSED = const(6)
_NO_CHUNK = const(37)
_NO_CONNECTION = const(34)
_NO_MEMORY = const(42)
NOW = const(64)
FRESH = const(65)
HUNGRY = const(93)

MASK = const(0x3FFFFFFF)
RST = const(0x04)
ACK = const(0x10)
BACKLOG = const(128)
SPENT = const(32)  # connections whose objects wait to be used again
FEWEST = const(8)  # connections, however little memory there is
# Path MTUs that were asked for lately: rows of five words, MTU and address; then stack.changes.
_MTUS_OF = const(160)
FIRST_EPHEMERAL = const(49152)  # RFC 6335 section 6
FEED_MS = const(50)
EXTENTS = const(16)  # see sendqueue.py
ECONNABORTED = const(103)
EHOSTUNREACH = const(113)
EADDRINUSE = const(98)
# ICMP's type << 8 | code of what says that nobody is there: IPv4's protocol and port, IPv6's port.


class Question:
    """As much of a received segment as table.find looks at."""

    def __init__(self):
        self.buffer = bytearray(HEAD + 20)
        self.buffer[TRANSPORT] = HEAD


class Tcp:
    def __init__(self, stack):
        machine = stack.machine
        self.stack = stack
        self.log = stack.log
        key = machine.entropy.bytes(40)
        if not machine.entropy.seeded:
            self.log.warning("tcp: sequence numbers can be guessed, as there is no entropy")
        self.entropy = machine.entropy
        self.ecn = stack.settings.get("ecn", "on") != "off"
        self.listeners = {}
        self.template = template(TCP_WINDOW)
        self.question = Question()
        self.mtu = stack.nic.mtu
        self.none = None
        self.reserve = bytearray(TCP_RESERVE)
        self.spent = [None] * SPENT
        self.spent_count = bytearray(4)
        self.hungry = []  # connections that wait for a chunk
        self.meal = stack.timers.timer(self.feed)

        # Methods as slots: a call from viper finds them at once.
        self.over = self.over
        self.isn = Isn(key[:16])
        self.cookies = Cookies(key[16:32])
        self.table = table = Table(key[32:], TCP_CONNECTIONS)
        self.turn = turn = Turn(stack.timers, stack.registry, FIRST)
        self.clock = clock = Clock(stack.timers, FIRST)
        self.queues = queues = Queues()
        self.reassembly = reassembly = Reassembly(turn)
        self.segments = segments = Segments(turn)
        self.outgoing = outgoing = Output(turn, segments, clock)
        acknowledge = Acknowledge(turn, clock)
        self.text = text = Text(turn, reassembly)
        self.arrive = arrive = Arrive(turn, table, acknowledge, text)
        self.half = half = HalfOpen(turn, stack.timers)
        self.time = TimeWait(turn, stack.timers)
        paths = Paths(self)
        self.size = paths.size
        self.unreachable = paths.unreachable
        self.path_mtu_changed = paths.path_mtu_changed
        self.voice = voice = Voice(self.template, segments, turn)
        self.establish = establish = Establish(self, voice)
        active = Active(self, voice, establish.send_syn)
        baker = Baker(self, voice)
        strangers = Strangers(self, voice)
        fast = Fast(turn, table)
        deadlines = Deadlines(turn, table, clock, outgoing, queues, self.over)

        # Segments rise ...
        self.receive = fast.receive
        fast.slow = arrive.receive
        fast.advance = acknowledge.advance
        acknowledge.arrives = paths.arrives
        fast.introduce = text.introduce = self.introduce
        arrive.stranger = strangers.stranger
        strangers.half_open = establish.half_open
        strangers.listen = establish.listen
        strangers.cookie_back = baker.cookie_back
        establish.bake = baker.bake
        baker.welcome = establish.welcome
        arrive.syn_sent = active.greeted
        arrive.established = active.established
        arrive.refuse = voice.refuse_for
        arrive.over = self.over
        arrive.time_wait = text.time_wait = self.time_wait
        arrive.wait_for_fin = self.wait_for_fin
        deadlines.narrow = paths.narrow
        half.resend = establish.resend
        half.expired = establish.forget

        # ... and fall.
        turn.soon = machine.loop.soon
        turn.table = table
        turn.call = self.call
        turn.output = outgoing.run
        turn.wrapped = self.wrapped
        turn.feed = self.feed
        outgoing.handshake = active.handshake
        outgoing.finishing = fin_sent
        segments.sacks = reassembly.sacks
        self.mark = turn.mark
        # Methods as slots: a call from viper finds them at once.
        self.enter = self.enter
        self.make = self.make
        self.lend = queues.take
        self.allocate = self.output = None

    def rewired(self):
        """The stack has filled `allocate` and `output`, or changed them."""
        self.outgoing.allocate = self.segments.allocate = self.allocate
        self.segments.output = self.output
        self.segments.offloads[0] = self.stack.offloads

    # What services call.

    def listen(self, port, on_connection, backlog=BACKLOG):
        """Call on_connection(connection) for each connection to `port`; returns a Listener."""
        if not 0 < port < 65536:
            raise ValueError("listen: a port is a number from 1 to 65535")
        if port in self.listeners:
            raise OSError(EADDRINUSE, f"TCP port {port} is listened to already")
        listener = Listener(self, port, on_connection, backlog)
        self.listeners[port] = listener
        return listener

    def unlisten(self, listener):
        if self.listeners.get(listener.port) is listener:
            del self.listeners[listener.port]

    def connect(self, address, port, on_connected=None, source_port=0):
        """A connection to `port` of `address` (bytes), in SYN-SENT."""
        if not 0 < port < 65536 or not 0 <= source_port < 65536:
            raise ValueError("connect: a port is a number from 1 to 65535")
        if not any(address) or address[0] >= (224 if len(address) == 4 else 255):
            # RFC 9293 MUST-46.
            raise ValueError("connect: TCP speaks to one host, not to many and not to nobody")
        connection = Connection(self, bytearray(self.template), on_connected or nothing)
        block = connection.block
        source = self.stack.source_for(address)
        remote = bytes(address)
        local = source or bytes(len(remote))
        block[0 : len(local)] = local
        block[16 : 16 + len(remote)] = remote
        block[32] = port >> 8
        block[33] = port & 0xFF
        flags = TIMESTAMPS | SACK_OK | SCALED
        if len(remote) == 16:
            flags |= IS_IP6
        if self.ecn:
            flags |= WANT_ECN
        flag(block, flags, 1)
        free = self.choose_port(block, source_port)
        pseudo(block)
        if not free or not self.enter(connection):
            self.turn.count(_NO_CONNECTION)
            raise OSError(EADDRINUSE, "connect: no free port or no room for a connection")
        put(block, RCV_SCALE, TCP_WINDOW_SHIFT)
        put(block, STATE, SYN_SENT)
        if not source:
            self.over(connection, EHOSTUNREACH)
            return connection
        self.refresh()
        self.isn.of_block(block, word(self.turn.state, NOW), self.establish.out)
        number(block, self.establish.out)
        rtt.start(block)
        recovery.start(block)
        self.event(connection, OUTPUT)
        return connection

    def choose_port(self, block, wanted):
        """RFC 6056 3.3.1: a random port that is free for this peer; False: there is none."""
        question = self.question
        buffer = question.buffer
        buffer[FLAGS] = IP6 if word(block, B_FLAGS) & IS_IP6 else 0
        buffer[SOURCE : SOURCE + 16] = block[16:32]
        buffer[DESTINATION : DESTINATION + 16] = block[0:16]
        buffer[HEAD : HEAD + 2] = block[32:34]
        dice = self.entropy.bytes(2) if not wanted else b"\0\0"
        start = dice[0] << 8 | dice[1]
        for i in range(1 if wanted else 16384):
            port = wanted or FIRST_EPHEMERAL + (start + i) % 16384
            if port in self.listeners and not wanted:
                continue
            buffer[HEAD + 2] = port >> 8
            buffer[HEAD + 3] = port & 0xFF
            if self.table.find(question):
                continue
            row = self.time.find(question, self.table.hash(question))
            if row:
                if not wanted:
                    continue
                # RFC 9293 3.6.1: numbers and timestamps of the new one are higher.
                self.time.remove(row)
            block[34:36] = buffer[HEAD + 2 : HEAD + 4]
            return True
        return False

    def close(self, connection):
        """In SYN-SENT: nobody has heard of it."""
        self.over(connection, 0)

    def abort(self, connection):
        state = word(connection.block, STATE)
        if state == CLOSED:
            return
        self.refresh()
        if state >= SYN_RECEIVED:
            self.voice.reset(RST | ACK, connection)
        self.over(connection, ECONNABORTED)

    def keep_alive(self, connection):
        block = connection.block
        if word(block, B_FLAGS) & KEEPALIVE and word(block, STATE):
            self.refresh()
            at = (word(self.turn.state, NOW) + word(block, KEEP_IDLE)) & MASK
            put(block, KEEP_AT, at)
            self.clock.at(connection.index, at)

    def starved(self, connection):
        """A write took less; if it was for want of a chunk, the longest wait is ended first."""
        block = connection.block
        events = word(block, EVENTS)
        if connection.queue.count() < EXTENTS and not events & WAITS:
            self.turn.count(_NO_CHUNK)
            put(block, EVENTS, events | WAITS)
            self.hungry.append(connection)
            self.still_hungry()

    def still_hungry(self):
        count = len(self.hungry)
        put(self.turn.state, HUNGRY, count)
        put(self.queues.chunks.count, 1, count)
        if count and not self.meal.active:
            # Should it be memory that is missing, no turn tells when there is some.
            self.meal.start(FEED_MS)

    def feed(self):
        """Whoever waits for a chunk may go on, as far as there are any; others stand behind."""
        hungry = self.hungry
        chunks = self.queues.chunks
        for _ in range(len(hungry)):
            if not hungry or chunks.used == chunks.most:
                break
            connection = hungry.pop(0)
            block = connection.block
            put(block, EVENTS, word(block, EVENTS) & ~WAITS)
            if word(block, B_FLAGS) & STARVED:
                flag(block, STARVED, 0)
                put(chunks.count, 1, 0)
                connection.on_writable(connection)
                put(chunks.count, 1, len(hungry))
                if word(block, EVENTS) & WAITS:
                    break  # there is none, or no memory for one
        self.still_hungry()

    # The life of a connection.

    def refresh(self):
        """Somebody calls from outside a turn: let NOW be right, and a turn follow."""
        if not word(self.turn.state, FRESH):
            self.turn.begin()

    @micropython.viper
    def event(self, connection, bits: int):
        block = ptr32(connection.block)
        block[EVENTS] |= bits
        self.mark(connection)

    @micropython.viper
    def enter(self, connection) -> bool:
        """Into the table, which may have to grow; False: there are too many."""
        table = self.table
        index = int(table.take(connection))
        if index == 0:
            if not self.grow():
                return False
            index = int(table.take(connection))
        connection.index = index
        return True

    def grow(self):
        """Twice the places; False: there are enough, or there is no memory."""
        if self.table.full():
            return False
        places = 2 * len(self.table.connections) - 2
        try:
            # These two may be larger than the table.
            self.turn.room(places)
            self.clock.room(places)
            self.table.double()
            return True
        except MemoryError:
            self.exhausted()
            return False

    @micropython.viper
    def recycle(self, connection):
        """A service may say this in `on_close`: it has no reference to the connection any more.

        Then the object serves the next connection to the same port, with the slots that it has.
        """
        cells = ptr32(self.spent_count)
        count = cells[0]
        if count < SPENT:
            self.spent[count] = connection
            cells[0] = count + 1

    @micropython.viper
    def make(self, greet):
        """A connection with a fresh block; None, and it is counted: there is no memory."""
        cells = ptr32(self.spent_count)
        count = cells[0]
        if count:
            count -= 1
            cells[0] = count
            connection = self.spent[count]
            if connection.greet is greet:
                block = ptr32(connection.block)
                fresh = ptr32(self.template)
                i = 0
                while i < WORDS:
                    block[i] = fresh[i]
                    block[i + 1] = fresh[i + 1]
                    block[i + 2] = fresh[i + 2]
                    block[i + 3] = fresh[i + 3]
                    i += 4
                return connection
        return self.new(greet)

    def new(self, greet):
        try:
            return Connection(self, bytearray(self.template), greet)
        except MemoryError:
            self.exhausted()
            return None

    def exhausted(self):
        """The heap is full: from now on there are fewer connections, and services get the rest."""
        self.turn.count(_NO_MEMORY)
        self.reserve = None
        self.table.most = max(self.table.count - 1, FEWEST)

    @micropython.viper
    def call(self, connection) -> bool:
        """The callbacks that are due; False: the connection is no more."""
        block = ptr32(connection.block)
        if block[EVENTS] & GONE and block[EVENTS] & ACCEPTED:
            # Nobody has heard of it.
            block[EVENTS] &= ~ACCEPTED
            self.table.release(connection.index)
            return False
        if block[EVENTS] & (ACCEPTED | CONNECTED) and block[EVENTS] & GONE == 0:
            block[EVENTS] &= ~(ACCEPTED | CONNECTED)
            connection.greet(connection)
        if block[EVENTS] & ENDED:
            block[EVENTS] &= ~ENDED
            connection.on_end(connection)
        if block[EVENTS] & GONE:
            index = int(connection.index)
            connection.on_close(connection, block[REASON])
            self.table.release(index)
            return False
        if block[EVENTS] & WRITABLE:
            block[EVENTS] &= ~WRITABLE
            if block[B_FLAGS] & STARVED:
                block[B_FLAGS] &= ~STARVED
                connection.on_writable(connection)
                if block[EVENTS] & GONE:
                    self.mark(connection)
        return True

    @micropython.viper
    def introduce(self, connection, packet):
        """The first data has come before the turn in which the service is told."""
        block = ptr32(connection.block)
        block[EVENTS] &= ~(ACCEPTED | CONNECTED)
        connection.greet(connection)
        if block[STATE]:
            connection.on_data(connection, packet)

    @micropython.viper
    def over(self, connection, reason: int):
        """Out of the table; in its turn on_close is called."""
        block = ptr32(connection.block)
        if block[EVENTS] & OVER:
            return
        block[EVENTS] |= OVER | GONE
        self.table.remove(connection.index, connection.block)
        block[STATE] = CLOSED
        block[REASON] = reason
        block[RTX_AT] = -1
        block[ACK_AT] = -1
        block[KEEP_AT] = -1
        block[GONE_AT] = -1
        block[UNACKED] = 0
        self.queues.give(connection)
        if block[EVENTS] & WAITS:
            self.hungry.remove(connection)
        if block[B_FLAGS] & OUT_OF_ORDER:
            self.reassembly.clear(connection)
        ptr32(self.turn.state)[_CLOSED] += 1
        self.mark(connection)

    @micropython.viper
    def time_wait(self, connection):
        """Both ends are closed: a row remembers what has to be remembered."""
        block = connection.block
        if ptr32(block)[EVENTS] & ACK_NOW:
            self.segments.acknowledge(connection)
        self.time.begin(block, self.table.hash_of(block))
        self.over(connection, 0)

    def wait_for_fin(self, connection):
        at = (word(self.turn.state, NOW) + TCP_FIN_WAIT_2_MS) & MASK
        put(connection.block, GONE_AT, at)
        self.clock.at(connection.index, at)

    def wrapped(self):
        for connection in self.table.connections:
            if connection is not None:
                later_stamps(connection.block)

    def stop(self):
        """The machine ends: what can be sent is sent, and peers that still count on us are told."""
        self.refresh()
        for connection in self.connections:
            block = connection.block
            if word(block, STATE) >= ESTABLISHED:
                self.outgoing.run(connection)
                if not word(block, B_FLAGS) & FIN_SENT:
                    self.voice.reset(RST | ACK, connection)

    # Facts.

    @property
    def connections(self):
        return [c for c in self.table.connections if c is not None]

    def counts(self):
        """The sizes of all tables: what must be nothing when nobody is there."""
        return {
            "connections": len(self.connections),
            "half_open": self.half.count,
            "time_wait": self.time.count,
            "chunks": self.queues.chunks.used,
            "out_of_order": self.reassembly.used,
        }
