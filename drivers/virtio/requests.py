"""Requests: chains of buffers that the device answers in any order, many under way at a time.

VIRTIO 1.2, sections 2.7.4 to 2.7.10.  For queues that carry questions and answers (block, SCSI,
control queues), and for buffers that wait for the device to have something to say (events).

    queue = Requests(transport, index, slots, pieces, features, arena, name)
    queue.attach(transport)             before DRIVER_OK, also after a reset of the device
    channel = Channel(transport, line, changed, queue, ...)        what machine.loop.add takes

    slot = queue.take()                 one of queue.free() slots, -1: all are under way
    queue.piece(slot, i, address, length, WRITE or 0)       buffer i of the chain (WRITE: for the
                                        device to write; these come last); i < pieces
    queue.data(slot, i, buffer, WRITE or 0)     the same for an object with a buffer
    queue.send(slot, count, done)       publish a chain of `count` pieces, whose doorbell is rung at
                                        the end of the turn; later done(slot, length) is called:
                                        length is what the device says it has written, never
                                        more than there was room for; -1: lost, the device was reset
    queue.release(slot)                 free again: for `done`, unless it sends the slot once more
    queue.wait(slot, patience) -> bool  for set-up: ring, poll until the slot is answered and `done`
                                        was called; False: `patience` ms did not do
    queue.lost()                        after a reset: done(slot, -1) for all that were under way

`done` may be called before anything that runs later, never within `send`; it may send, block, wait.
Who sends keeps the buffers alive.  Allocates nothing but the object for an address above 1 GiB.
A slot has the same descriptors for ever: with INDIRECT a table of its own, and one descriptor of
the ring that points to it; else 2^n neighbours in the ring.  So the free list is one of slots.

    drain(budget) -> what is left of it         what the device has answered; then arm the interrupt
    ring()                                      the doorbell, if it is owed

Law: docs/drivers.md, "No lost wake-up": a Channel arms all queues, reads the ISR register, looks at
all queues again.  Queues of a device share that register, so they share a Channel.  An answer of
the device that cannot be is counted (`bad_id`) and ignored.

Neighbours: virtqueue.py has the layout; blk.py, scsi.py and others above.
Left out: packed rings, in-order use.
"""

import metal
import micropython
from micropython import const

from drivers.virtio import device, virtqueue
from runtime.counters import Counters

INDIRECT = const(28)  # the feature, 6
WRITE = const(2)

COUNTS = ("sent", "doorbells")
DROPS = ("bad_id",)

# `cells`: the counters, then the state of the queue, its window (virtqueue.py), the stack of free
# slots, the state of each slot.
_SENT = const(0)
_DOORBELLS = const(1)
_BAD_ID = const(2)
_EVENT = const(4)  # EVENT_IDX was negotiated
_FREE = const(5)  # slots on the stack
_SLOTS = const(6)
_TABLES = const(7)  # address of the first slot's descriptors
_STRIDE = const(8)  # log2 of the bytes of a slot's descriptors
_INDIRECT = const(9)  # was negotiated
_STATES = const(10)  # place of the states
_QUEUE = const(16)
_STACK = const(32)

# The state of a slot: one of these, and the room for what the device writes, times four.
_IDLE = const(0)
_TAKEN = const(1)
_FLYING = const(2)

# Of virtqueue.py: only constants of the same module cost nothing.
_INDEX = const(0)
_SEEN = const(1)
_KICKED = const(2)
_FENCED = const(3)
_MASK = const(4)
_DESCRIPTORS = const(5)
_AVAILABLE = const(6)
_USED = const(7)
_USED_EVENT = const(8)
_AVAILABLE_EVENT = const(9)
_NOTIFY = const(10)
_NUMBER = const(11)
_SHIFT = const(12)
_NEXT = const(1)
_WRITE = const(2)
_TABLE = const(4)  # the descriptor points to a table
_NO_INTERRUPT = const(1)
_NO_NOTIFY = const(1)
_CONFIG_INTERRUPT = const(2)

# The state of a Channel.
_ISR = const(0)  # address of the ISR register, 0: not in memory
_COUNT = const(1)  # of queues
_CELLS = const(2)  # addresses of theirs


