"""Fragmentation: what does not fit the path leaves in pieces.  RFC 791 section 3.2.

Two ways in.  `fragment`: a packet that ip4.send found too long.  `send`: any buffer, for datagrams
that never fit a packet.  Every piece is a packet of its own that goes through ip4.send, one after
the other, so that they share the identification of the first.

Above: ip4.fragment, udp, icmp.  Below: ip4.send.
"""

from micropython import const

from runtime.counters import Counters

IP_SIZE = const(20)
MORE_FRAGMENTS = const(0x20)
LONGEST = const(65535)

END = const(8)
PROTOCOL = const(12)
FRAGMENT = const(14)
SOURCE = const(16)
DESTINATION = const(32)
OUT_SEGMENT = const(200)

COUNTS = ("datagrams", "fragments")
DROPS = ("no_buffer", "too_long")
_DATAGRAMS = const(0)
_FRAGMENTS = const(1)
_NO_BUFFER = const(2)
_TOO_LONG = const(3)


class Fragmentation:
    def __init__(self, registry):
        self.count = registry.add(Counters("fragmentation", COUNTS, DROPS)).count
        # Slots: out; and what ip4 knows of the path to a destination.
        self.allocate = None
        self.output = None
        self.path_mtu = None

    def fragment(self, packet, mtu):
        """Send a packet in pieces; it is released."""
        buffer = packet.buffer
        self.send(
            buffer[PROTOCOL],
            bytes(buffer[SOURCE : SOURCE + 4]),
            bytes(buffer[DESTINATION : DESTINATION + 4]),
            buffer,
            OUT_SEGMENT,
            packet.end,
        )
        packet.release()

    def send(self, protocol, source, destination, buffer, start, end):
        """Send buffer[start:end], a transport header and what follows.  True: all of it."""
        if end - start > LONGEST - IP_SIZE:
            self.count(_TOO_LONG)
            return False
        # All but the last piece hold a multiple of 8 bytes.
        piece = (self.path_mtu(destination) - IP_SIZE) & ~7
        self.count(_DATAGRAMS)
        at = start
        while at < end:
            packet = self.allocate()
            if not packet:
                # What was sent so far is in vain; the receiver will give it up.
                self.count(_NO_BUFFER)
                return False
            length = min(piece, end - at)
            out = packet.buffer
            out[OUT_SEGMENT : OUT_SEGMENT + length] = buffer[at : at + length]
            out[END] = (OUT_SEGMENT + length) & 0xFF
            out[END + 1] = (OUT_SEGMENT + length) >> 8
            out[PROTOCOL] = protocol
            out[SOURCE : SOURCE + 4] = source
            out[DESTINATION : DESTINATION + 4] = destination
            offset = (at - start) >> 3
            out[FRAGMENT] = offset >> 8 | (MORE_FRAGMENTS if at + length < end else 0)
            out[FRAGMENT + 1] = offset & 0xFF
            self.count(_FRAGMENTS)
            self.output(packet)
            at += length
        return True
