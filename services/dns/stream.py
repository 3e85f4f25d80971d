"""Queries over TCP: RFC 7766; transfers: RFC 5936, for addresses that may have them.

    Streams(inet, responder, machine)     listens at port 53
                                          setting `axfr=10.0.0.0/8,2001:db8::/32`: who gets zones

Each message has its length in two bytes in front.  Queries may come several at a time, or byte by
byte; they are answered in order, as they come.  A query that lies whole in a segment is answered
from there.  Where the connection takes less than an answer, the rest of it is kept, and what else
comes meanwhile, and the peer is told so by its window: so a client that does not read cannot make
the server keep more than STREAM_INPUT bytes and one answer.

A connection that has been idle for IDLE_MS is closed, or for as long as it says to clients who ask
(RFC 7828), which is the same.  There are DNS_STREAMS of them; whoever comes then takes the place of
the one that has been idle longest.  One address has a quarter of them at most.

Above: the service.  Below: responder.py, transfer.py, net/tcp.
Left out: answers out of order; TLS; TCP fast open.
"""

import micropython
from micropython import const

from net.address import parse
from net.config import DNS_STREAM_INPUT, DNS_STREAMS
from runtime.counters import Counters
from services.dns.transfer import Transfer

PORT = const(53)
IDLE_MS = const(10_000)  # RFC 7766 section 6.2.3: a few seconds
SWEEP_MS = const(2_000)  # so much more it may be
QUERY = const(4_096)  # bytes of the longest query that is heard
WINDOW = const(16_384)  # so much may be under way: hundreds of queries
STREAM_INPUT = const(65_536)  # bytes of a peer that does not read: the window of a SYN-ACK
OUT = const(4_098)  # room for an answer and its length, to begin with
LONGEST = const(65_537)
TURN = const(0x3FFFFFFF)
HALF = const(0x20000000)
IXFR = const(251)
REFUSED_CODE = const(5)
NOTAUTH_CODE = const(9)

# Words of the work area, drawn in responder.py.
OPT = const(45)
STREAM = const(52)
KEEPALIVE = const(53)
TRANSFER = const(54)
REFUSED = const(17)
TRUNCATED = const(19)

# The head of a packet (net/packet.py).
PAYLOAD = const(6)
END = const(8)

COUNTS = ("connections", "queries", "transfers")
DROPS = ("long", "idle", "evicted", "crowded", "greedy", "refused", "too_big")
_CONNECTIONS = const(0)
_QUERIES = const(1)
_TRANSFERS = const(2)
_LONG = const(3)
_IDLE = const(4)
_EVICTED = const(5)
_CROWDED = const(6)
_GREEDY = const(7)
_REFUSED = const(8)
_TOO_BIG = const(9)


class Stream:
    """One connection, as its `context`."""

    def __init__(self, connection, deadline):
        self.connection = connection
        self.deadline = deadline  # when it has been idle for long, if it is not `active`
        self.active = None  # something has happened since the last sweep
        self.waits = None  # there is something in the three below
        self.input = b""  # heard, and not answered yet
        self.held = 0  # bytes of it that the peer's window is smaller for
        self.rest = b""  # of an answer that the connection has not taken
        self.transfer = None
        self.ended = False  # the peer will say nothing more


