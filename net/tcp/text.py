"""What a segment carries: RFC 9293 3.10.7.4, sixth to eighth step.

    6. URG      the urgent byte is taken out of the stream
    7. text     what overlaps is cut; what is in order goes to on_data, with all that it sets free
    8. FIN

Law: after a callback (on_data) nothing of the segment is looked at: another may have come through
the urgent poll meanwhile.  Where FIN is stands in the block before.
Neighbours: arrive.py has done the first five; reassembly.py keeps what came too early.
"""

import micropython
from micropython import const

# The packet's head (see net/packet.py).
TRANSPORT = const(4)
PAYLOAD = const(6)
END = const(8)

# The header (see header.py).
URGENT = const(18)
FIN = const(0x01)
URG = const(0x20)

# The block (see block.py).
STATE = const(10)
B_FLAGS = const(11)
EVENTS = const(12)
RCV_NXT = const(20)
RCV_ADV = const(21)
FIN_SEQ = const(31)
UNACKED = const(32)
ESTABLISHED = const(4)
FIN_WAIT_1 = const(5)
FIN_WAIT_2 = const(6)
CLOSE_WAIT = const(7)
CLOSING = const(8)
FIN_HEARD = const(0x400)
OUT_OF_ORDER = const(0x8000)
ACK_NOW = const(0x2)
WAITING = const(0x18)  # ACCEPTED, CONNECTED
ENDED = const(0x20)

# Shared words (see turn.py).
_OUT_OF_ORDER = const(14)
_DUPLICATES = const(15)
SEG_SEQ = const(72)
SEG_FLAGS = const(76)
SEG_OFFSET = const(78)
S_SCRATCH = const(84)


class Text:
    """Slots: introduce(connection, packet), time_wait(connection)."""

    def __init__(self, turn, reassembly):
        self.state = turn.state
        self.mark = turn.mark
        self.keep = reassembly.keep
        self.next_held = reassembly.next
        self.give_back = reassembly.give
        # Methods as slots: a call from viper finds them at once.
        self.deliver = self.deliver
        self.fin = self.fin
        self.introduce = None
        self.time_wait = None

    @micropython.viper
    def text(self, connection, packet):
        """Sixth to eighth: what the segment carries."""
        block = ptr32(connection.block)
        state = ptr32(self.state)
        head = ptr16(packet.buffer)
        if block[STATE] > FIN_WAIT_2 or block[STATE] < ESTABLISHED:
            # The peer has sent FIN already: there cannot be more.
            block[EVENTS] |= ACK_NOW
            self.mark(connection)
            return
        offset = state[SEG_OFFSET]
        length = int(head[END >> 1]) - int(head[PAYLOAD >> 1])
        state[S_SCRATCH] = block[RCV_ADV] - block[RCV_NXT]
        window = state[S_SCRATCH]
        if state[SEG_FLAGS] & FIN and offset + length < window:
            block[FIN_SEQ] = state[SEG_SEQ] + length
            block[B_FLAGS] |= FIN_HEARD
            block[EVENTS] |= ACK_NOW
        if offset + length > window:
            length = window - offset
        if offset < 0:
            # A part we have already.
            head[PAYLOAD >> 1] += 0 - offset
            length += offset
            offset = 0
        self.mark(connection)
        if length <= 0:
            if state[SEG_FLAGS] & FIN == 0:
                state[_DUPLICATES] += 1
            block[EVENTS] |= ACK_NOW
        else:
            head[END >> 1] = int(head[PAYLOAD >> 1]) + length
            if offset:
                state[_OUT_OF_ORDER] += 1
                # RFC 5681 4.2: say at once where the gap is.
                block[EVENTS] |= ACK_NOW
                self.keep(connection, packet, offset, length)
                return
            if state[SEG_FLAGS] & URG:
                self.skip_urgent(connection, packet)
            else:
                block[RCV_NXT] += length
                block[UNACKED] += length
                self.deliver(connection, packet)
            if block[B_FLAGS] & OUT_OF_ORDER:
                block[EVENTS] |= ACK_NOW
                self.drain(connection)
        if block[B_FLAGS] & FIN_HEARD and block[RCV_NXT] == block[FIN_SEQ]:
            self.fin(connection)

    @micropython.viper
    def deliver(self, connection, packet):
        block = ptr32(connection.block)
        if block[EVENTS] & WAITING:
            self.introduce(connection, packet)
        elif block[STATE]:
            connection.on_data(connection, packet)

    @micropython.viper
    def drain(self, connection):
        """What had come too early is in order now."""
        block = ptr32(connection.block)
        while block[STATE]:
            held = self.next_held(connection)
            if held is None:
                return
            head = ptr16(held.buffer)
            length = int(head[END >> 1]) - int(head[PAYLOAD >> 1])
            block[RCV_NXT] += length
            block[UNACKED] += length
            self.deliver(connection, held)
            self.give_back(held)

    def skip_urgent(self, connection, packet):
        """Sixth: the byte before the urgent pointer is not the stream's (RFC 6093 3.2)."""
        buffer = packet.buffer
        at = buffer[TRANSPORT] | buffer[TRANSPORT + 1] << 8
        start, end = packet.payload, packet.end
        pointer = buffer[at + URGENT] << 8 | buffer[at + URGENT + 1]
        header = at + ((buffer[at + 12] >> 4) << 2)
        place = header + pointer - 1
        self.took(connection, end - start)
        if not start <= place < end:
            self.deliver(connection, packet)
            return
        for first, last in ((start, place), (place + 1, end)):
            if last > first:
                buffer[PAYLOAD] = first & 0xFF
                buffer[PAYLOAD + 1] = first >> 8
                buffer[END] = last & 0xFF
                buffer[END + 1] = last >> 8
                self.deliver(connection, packet)

    @micropython.viper
    def took(self, connection, length: int):
        block = ptr32(connection.block)
        block[RCV_NXT] += length
        block[UNACKED] += length

    @micropython.viper
    def fin(self, connection):
        """Eighth: the peer will send no more."""
        block = ptr32(connection.block)
        state = block[STATE]
        if state < ESTABLISHED:
            return
        block[B_FLAGS] &= ~FIN_HEARD
        block[RCV_NXT] += 1
        block[EVENTS] |= ACK_NOW | ENDED
        self.mark(connection)
        if state == ESTABLISHED:
            block[STATE] = CLOSE_WAIT
        elif state == FIN_WAIT_1:
            block[STATE] = CLOSING
        elif state == FIN_WAIT_2:
            self.time_wait(connection)
