"""Segments: one segment is written around its payload and sent.  RFC 9293 3.1, 3.8.6.2.2; RFC 7323.

The payload lies in the packet already, behind the room for header and options; `emit` writes what
is in front of it from the block of the connection, and hands the packet down.  Whatever has a block
can speak: a connection, a row of halfopen.py or timewait.py that was copied into a block for the
moment, or a block made up to answer a segment that belongs to nobody.

The window is never taken back (RFC 9293 3.8.6), and its right edge moves by at least a segment or
half of the buffer, whichever is less (silly window avoidance, 3.8.6.2.2).

The checksum is left to the device if it can; else it is summed here, over odd pieces, too.
Above: output.py, arrive.py.  Below: `output`, which is ip4.send, ip6.send or the choice of both.
"""

import micropython
from micropython import const

from net.checksum import partial, piece
from net.tcp import options

# The packet's head (see net/packet.py).
END = const(8)
FLAGS = const(10)
PROTOCOL = const(12)
FRAGMENT = const(14)
SOURCE = const(16)
DESTINATION = const(32)
TAIL = const(64)
PIECE_COUNT = const(74)
PIECE = const(76)
OUT_SEGMENT = const(200)
IP6 = const(0x20)
PARTIAL = const(0x0100)
DONT_FRAGMENT = const(0x0040)
TCP = const(6)
OFFLOAD_CHECKSUM = const(1)

# The header (see header.py), as halves and words of a packet to be sent.
PORTS_OUT = const(100)
SEQUENCE_OUT = const(102)
ACKNOWLEDGEMENT_OUT = const(104)
LENGTH_OUT = const(106)
WINDOW_OUT = const(107)
CHECKSUM_OUT = const(108)
URGENT_OUT = const(109)
OPTIONS_OUT = const(110)
SYN = const(0x02)
RST = const(0x04)
ACK = const(0x10)
ECE = const(0x40)

# The block (see block.py).
LOCAL = const(0)
REMOTE = const(4)
PORTS = const(8)
PSEUDO = const(9)
B_FLAGS = const(11)
EVENTS = const(12)
SND_UNA = const(13)
SND_MAX = const(15)
RCV_NXT = const(20)
RCV_ADV = const(21)
RCV_SPACE = const(24)
HELD = const(25)
RCV_SCALE = const(27)
MSS = const(28)
UNACKED = const(32)
TS_RECENT = const(33)
TS_OFFSET = const(35)
LAST_ACK = const(36)
ACK_AT = const(38)
SCRATCH = const(92)
IS_IP6 = const(0x1)
TIMESTAMPS = const(0x2)
ECE_DUE = const(0x20)
OUT_OF_ORDER = const(0x8000)
ACK_NOW = const(0x2)

# Shared words (see turn.py).
_SENT = const(2)
_ACKNOWLEDGEMENTS = const(3)
_NO_PACKET = const(33)
NOW = const(64)

LARGEST_FIELD = const(65535)


@micropython.viper
def pseudo(block: ptr32):
    """Fill PSEUDO: the sum of the addresses and the protocol, folded to 16 bits."""
    halves = ptr16(block)
    total = TCP << 8
    i = 0
    while i < 16:
        total += halves[i]
        i += 1
    total = (total & 0xFFFF) + (total >> 16)
    block[PSEUDO] = (total & 0xFFFF) + (total >> 16)


