"""What the device can do for TCP: checksums, segmentation, and frames of 64 KB in both directions.

VIRTIO 1.2, sections 5.1.6.2 (sending: NEEDS_CSUM, gso types) and 5.1.6.4 (receiving: several
buffers).  In an image that has TCP; others do with __init__.py alone.

Sending: a packet has four descriptors, one for the headers and what else lies in its buffer, and
one for each piece of its tail, which the device gathers from wherever it lies: memory is flat and
the collector moves nothing.  The references that keep the pieces alive are dropped when the packet
comes back, at the end of a turn at the latest.

Receiving: the device spreads a large frame over receive buffers.  Everything above sees one
contiguous packet, so they are copied together into one of BIG packets (docs/drivers.md has what
that costs), and go back to the device before the frame is delivered.

Left out: UDP segmentation (USO), gathering on a legacy device without ANY_LAYOUT, which gets no
offloads: its packets with tails are put together by us.
"""

import metal
import micropython
from micropython import const

from drivers.virtio import device
from drivers.virtio.net import BUFFERS, FEWEST, WANTED, VirtioNet
from drivers.virtio.net.urgent import Urgent
from net.packet import SIZE, Pool
from runtime import urgent

# Features, 5.1.3.
CHECKSUM = const(0)
GUEST_CHECKSUM = const(1)
GUEST_TSO4 = const(7)
GUEST_TSO6 = const(8)
GUEST_ECN = const(9)
HOST_TSO4 = const(11)
HOST_TSO6 = const(12)
HOST_ECN = const(13)
MERGEABLE = const(15)
SENDING = 1 << CHECKSUM | 1 << HOST_TSO4 | 1 << HOST_TSO6 | 1 << HOST_ECN
RECEIVING = 1 << GUEST_TSO4 | 1 << GUEST_TSO6 | 1 << GUEST_ECN | 1 << MERGEABLE

RECEIVE = const(256)  # buffers, if there is room: seven frames of 64 KB
BIG = const(2)  # packets for large frames: a callback that blocks may need a second one
BIG_SIZE = const(65536)
ROOM = const(1048576)  # of the arena, for frames of 64 KB to be worth it

# Places in `cells`, see __init__.py.
_SENT = const(1)
_NO_BUFFER = const(6)
_LINK_DOWN = const(7)
_OVERSIZE = const(8)
_FOREIGN = const(9)
_BAD_LENGTH = const(10)
_BAD_ID = const(11)
_LINK = const(19)
_HEADER = const(20)
_LIMIT = const(21)
_OFFLOADS = const(24)
_TAILS = const(27)
_RX = const(32)
_TX = const(48)

# Of virtqueue.py and net/packet.py.
_INDEX = const(0)
_SEEN = const(1)
_MASK = const(4)
_DESCRIPTORS = const(5)
_AVAILABLE = const(6)
_USED = const(7)
_SHIFT = const(12)
_BUFFERS = const(13)
_COUNT = const(14)
_NEXT = const(1)
_LINK_AT = const(0)  # in a packet's head, in 16-bit units
_END_AT = const(4)
_FLAGS_AT = const(5)
_PROTOCOL_AT = const(6)
_MSS_AT16 = const(34)
_PIECES_AT = const(37)
_TAIL_AT = const(16)  # in words
_PIECE_AT = const(19)
_MERGED_AT = const(40)
_FRAME = const(82)
_SEGMENT = const(200)
_SIZE = const(2048)
_LOG2_SIZE = const(11)
_FREE = const(0x8000)
_AWAY = const(0x4000)
_PARTIAL = const(0x0100)
_IP6 = const(0x20)
_TCP = const(6)
_UDP = const(17)

# The device header, 5.1.6.
_NEEDS_CHECKSUM = const(1)
_GSO_TCP4 = const(0x100)
_GSO_TCP6 = const(0x400)
_GSO_ECN = const(0x8000)
_CWR = const(0x80)  # of TCP's flags
_LONGEST = const(65549)  # a datagram of 65,535 bytes in its frame
_MOST = const(65453)  # the longest frame that a packet's offsets can describe
_COPIES = const(40)  # buffers of a frame: _MOST takes 34


