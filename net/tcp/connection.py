"""Connection and Listener: what a service sees of TCP.

    listener = inet.tcp.listen(port, on_connection, backlog=...)
    connection = inet.tcp.connect(address, port, on_connected, source_port=0)

    connection.on_data(connection, segment)     slot; `segment` is lent for the call: the bytes are
                                                segment.buffer[segment.payload:segment.end]; .data
                                                is a copy of them
    connection.on_end(connection)               slot: the peer will send no more; unless replaced,
                                                it closes
    connection.on_writable(connection)          slot: there is room after `write` took less
    connection.on_close(connection, reason)     slot: it is gone; 0, or an errno
    connection.write(data, offset=0, length=-1) -> int
                                                bytes taken.  `bytes` are referenced, not copied, if
                                                they are long; anything else is copied
    connection.close()      FIN after what was written      connection.abort()     RST
    connection.hold(n)      n delivered bytes are still kept: the window that the peer sees shrinks
    connection.release(n)   they are not any more
    connection.set(nodelay=, keepalive=(idle, interval, count) in ms or None, user_timeout=ms,
                   window=,  bytes that the peer may send ahead, from now on
                   congestion="cubic" or "reno")
    connection.local, local_port, remote, remote_port, state, context (the service's), info()

Only on_data is called while a segment is received; the rest is called once per turn of the loop.
A connection whose first data comes with the end of its handshake is introduced (on_connection,
on_connected) right before that data.
"""

import micropython
from micropython import const

from net.config import TCP_WINDOW
from net.tcp.block import STATES
from net.tcp.words import flag, flight, put, word

# The block (see block.py).
STATE = const(10)
B_FLAGS = const(11)
EVENTS = const(12)
SND_WND = const(16)
RCV_NXT = const(20)
RCV_ADV = const(21)
QUEUED = const(23)
RCV_SPACE = const(24)
HELD = const(25)
MSS = const(28)
SRTT = const(41)
RTTVAR = const(42)
RTO = const(43)
RETRANSMITS = const(47)
CWND = const(48)
SSTHRESH = const(49)
USER_TIMEOUT = const(80)
KEEP_IDLE = const(81)
SCRATCH = const(92)
CLOSED = const(0)
SYN_SENT = const(2)
ESTABLISHED = const(4)
IS_IP6 = const(0x1)
TIMESTAMPS = const(0x2)
SACK_OK = const(0x4)
SCALED = const(0x8)
ECN = const(0x10)
NODELAY = const(0x80)
CLOSING_DOWN = const(0x100)
KEEPALIVE = const(0x4000)
STARVED = const(0x20000)
RENO = const(0x4000000)
QUEUED_UP = const(0x1)
ACK_NOW = const(0x2)
OUTPUT = const(0x4)

# Kinds of sendqueue.py.
REFERENCE = const(0)
COPY = const(1)
# Shorter bytes are copied, so that small writes share segments and descriptors.
WORTH_A_REFERENCE = const(512)
# MicroPython looks for its own names one by one: here they are found at once.
_len = len
_type = type
_bytes = bytes
# Words of a listener's cells.
WAITING = const(0)
BACKLOG = const(1)


def nothing(connection, about=None):
    pass


def family(block):
    """The length of an address."""
    return 16 if word(block, B_FLAGS) & IS_IP6 else 4


FACTS = {
    "state": lambda block: STATES[word(block, STATE)],
    "local": lambda block: bytes(block[0 : family(block)]),
    "remote": lambda block: bytes(block[16 : 16 + family(block)]),
    "local_port": lambda block: block[34] << 8 | block[35],
    "remote_port": lambda block: block[32] << 8 | block[33],
    # Bytes written and not yet acknowledged.
    "queued": lambda block: word(block, QUEUED),
}