class Streams:
    def __init__(self, inet, responder, machine):
        self.responder = responder
        self.work = responder.work
        self.answer = responder.answer
        self.timers = machine.timers
        self.count = machine.counters.add(Counters("dns_tcp", COUNTS, DROPS)).count
        self.allowed = parse_prefixes(machine.settings.get("axfr", ""))
        self.out = bytearray(OUT)
        self.hear = self.receive  # one bound method for all
        self.streams = []
        self.timer = machine.timers.timer(self.sweep)
        self.listener = inet.tcp.listen(PORT, self.accept)

    # Connections.

    def accept(self, connection):
        peers = [stream for stream in self.streams if stream.connection.remote == connection.remote]
        if 4 * len(peers) >= DNS_STREAMS:
            self.count(_CROWDED)
            connection.abort()
            return
        if len(self.streams) >= DNS_STREAMS:
            self.count(_EVICTED)
            self.forget(self.idlest(), True)
        self.count(_CONNECTIONS)
        stream = Stream(connection, self.later())
        connection.context = stream
        connection.set(window=WINDOW)
        self.streams.append(stream)
        connection.on_data = self.hear
        connection.on_end = self.end
        connection.on_writable = self.writable
        connection.on_close = self.closed
        if not self.timer.active:
            self.timer.start(SWEEP_MS)

    def idlest(self):
        self.refresh()
        now = self.timers.now()
        found = self.streams[0]
        for stream in self.streams:
            if (stream.deadline - now) & TURN < (found.deadline - now) & TURN:
                found = stream
        return found

    def later(self):
        return (self.timers.now() + IDLE_MS) & TURN

    def refresh(self):
        """Whatever happened since the last time happened now: the clock is not read per query."""
        deadline = self.later()
        for stream in self.streams:
            if stream.active:
                stream.active = None
                stream.deadline = deadline

    def sweep(self):
        """Close who has been idle."""
        now = self.timers.now()
        wait = -1
        self.refresh()
        for stream in list(self.streams):
            left = (stream.deadline - now) & TURN
            if left >= HALF or left == 0:
                self.count(_IDLE)
                # Who does not read what we say would not read a FIN.
                self.forget(stream, bool(stream.rest or stream.transfer))
            elif wait < 0 or left < wait:
                wait = left
        if wait >= 0:
            self.timer.start(min(wait, SWEEP_MS))

    def forget(self, stream, abort):
        if stream in self.streams:
            self.streams.remove(stream)
        connection = stream.connection
        connection.context = None
        if abort:
            connection.abort()
        else:
            connection.close()

    def closed(self, connection, reason):
        stream, connection.context = connection.context, None
        if stream in self.streams:
            self.streams.remove(stream)

    def end(self, connection):
        """The peer has asked all it wanted to ask."""
        stream = connection.context
        if stream is None:
            connection.close()
        elif stream.rest or stream.transfer:
            stream.ended = True
        else:
            self.forget(stream, False)

    # Queries.

    @micropython.viper
    def receive(self, connection, segment):
        """Whole queries, whose answers are taken, are answered here; the rest goes to `slowly`."""
        stream = connection.context
        if stream is None:
            return
        buffer = segment.buffer
        head = ptr16(buffer)
        q = ptr8(buffer)
        at = int(head[PAYLOAD >> 1])
        end = int(head[END >> 1])
        if stream.waits is None:
            stream.active = True
            out = self.out
            o = ptr8(out)
            while end - at > 14:
                length = q[at] << 8 | q[at + 1]
                # (A query with an authority section may be IXFR.)
                if length < 12 or length > QUERY or at + 2 + length > end or q[at + 11]:
                    break
                n = int(self.ask(buffer, at + 2, at + 2 + length, out, OUT))
                if n < 0:
                    break
                if n == 0:
                    at += 2 + length
                    continue
                if o[4] & 2:
                    self.uncount_truncated()
                    break
                self.count(_QUERIES)
                at += 2 + length
                taken = int(connection.write(out, 0, n))
                if taken < n:
                    self.wait(stream, out, taken, n)
                    break
        if at < end:
            self.slowly(stream, segment, at, end)

    def slowly(self, stream, segment, at, end):
        """The rest of a segment: a part of a query, or more than can be said now."""
        connection = stream.connection
        if stream.rest or stream.transfer:
            length = end - at
            kept = sum([len(other.input) for other in self.streams]) + length
            if len(stream.input) + length > STREAM_INPUT or kept > DNS_STREAM_INPUT:
                self.count(_GREEDY)
                self.forget(stream, True)
                return
            stream.input += bytes(memoryview(segment.buffer)[at:end])
            stream.held += length
            connection.hold(length)
        elif stream.input:
            stream.active = True
            stream.input += bytes(memoryview(segment.buffer)[at:end])
            self.answer_input(stream)
        else:
            at = self.answer_all(stream, segment.buffer, at, end)
            if at < end and connection.context is stream:
                self.keep(stream, bytes(memoryview(segment.buffer)[at:end]))
        self.settle(stream)

    def settle(self, stream):
        """Does anything wait?"""
        stream.waits = True if stream.input or stream.rest or stream.transfer else None

    def wait(self, stream, data, taken, length):
        """The connection has not taken all of an answer."""
        stream.rest = bytes(memoryview(data)[taken:length])
        stream.waits = True

    def keep(self, stream, rest):
        """Bytes to be answered later."""
        stream.input = rest
        if stream.rest or stream.transfer:
            stream.held += len(rest)
            stream.connection.hold(len(rest))

    def answer_input(self, stream):
        """What has been kept."""
        data, stream.input = stream.input, b""
        if stream.held:
            stream.connection.release(stream.held)
            stream.held = 0
        at = self.answer_all(stream, data, 0, len(data))
        if at < len(data) and stream.connection.context is stream:
            self.keep(stream, data[at:])

    def answer_all(self, stream, buffer, at, end):
        """Answer the queries in buffer[at:end]; returns how far that went."""
        while end - at >= 2:
            length = buffer[at] << 8 | buffer[at + 1]
            if length > QUERY:
                self.count(_LONG)
                self.forget(stream, True)
                return end
            start = at + 2
            if end - start < length:
                break
            at = start + length
            self.query(stream, buffer, start, at)
            if stream.rest or stream.transfer or stream.connection.context is not stream:
                break
        return at

    def query(self, stream, buffer, start, end):
        self.count(_QUERIES)
        if end - start > 12 and buffer[start + 9] and self.is_ixfr(buffer, start, end):
            # RFC 1995 section 3: the SOA that the client has is in its authority section.
            self.begin(stream, buffer, start, end)
            return
        out = self.out
        length = self.ask(buffer, start, end, out, len(out))
        if length > 4 and out[4] & 2 and len(out) < LONGEST:
            # Here nothing needs to be truncated.
            self.out = out = bytearray(LONGEST)
            self.uncount_truncated()
            length = self.ask(buffer, start, end, out, len(out))
        if length < 0:
            self.begin(stream, buffer, start, end)
        elif length:
            self.send(stream, out, length)

    def is_ixfr(self, buffer, start, end):
        """Whether the query, which has a record in its authority section, asks for IXFR."""
        at = start + 12
        while at < end and buffer[at]:
            at += 1 + buffer[at]
        return at + 2 < end and buffer[at + 1] == 0 and buffer[at + 2] == IXFR

    @micropython.viper
    def ask(self, query, start: int, end: int, out, limit: int) -> int:
        """The answer, with its length in front: bytes in all; 0: none; -1: a transfer is wanted."""
        work = ptr32(self.work)
        work[STREAM] = 1
        work[KEEPALIVE] = 0
        work[TRANSFER] = 0
        work[OPT] = 0
        # RFC 7828: six bytes for the option, if it is wanted.
        n = int(self.answer(query, start, end, out, 2, limit - 6))
        work[STREAM] = 0
        if work[TRANSFER]:
            work[REFUSED] -= 1
            return -1
        if n == 0:
            return 0
        o = ptr8(out)
        if work[OPT] != 0 and work[KEEPALIVE] != 0 and n >= 23:
            # Our OPT record is the last thing in the message.
            i = 2 + n
            o[i - 1] = 6
            o[i] = 0
            o[i + 1] = 11
            o[i + 2] = 0
            o[i + 3] = 2
            o[i + 4] = (IDLE_MS // 100) >> 8
            o[i + 5] = IDLE_MS // 100
            n += 6
        o[0] = n >> 8
        o[1] = n
        return n + 2

    @micropython.viper
    def uncount_truncated(self):
        work = ptr32(self.work)
        work[TRUNCATED] -= 1

    # Answers.

    def send(self, stream, data, length):
        taken = stream.connection.write(data, 0, length)
        if taken < length:
            self.wait(stream, data, taken, length)

    def writable(self, connection):
        stream = connection.context
        if stream is None:
            return
        stream.active = True
        if stream.rest:
            rest = stream.rest
            taken = connection.write(rest)
            stream.rest = rest[taken:]
            if stream.rest:
                return
        if stream.transfer:
            self.go_on(stream)
        if stream.input and not stream.rest and not stream.transfer:
            self.answer_input(stream)
        self.settle(stream)
        if stream.ended and not stream.rest and not stream.transfer and connection.context:
            self.forget(stream, False)

    # Transfers.

    def begin(self, stream, buffer, start, end):
        transfer = Transfer(self.responder, buffer, start, end)
        code = 0
        if not self.may_transfer(stream.connection.remote):
            code = REFUSED_CODE
        elif not transfer.zone:
            code = NOTAUTH_CODE
        if code:
            self.count(_REFUSED)
            refusal = transfer.refusal(code)
            self.send(stream, len(refusal).to_bytes(2, "big") + refusal, len(refusal) + 2)
            return
        self.count(_TRANSFERS)
        stream.transfer = transfer
        self.go_on(stream)

    def go_on(self, stream):
        """Messages, as many as the connection takes."""
        transfer = stream.transfer
        while not stream.rest:
            if transfer.done:
                stream.transfer = None
                return
            out = self.out
            length = transfer.fill(out, 2, OUT)
            if length == 0:
                if len(out) < LONGEST:
                    self.out = out = bytearray(LONGEST)
                length = transfer.fill(out, 2, LONGEST)
            if length == 0:
                # An RRset that no message can hold.
                self.count(_TOO_BIG)
                self.forget(stream, True)
                stream.transfer = None
                return
            out[0] = length >> 8
            out[1] = length & 0xFF
            self.send(stream, out, length + 2)

    def may_transfer(self, address):
        for prefix, length in self.allowed:
            if len(prefix) == len(address) and begins(address, prefix, length):
                return True
        return False


def parse_prefixes(text):
    """Pairs of address and length of "10.0.0.0/8,2001:db8::/32"."""
    prefixes = []
    for part in text.split(",") if text else ():
        address, slash, length = part.partition("/")
        address = parse(address)
        length = int(length) if slash else 8 * len(address)
        if not 0 <= length <= 8 * len(address):
            raise ValueError(f"axfr={part}: a prefix length is at most {8 * len(address)}")
        prefixes.append((address, length))
    return prefixes


def begins(address, prefix, length):
    """Whether the first `length` bits are equal."""
    whole = length >> 3
    if address[:whole] != prefix[:whole]:
        return False
    rest = length & 7
    return not rest or (address[whole] ^ prefix[whole]) >> (8 - rest) == 0
