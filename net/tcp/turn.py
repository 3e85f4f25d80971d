"""Turn: what all parts of TCP share: counters, the time, and the connections that await their turn.

Segments that arrive only note what is to be done and mark their connection.  Once per turn of the
event loop `run` goes through the marked ones: callbacks, then acknowledgements and data.  So a
burst is acknowledged once, answers carry the acknowledgement of their question, and no callback
but on_data runs inside `receive`.

`state` begins with the counters; then come words that every part may use:

    NOW       the time, read once per turn and once per burst of segments
    FRESH     1: NOW is the time of this turn
    SYNS, STRANGERS     how many segments of nobody may be answered: a flood of them must not take
              the time of connections.  Each turn brings some, a quarter of what it can receive
    SHORT     1: somebody found no packet; until the device has sent some, the others wait with him
    HUNGRY    connections that wait for a chunk (tcp.py)
    the ring of marked connections, as indices of 16 bits, in `ring`
    SEG_...   the segment that is being looked at; nothing of it is valid after a callback

Neighbours: table.py (indices), output.py (what `run` ends with).
"""

import micropython
from micropython import const

from net.config import TCP_STRANGERS_PER_TURN, TCP_STRANGERS_SAVED
from runtime.counters import Counters

COUNTS = (
    "segments",
    "fast",
    "sent",
    "acknowledgements",
    "connected",
    "accepted",
    "closed",
    "retransmits",
    "timeouts",
    "probes",
    "keepalives",
    "challenges",
    "resets_sent",
    "resets_received",
    "out_of_order",
    "duplicates",
    "cookies_sent",
    "cookies_accepted",
    "time_waits",
    "time_waits_reused",
    "ecn_marks",
    "path_mtu",
    "fast_retransmits",
)
DROPS = (
    "short",
    "header_length",
    "checksum",
    "broadcast",
    "port",
    "window",
    "paws",
    "no_ack",
    "bad_ack",
    "challenge_limit",
    "no_packet",
    "no_connection",
    "no_half_open",
    "no_time_wait",
    "no_chunk",
    "no_reassembly",
    "cookie",
    "timeout",
    "unreachable_quote",
    "no_memory",
    "syn_share",
    "stranger_share",
)
_SEGMENTS = const(0)
_FAST = const(1)
_SENT = const(2)
_ACKNOWLEDGEMENTS = const(3)
_CONNECTED = const(4)
_ACCEPTED = const(5)
_CLOSED = const(6)
_RETRANSMITS = const(7)
_TIMEOUTS = const(8)
_PROBES = const(9)
_KEEPALIVES = const(10)
_CHALLENGES = const(11)
_RESETS_SENT = const(12)
_RESETS_RECEIVED = const(13)
_OUT_OF_ORDER = const(14)
_DUPLICATES = const(15)
_COOKIES_SENT = const(16)
_COOKIES_ACCEPTED = const(17)
_TIME_WAITS = const(18)
_TIME_WAITS_REUSED = const(19)
_ECN_MARKS = const(20)
_PATH_MTU = const(21)
_FAST_RETRANSMITS = const(22)
_SHORT = const(23)
_HEADER_LENGTH = const(24)
_CHECKSUM = const(25)
_BROADCAST = const(26)
_PORT = const(27)
_WINDOW = const(28)
_PAWS = const(29)
_NO_ACK = const(30)
_BAD_ACK = const(31)
_CHALLENGE_LIMIT = const(32)
_NO_PACKET = const(33)
_NO_CONNECTION = const(34)
_NO_HALF_OPEN = const(35)
_NO_TIME_WAIT = const(36)
_NO_CHUNK = const(37)
_NO_REASSEMBLY = const(38)
_COOKIE = const(39)
_TIMEOUT = const(40)
_UNREACHABLE_QUOTE = const(41)
_NO_MEMORY = const(42)
_SYN_SHARE = const(43)
_STRANGER_SHARE = const(44)

# Shared words behind the counters.
NOW = const(64)
FRESH = const(65)
HEAD = const(66)
COUNT = const(67)
MASK = const(68)
SYNS = const(69)
LAST = const(70)  # fast.py's
STRANGERS = const(71)
SEG_SEQ = const(72)
SEG_ACK = const(73)
SEG_LEN = const(74)  # payload, SYN and FIN
SEG_WND = const(75)
SEG_FLAGS = const(76)
SEG_OPTIONS = const(77)  # which there were (options.py)
SEG_OFFSET = const(78)  # SEG_SEQ - RCV_NXT
SEG_ACKED = const(79)  # SEG_ACK - SND_UNA
SEG_HASH = const(80)
SCRATCH = const(84)
HINTED_AT = const(90)  # acknowledge.py's
SHORT = const(92)
HUNGRY = const(93)
SIZE = const(384)