class Connection:
    # Until the service puts others in their place.
    held = None
    context = None

    def __init__(self, tcp, block, greet):
        self.block = block
        self.index = 0
        self.tcp = tcp
        self.queue = None
        self.greet = greet  # on_connection or on_connected

    @micropython.viper
    def on_data(self, connection, segment):
        pass

    def on_end(self, connection):
        connection.close()

    def on_writable(self, connection):
        pass

    def on_close(self, connection, reason):
        pass

    # Data.

    def write(self, data, offset=0, length=-1):
        there = _len(data) - offset
        if length < 0:
            length = there
        if offset < 0 or length < 0 or length > there:
            raise ValueError("write: there are not so many bytes")
        if length >= WORTH_A_REFERENCE and _type(data) is _bytes:
            return self.put(data, offset, length, REFERENCE)
        return self.put(data, offset, length, COPY)

    @micropython.viper
    def put(self, data, offset: int, length: int, kind: int) -> int:
        """`write`, for who knows that data[offset:offset + length] is there.

        `kind`: sendqueue's REFERENCE, if `data` stays as it is meanwhile, or COPY.
        """
        block = ptr32(self.block)
        state = block[STATE]
        if state < SYN_SENT or block[B_FLAGS] & CLOSING_DOWN or length == 0:
            return 0
        queue = self.queue
        if queue is None:
            self.tcp.lend(self)
            queue = self.queue
        taken = int(queue.put(data, offset, length, kind))
        block[QUEUED] += taken
        if taken < length:
            block[B_FLAGS] |= STARVED
            self.tcp.starved(self)
        if block[EVENTS] & QUEUED_UP == 0:
            self.tcp.mark(self)
        return taken

    def hold(self, count):
        put(self.block, HELD, word(self.block, HELD) + count)

    @micropython.viper
    def release(self, count: int):
        block = ptr32(self.block)
        block[HELD] -= count
        if block[HELD] < 0:
            block[HELD] = 0
        if block[STATE] < ESTABLISHED:
            return
        # Tell the peer if that makes a difference (RFC 9293 3.8.6.2.2).
        block[SCRATCH] = block[RCV_ADV] - block[RCV_NXT]
        step = block[RCV_SPACE] >> 1
        if step > block[MSS] << 1:
            step = block[MSS] << 1
        if block[RCV_SPACE] - block[HELD] >= block[SCRATCH] + step:
            block[EVENTS] |= ACK_NOW
            self.tcp.mark(self)

    # The end.

    @micropython.viper
    def close(self):
        block = ptr32(self.block)
        if block[STATE] == CLOSED or block[B_FLAGS] & CLOSING_DOWN:
            return
        block[B_FLAGS] |= CLOSING_DOWN
        if block[STATE] == SYN_SENT:
            self.tcp.close(self)
            return
        block[EVENTS] |= OUTPUT
        if block[EVENTS] & QUEUED_UP == 0:
            self.tcp.mark(self)

    def abort(self):
        self.tcp.abort(self)

    # Settings and facts.

    def __getattr__(self, name):
        """What is computed.  (A class with properties makes each store of an attribute slow.)"""
        fact = FACTS.get(name)
        if fact is None:
            raise AttributeError(name)
        return fact(self.block)

    def set(self, nodelay=None, keepalive=False, user_timeout=None, window=None, congestion=None):
        block = self.block
        if congestion is not None:
            if congestion not in ("cubic", "reno"):
                raise ValueError(f"set: congestion is cubic or reno, not {congestion}")
            flag(block, RENO, congestion == "reno")
        if window is not None:
            # What was offered before stays offered.
            put(block, RCV_SPACE, min(window, TCP_WINDOW))
        if nodelay is not None:
            flag(block, NODELAY, bool(nodelay))
            self.tcp.mark(self)
        if user_timeout is not None:
            put(block, USER_TIMEOUT, min(user_timeout, 0x1FFFFFFF))
        if keepalive is not False:
            if keepalive:
                for index, ms in enumerate(keepalive):
                    put(block, KEEP_IDLE + index, min(ms, 0x1FFFFFFF))
            flag(block, KEEPALIVE, bool(keepalive))
            self.tcp.keep_alive(self)

    def info(self):
        block = self.block
        flags = word(block, B_FLAGS)
        return {
            "state": self.state,
            "rtt": word(block, SRTT) >> 3,
            "rttvar": word(block, RTTVAR) >> 2,
            "rto": word(block, RTO),
            "mss": word(block, MSS),
            "cwnd": word(block, CWND),
            "ssthresh": word(block, SSTHRESH),
            "send_window": word(block, SND_WND),
            "queued": word(block, QUEUED),
            "flight": flight(block),
            "held": word(block, HELD),
            "retransmits": word(block, RETRANSMITS),
            "timestamps": bool(flags & TIMESTAMPS),
            "sack": bool(flags & SACK_OK),
            "scaled": bool(flags & SCALED),
            "ecn": bool(flags & ECN),
            "congestion": "reno" if flags & RENO else "cubic",
        }


class Listener:
    """A port that connections may come to."""

    def __init__(self, tcp, port, on_connection, backlog):
        self.tcp = tcp
        self.port = port
        self.on_connection = on_connection
        self.cells = bytearray(8)
        put(self.cells, WAITING, 0)
        put(self.cells, BACKLOG, backlog)

    @property
    def waiting(self):
        """Half-open connections."""
        return word(self.cells, WAITING)

    @property
    def backlog(self):
        """How many of them there may be."""
        return word(self.cells, BACKLOG)

    def close(self):
        """No new connections; those that there are go on."""
        self.tcp.unlisten(self)