class Requests:
    """Queue `index`, for up to `slots` chains of up to `pieces` buffers at a time.

    There are fewer slots (`count`) if the device's ring is small.  DeviceError: no such queue.
    """

    def __init__(self, transport, index, slots, pieces, features, arena, name="queue"):
        stride = 4
        while 1 << (stride - 4) < pieces:
            stride += 1
        indirect = features >> INDIRECT & 1 if pieces > 1 else 0
        shift = 0 if indirect else stride - 4
        try:
            self.queue = queue = virtqueue.Virtqueue(transport, index, slots << shift, arena)
        except ValueError as error:
            device.fail(transport, str(error))
        self.count = count = min(slots, queue.size >> shift)
        if count == 0:
            device.fail(transport, f"queue {index} has no room for {pieces} pieces")
        self.indirect = indirect
        self.shift = shift
        self.event = features >> device.EVENT_IDX & 1
        self.notify = transport.notify
        self.cells = bytearray(4 * (_STACK + 2 * count))
        self.counters = Counters(name, COUNTS, DROPS, self.cells)
        self.dones = [None] * count
        tables = arena.take(count << stride) if indirect else queue.descriptors
        self.begin(count, stride, tables, indirect)

    @micropython.viper
    def begin(self, count: int, stride: int, tables: int, indirect: int):
        cells = ptr32(self.cells)
        cells[_FREE] = count
        cells[_SLOTS] = count
        cells[_STRIDE] = stride
        cells[_TABLES] = tables
        cells[_INDIRECT] = indirect
        cells[_EVENT] = int(self.event)
        cells[_QUEUE + _SHIFT] = int(self.shift)
        cells[_STATES] = _STACK + count
        i = 0
        while i < count:
            cells[_STACK + i] = count - 1 - i
            i += 1

    def attach(self, transport):
        """An empty queue, known to the device."""
        queue = self.queue
        queue.clear(queue.available, queue.used)
        queue.fill(self.cells, _QUEUE, transport, self.shift, 0, self.count)
        if self.indirect:
            self.point()
        transport.set_queue(queue)

    @micropython.viper
    def point(self):
        """Each slot's descriptor of the ring points to the slot's table."""
        cells = ptr32(self.cells)
        slot = cells[_SLOTS]
        while slot:
            slot -= 1
            descriptor = ptr32(cells[_QUEUE + _DESCRIPTORS] + (slot << 4))
            descriptor[0] = cells[_TABLES] + (slot << cells[_STRIDE])
            descriptor[1] = 0
            descriptor[3] = _TABLE

    @micropython.viper
    def free(self) -> int:
        return ptr32(self.cells)[_FREE]

    @micropython.viper
    def take(self) -> int:
        cells = ptr32(self.cells)
        left = cells[_FREE] - 1
        if left < 0:
            return -1
        cells[_FREE] = left
        slot = cells[_STACK + left]
        cells[cells[_STATES] + slot] = _TAKEN
        return slot

    @micropython.viper
    def release(self, slot: int):
        cells = ptr32(self.cells)
        cells[cells[_STATES] + slot] = _IDLE
        cells[_STACK + cells[_FREE]] = slot
        cells[_FREE] += 1

    @micropython.viper
    def table(self, slot: int) -> int:
        """The address of the slot's descriptors."""
        cells = ptr32(self.cells)
        return cells[_TABLES] + (slot << cells[_STRIDE])

    @micropython.viper
    def piece(self, slot: int, i: int, address: int, length: int, flags: int):
        cells = ptr32(self.cells)
        state = cells[_STATES] + slot
        if i == 0:
            cells[state] = _TAKEN
        if flags:
            cells[state] += length << 2
        first = 0
        if cells[_INDIRECT] == 0:
            first = slot << cells[_QUEUE + _SHIFT]
        descriptor = ptr32(cells[_TABLES] + (slot << cells[_STRIDE]) + (i << 4))
        descriptor[0] = address
        descriptor[1] = 0
        descriptor[2] = length
        descriptor[3] = flags | _NEXT | (first + i + 1) << 16

    @micropython.viper
    def data(self, slot: int, i: int, buffer, flags: int):
        start = ptr8(buffer)
        self.piece(slot, i, int(start), len(buffer), flags)

    @micropython.viper
    def send(self, slot: int, count: int, done):
        self.dones[slot] = done
        self.post(slot, count)

    @micropython.viper
    def post(self, slot: int, count: int):
        cells = ptr32(self.cells)
        # The last piece ends the chain.
        last = ptr32(cells[_TABLES] + (slot << cells[_STRIDE]) + (count << 4) - 16)
        last[3] = last[3] & _WRITE
        shift = cells[_QUEUE + _SHIFT]
        if cells[_INDIRECT]:
            ptr32(cells[_QUEUE + _DESCRIPTORS] + (slot << 4))[2] = count << 4
        state = cells[_STATES] + slot
        cells[state] = cells[state] & -4 | _FLYING
        cells[_SENT] += 1
        at = cells[_QUEUE + _INDEX]
        ring = ptr16(cells[_QUEUE + _AVAILABLE])
        ring[2 + (at & cells[_QUEUE + _MASK])] = slot << shift
        at = (at + 1) & 0xFFFF
        cells[_QUEUE + _INDEX] = at
        ring[1] = at

    @micropython.viper
    def ring(self):
        index = ptr32(self.cells)[_QUEUE + _INDEX]
        cells = ptr32(self.cells)
        published = (index - cells[_QUEUE + _KICKED]) & 0xFFFF
        if published:
            used = ptr16(cells[_QUEUE + _USED])
            if cells[_EVENT]:
                # 2.7.10: the device asks for a doorbell when this index is passed.
                event = used[cells[_QUEUE + _AVAILABLE_EVENT]]
                wanted = ((index - event - 1) & 0xFFFF) < published
            else:
                wanted = used[0] & _NO_NOTIFY == 0
            cells[_QUEUE + _KICKED] = index
            # A no is believed only if the device could see what was published when it said so.
            if wanted or cells[_QUEUE + _FENCED] != index:
                cells[_DOORBELLS] += 1
                notify = cells[_QUEUE + _NOTIFY]
                number = cells[_QUEUE + _NUMBER]
                if notify:
                    ptr16(notify)[0] = number
                else:
                    self.notify(number)

    @micropython.viper
    def drain(self, budget: int) -> int:
        cells = ptr32(self.cells)
        used = ptr16(cells[_QUEUE + _USED])
        entries = ptr32(cells[_QUEUE + _USED])
        ring = ptr16(cells[_QUEUE + _AVAILABLE])
        mask = cells[_QUEUE + _MASK]
        shift = cells[_QUEUE + _SHIFT]
        dones = self.dones
        # The state is in cells before `done` is called: it may call us again.
        seen = cells[_QUEUE + _SEEN]
        while seen != used[1]:
            if budget == 0:
                # No interrupt until we have caught up (with EVENT_IDX the event stays behind).
                if cells[_EVENT] == 0:
                    ring[0] = _NO_INTERRUPT
                return 0
            budget -= 1
            entry = (seen & mask) << 1
            id = entries[entry + 1]
            length = entries[entry + 2]
            cells[_QUEUE + _SEEN] = (seen + 1) & 0xFFFF
            slot = id >> shift
            state = cells[_STATES] + slot
            if (
                id < 0
                or slot >= cells[_SLOTS]
                or slot << shift != id
                or cells[state] & 3 != _FLYING
            ):
                cells[_BAD_ID] += 1
            else:
                room = cells[state] >> 2
                cells[state] = _TAKEN
                if length < 0 or length > room:
                    length = room
                dones[slot](slot, length)
            seen = cells[_QUEUE + _SEEN]
        if cells[_EVENT]:
            ring[cells[_QUEUE + _USED_EVENT]] = seen
        else:
            ring[0] = 0
        return budget

    @micropython.viper
    def flying(self, slot: int) -> int:
        cells = ptr32(self.cells)
        return cells[cells[_STATES] + slot] & _FLYING

    def wait(self, slot, patience):
        self.ring()
        end = metal.uptime_ms() + patience
        while self.flying(slot):
            self.drain(self.count)
            if metal.uptime_ms() > end:
                return not self.flying(slot)
        return True

    def lost(self):
        # First all of them: `done` may send others, which are not lost.
        gone = [slot for slot in range(self.count) if self.flying(slot)]
        for slot in gone:
            self.land(slot)
        for slot in gone:
            self.dones[slot](slot, -1)

    @micropython.viper
    def land(self, slot: int):
        cells = ptr32(self.cells)
        cells[cells[_STATES] + slot] = _TAKEN


