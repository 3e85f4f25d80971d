"""Fast: every segment enters here; the expected ones end here.

RFC 9293 3.10.7 begins with checks that all segments share: length, checksum, addresses.  Then comes
the connection, and the prediction (Jacobson 1988; RFC 1323 4.2.2): the connection is established,
nothing is out of order, the segment begins where it should, has the usual options, acknowledges
what was sent, and is not a signal.  Whatever is not expected goes to arrive.py.

Above: `on_data` of the connection.  Below: ip4.receive, ip6.receive.
"""

import micropython
from micropython import const

from net.checksum import partial

# The packet's head (see net/packet.py).
PSEUDO = const(2)
TRANSPORT = const(4)
PAYLOAD = const(6)
END = const(8)
FLAGS = const(10)
SOURCE = const(16)
DESTINATION = const(32)
CHECKED = const(0x04)
SHARED = const(0x0B)  # sent to many, on the link or by IP
IP6 = const(0x20)
CONGESTION = const(0x40)

# The header (see header.py), in halves from its beginning.
SIZE = const(20)
LENGTH_FLAGS = const(6)
WINDOW = const(7)
# A segment with ACK, perhaps PSH, and nothing else, with its flags in the upper byte.
NO_SIGNAL = const(0xF700)
PLAIN = const(0x1000)

# The block (see block.py).
LOCAL = const(0)
REMOTE = const(4)
PORTS = const(8)
STATE = const(10)
B_FLAGS = const(11)
EVENTS = const(12)
SND_UNA = const(13)
SND_MAX = const(15)
SND_WND = const(16)
SND_WL1 = const(17)
SND_WL2 = const(18)
RCV_NXT = const(20)
RCV_ADV = const(21)
SND_SCALE = const(26)
MAX_WND = const(30)
UNACKED = const(32)
TS_RECENT = const(33)
TS_RECENT_AT = const(34)
TS_OFFSET = const(35)
LAST_ACK = const(36)
HEARD_AT = const(85)
SCRATCH = const(92)
CLOSED = const(0)
ESTABLISHED = const(4)
IS_IP6 = const(0x1)
TIMESTAMPS = const(0x2)
# FIN_HEARD, RECOVERING, TIMED_OUT, PERSIST, OUT_OF_ORDER: nothing is as expected.
UNUSUAL = const(0xBC00)
QUEUED_UP = const(0x1)
WAITING = const(0x18)  # ACCEPTED, CONNECTED: the service has not been told yet

# Shared words (see turn.py).
_SEGMENTS = const(0)
_FAST = const(1)
_SHORT = const(23)
_HEADER_LENGTH = const(24)
_CHECKSUM = const(25)
_BROADCAST = const(26)
NOW = const(64)
FRESH = const(65)
SEG_HASH = const(80)
LAST = const(70)  # index of the connection that the last segment was of
SEG_ECHO = const(82)

# The table (see table.py).
_MASK = const(0)
HEADS = const(16)