# The block (see block.py).
EVENTS = const(12)
QUEUED_UP = const(0x1)
ACK_NOW = const(0x2)
OUTPUT = const(0x4)
TO_CALL = const(0xF8)  # ACCEPTED, CONNECTED, ENDED, WRITABLE, GONE

WRAPPED = const(0x20000000)
PER_TURN = const(16)
SAVED = const(1024)
assert (PER_TURN, SAVED) == (TCP_STRANGERS_PER_TURN, TCP_STRANGERS_SAVED)
RETRY_MS = const(1)  # when there was no packet: 64 of them are sent in less


class Turn:
    """Slots: soon(callback), output(connection), call(connection), wrapped(), feed()."""

    def __init__(self, timers, registry, places):
        self.state = bytearray(SIZE)
        self.count = registry.add(Counters("tcp", COUNTS, DROPS, self.state)).count
        self.clock = timers.clock
        self.table = None
        self.ring = None
        # Methods as slots of their object: a call from viper finds them at once.
        self.later = self.run
        self.timer = timers.timer(self.run)
        self.begin = self.begin
        self.tick = self.tick
        self.soon = None
        self.output = None
        self.call = None
        self.feed = None
        self.wrapped = None
        self.room(places)
        now = self.clock()
        self.state[4 * NOW : 4 * NOW + 4] = now.to_bytes(4, "little")
        for index in (SYNS, STRANGERS):
            self.state[4 * index : 4 * index + 4] = SAVED.to_bytes(4, "little")

    def room(self, places):
        """There may be so many connections, a power of two; each is marked at most once."""
        ring = bytearray(2 * places)
        state, old = self.state, self.ring
        if old:
            half = len(old)
            head = 2 * int.from_bytes(state[4 * HEAD : 4 * HEAD + 4], "little")
            ring[: half - head] = old[head:]
            ring[half - head : half] = old[:head]
        self.ring = ring
        state[4 * HEAD : 4 * HEAD + 4] = bytes(4)
        state[4 * MASK : 4 * MASK + 4] = (places - 1).to_bytes(4, "little")

    @micropython.viper
    def tick(self):
        """Read the clock: NOW is right until the end of this turn."""
        state = ptr32(self.state)
        now = int(self.clock())
        state[FRESH] = 1
        before = state[NOW]
        state[NOW] = now
        if now < before and before - now > WRAPPED:
            # The machine's milliseconds begin again; peers see timestamps of 32 bits.
            self.wrapped()

    @micropython.viper
    def begin(self):
        """A segment has come, or a call of the service: a turn is to follow."""
        self.soon(self.later)
        # As in `tick`.
        state = ptr32(self.state)
        now = int(self.clock())
        state[FRESH] = 1
        before = state[NOW]
        state[NOW] = now
        if now < before and before - now > WRAPPED:
            self.wrapped()

    @micropython.viper
    def mark(self, connection):
        """Look at the connection in this turn."""
        block = ptr32(connection.block)
        if block[EVENTS] & QUEUED_UP:
            return
        block[EVENTS] |= QUEUED_UP
        state = ptr32(self.state)
        if state[FRESH] == 0:
            self.begin()
        ring = ptr16(self.ring)
        ring[(state[HEAD] + state[COUNT]) & state[MASK]] = int(connection.index)
        state[COUNT] += 1

    @micropython.viper
    def run(self):
        state = ptr32(self.state)
        if state[FRESH] == 0:
            self.tick()
        count = state[COUNT]
        if state[SYNS] < SAVED:
            state[SYNS] += PER_TURN
        if state[STRANGERS] < SAVED:
            state[STRANGERS] += PER_TURN
        while count:
            count -= 1
            index = int(ptr16(self.ring)[state[HEAD]])
            state[HEAD] = (state[HEAD] + 1) & state[MASK]
            state[COUNT] -= 1
            connection = self.table.connections[index]
            if connection is None:
                continue  # a callback of this turn has aborted it
            block = ptr32(connection.block)
            block[EVENTS] &= ~QUEUED_UP
            if block[EVENTS] & TO_CALL and not self.call(connection):
                continue
            self.output(connection)
            if state[SHORT]:
                break
        if state[HUNGRY]:
            self.feed()
        state[FRESH] = 0
        if state[SHORT]:
            state[SHORT] = 0
            self.timer.start(RETRY_MS)
        elif state[COUNT]:
            # What was marked by callbacks has a turn of its own.
            self.soon(self.later)
