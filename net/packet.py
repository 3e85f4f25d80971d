"""Packet: a fixed buffer with the offsets of its layers; Pool: where packets live and return.

A packet is made once at start-up and belongs to one pool.  Layers never move bytes: a received
frame is peeled from FRAME upwards, a transmit packet is filled at BODY first and then in front of
it, header by header.

The first 64 bytes of the buffer are the packet's own head, so that one `ptr16(packet.buffer)` gives
a viper function everything it needs.  Offsets are u16 in host order; addresses are bytes in network
order.  `fragment` is the flags and offset word of an IPv4 header to be sent, in network order; it
is zero unless its sender wants otherwise, and ip4.send leaves it zero.  `pseudo` is the sum, folded
to 16 bits, of the addresses and the protocol of a received datagram, which the network layer has at
hand and every transport checksum begins with.

     0               2               4               6               8
     +---------------+---------------+---------------+---------------+
     |     link      |    pseudo     |   transport   |    payload    |
     +---------------+---------------+---------------+---------------+
     |      end      |     flags     |   protocol    |   fragment    |
     +---------------+---------------+---------------+---------------+
     |                       source (16 bytes)                       |
     +---------------------------------------------------------------+
     |                     destination (16 bytes)                    |
     +---------------------------------------------------------------+
     |                      next hop (16 bytes)                      |
     +---------------------------------------------------------------+
    64  room for the header of the device, which ends where the link header begins
    82  FRAME: the first byte of every received frame
    96  DATAGRAM: the network header of a received frame, 16-aligned

A transmit packet may have a tail: up to PIECES pieces of other buffers (an object, an offset, a
length) that follow `end` on the wire, gathered by the device without a copy.  `tail` is their
length in all.  If `mss` is not zero, the device cuts the packet into segments of so many bytes of
payload (only a device that says so in `offloads` gets such packets).  `traffic` is the traffic
class to be written into the network header, `hops` the hop limit, 0 for the usual one.

    64               66              68              70              72
     +---------------+---------------+---------------+---------------+
     |             tail              |      mss      |    traffic    |
     +---------------+---------------+---------------+---------------+
     |     hops      |    pieces     |  offset and length (4 + 4) of :
     +---------------+---------------+---------------+---------------+
     :  each of three pieces, up to byte 100                         |
     +---------------------------------------------------------------+
   146  OUT_FRAME6: the link header of a transmit packet with IPv6
   160  OUT_DATAGRAM6: its IPv6 header
   166  OUT_FRAME: the link header of a transmit packet with IPv4
   180  OUT_DATAGRAM: its IPv4 header
   200  OUT_SEGMENT: its transport header, of both families
   208  BODY: its first payload byte, if the transport header has 8 bytes

So the places of link and network headers are constants in the code of every layer.  What lies
between 64 and 100 has a meaning only in transmit packets; `allocate` and `reset` clear it.

Law: whoever holds a transmit packet hands it on or releases it, once.  A received packet is lent
for the length of a call.
Left out: a tail for what ip4 has to fragment.
"""

import micropython
from micropython import const

# Byte offsets in the head.  A ptr16 wants half of them.  MicroPython folds a constant only in the
# module that assigns it, so viper code elsewhere repeats those it needs, and a test compares.
LINK = const(0)
PSEUDO = const(2)
TRANSPORT = const(4)
PAYLOAD = const(6)
END = const(8)
FLAGS = const(10)
PROTOCOL = const(12)
FRAGMENT = const(14)
SOURCE = const(16)
DESTINATION = const(32)
NEXT_HOP = const(48)
HEAD = const(64)
TAIL = const(64)  # 4 bytes
MSS = const(68)
TRAFFIC = const(70)
HOPS = const(72)
PIECE_COUNT = const(74)
PIECE = const(76)  # 8 bytes each
PIECES = const(3)
FRAME = const(82)
DATAGRAM = const(96)
OUT_FRAME6 = const(146)
OUT_DATAGRAM6 = const(160)
OUT_FRAME = const(166)
OUT_DATAGRAM = const(180)
OUT_SEGMENT = const(200)
BODY = const(208)
SIZE = const(2048)

# FLAGS.  The low byte describes the frame, the high byte belongs to the device and the pool.
BROADCAST = const(0x01)  # link-layer broadcast
MULTICAST = const(0x02)  # link-layer multicast
CHECKED = const(0x04)  # the device has verified the transport checksum
NET_BROADCAST = const(0x08)  # sent to a network-layer broadcast address
REASSEMBLED = const(0x10)  # put together from fragments
IP6 = const(0x20)  # addresses have 16 bytes
CONGESTION = const(0x40)  # a router has marked it: congestion experienced (RFC 3168)
PARTIAL = const(0x0100)  # to be sent: the device has to finish the transport checksum
FREE = const(0x8000)  # lies in its pool