class Fast:
    """Slots: slow(packet, index), advance(connection, acked), mark(connection), begin()."""

    def __init__(self, turn, table):
        self.state = turn.state
        self.begin = turn.begin
        self.mark = turn.mark
        self.table = table
        self.hash = table.hash
        self.slow = None
        self.advance = None
        self.introduce = None

    @micropython.viper
    def receive(self, packet):
        head = ptr16(packet.buffer)
        words = ptr32(head)
        state = ptr32(self.state)
        state[_SEGMENTS] += 1
        start = int(head[TRANSPORT >> 1])
        end = int(head[END >> 1])
        length = end - start
        if length < SIZE:
            state[_SHORT] += 1
            return
        first = start >> 1
        signal = int(head[first + LENGTH_FLAGS])
        size = (signal & 0xF0) >> 2
        if size < SIZE or size > length:
            state[_HEADER_LENGTH] += 1
            return
        flags = int(head[FLAGS >> 1])
        if flags & CHECKED == 0:
            total = int(head[PSEUDO >> 1]) + ((length & 0xFF) << 8) + (length >> 8)
            if int(partial(packet.buffer, start, start + length, total)) != 0xFFFF:
                state[_CHECKSUM] += 1
                return
        if flags & SHARED:
            # RFC 1122 4.2.3.10, 9293 MUST-57: TCP speaks to one host.
            state[_BROADCAST] += 1
            return
        head[PAYLOAD >> 1] = start + size
        length -= size
        if state[FRESH] == 0:
            self.begin()

        # Whose is it?  Perhaps of the connection that the last one was of.
        table = self.table
        connections = table.connections
        ports = words[start >> 2]
        index = state[LAST]
        connection = connections[index]
        place = -1
        if connection is not None and flags & IP6 == 0:
            block = ptr32(connection.block)
            if (
                block[PORTS] == ports
                and block[REMOTE] == words[SOURCE >> 2]
                and block[LOCAL] == words[DESTINATION >> 2]
                and block[B_FLAGS] & IS_IP6 == 0
                and block[STATE] != CLOSED
            ):
                place = 0
        if place < 0:
            place = int(self.hash(packet))
            state[SEG_HASH] = place
            chains = ptr16(table.state)
            mask = ptr32(chains)[_MASK]
            index = int(chains[HEADS + (place & mask)])
            place = -1
        while place < 0 and index != 0:
            connection = connections[index]
            block = ptr32(connection.block)
            if (
                block[PORTS] == ports
                and block[REMOTE] == words[SOURCE >> 2]
                and block[LOCAL] == words[DESTINATION >> 2]
                and (block[B_FLAGS] ^ (flags >> 5)) & IS_IP6 == 0
            ):
                i = 1
                if flags & IP6:
                    while i < 4:
                        if (
                            block[REMOTE + i] != words[(SOURCE >> 2) + i]
                            or block[LOCAL + i] != words[(DESTINATION >> 2) + i]
                        ):
                            i = 8
                        i += 1
                if i < 8:
                    break
            index = int(chains[HEADS + mask + 1 + index])
        state[LAST] = index
        if index == 0:
            self.slow(packet, 0)
            return
        # Is it expected?
        ours = block[B_FLAGS]
        if (
            signal & NO_SIGNAL != PLAIN
            or block[STATE] != ESTABLISHED
            or ours & UNUSUAL
            or flags & CONGESTION
        ):
            self.slow(packet, index)
            return
        data = ptr8(head)
        i = start + 4
        block[SCRATCH] = data[i] << 24 | data[i + 1] << 16 | data[i + 2] << 8 | data[i + 3]
        block[SCRATCH + 1] = data[i + 4] << 24 | data[i + 5] << 16 | data[i + 6] << 8 | data[i + 7]
        if block[SCRATCH] != block[RCV_NXT]:
            self.slow(packet, index)
            return
        acknowledged = block[SCRATCH + 1]
        block[SCRATCH + 1] = acknowledged - block[SND_UNA]
        acked = block[SCRATCH + 1]
        block[SCRATCH + 1] = block[SND_MAX] - block[SND_UNA]
        flight = block[SCRATCH + 1]
        block[SCRATCH + 1] = block[RCV_ADV] - block[RCV_NXT]
        window = int(head[first + WINDOW])
        window = ((window & 0xFF) << 8 | window >> 8) << block[SND_SCALE]
        if (
            acked < 0
            or acked > flight
            or length > block[SCRATCH + 1]
            or (window == 0)
            or (acked == 0 and length == 0 and flight != 0)
        ):
            self.slow(packet, index)
            return
        state[SEG_ECHO] = -1
        if ours & TIMESTAMPS:
            if size != SIZE + 12 or words[(start + SIZE) >> 2] != 0x0A080101:
                self.slow(packet, index)
                return
            i = start + SIZE + 4
            block[SCRATCH + 1] = data[i] << 24 | data[i + 1] << 16 | data[i + 2] << 8 | data[i + 3]
            value = block[SCRATCH + 1]
            block[SCRATCH + 1] = value - block[TS_RECENT]
            if block[SCRATCH + 1] < 0:
                self.slow(packet, index)
                return
            # RFC 7323 4.3: the timestamp of the earliest segment not acknowledged yet.
            block[SCRATCH + 1] = block[SCRATCH] - block[LAST_ACK]
            if block[SCRATCH + 1] <= 0:
                block[TS_RECENT] = value
                block[TS_RECENT_AT] = state[NOW]
            if acked:
                i += 4
                state[SEG_ECHO] = state[NOW] + block[TS_OFFSET]
                state[SEG_ECHO] = state[SEG_ECHO] - (
                    data[i] << 24 | data[i + 1] << 16 | data[i + 2] << 8 | data[i + 3]
                )
        elif size != SIZE:
            self.slow(packet, index)
            return
        state[_FAST] += 1
        block[HEARD_AT] = state[NOW]
        block[SND_WND] = window
        block[SND_WL1] = block[SCRATCH]
        block[SND_WL2] = acknowledged
        if window > block[MAX_WND]:
            block[MAX_WND] = window
        if acked:
            self.advance(connection, acked)
        if length:
            block[RCV_NXT] += length
            block[UNACKED] += length
            if block[EVENTS] & QUEUED_UP == 0:
                self.mark(connection)
            if block[EVENTS] & WAITING:
                self.introduce(connection, packet)
            else:
                connection.on_data(connection, packet)
        elif acked == 0:
            # An open window, perhaps.
            self.mark(connection)
