"""Split virtqueue: three rings in memory through which driver and device pass buffers.

VIRTIO 1.2, section 2.7.  `n` is the size, a power of two; all fields are little-endian.

    descriptors, 16 bytes each (2.7.5)
     0               4               8               12      14
     +---------------+---------------+---------------+-------+-------+
     |           address             |    length     | flags | next  |
     +---------------+---------------+---------------+-------+-------+

    available ring (2.7.6): driver to device      used ring (2.7.8): device to driver
     0       2       4            4+2n             0       2       4               4+8n
     +-------+-------+-------+---+-------+         +-------+-------+-------+-------+---+-------+
     | flags | index | entry |...| used  |         | flags | index |  id   |length |...| avail |
     |       |       |       |   | event |         |       |       |       |       |   | event |
     +-------+-------+-------+---+-------+         +-------+-------+-------+-------+---+-------+

What a driver's hot path needs of a queue are 16 words in a buffer of the driver, its window; the
driver lives on them in viper (net.py), this module lays them out and fills them.  Descriptors are
fixed: buffer i of a queue has descriptor i (or the pair 2i, 2i + 1) for ever, so there is no free
list of descriptors, the ring cannot be full, and re-posting a buffer is one store of its number.

Law: entries are stored before the index that publishes them; x86 keeps stores in order (2.7.13.1).
Left out: packed rings, in-order use; requests.py has indirect descriptors.
"""

import micropython
from micropython import const

# The window, as offsets of words.  Indices count modulo 2^16, as the device does.
INDEX = const(0)  # of the available ring: what was published
SEEN = const(1)  # of the used ring: what was taken
KICKED = const(2)  # INDEX at the last doorbell, or when the device was known to need none
FENCED = const(3)  # INDEX at the last access to a device register
MASK = const(4)  # size - 1
DESCRIPTORS = const(5)  # addresses
AVAILABLE = const(6)
USED = const(7)
USED_EVENT = const(8)  # place of the used event in the available ring, in 16-bit units
AVAILABLE_EVENT = const(9)  # place of the available event in the used ring, likewise
NOTIFY = const(10)  # address of the doorbell, 0: not in memory
NUMBER = const(11)  # the queue's index in the device
SHIFT = const(12)  # log2 of descriptors per buffer
BUFFERS = const(13)  # address of the first buffer
COUNT = const(14)  # how many buffers
WINDOW = const(16)

# Descriptor flags, 2.7.5; flags of the rings, 2.7.6 and 2.7.8.
NEXT = const(1)
WRITE = const(2)
NO_INTERRUPT = const(1)
NO_NOTIFY = const(1)


class Virtqueue:
    """Queue `index` of a device, for `wanted` descriptors if the device can do that."""

    def __init__(self, transport, index, wanted, arena):
        size = transport.queue_size(index)
        if size == 0 or size & (size - 1):
            raise ValueError(f"queue {index} has size {size}")
        align = transport.align
        self.index = index
        self.size = size = transport.smaller_queue(size, wanted)
        available = 16 * size
        used = (available + 6 + 2 * size + align - 1) & -align
        self.descriptors = arena.take(used + 6 + 8 * size, max(align, 16))
        self.available = self.descriptors + available
        self.used = self.descriptors + used
        self.clear(self.available, self.used)

    @micropython.viper
    def clear(self, available: int, used: int):
        """Nothing published, nothing used.  Entries need no clearing: nobody looks at them yet."""
        size = int(self.size)
        ptr32(available)[0] = 0
        ptr16(available)[2 + size] = 0
        ptr32(used)[0] = 0
        ptr16(used)[2 + 4 * size] = 0

    def fill(self, cells, window, transport, shift, buffers, count):
        """Write the queue's window, which starts at word `window` of `cells`."""
        words = [0] * WINDOW
        words[MASK] = self.size - 1
        words[DESCRIPTORS] = self.descriptors
        words[AVAILABLE] = self.available
        words[USED] = self.used
        words[USED_EVENT] = 2 + self.size
        words[AVAILABLE_EVENT] = 2 + 4 * self.size
        words[NOTIFY] = transport.notify_at(self.index)
        words[NUMBER] = self.index
        words[SHIFT] = shift
        words[BUFFERS] = buffers
        words[COUNT] = count
        for word in words:
            store(cells, window, word)
            window += 1


@micropython.viper
def store(cells: ptr32, at: int, word: int):
    cells[at] = word
