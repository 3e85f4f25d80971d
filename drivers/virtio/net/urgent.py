"""Frames that are looked at while a callback computes (runtime/urgent.py), and those that are kept.

`urgent_receive(packet)` says of each frame whether it has handled it; that buffer goes back to the
device at once.  The others wait, in order, for `service`.  What waits stands in a ring of our own
with the layout of a used ring, whose window in `cells` is like that of a queue; so a frame that
took several buffers is put together in the same way from either.

Law: no frame overtakes another that is kept, except those that are handled here; buffers that are
kept are at most three quarters of all, or nothing could be looked at any more.
"""

import micropython
from micropython import const

_ETHERNET = const(14)

# Places in `cells`, see __init__.py.
_RECEIVED = const(0)
_BAD_LENGTH = const(10)
_BAD_ID = const(11)
_EVENT = const(16)
_MORE = const(17)
_ISR = const(18)
_HEADER = const(20)
_MERGE = const(23)
_KEPT = const(25)
_URGENT = const(26)
_TAILS = const(27)
_ANSWERS = const(28)
_RX = const(32)
_TX = const(48)
_KEEP = const(64)

# Of virtqueue.py and net/packet.py.
_INDEX = const(0)
_SEEN = const(1)
_FENCED = const(3)
_MASK = const(4)
_AVAILABLE = const(6)
_USED = const(7)
_USED_EVENT = const(8)
_SHIFT = const(12)
_BUFFERS = const(13)
_COUNT = const(14)
_CONFIG_INTERRUPT = const(2)
_LINK_AT = const(0)
_END_AT = const(4)
_FLAGS_AT = const(5)
_FREE = const(0x8000)
_FRAME = const(82)
_SIZE = const(2048)
_LOG2_SIZE = const(11)
_MERGED_AT = const(40)
_CHECKED = const(4)


