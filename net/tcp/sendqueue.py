"""SendQueue: what a service has written and the peer has not acknowledged, as extents.

An extent is a piece of a `bytes` object, referenced and never copied (a file in the image goes to
the device from where it is), or a piece of a chunk, into which everything else was copied; small
writes share a chunk.  A segment is filled from the extents as often as it has to be sent: bytes
become the packet's tail, what lies in chunks is copied into the packet, so that no packet points
to a chunk that may get another content before the device has read it.

     0               4               8               12
     +---------------+---------------+---------------+
     |     count     |  (12 bytes)   :               :
     +---------------+---------------+---------------+
     |    offset     |    length     |     kind      |  of each extent
     +---------------+---------------+---------------+

Idle connections have no queue: Queues lends them.  Chunks are shared and bounded.
Left out: a write that is longer than the room is taken in part.
"""

import micropython
from micropython import const

from net.config import TCP_CHUNKS

EXTENTS = const(16)
CHUNK = const(2048)
# Shorter pieces of bytes are copied into the packet: a descriptor costs the device more.
WORTH_A_PIECE = const(128)

# Words of `spans`.
_COUNT = const(0)
_FIRST = const(3)
_OFFSET = const(0)
_LENGTH = const(1)
_KIND = const(2)
REFERENCE = const(0)
COPY = const(1)
ALL = const(0x3FFFFFFF)

# The packet's head (see net/packet.py).
END = const(8)
TAIL = const(64)
PIECE_COUNT = const(74)
PIECE = const(76)
PIECES = const(3)
SIZE = const(2048)


class Chunks:
    """Buffers for copies, made when they are needed and kept; at most `most`.

    Those that nobody uses are `spare[:count[0]]`: a stack that viper takes from.  While count[1] is
    not 0 others are before you (tcp.py, feed).
    """

    def __init__(self, most):
        self.most = most
        self.made = 0
        self.spare = []
        self.count = bytearray(8)
        # Methods as slots: a call from viper finds them at once.
        self.take = self.take
        self.give = self.give

    @micropython.viper
    def take(self):
        """A buffer of CHUNK bytes, or None."""
        count = ptr32(self.count)
        if count[1]:
            return None
        left = count[0]
        if left == 0:
            return self.make()
        left -= 1
        count[0] = left
        return self.spare[left]

    def make(self):
        if self.made == self.most:
            return None
        try:
            chunk = bytearray(CHUNK)
            self.spare.append(None)  # so that `give` needs no memory
        except MemoryError:
            return None
        self.made += 1
        return chunk

    @micropython.viper
    def give(self, chunk):
        count = ptr32(self.count)
        left = count[0]
        self.spare[left] = chunk
        count[0] = left + 1

    @property
    def left(self):
        return self.count[0] | self.count[1] << 8

    @property
    def used(self):
        return self.made - self.left


class Queues:
    """Lends queues to connections that have something to send.

    Those that nobody has are `spare[:left[0]]`.
    """

    def __init__(self):
        self.chunks = Chunks(TCP_CHUNKS)
        self.spare = []
        self.left = bytearray(4)
        self.none = None
        # A method as a slot: a call from viper finds it at once.
        self.give = self.give

    @micropython.viper
    def take(self, connection):
        cells = ptr32(self.left)
        left = cells[0]
        if left:
            left -= 1
            cells[0] = left
            connection.queue = self.spare[left]
        else:
            self.make(connection)

    def make(self, connection):
        connection.queue = SendQueue(self.chunks)
        self.spare.append(None)  # so that `give` needs no memory

    @micropython.viper
    def give(self, connection):
        queue = connection.queue
        if queue is None:
            return
        connection.queue = self.none
        if int(queue.count()):
            queue.drop(ALL)
        cells = ptr32(self.left)
        left = cells[0]
        self.spare[left] = queue
        cells[0] = left + 1


