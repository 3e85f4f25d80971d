"""Fragmentation: what does not fit the path leaves in pieces.  RFC 791 section 3.2, RFC 8200 4.5.

Two ways in.  `fragment`: a packet that the network layer found too long.  `send`: any buffer, for
datagrams that never fit a packet.  Every piece is a packet of its own that goes through the network
layer's `send`, one after the other.

This page is what both families have in common.  net/ip4/fragments.py and net/ip6/fragments.py
know how a piece says where it belongs:

    name                          of the counters
    flags, size                   FLAGS of the family; bytes of an address
    header, space                 bytes of all headers of a piece; of those behind OUT_SEGMENT
    begin(protocol)               another datagram is cut
    mark(buffer, offset, more)    write it into a piece, whose protocol is PROTOCOL

Above: udp, icmp.  Below: the network layer.
"""

from micropython import const

from net.checksum import piece
from runtime.counters import Counters

LONGEST = const(65535)

END = const(8)
FLAGS = const(10)
PROTOCOL = const(12)
SOURCE = const(16)
DESTINATION = const(32)
TRAFFIC = const(70)
HOPS = const(72)
PIECE_COUNT = const(74)
OUT_SEGMENT = const(200)
PARTIAL = const(0x0100)
CHECKSUM_AT = {6: 16, 17: 6, 58: 2}  # in the headers of the transports

COUNTS = ("datagrams", "fragments")
DROPS = ("no_buffer", "too_long")
_DATAGRAMS = const(0)
_FRAGMENTS = const(1)
_NO_BUFFER = const(2)
_TOO_LONG = const(3)


def finish(buffer, start, end, protocol):
    """Sum buffer[start:end], whose checksum field holds the sum of the pseudo header."""
    at = start + CHECKSUM_AT[protocol]
    # Adding nothing folds; a checksum of zero would mean that there is none (RFC 768).
    total = piece(buffer, start, end - start, 0, 0) ^ 0xFFFF or 0xFFFF
    buffer[at] = total & 0xFF
    buffer[at + 1] = total >> 8


class Fragmentation:
    def __init__(self, registry):
        self.count = registry.add(Counters(self.name, COUNTS, DROPS)).count
        # Slots: out; and what the network layer knows of the path to a destination.
        self.allocate = None
        self.output = None
        self.path_mtu = None
        self.whole = self.not_whole

    def not_whole(self, protocol, source, destination, buffer, start, end):
        """Slot: who takes datagrams to ourselves as they are (net/loopback.py)?"""
        return False

    def fragment(self, packet, mtu):
        """Send a packet in pieces; it is released."""
        buffer = packet.buffer
        data, start, end = buffer, OUT_SEGMENT, packet.end
        if buffer[PIECE_COUNT]:
            data = bytearray(packet.gather(OUT_SEGMENT))
            start, end = 0, len(data)
        if buffer[FLAGS + 1] & PARTIAL >> 8:
            # No device can sum what leaves in several pieces.
            finish(data, start, end, buffer[PROTOCOL])
        self.send(
            buffer[PROTOCOL],
            bytes(buffer[SOURCE : SOURCE + self.size]),
            bytes(buffer[DESTINATION : DESTINATION + self.size]),
            data,
            start,
            end,
            buffer[HOPS] | buffer[TRAFFIC] << 8,
        )
        packet.release()

    def send(self, protocol, source, destination, buffer, start, end, mark=0):
        """Send buffer[start:end], a transport header and what follows.  True: all of it.

        `mark`: hop limit and traffic class << 8, 0 for the usual.
        """
        if end - start > LONGEST - self.header:
            self.count(_TOO_LONG)
            return False
        if self.whole(protocol, source, destination, buffer, start, end):
            return True
        # All but the last piece hold a multiple of 8 bytes.
        piece = (self.path_mtu(destination) - self.header) & ~7
        self.count(_DATAGRAMS)
        self.begin(protocol)
        at = start
        while at < end:
            packet = self.allocate()
            if not packet:
                # What was sent so far is in vain; the receiver will give it up.
                self.count(_NO_BUFFER)
                return False
            length = min(piece, end - at)
            out = packet.buffer
            place = OUT_SEGMENT + self.space
            out[place : place + length] = buffer[at : at + length]
            out[END] = (place + length) & 0xFF
            out[END + 1] = (place + length) >> 8
            out[FLAGS] = self.flags
            out[PROTOCOL] = protocol
            out[HOPS] = mark & 0xFF
            out[TRAFFIC] = mark >> 8
            out[SOURCE : SOURCE + self.size] = source
            out[DESTINATION : DESTINATION + self.size] = destination
            self.mark(out, at - start, at + length < end)
            self.count(_FRAGMENTS)
            self.output(packet)
            at += length
        return True