class Urgent:
    def make_room(self, count):
        """For `count` buffers to be kept."""
        size = 4
        while size < count:
            size <<= 1
        self.kept = bytearray(4 + 8 * size)

    @micropython.viper
    def keep_in(self, ring: ptr8, size: int):
        cells = ptr32(self.cells)
        cells[_KEEP + _USED] = int(ring)
        cells[_KEEP + _MASK] = size - 1
        cells[_KEEP + _SEEN] = 0
        cells[_KEPT] = 0
        cells[_TAILS] = 0
        ptr16(ring)[1] = 0

    def nothing_urgent(self, packet):
        """Nobody knows what is urgent."""
        return False

    @micropython.viper
    def urgent(self, budget: int) -> int:
        """Look at up to `budget` received frames; 1: there may be more."""
        cells = ptr32(self.cells)
        used = ptr16(cells[_RX + _USED])
        entries = ptr32(cells[_RX + _USED])
        ring = ptr16(cells[_RX + _AVAILABLE])
        mask = cells[_RX + _MASK]
        shift = cells[_RX + _SHIFT]
        header = cells[_HEADER]
        merge = cells[_MERGE]
        packets = self.receive_packets
        handle = self.urgent_receive
        kept = ptr16(cells[_KEEP + _USED])
        places = ptr32(cells[_KEEP + _USED])
        most = cells[_RX + _COUNT] - (cells[_RX + _COUNT] >> 2)
        put_off = cells[_MORE]
        left = 0
        while True:
            while cells[_RX + _SEEN] != used[1]:
                flying = cells[_TX + _INDEX] - int(ptr16(cells[_TX + _USED])[1])
                if budget == 0 or cells[_KEPT] >= most or flying & 0xFFFF >= cells[_ANSWERS]:
                    left = 1
                    break
                budget -= 1
                seen = cells[_RX + _SEEN]
                entry = (seen & mask) << 1
                id = entries[entry + 1]
                length = entries[entry + 2]
                cells[_RX + _SEEN] = (seen + 1) & 0xFFFF
                index = id >> shift
                if id < 0 or index >= cells[_RX + _COUNT]:
                    cells[_BAD_ID] += 1
                    continue
                address = cells[_RX + _BUFFERS] + (index << _LOG2_SIZE)
                head = ptr16(address)
                parts = 1
                if merge:
                    parts = int(head[_MERGED_AT])
                done = 0
                size = length - header
                if parts == 1 and size >= _ETHERNET and size <= _SIZE - _FRAME:
                    flags = ptr8(address)[_FRAME - header] & 3
                    if flags:
                        flags = _CHECKED
                    if head[_FLAGS_AT] & _FREE:
                        self.receive_pool.make(index)
                    head[_LINK_AT] = _FRAME
                    head[_END_AT] = _FRAME + size
                    head[_FLAGS_AT] = flags
                    done = int(handle(packets[index]))
                if done:
                    cells[_RECEIVED] += 1
                    cells[_URGENT] += 1
                    at = cells[_RX + _INDEX]
                    ring[2 + (at & mask)] = id
                    at = (at + 1) & 0xFFFF
                    cells[_RX + _INDEX] = at
                    ring[1] = at
                    continue
                # Keep all buffers of the frame.
                while True:
                    at = int(kept[1])
                    place = (at & cells[_KEEP + _MASK]) << 1
                    places[place + 1] = id
                    places[place + 2] = length
                    kept[1] = at + 1
                    cells[_KEPT] += 1
                    parts -= 1
                    seen = cells[_RX + _SEEN]
                    if parts <= 0 or seen == used[1]:
                        break
                    entry = (seen & mask) << 1
                    id = entries[entry + 1]
                    length = entries[entry + 2]
                    cells[_RX + _SEEN] = (seen + 1) & 0xFFFF
            if left:
                break
            # As `service` does: arm the interrupt, acknowledge it, look again.
            if cells[_EVENT]:
                ring[cells[_RX + _USED_EVENT]] = cells[_RX + _SEEN]
            else:
                ring[0] = 0
            isr = cells[_ISR]
            if isr:  # noqa: SIM108
                cause = int(ptr8(isr)[0])
            else:
                cause = int(self.cause())
            cells[_RX + _FENCED] = cells[_RX + _INDEX]
            cells[_TX + _FENCED] = cells[_TX + _INDEX]
            if cause & _CONFIG_INTERRUPT:
                self.loop.soon(self.changed)
            if cells[_RX + _SEEN] == used[1]:
                break
        # The turn may last: no doorbell is put off to its end.
        cells[_MORE] = 0
        self.ring()
        cells[_MORE] = put_off
        if cells[_KEPT]:
            # The line may be masked: an interrupt that we have acknowledged does not count.
            self.loop.revisit(self.line)
        if cells[_KEPT] >= most:
            return 0
        return left

    @micropython.viper
    def replay(self):
        """Deliver the first frame that was kept."""
        cells = ptr32(self.cells)
        entries = ptr32(cells[_KEEP + _USED])
        seen = cells[_KEEP + _SEEN]
        entry = (seen & cells[_KEEP + _MASK]) << 1
        id = entries[entry + 1]
        length = entries[entry + 2] - cells[_HEADER]
        seen = (seen + 1) & 0xFFFF
        cells[_KEEP + _SEEN] = seen
        cells[_KEPT] = (int(ptr16(cells[_KEEP + _USED])[1]) - seen) & 0xFFFF
        index = id >> cells[_RX + _SHIFT]
        if id < 0 or index >= cells[_RX + _COUNT]:
            cells[_BAD_ID] += 1
            return
        if length < _ETHERNET or length > _SIZE - _FRAME:
            cells[_BAD_LENGTH] += 1
        else:
            cells[_RECEIVED] += 1
            address = cells[_RX + _BUFFERS] + (index << _LOG2_SIZE)
            head = ptr16(address)
            checked = ptr8(address)[_FRAME - cells[_HEADER]] & 3
            if checked:
                checked = _CHECKED
            if cells[_MERGE] and head[_MERGED_AT] != 1:
                self.merged(_KEEP, address, length, checked)
                seen = cells[_KEEP + _SEEN]
                cells[_KEPT] = (int(ptr16(cells[_KEEP + _USED])[1]) - seen) & 0xFFFF
            else:
                if head[_FLAGS_AT] & _FREE:
                    self.receive_pool.make(index)
                head[_LINK_AT] = _FRAME
                head[_END_AT] = _FRAME + length
                head[_FLAGS_AT] = checked
                self.receive(self.receive_packets[index])
        ring = ptr16(cells[_RX + _AVAILABLE])
        at = cells[_RX + _INDEX]
        ring[2 + (at & cells[_RX + _MASK])] = id
        at = (at + 1) & 0xFFFF
        cells[_RX + _INDEX] = at
        ring[1] = at
