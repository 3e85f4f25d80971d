"""Voice: what is said in the name of nobody in particular, or of a row of a table.

RST by RFC 9293 3.5.2 and 3.10.7.1; a block that rows are copied into when they have to answer.
Neighbours: stranger.py, establish.py, active.py.
"""

import micropython
from micropython import const

from net.tcp.segment import pseudo
from net.tcp.words import flight, word

# The packet's head (see net/packet.py).
TRANSPORT = const(4)
FLAGS = const(10)
SOURCE = const(16)
DESTINATION = const(32)
IP6 = const(0x20)
END = const(8)
OUT_SEGMENT = const(200)

# The header (see header.py).
SYN = const(0x02)
RST = const(0x04)
ACK = const(0x10)

# The block (see block.py).
LOCAL = const(0)
REMOTE = const(4)
PORTS = const(8)
B_FLAGS = const(11)
SND_UNA = const(13)
SND_MAX = const(15)
RCV_NXT = const(20)
IS_IP6 = const(0x1)

# Shared words (see turn.py).
_RESETS_SENT = const(12)
_NO_PACKET = const(33)
SEG_SEQ = const(72)
SEG_ACK = const(73)
SEG_LEN = const(74)
SEG_FLAGS = const(76)


@micropython.viper
def identity(block: ptr32, packet: ptr16):
    """Who the sender of a received segment is, and who we are."""
    words = ptr32(packet)
    i = 0
    while i < 8:
        block[i] = 0
        i += 1
    block[REMOTE] = words[SOURCE >> 2]
    block[LOCAL] = words[DESTINATION >> 2]
    block[B_FLAGS] = 0
    if packet[FLAGS >> 1] & IP6:
        block[B_FLAGS] = IS_IP6
        i = 1
        while i < 4:
            block[REMOTE + i] = words[(SOURCE >> 2) + i]
            block[LOCAL + i] = words[(DESTINATION >> 2) + i]
            i += 1
    block[PORTS] = words[int(packet[TRANSPORT >> 1]) >> 2]


@micropython.viper
def answer_for(block: ptr32, state: ptr32):
    """How RST answers a segment (RFC 9293 3.10.7.1); the flags are emit's."""
    flags = state[SEG_FLAGS]
    block[RCV_NXT] = state[SEG_SEQ] + state[SEG_LEN]
    block[SND_UNA] = 0
    if flags & ACK:
        block[SND_UNA] = state[SEG_ACK]
    block[SND_MAX] = block[SND_UNA]


class Voice:
    """Speaks for whoever has no connection: as much of one as segment.py looks at."""

    def __init__(self, template, segments, turn):
        self.block = bytearray(template)
        self.index = 0
        self.state = turn.state
        self.count = turn.count
        self.segments = segments

    def refuse(self, packet):
        """RST, RFC 9293 3.5.2 group 1."""
        block = self.block
        identity(block, packet.buffer)
        answer_for(block, self.state)
        self.reset(RST if word(self.state, SEG_FLAGS) & ACK else RST | ACK)

    def reset(self, flags, connection=None):
        """An RST from the voice's block, or from a connection's."""
        packet = self.segments.allocate()
        if not packet:
            self.count(_NO_PACKET)
            return
        self.count(_RESETS_SENT)
        block = self.block
        offset = 0
        if connection:
            block = connection.block
            offset = flight(block)
        pseudo(block)
        buffer = packet.buffer
        buffer[END] = OUT_SEGMENT + 20
        self.segments.emit(block, packet, offset, flags)

    def refuse_for(self, connection):
        """An unacceptable ACK in SYN-SENT or SYN-RECEIVED: RST from where it thinks we are."""
        block = self.block
        block[0:48] = connection.block[0:48]
        answer_for(block, self.state)
        self.reset(RST)
