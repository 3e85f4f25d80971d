"""Receiving: frames that the device has put into buffers rise, and the buffers go back to it.

All buffers are posted at the start; a received one is lent to the delegate for the length of the
call and posted again at once.  `service` ends, in this order, with re-arming the interrupt, reading
the ISR register, and a last look at the ring (docs/drivers.md, rule 1).

Neighbours: transmit.py shares the cells; offload.py puts frames together that took several buffers.
"""

import micropython
from micropython import const

_ETHERNET = const(14)  # its header

# Places in `cells`, see __init__.py.
_RECEIVED = const(0)
_TURNS = const(4)  # calls of `service`
_WAITS = const(5)  # times that it waited for packets to answer with
_BAD_LENGTH = const(10)
_BAD_ID = const(11)
_UNCLAIMED = const(12)
_EVENT = const(16)  # EVENT_IDX was negotiated
_MORE = const(17)  # `service` stopped at its budget and will be called again
_ISR = const(18)  # address of the ISR register, 0: not in memory
_HEADER = const(20)  # length of the device header
_HALF = const(22)  # of the transmit packets
_ANSWERS = const(28)  # three quarters of them
_MERGE = const(23)
_KEPT = const(25)
_RX = const(32)
_TX = const(48)

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
_NO_INTERRUPT = const(1)
_CONFIG_INTERRUPT = const(2)
_LINK_AT = const(0)  # in a packet's head, in 16-bit units
_END_AT = const(4)
_FLAGS_AT = const(5)
_FREE = const(0x8000)
_FRAME = const(82)
_SIZE = const(2048)
_LOG2_SIZE = const(11)
_MERGED_AT = const(40)  # how many buffers the frame took: the last two bytes of the device header
_CHECKED = const(4)


class Receive:
    @micropython.viper
    def service(self, budget: int) -> int:
        """Deliver up to `budget` received frames; 1: there may be more."""
        cells = ptr32(self.cells)
        used = ptr16(cells[_RX + _USED])
        entries = ptr32(cells[_RX + _USED])
        ring = ptr16(cells[_RX + _AVAILABLE])
        mask = cells[_RX + _MASK]
        shift = cells[_RX + _SHIFT]
        header = cells[_HEADER]
        merge = cells[_MERGE]
        packets = self.receive_packets
        receive = self.receive
        cells[_MORE] = 0
        cells[_TURNS] += 1
        if cells[_EVENT] == 0:
            # NO_INTERRUPT, if it was taken back to wait for the transmit queue.
            ptr16(cells[_TX + _AVAILABLE])[0] = _NO_INTERRUPT
        while True:
            # The state is in cells before the delegate is called: it may call us again.
            seen = cells[_RX + _SEEN]
            starved = 0
            while seen != used[1] or cells[_KEPT] != 0:
                if budget == 0:
                    # No interrupt until we have caught up (with EVENT_IDX the event stays behind).
                    if cells[_EVENT] == 0:
                        ring[0] = _NO_INTERRUPT
                    cells[_MORE] = 1
                    return 1
                flying = (cells[_TX + _INDEX] - cells[_TX + _SEEN]) & 0xFFFF
                if flying >= cells[_HALF]:
                    starved = int(self.starved(flying))
                    if starved:
                        break
                budget -= 1
                if cells[_KEPT]:
                    self.replay()
                    seen = cells[_RX + _SEEN]
                    continue
                entry = (seen & mask) << 1
                id = entries[entry + 1]
                length = entries[entry + 2] - header
                cells[_RX + _SEEN] = (seen + 1) & 0xFFFF
                index = id >> shift
                if id < 0 or index >= cells[_RX + _COUNT]:
                    # The device is broken; there is no buffer to give back.
                    cells[_BAD_ID] += 1
                    seen = cells[_RX + _SEEN]
                    continue
                if length < _ETHERNET or length > _SIZE - _FRAME:
                    cells[_BAD_LENGTH] += 1
                else:
                    cells[_RECEIVED] += 1
                    address = cells[_RX + _BUFFERS] + (index << _LOG2_SIZE)
                    head = ptr16(address)
                    # 5.1.6.4: the device has verified the checksum, or a sender on the same host
                    # has left it to a device; without GUEST_CSUM both flags are zero.
                    checked = ptr8(address)[_FRAME - header] & 3
                    if checked:
                        checked = _CHECKED
                    if merge and head[_MERGED_AT] != 1:
                        self.merged(_RX, address, length, checked)
                    else:
                        if head[_FLAGS_AT] & _FREE:
                            self.receive_pool.make(index)
                        head[_LINK_AT] = _FRAME
                        head[_END_AT] = _FRAME + length
                        head[_FLAGS_AT] = checked
                        receive(packets[index])
                at = cells[_RX + _INDEX]
                ring[2 + (at & mask)] = id
                at = (at + 1) & 0xFFFF
                cells[_RX + _INDEX] = at
                ring[1] = at
                seen = cells[_RX + _SEEN]
            # Nothing is left, or nothing to answer with.  1. Arm the interrupt.
            if cells[_EVENT]:
                ring[cells[_RX + _USED_EVENT]] = seen
            else:
                ring[0] = 0
            # 2. Acknowledge it: a true barrier, also for the indices published above.
            isr = cells[_ISR]
            if isr:  # noqa: SIM108
                cause = ptr8(isr)[0]
            else:
                cause = int(self.cause())
            cells[_RX + _FENCED] = cells[_RX + _INDEX]
            cells[_TX + _FENCED] = cells[_TX + _INDEX]
            if cause & _CONFIG_INTERRUPT:
                self.changed()
            # 3. Look again.
            if starved:
                back = (int(ptr16(cells[_TX + _USED])[1]) - cells[_TX + _SEEN]) & 0xFFFF
                if back == 0 or flying - back >= cells[_ANSWERS]:
                    return 0
            elif seen == used[1] and cells[_KEPT] == 0:
                return 0

    @micropython.viper
    def starved(self, flying: int) -> int:
        """1: there is no packet to answer with.  The device interrupts when half have been sent.

        Frames that cannot be answered are better left with the device, and with the queues in front
        of it, than dropped here.  A quarter of the packets is not for answers, but for what the
        turn sends afterwards: connections go on under a flood of questions.
        """
        cells = ptr32(self.cells)
        back = (int(ptr16(cells[_TX + _USED])[1]) - cells[_TX + _SEEN]) & 0xFFFF
        if flying - back < cells[_ANSWERS] and (back != 0 or int(self.free[0]) != 0):
            return 0
        ring = ptr16(cells[_TX + _AVAILABLE])
        if cells[_EVENT]:
            ring[cells[_TX + _USED_EVENT]] = cells[_TX + _SEEN] + (flying >> 1)
        else:
            ring[0] = 0
        cells[_WAITS] += 1
        return 1

    @micropython.viper
    def unclaimed(self, packet):
        cells = ptr32(self.cells)
        cells[_UNCLAIMED] += 1