class SendQueue:
    def __init__(self, chunks):
        self.take_chunk = chunks.take
        self.give_chunk = chunks.give
        self.objects = [None] * EXTENTS
        self.spans = bytearray(12 + 12 * EXTENTS)
        # Methods as slots: a call from viper finds them at once.
        self.put = self.put
        self.drop = self.drop
        self.fill = self.fill
        self.count = self.count

    @micropython.viper
    def put(self, data, start: int, length: int, kind: int) -> int:
        """Append data[start:start + length]; returns how much there was room for."""
        spans = ptr32(self.spans)
        objects = self.objects
        count = spans[_COUNT]
        if kind == REFERENCE:
            if count == EXTENTS:
                return 0
            objects[count] = data
            at = _FIRST + 3 * count
            spans[at + _OFFSET] = start
            spans[at + _LENGTH] = length
            spans[at + _KIND] = REFERENCE
            spans[_COUNT] = count + 1
            return length
        source = ptr8(data)
        words = ptr32(source)
        taken = 0
        while taken < length:
            at = _FIRST + 3 * (count - 1)
            full = 1
            if count and spans[at + _KIND] == COPY:
                full = 0
                if spans[at + _OFFSET] + spans[at + _LENGTH] == CHUNK:
                    full = 1
            if full:
                if count == EXTENTS:
                    break
                chunk = self.take_chunk()
                if chunk is None:
                    break
                objects[count] = chunk
                at = _FIRST + 3 * count
                spans[at + _OFFSET] = 0
                spans[at + _LENGTH] = 0
                spans[at + _KIND] = COPY
                count += 1
                spans[_COUNT] = count
            to = spans[at + _OFFSET] + spans[at + _LENGTH]
            n = CHUNK - to
            if n > length - taken:
                n = length - taken
            target = ptr8(objects[count - 1])
            words_out = ptr32(target)
            i = 0
            begin = start + taken
            if (begin | to) & 3 == 0:
                j = begin >> 2
                k = to >> 2
                last = k + (n >> 2)
                while k + 4 <= last:
                    words_out[k] = words[j]
                    words_out[k + 1] = words[j + 1]
                    words_out[k + 2] = words[j + 2]
                    words_out[k + 3] = words[j + 3]
                    k += 4
                    j += 4
                while k < last:
                    words_out[k] = words[j]
                    k += 1
                    j += 1
                i = n & ~3
            while i < n:
                target[to + i] = source[begin + i]
                i += 1
            spans[at + _LENGTH] += n
            taken += n
        return taken

    @micropython.viper
    def drop(self, length: int):
        """The first `length` bytes are acknowledged."""
        spans = ptr32(self.spans)
        objects = self.objects
        count = spans[_COUNT]
        gone = 0
        while gone < count:
            at = _FIRST + 3 * gone
            if length < spans[at + _LENGTH]:
                spans[at + _OFFSET] += length
                spans[at + _LENGTH] -= length
                break
            length -= spans[at + _LENGTH]
            if spans[at + _KIND] == COPY:
                self.give_chunk(objects[gone])
            gone += 1
        if gone == 0:
            return
        i = gone
        while i < count:
            objects[i - gone] = objects[i]
            at = _FIRST + 3 * i
            to = at - 3 * gone
            spans[to] = spans[at]
            spans[to + 1] = spans[at + 1]
            spans[to + 2] = spans[at + 2]
            i += 1
        i = count - gone
        spans[_COUNT] = i
        while i < count:
            objects[i] = None
            i += 1

    @micropython.viper
    def count(self) -> int:
        """Extents in use, of EXTENTS."""
        return ptr32(self.spans)[_COUNT]

    @micropython.viper
    def fill(self, packet, skip: int, length: int) -> int:
        """Add `length` bytes, from the `skip`-th on, to a packet; returns how many it has taken."""
        out = ptr8(packet.buffer)
        head = ptr16(out)
        tail = ptr32(out)
        spans = ptr32(self.spans)
        objects = self.objects
        end = int(head[END >> 1])
        begin = end
        gathers = 1
        if packet.pieces is None:
            gathers = 0
        # The extent with the first byte.
        first = 0
        while skip >= spans[_FIRST + 3 * first + _LENGTH]:
            skip -= spans[_FIRST + 3 * first + _LENGTH]
            first += 1
        i = first
        left = length
        position = spans[_FIRST + 3 * i + _OFFSET] + skip
        n = spans[_FIRST + 3 * i + _LENGTH] - skip
        while True:
            if n > left:
                n = left
            at = _FIRST + 3 * i
            done = 0
            count = int(head[PIECE_COUNT >> 1])
            if (
                gathers != 0
                and n >= WORTH_A_PIECE
                and count < PIECES
                and spans[at + _KIND] == REFERENCE
            ):
                # As packet.append does.
                pieces = packet.pieces
                pieces[count] = objects[i]
                tail[(PIECE >> 2) + (count << 1)] = position
                tail[(PIECE >> 2) + (count << 1) + 1] = n
                tail[TAIL >> 2] += n
                head[PIECE_COUNT >> 1] = count + 1
                done = n
            if done == 0:
                if count:
                    # What is copied cannot follow a tail.
                    if begin + length > SIZE:
                        break
                    gathers = 0
                    tail[TAIL >> 2] = 0
                    head[PIECE_COUNT >> 1] = 0
                    end = begin
                    i = first
                    left = length
                    position = spans[_FIRST + 3 * i + _OFFSET] + skip
                    n = spans[_FIRST + 3 * i + _LENGTH] - skip
                    continue
                if n > SIZE - end:
                    n = SIZE - end
                    left = n
                data = ptr8(objects[i])
                j = 0
                if (end | position) & 3 == 0:
                    words = ptr32(data)
                    words_out = ptr32(out)
                    at = position >> 2
                    to = end >> 2
                    last = to + (n >> 2)
                    while to + 4 <= last:
                        words_out[to] = words[at]
                        words_out[to + 1] = words[at + 1]
                        words_out[to + 2] = words[at + 2]
                        words_out[to + 3] = words[at + 3]
                        to += 4
                        at += 4
                    while to < last:
                        words_out[to] = words[at]
                        to += 1
                        at += 1
                    j = n & ~3
                while j < n:
                    out[end + j] = data[position + j]
                    j += 1
                end += n
            left -= n
            if left <= 0:
                break
            i += 1
            position = spans[_FIRST + 3 * i + _OFFSET]
            n = spans[_FIRST + 3 * i + _LENGTH]
        head[END >> 1] = end
        return (end - begin) + tail[TAIL >> 2]