class Packet:
    """One buffer.  `buffer`: all of it; `address`: where the device sees it (0 on hosts)."""

    def __init__(self, pool, index, buffer, address):
        self.pool = pool
        self.index = index
        self.buffer = buffer
        self.address = address
        self.pieces = None

    @micropython.viper
    def reset(self):
        """Empty, with room for every header in front."""
        head = ptr16(self.buffer)
        words = ptr32(head)
        head[PAYLOAD >> 1] = BODY
        head[END >> 1] = BODY
        head[FLAGS >> 1] = 0
        words[TAIL >> 2] = 0
        words[MSS >> 2] = 0
        words[HOPS >> 2] = 0

    @micropython.viper
    def append(self, data, offset: int, length: int) -> bool:
        """Let data[offset:offset + length] follow on the wire; False: there is no place for it.

        `data` must stay as it is until the packet has been sent.
        """
        head = ptr16(self.buffer)
        words = ptr32(head)
        count = int(head[PIECE_COUNT >> 1])
        if count == PIECES:
            return False
        pieces = self.pieces
        pieces[count] = data
        words[(PIECE >> 2) + (count << 1)] = offset
        words[(PIECE >> 2) + (count << 1) + 1] = length
        words[TAIL >> 2] += length
        head[PIECE_COUNT >> 1] = count + 1
        return True

    def gather(self, start=None):
        """The bytes from `link` to the end of the tail: what a device without gathering sends."""
        buffer = self.buffer
        if start is None:
            start = buffer[LINK] | buffer[LINK + 1] << 8
        frame = bytes(buffer[start : self.end])
        for index in range(buffer[PIECE_COUNT]):
            at = PIECE + 8 * index
            offset = int.from_bytes(buffer[at : at + 4], "little")
            length = int.from_bytes(buffer[at + 4 : at + 8], "little")
            frame += bytes(memoryview(self.pieces[index])[offset : offset + length])
        return frame

    def release(self):
        """Give the packet back to its pool; its holder must not touch it again."""
        self.pool.release(self)

    # For code that is not in viper; what is reads the head itself.

    @property
    @micropython.viper
    def payload(self) -> int:
        """Offset in `buffer` of the first byte above the transport header."""
        return ptr16(self.buffer)[PAYLOAD >> 1]

    @property
    @micropython.viper
    def end(self) -> int:
        return ptr16(self.buffer)[END >> 1]

    @property
    @micropython.viper
    def length(self) -> int:
        """Bytes of payload.  Set it after filling `buffer` from `payload`."""
        head = ptr16(self.buffer)
        return int(head[END >> 1]) - int(head[PAYLOAD >> 1])

    @length.setter
    def length(self, length):
        buffer = self.buffer
        end = self.payload + length
        if length < 0 or end > len(buffer):
            raise ValueError(f"a packet has no room for {length} bytes of payload")
        buffer[END] = end & 0xFF
        buffer[END + 1] = end >> 8

    @property
    def room(self):
        """The largest `length` that the buffer can hold."""
        return len(self.buffer) - self.payload

    @property
    def data(self):
        """A copy of the payload."""
        return bytes(self.buffer[self.payload : self.end])

    @property
    def source(self):
        """The sender's address, 4 or 16 bytes."""
        return bytes(self.buffer[SOURCE : SOURCE + (16 if self.buffer[FLAGS] & IP6 else 4)])

    @property
    def destination(self):
        size = 16 if self.buffer[FLAGS] & IP6 else 4
        return bytes(self.buffer[DESTINATION : DESTINATION + size])

    @property
    def source_port(self):
        buffer = self.buffer
        transport = buffer[TRANSPORT] | buffer[TRANSPORT + 1] << 8
        return buffer[transport] << 8 | buffer[transport + 1]


@micropython.viper
def _free_heads(memory, count: int, size: int):
    """Write the heads of packets that are empty and lie in their pool."""
    address = 0
    heads = ptr16(memory)
    while count:
        heads[address + (PAYLOAD >> 1)] = BODY
        heads[address + (END >> 1)] = BODY
        heads[address + (FLAGS >> 1)] = FREE
        heads[address + (PIECE_COUNT >> 1)] = 0
        address += size >> 1
        count -= 1


class Pool:
    """`count` packets cut from `memory` (default: from the heap); no others come, none is lost.

    The free ones are a stack in one list: slot 0 holds how many, slots 1.. the packets.
    `gathers`: the packets may have tails.  `lent`: none is made yet (a queue has hundreds of
    buffers, a machine that starts needs three packets).  Whoever fills a buffer looks at its head,
    and while that is FREE there is no packet: `make` it; whoever allocates asks for `more`.
    """

    def __init__(self, name, count, size=SIZE, memory=None, address=0, gathers=False, lent=False):
        self.name = name
        self.count = count
        self.size = size
        if memory is None:
            memory = bytearray(count * size)
        self.memory = memory = memoryview(memory)
        self.address = address
        self.gathers = gathers
        _free_heads(memory, count, size)
        self.packets = [None] * count
        self.stack = [0] + [None] * count
        self.made = 0
        while not lent and self.more():
            pass

    def make(self, index):
        """The packet of a buffer, for ever."""
        start = index * self.size
        packet = Packet(self, index, self.memory[start : start + self.size], self.address + start)
        if self.gathers:
            packet.pieces = [None] * PIECES
        self.packets[index] = packet

    def more(self):
        """One more free packet; False: there is one for each buffer, or no memory now."""
        index = self.made
        if index == self.count:
            return False
        try:
            self.make(index)
        except MemoryError:
            return False
        self.made = index + 1
        self.stack[0] += 1
        self.stack[self.stack[0]] = self.packets[index]
        return True

    @micropython.viper
    def allocate(self):
        """A free packet, empty, or None."""
        stack = self.stack
        free = int(stack[0])
        if free == 0:
            return None
        packet = stack[free]
        stack[0] = free - 1
        packet.reset()
        return packet

    @micropython.viper
    def release(self, packet):
        head = ptr16(packet.buffer)
        assert head[FLAGS >> 1] & FREE == 0, "packet released twice"
        head[FLAGS >> 1] = FREE
        stack = self.stack
        free = int(stack[0]) + 1
        stack[free] = packet
        stack[0] = free

    @property
    def free(self):
        return self.stack[0] + self.count - self.made