class Segments:
    """Slots: allocate(), output(packet), sacks(connection, ranges)."""

    def __init__(self, turn):
        self.state = turn.state
        self.count = turn.count
        self.offloads = bytearray(4)
        self.none = None
        self.ranges = bytearray(40)
        self.write_options = options.write
        self.allocate = None
        self.output = None
        self.sacks = None
        self.sum = self.checksum
        self.emit = self.emit

    @micropython.viper
    def acknowledge(self, connection):
        """A segment without data."""
        block = ptr32(connection.block)
        packet = self.allocate()
        if packet is None:
            self.count(_NO_PACKET)
            return
        out = ptr16(packet.buffer)
        size = 0
        written = 0
        if block[B_FLAGS] & OUT_OF_ORDER:
            self.sacks(connection, self.ranges)
            state = ptr32(self.state)
            size = int(
                self.write_options(
                    connection.block, packet.buffer, OUT_SEGMENT + 20, state[NOW], self.ranges
                )
            )
            written = 1
        elif block[B_FLAGS] & TIMESTAMPS:
            size = 12
        out[END >> 1] = OUT_SEGMENT + 20 + size
        state = ptr32(self.state)
        state[_ACKNOWLEDGEMENTS] += 1
        # Behind all that was ever sent, so that it lies in the peer's window.
        block[SCRATCH] = block[SND_MAX] - block[SND_UNA]
        what = ACK | (size << 8) | (written << 16)
        if block[B_FLAGS] & ECE_DUE:
            what |= ECE
        self.emit(connection.block, packet, block[SCRATCH], what)

    @micropython.viper
    def emit(self, block_, packet, offset: int, what: int):
        """Send what lies in the packet, `offset` behind SND_UNA.

        `what`: flags | bytes of options << 8 | 1 << 16, if the options are written already.
        """
        block = ptr32(block_)
        state = ptr32(self.state)
        out = ptr16(packet.buffer)
        words = ptr32(out)
        words[SOURCE >> 2] = block[LOCAL]
        words[DESTINATION >> 2] = block[REMOTE]
        out[PROTOCOL >> 1] = TCP
        flags = block[B_FLAGS]
        if flags & IS_IP6:
            out[FLAGS >> 1] |= IP6
            words[(SOURCE >> 2) + 1] = block[LOCAL + 1]
            words[(SOURCE >> 2) + 2] = block[LOCAL + 2]
            words[(SOURCE >> 2) + 3] = block[LOCAL + 3]
            words[(DESTINATION >> 2) + 1] = block[REMOTE + 1]
            words[(DESTINATION >> 2) + 2] = block[REMOTE + 2]
            words[(DESTINATION >> 2) + 3] = block[REMOTE + 3]
        else:
            # RFC 1191 3: whoever cannot carry it is to say so.
            out[FRAGMENT >> 1] = DONT_FRAGMENT
        value = block[PORTS]
        out[PORTS_OUT] = value >> 16
        out[PORTS_OUT + 1] = value
        value = block[SND_UNA] + offset
        out[SEQUENCE_OUT] = (value >> 24) & 0xFF | (value >> 8) & 0xFF00
        out[SEQUENCE_OUT + 1] = (value >> 8) & 0xFF | (value << 8) & 0xFF00
        size = (what >> 8) & 0xFF
        out[LENGTH_OUT] = ((size + 20) << 2) | (what << 8) & 0xFF00
        value = 0
        window = 0
        if what & ACK:
            value = block[RCV_NXT]
            block[LAST_ACK] = value
            block[UNACKED] = 0
            block[ACK_AT] = -1
            block[EVENTS] &= ~ACK_NOW
        if what & RST == 0:
            window = block[RCV_SPACE] - block[HELD]
            scale = block[RCV_SCALE]
            if what & SYN:
                scale = 0
            block[SCRATCH] = block[RCV_ADV] - block[RCV_NXT]
            told = block[SCRATCH]
            if told < 0:
                told = 0
            step = block[RCV_SPACE] >> 1
            if step > block[MSS]:
                step = block[MSS]
            if window < told + step:
                window = told
            window = (window + (1 << scale) - 1) >> scale
            if window > LARGEST_FIELD:
                window = LARGEST_FIELD
            if window << scale > told:
                block[RCV_ADV] = block[RCV_NXT] + (window << scale)
        out[ACKNOWLEDGEMENT_OUT] = (value >> 24) & 0xFF | (value >> 8) & 0xFF00
        out[ACKNOWLEDGEMENT_OUT + 1] = (value >> 8) & 0xFF | (value << 8) & 0xFF00
        out[WINDOW_OUT] = window >> 8 | (window << 8) & 0xFF00
        out[URGENT_OUT] = 0
        if size != 0 and what & 0x10000 == 0:
            # NOP NOP timestamps, RFC 7323 appendix A.
            words[OPTIONS_OUT >> 1] = 0x0A080101
            value = state[NOW] + block[TS_OFFSET]
            out[OPTIONS_OUT + 2] = (value >> 24) & 0xFF | (value >> 8) & 0xFF00
            out[OPTIONS_OUT + 3] = (value >> 8) & 0xFF | (value << 8) & 0xFF00
            value = block[TS_RECENT]
            out[OPTIONS_OUT + 4] = (value >> 24) & 0xFF | (value >> 8) & 0xFF00
            out[OPTIONS_OUT + 5] = (value >> 8) & 0xFF | (value << 8) & 0xFF00
        length = int(out[END >> 1]) - OUT_SEGMENT + words[TAIL >> 2]
        total = block[PSEUDO] + ((length & 0xFF) << 8) + (length >> 8)
        total = (total & 0xFFFF) + (total >> 16)
        state[_SENT] += 1
        if int(ptr8(self.offloads)[0]) & OFFLOAD_CHECKSUM:
            out[CHECKSUM_OUT] = total
            out[FLAGS >> 1] |= PARTIAL
        else:
            out[CHECKSUM_OUT] = 0
            self.sum(packet, total)
        self.output(packet)

    @micropython.viper
    def checksum(self, packet, total: int):
        """What a device without offload needs."""
        out = ptr16(packet.buffer)
        words = ptr32(out)
        end = int(out[END >> 1])
        total = int(partial(packet.buffer, OUT_SEGMENT, end, total))
        count = int(out[PIECE_COUNT >> 1])
        if count:
            pieces = packet.pieces
            position = end - OUT_SEGMENT
            i = 0
            while i < count:
                at = (PIECE >> 2) + 2 * i
                start = words[at]
                length = words[at + 1]
                if (start | position) & 1:
                    total = int(piece(pieces[i], start, length, position, total))
                else:
                    total = int(partial(pieces[i], start, start + length, total))
                position += length
                i += 1
        out[CHECKSUM_OUT] = total ^ 0xFFFF