class Channel:
    """What the loop knows of a device: its line, and all of its queues.

    `changed()` is called when the device says that its configuration, or its status, changed.
    """

    def __init__(self, transport, line, changed, *queues):
        self.line = line
        self.cause = transport.cause
        self.changed = transport.changed = changed
        self.state = bytearray(4 * (_CELLS + len(queues)))
        self.drains = [queue.drain for queue in queues]
        self.rings = [queue.ring for queue in queues]
        if len(queues) == 1:
            self.flush = queues[0].ring
        for i, queue in enumerate(queues):
            self.keep(transport.isr, i, queue.cells)

    @micropython.viper
    def keep(self, isr: int, i: int, cells: ptr32):
        state = ptr32(self.state)
        state[_ISR] = isr
        state[_COUNT] = i + 1
        state[_CELLS + i] = int(cells)

    @micropython.viper
    def service(self, budget: int) -> int:
        """Up to `budget` answers of each queue; 1: there may be more."""
        state = ptr32(self.state)
        count = state[_COUNT]
        drains = self.drains
        while True:
            more = 0
            i = 0
            while i < count:
                if int(drains[i](budget)) == 0:
                    more = 1
                i += 1
            if more:
                return 1
            # All are armed.  Acknowledge: a true barrier.  Then look again.
            isr = state[_ISR]
            if isr:  # noqa: SIM108
                cause = ptr8(isr)[0]
            else:
                cause = int(self.cause())
            i = 0
            while i < count:
                cells = ptr32(state[_CELLS + i])
                cells[_QUEUE + _FENCED] = cells[_QUEUE + _INDEX]
                if cells[_QUEUE + _SEEN] != ptr16(cells[_QUEUE + _USED])[1]:
                    more = 1
                i += 1
            if cause & _CONFIG_INTERRUPT:
                self.changed()
            if more == 0:
                return 0

    @micropython.viper
    def flush(self):
        """Ring the doorbells that are owed."""
        rings = self.rings
        i = ptr32(self.state)[_COUNT]
        while i:
            i -= 1
            rings[i]()