class OffloadNet(Urgent, VirtioNet):
    gathers = True

    def choose(self, offered):
        wanted = WANTED
        if offered & (1 << device.VERSION_1 | 1 << device.ANY_LAYOUT):
            wanted |= SENDING
            large = offered & (1 << GUEST_TSO4 | 1 << GUEST_TSO6)
            merge = offered >> MERGEABLE & offered >> GUEST_CHECKSUM & 1
            if large and merge and self.arena.free >= ROOM:
                wanted |= RECEIVING
        if not offered & 1 << CHECKSUM:
            wanted &= ~SENDING
        return offered & wanted

    def count_buffers(self, settings, arena):
        features = self.features
        if features & (1 << device.VERSION_1 | 1 << device.ANY_LAYOUT):
            self.tails = 2
        bits = (CHECKSUM, 1), (HOST_TSO4, 2), (HOST_TSO6, 4)
        self.offloads = sum([flag for bit, flag in bits if features >> bit & 1])
        self.merge = features >> MERGEABLE & 1
        if self.merge:
            self.copy = metal.copy
            self.copies = bytearray(12 * _COPIES)
            first = arena.take(BIG * BIG_SIZE, SIZE)
            memory = metal.memory(first, BIG * BIG_SIZE)
            self.big = Pool(self.name + ".big", BIG, BIG_SIZE, memory, first)
            self.bigs = self.big.stack
        both = arena.free // (2 * SIZE)
        transmit = min(int(settings.get("buffers", BUFFERS)), both >> 1)
        if transmit < FEWEST:
            raise MemoryError(f"{arena.free} bytes of the DMA arena do not do")
        wanted = RECEIVE if self.merge else BUFFERS
        receive = min(int(settings.get("buffers", wanted)), both - transmit)
        # What viper calls stands in the object: a method of a base class is a long search.
        self.ring = self.ring
        self.take_back = self.take_back
        self.let_go = self.let_go
        self.merged = self.merged
        self.urgent_receive = self.nothing_urgent
        self.make_room(receive)
        urgent.watch(self)
        return receive, transmit

    def live(self):
        self.keep_in(self.kept, len(self.kept) >> 3)
        VirtioNet.live(self)

    # Sending.

    @micropython.viper
    def flush(self):
        """At the end of a turn: take back sent packets that have tails, ring the doorbells."""
        cells = ptr32(self.cells)
        if cells[_TAILS] and cells[_TX + _SEEN] != ptr16(cells[_TX + _USED])[1]:
            self.take_back()
        self.ring()

    @micropython.viper
    def take_back(self):
        """Sent packets become free, and what they referred to is let go."""
        cells = ptr32(self.cells)
        used = ptr16(cells[_TX + _USED])
        entries = ptr32(cells[_TX + _USED])
        packets = self.transmit_packets
        free = self.free
        seen = cells[_TX + _SEEN]
        while seen != used[1]:
            index = entries[((seen & cells[_TX + _MASK]) << 1) + 1] >> cells[_TX + _SHIFT]
            seen = (seen + 1) & 0xFFFF
            cells[_TX + _SEEN] = seen
            if index < 0 or index >= cells[_TX + _COUNT]:
                cells[_BAD_ID] += 1
                continue
            packet = packets[index]
            head = ptr16(cells[_TX + _BUFFERS] + (index << _LOG2_SIZE))
            if head[_PIECES_AT]:
                self.let_go(packet)
                cells[_TAILS] -= 1
            head[_FLAGS_AT] = _FREE
            left = int(free[0]) + 1
            free[left] = packet
            free[0] = left

    def reclaim(self):
        self.take_back()
        return self.free[0] == self.pool.made

    @micropython.viper
    def transmit(self, packet):
        """Send the frame from LINK to END and its tail; the packet is the device's until then."""
        cells = ptr32(self.cells)
        address = int(packet.address)
        index = (address - cells[_TX + _BUFFERS]) >> _LOG2_SIZE
        words = ptr32(address)
        head = ptr16(address)
        link = int(head[_LINK_AT])
        length = int(head[_END_AT]) - link
        total = length + words[_TAIL_AT]
        flags = int(head[_FLAGS_AT])
        mss = int(head[_MSS_AT16])
        drop = 0
        if index < 0 or index >= cells[_TX + _COUNT]:
            drop = _FOREIGN
        elif cells[_LINK] == 0:
            drop = _LINK_DOWN
        elif total > cells[_LIMIT] and (
            mss == 0 or cells[_OFFLOADS] & 6 == 0 or flags & _PARTIAL == 0 or total > _LONGEST
        ):
            drop = _OVERSIZE
        if drop:
            cells[drop] += 1
            self.let_go(packet)
            packet.release()
            return
        shift = cells[_TX + _SHIFT]
        count = int(head[_PIECES_AT])
        if count and shift != 2:
            self.put_together(packet, link)
            self.let_go(packet)
            length = total
            count = 0
        header = cells[_HEADER]
        frame = address + link
        zero = ptr32(frame - 12)
        zero[0] = 0
        zero[1] = 0
        zero[2] = 0
        if flags & _PARTIAL:
            described = ptr16(frame - header)
            described[0] = _NEEDS_CHECKSUM
            described[3] = _SEGMENT - link
            protocol = int(head[_PROTOCOL_AT])
            if protocol == _TCP:
                described[4] = 16
                if mss:
                    octets = ptr8(address)
                    headers = _SEGMENT - link + ((octets[_SEGMENT + 12] >> 4) << 2)
                    if total > headers + mss:
                        kind = _GSO_TCP4
                        if flags & _IP6:
                            kind = _GSO_TCP6
                        if octets[_SEGMENT + 13] & _CWR:
                            kind |= _GSO_ECN
                        described[0] = _NEEDS_CHECKSUM | kind
                        described[1] = headers
                        described[2] = mss
            elif protocol == _UDP:
                described[4] = 6
            else:
                described[4] = 2
        head[_FLAGS_AT] = _AWAY
        descriptor = ptr32(cells[_TX + _DESCRIPTORS] + (index << (4 + shift)))
        descriptor[0] = frame - header
        if shift == 1:
            descriptor[4] = frame
            descriptor[6] = length
        else:
            descriptor[2] = header + length
            if count:
                cells[_TAILS] += 1
                pieces = packet.pieces
                number = index << 2
                i = 0
                at = 3
                piece = _PIECE_AT
                while i < count:
                    number += 1
                    descriptor[at] = _NEXT | (number << 16)
                    data = ptr8(pieces[i])
                    descriptor[at + 1] = int(data) + words[piece]
                    descriptor[at + 2] = 0
                    descriptor[at + 3] = words[piece + 1]
                    piece += 2
                    at += 4
                    i += 1
                descriptor[at] = 0
            else:
                descriptor[3] = 0
        at = cells[_TX + _INDEX]
        ring = ptr16(cells[_TX + _AVAILABLE])
        ring[2 + (at & cells[_TX + _MASK])] = index << shift
        at = (at + 1) & 0xFFFF
        cells[_TX + _INDEX] = at
        ring[1] = at
        cells[_SENT] += 1

    def put_together(self, packet, link):
        """Copy the tail behind `end`, for a device that does not gather."""
        frame = packet.gather()
        packet.buffer[link : link + len(frame)] = frame

    @micropython.viper
    def let_go(self, packet):
        """Drop what the tail refers to."""
        head = ptr16(int(packet.address))
        pieces = packet.pieces
        count = int(head[_PIECES_AT])
        head[_PIECES_AT] = 0
        while count:
            count -= 1
            pieces[count] = None

    # Receiving.

    @micropython.viper
    def merged(self, window: int, address: int, length: int, checked: int):
        """Deliver a frame that begins in the buffer at `address` and goes on in the next ones.

        `window`: of the queue, or of what urgent.py has kept.
        """
        cells = ptr32(self.cells)
        used = ptr16(cells[window + _USED])
        entries = ptr32(cells[window + _USED])
        ring = ptr16(cells[_RX + _AVAILABLE])
        table_of = self.copies
        table = ptr32(table_of)
        bigs = self.bigs
        left = int(bigs[0])
        bad = 0
        to = 0
        if left:
            big = bigs[left]
            bigs[0] = left - 1
            to = int(big.address)
        else:
            bad = _NO_BUFFER
        count = int(ptr16(address)[_MERGED_AT])
        source = address + _FRAME
        taken = cells[window + _SEEN]
        mask = cells[window + _MASK]
        ring_mask = cells[_RX + _MASK]
        buffers = cells[_RX + _BUFFERS] + _FRAME - 12
        place = 0
        at = cells[_RX + _INDEX]
        total = 0
        copies = 0
        while True:
            if total + length > _MOST or copies == _COPIES:
                bad = _OVERSIZE
            elif bad == 0:
                table[place] = to + _FRAME + total
                table[place + 1] = source
                table[place + 2] = length
                place += 3
                copies += 1
                total += length
            count -= 1
            if count <= 0:
                break
            if taken == used[1]:
                bad = _BAD_LENGTH
                break
            entry = (taken & mask) << 1
            taken = (taken + 1) & 0xFFFF
            id = entries[entry + 1]
            length = entries[entry + 2]
            if id < 0 or id >= cells[_RX + _COUNT]:
                bad = _BAD_ID
                length = 0
                continue
            if length < 0 or length > _SIZE - _FRAME + 12:
                bad = _BAD_LENGTH
                length = 0
            source = buffers + (id << _LOG2_SIZE)
            # Published below, once its content has been copied.
            ring[2 + (at & ring_mask)] = id
            at = (at + 1) & 0xFFFF
        cells[window + _SEEN] = taken
        if bad == 0:
            self.copy(table_of, copies)
        cells[_RX + _INDEX] = at
        ring[1] = at
        if bad:
            cells[bad] += 1
        else:
            head = ptr16(to)
            head[_LINK_AT] = _FRAME
            head[_END_AT] = _FRAME + total
            head[_FLAGS_AT] = checked
            self.receive(big)
        if to:
            left = int(bigs[0]) + 1
            bigs[left] = big
            bigs[0] = left


def refine(kind):
    return OffloadNet
