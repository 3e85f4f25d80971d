"""Segments that belong to no connection: RFC 9293 3.10.7.1 and .2.

They may be of a connection that is half open or over, begin one, or come by mistake.
Neighbours: halfopen.py and timewait.py hold the rows; establish.py begins connections; voice.py
refuses what nobody wants.
"""

import micropython
from micropython import const

from net.tcp import timewait

# The packet's head (see net/packet.py).
TRANSPORT = const(4)

# The header (see header.py).
SYN = const(0x02)
RST = const(0x04)
ACK = const(0x10)

# Shared words (see turn.py).
_TIME_WAITS_REUSED = const(19)
_PORT = const(27)
_NO_ACK = const(30)
_STRANGER_SHARE = const(44)
STRANGERS = const(71)
SEG_FLAGS = const(76)
SEG_HASH = const(80)


class Strangers:
    """Slots: half_open(packet, row), listen(packet, listener), cookie_back(packet, listener)."""

    def __init__(self, tcp, voice):
        self.state = tcp.turn.state
        self.count = tcp.turn.count
        self.options = tcp.arrive.options
        self.may_challenge = tcp.arrive.may_challenge
        self.listener = tcp.listeners.get
        self.half = tcp.half
        self.time = tcp.time
        self.segments = tcp.segments
        self.voice = voice
        self.half_open = None
        self.listen = None
        self.cookie_back = None

    @micropython.viper
    def stranger(self, packet):
        state = ptr32(self.state)
        place = state[SEG_HASH]
        row = int(self.half.find(packet, place))
        if row:
            self.half_open(packet, row)
            return
        row = int(self.time.find(packet, place))
        if row and not self.waiting(row):
            return
        flags = state[SEG_FLAGS]
        if flags & RST:
            return
        if flags & (SYN | ACK) != SYN:
            # (SYNs have been counted in arrive.py.)
            if state[STRANGERS] <= 0:
                state[_STRANGER_SHARE] += 1
                return
            state[STRANGERS] -= 1
        head = ptr16(packet.buffer)
        port = int(head[(int(head[TRANSPORT >> 1]) >> 1) + 1])
        listener = self.listener((port & 0xFF) << 8 | port >> 8)
        if listener is not None:
            if flags & (SYN | ACK) == SYN:
                self.listen(packet, listener)
                return
            if flags & (SYN | ACK) == ACK and self.cookie_back(packet, listener):
                return
            if flags & ACK == 0:
                state[_NO_ACK] += 1
                return
        state[_PORT] += 1
        self.voice.refuse(packet)

    def waiting(self, row):
        """A segment for TIME-WAIT; True: it begins the next connection."""
        what = self.time.judge(row, self.options)
        if what == timewait.NEW:
            self.count(_TIME_WAITS_REUSED)
            self.time.remove(row)
            return True
        if what != timewait.NOTHING and (what != timewait.ANSWER or self.may_challenge()):
            self.time.revive(row, self.voice.block)
            self.segments.acknowledge(self.voice)
        return False
