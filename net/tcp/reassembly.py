"""Data that came out of order, until what is missing arrives: RFC 9293 3.10.7.4; RFC 2018.

Payload is copied into packets of a pool of our own, bounded per connection and in all; each byte
once, whatever the peer sends twice.  A connection's are in order in `connection.held`, whose first
element is the one that came last (for RFC 2018 4: that range is reported first).
What there is no room for is dropped, counted, and will be sent again.
"""

import micropython
from micropython import const

from net.config import TCP_HELD_SEGMENTS, TCP_HELD_SEGMENTS_EACH
from net.packet import BODY, SIZE, Packet

# The packet's head (see net/packet.py).  A held packet has its sequence number where a source is.
PAYLOAD = const(6)
END = const(8)
SEQUENCE = const(16)
ROOM = const(1840)

# The block (see block.py).
B_FLAGS = const(11)
RCV_NXT = const(20)
SCRATCH = const(92)
OUT_OF_ORDER = const(0x8000)

_NO_REASSEMBLY = const(38)


@micropython.viper
def distance(packet: ptr32, block: ptr32) -> int:
    """Where a held packet begins, from rcv_nxt."""
    block[SCRATCH] = packet[SEQUENCE >> 2] - block[RCV_NXT]
    return block[SCRATCH]


@micropython.viper
def place(packet: ptr32, block: ptr32, offset: int):
    packet[SEQUENCE >> 2] = block[RCV_NXT] + offset


@micropython.viper
def write(ranges: ptr32, block: ptr32, index: int, start: int, end: int):
    ranges[0] = index + 1
    ranges[2 * index + 1] = block[RCV_NXT] + start
    ranges[2 * index + 2] = block[RCV_NXT] + end


@micropython.viper
def flag(block: ptr32, on: int):
    if on:
        block[B_FLAGS] |= OUT_OF_ORDER
    else:
        block[B_FLAGS] &= ~OUT_OF_ORDER


class Reassembly:
    def __init__(self, turn):
        self.count = turn.count
        self.made = 0
        self.spare = []

    def take(self):
        if self.spare:
            return self.spare.pop()
        if self.made == TCP_HELD_SEGMENTS:
            return None
        try:
            packet = Packet(self, self.made, bytearray(SIZE), 0)
        except MemoryError:
            return None
        self.made += 1
        return packet

    def give(self, packet):
        self.spare.append(packet)

    release = give

    @property
    def used(self):
        return self.made - len(self.spare)

    def keep(self, connection, packet, offset, length):
        """Keep the payload of a segment that begins `offset` bytes behind rcv_nxt."""
        held = connection.held
        if held is None:
            connection.held = held = [None]
        block = connection.block
        payload = packet.payload - offset  # as if rcv_nxt lay in the packet
        end = offset + length
        index = 1
        at = offset
        held[0] = None
        while at < end:
            if index < len(held):
                there = distance(held[index].buffer, block)
                if there + held[index].length <= at:
                    index += 1
                    continue
                if there <= at:
                    # A duplicate, so far: its range is still the one to be reported first.
                    held[0] = held[index]
                stop = min(there, end)
            else:
                there = stop = end
            while at < stop:
                n = min(stop - at, ROOM)
                if not self.insert(held, index, packet, payload + at, n, block, at):
                    return
                at += n
                index += 1
            if there < end:
                at = max(at, there + held[index].length)
        flag(block, 1)

    def insert(self, held, index, packet, start, length, block, offset):
        copy = self.take() if len(held) <= TCP_HELD_SEGMENTS_EACH else None
        if copy is None:
            self.count(_NO_REASSEMBLY)
            flag(block, len(held) > 1)
            return False
        copy.buffer[BODY : BODY + length] = packet.buffer[start : start + length]
        for field, value in ((PAYLOAD, BODY), (END, BODY + length)):
            copy.buffer[field] = value & 0xFF
            copy.buffer[field + 1] = value >> 8
        place(copy.buffer, block, offset)
        held.insert(index, copy)
        held[0] = copy
        return True

    def next(self, connection):
        """The next held packet that is in order, without what is known already; or None."""
        held = connection.held
        block = connection.block
        while held and len(held) > 1:
            packet = held[1]
            ahead = distance(packet.buffer, block)
            if ahead > 0:
                return None
            held.pop(1)
            if len(held) == 1:
                connection.held = None
                flag(block, 0)
            if ahead + packet.length > 0:
                start = packet.payload - ahead
                packet.buffer[PAYLOAD] = start & 0xFF
                packet.buffer[PAYLOAD + 1] = start >> 8
                return packet
            self.give(packet)
        return None

    def clear(self, connection):
        if connection.held:
            for packet in connection.held[1:]:
                self.give(packet)
            connection.held = None
            flag(connection.block, 0)

    def sacks(self, connection, ranges):
        """Write the ranges that are held, the latest first (RFC 2018 4)."""
        held = connection.held
        block = connection.block
        found = []
        latest = 0
        for packet in held[1:]:
            start = distance(packet.buffer, block)
            end = start + packet.length
            if found and found[-1][1] == start:
                found[-1][1] = end
            else:
                found.append([start, end])
            if packet is held[0]:
                latest = len(found) - 1
        found.insert(0, found.pop(latest))
        for index, (start, end) in enumerate(found[:4]):
            write(ranges, block, index, start, end)
