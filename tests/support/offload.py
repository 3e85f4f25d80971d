"""What a device with offloads does to a frame before it leaves: sums, and cuts (TSO).

    frames = leave(packet, offloads)      the frames that a packet of ours becomes on the wire

The plain way, from the words of VIRTIO 1.2 section 5.1.6.2; whatever the device did not offer is an
error of who sent the packet.
"""

import struct

from net.packet import FLAGS, IP6, LINK, MSS, OUT_SEGMENT, PARTIAL, PROTOCOL
from tests.support.frames import checksum

CHECKSUMS, TSO4, TSO6 = 1, 2, 4
CHECKSUM_AT = {6: 16, 17: 6, 58: 2}
ETHERNET = 14
FIN, PSH, CWR = 0x01, 0x08, 0x80


def leave(packet, offloads):
    buffer = packet.buffer
    frame = packet.gather()
    flags = buffer[FLAGS] | buffer[FLAGS + 1] << 8
    mss = buffer[MSS] | buffer[MSS + 1] << 8
    transport = OUT_SEGMENT - (buffer[LINK] | buffer[LINK + 1] << 8)
    if mss:
        assert offloads & (TSO6 if flags & IP6 else TSO4), "segments that the device cannot cut"
        assert flags & PARTIAL and buffer[PROTOCOL] == 6
        return cut(frame, transport, mss)
    if flags & PARTIAL:
        assert offloads & CHECKSUMS, "a checksum that the device does not make"
        at = transport + CHECKSUM_AT[buffer[PROTOCOL]]
        total = checksum(frame[transport:]) or 0xFFFF
        return [frame[:at] + struct.pack(">H", total) + frame[at + 2 :]]
    return [frame]


def cut(frame, transport, mss):
    """Segments of `mss` bytes, each with headers of its own."""
    start = transport + (frame[transport + 12] >> 4) * 4
    payload = frame[start:]
    pieces = [payload[at : at + mss] for at in range(0, len(payload), mss)] or [b""]
    frames = []
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        header = bytearray(frame[transport:start])
        sequence = struct.unpack(">I", header[4:8])[0] + number * mss & 0xFFFFFFFF
        header[4:8] = struct.pack(">I", sequence)
        if not last:
            header[13] &= ~(FIN | PSH) & 0xFF
        if number:
            header[13] &= ~CWR & 0xFF
        network = bytearray(frame[ETHERNET:transport])
        length = len(header) + len(piece)
        if network[0] >> 4 == 4:
            identification = struct.unpack(">H", network[4:6])[0] + number & 0xFFFF
            network[2:4] = struct.pack(">H", len(network) + length)
            network[4:6] = struct.pack(">H", identification)
            network[10:12] = bytes(2)
            network[10:12] = struct.pack(">H", checksum(network))
            pseudo = bytes(network[12:20])
        else:
            network[4:6] = struct.pack(">H", length)
            pseudo = bytes(network[8:40])
        pseudo += struct.pack(">BBH", 0, 6, length)
        header[16:18] = bytes(2)
        header[16:18] = struct.pack(">H", checksum(pseudo + bytes(header) + piece))
        frames.append(frame[:ETHERNET] + bytes(network) + bytes(header) + piece)
    return frames
