"""Transmitting: packets that belong to the device until they stand in the used ring, and doorbells.

A sent packet stays in the used ring until `allocate` needs it: the used ring is the free list, so
no interrupt ever says that something was sent.  A suppression flag of the device is believed only
when an access to a device register stands between the publication and the look at the flag
(`FENCED`; docs/drivers.md, rule 2).

Neighbours: receive.py shares the cells; offload.py sends packets with tails.
"""

import micropython
from micropython import const

# Places in `cells`, see __init__.py.
_SENT = const(1)
_DOORBELLS = const(2)
_NO_BUFFER = const(6)
_LINK_DOWN = const(7)
_OVERSIZE = const(8)
_FOREIGN = const(9)
_BAD_ID = const(11)
_EVENT = const(16)  # EVENT_IDX was negotiated
_MORE = const(17)  # `service` stopped at its budget and will be called again
_LINK = const(19)
_HEADER = const(20)  # length of the device header
_LIMIT = const(21)  # longest frame to send
_TAILS = const(27)
_UNMADE = const(29)  # transmit buffers without a packet
_RX = const(32)
_TX = const(48)

# Of virtqueue.py and net/packet.py.
_INDEX = const(0)
_SEEN = const(1)
_KICKED = const(2)
_FENCED = const(3)
_MASK = const(4)
_DESCRIPTORS = const(5)
_AVAILABLE = const(6)
_USED = const(7)
_AVAILABLE_EVENT = const(9)
_NOTIFY = const(10)
_NUMBER = const(11)
_SHIFT = const(12)
_BUFFERS = const(13)
_COUNT = const(14)
_NO_NOTIFY = const(1)
_LINK_AT = const(0)  # in a packet's head, in 16-bit units
_PAYLOAD_AT = const(3)
_END_AT = const(4)
_FLAGS_AT = const(5)
_BODY = const(208)
_LOG2_SIZE = const(11)
_AWAY = const(0x4000)  # a flag of packets that the device has
_PIECES_AT = const(37)
_TAIL_AT = const(16)  # in words
_MSS_AT = const(17)
_HOPS_AT = const(18)


class Transmit:
    @micropython.viper
    def ring(self):
        """Ring the doorbells that are owed, one per queue."""
        cells = ptr32(self.cells)
        queue = _RX
        while queue <= _TX:
            index = cells[queue + _INDEX]
            published = (index - cells[queue + _KICKED]) & 0xFFFF
            if published:
                used = ptr16(cells[queue + _USED])
                if cells[_EVENT]:
                    # 2.7.10: the device asks for a doorbell when this index is passed.
                    event = used[cells[queue + _AVAILABLE_EVENT]]
                    wanted = ((index - event - 1) & 0xFFFF) < published
                else:
                    wanted = used[0] & _NO_NOTIFY == 0
                if wanted:
                    ring = 1
                elif cells[queue + _FENCED] == index:
                    # The device said no after it could see what was published.
                    cells[queue + _KICKED] = index
                    ring = 0
                else:
                    # Its no may be older than that.  It will be asked again if `service` is called
                    # before the machine sleeps; else the doorbell costs no more than asking.
                    ring = 1 - cells[_MORE]
                if ring:
                    cells[queue + _KICKED] = index
                    cells[_DOORBELLS + ((queue - _RX) >> 4)] += 1
                    notify = cells[queue + _NOTIFY]
                    number = cells[queue + _NUMBER]
                    if notify:
                        ptr16(notify)[0] = number
                    else:
                        self.notify(number)
            queue += _TX - _RX

    flush = ring

    @micropython.viper
    def allocate(self):
        """A free transmit packet, or None, counted.  One that has been sent comes back first."""
        cells = ptr32(self.cells)
        used = ptr16(cells[_TX + _USED])
        seen = cells[_TX + _SEEN]
        if seen != used[1]:
            cells[_TX + _SEEN] = (seen + 1) & 0xFFFF
            entries = ptr32(cells[_TX + _USED])
            index = entries[((seen & cells[_TX + _MASK]) << 1) + 1] >> cells[_TX + _SHIFT]
            if index < 0 or index >= cells[_TX + _COUNT]:
                cells[_BAD_ID] += 1
                return None
            packet = self.transmit_packets[index]
        else:
            free = self.free
            left = int(free[0])
            if left <= 1 and cells[_UNMADE] != 0:
                cells[_UNMADE] = int(self.make_more())
                left = int(free[0])
            if left == 0:
                cells[_NO_BUFFER] += 1
                return None
            packet = free[left]
            free[0] = left - 1
            index = int(packet.index)
        words = ptr32(cells[_TX + _BUFFERS] + (index << _LOG2_SIZE))
        head = ptr16(words)
        if head[_PIECES_AT]:
            self.let_go(packet)  # offload.py
            cells[_TAILS] -= 1
        head[_PAYLOAD_AT] = _BODY
        head[_END_AT] = _BODY
        head[_FLAGS_AT] = 0
        words[_TAIL_AT] = 0
        words[_MSS_AT] = 0
        words[_HOPS_AT] = 0
        return packet

    def make_more(self):
        """One more packet, so that one is free as long as buffers are; returns how many those are.

        (Whoever looks whether there is a packet to answer with looks at the free ones only.)
        """
        self.pool.more()
        return self.pool.count - self.pool.made

    def make_all(self):
        """Once the machine has started: in its steady state it allocates nothing."""
        while self.pool.more():
            pass

    @micropython.viper
    def transmit(self, packet):
        """Send the frame from LINK to END; the packet is the device's until it has been sent."""
        cells = ptr32(self.cells)
        address = int(packet.address)
        index = (address - cells[_TX + _BUFFERS]) >> _LOG2_SIZE
        head = ptr16(address)
        link = head[_LINK_AT]
        length = head[_END_AT] - link
        drop = 0
        if index < 0 or index >= cells[_TX + _COUNT]:
            drop = _FOREIGN
        elif cells[_LINK] == 0:
            drop = _LINK_DOWN
        elif length > cells[_LIMIT]:
            drop = _OVERSIZE
        if drop:
            cells[drop] += 1
            packet.release()
            return
        header = cells[_HEADER]
        start = address + link
        zero = ptr32(start - 12)
        zero[0] = 0
        zero[1] = 0
        zero[2] = 0
        head[_FLAGS_AT] = _AWAY
        shift = cells[_TX + _SHIFT]
        descriptor = ptr32(cells[_TX + _DESCRIPTORS] + (index << (4 + shift)))
        descriptor[0] = start - header
        if shift:
            descriptor[4] = start
            descriptor[6] = length
        else:
            descriptor[2] = header + length
        at = cells[_TX + _INDEX]
        ring = ptr16(cells[_TX + _AVAILABLE])
        ring[2 + (at & cells[_TX + _MASK])] = index << shift
        at = (at + 1) & 0xFFFF
        cells[_TX + _INDEX] = at
        ring[1] = at
        cells[_SENT] += 1

    def reclaim(self):
        """Give every packet that has been sent back to its pool; True: none is with the device."""
        while self.free[0] < self.pool.made:
            if not self.sent_one():
                return False
        return True

    @micropython.viper
    def sent_one(self) -> int:
        cells = ptr32(self.cells)
        if cells[_TX + _SEEN] == ptr16(cells[_TX + _USED])[1]:
            return 0
        packet = self.allocate()
        if packet:
            packet.release()
        return 1
