"""virtio-net: the network device of QEMU and most clouds.

VIRTIO 1.2, section 5.1.  Queue 0 receives, queue 1 transmits; every frame follows a device header
of 12 bytes (10 on the legacy interface, 5.1.6.1), all zero here as no offload is negotiated.

Receive: all buffers are posted at the start; a received one is lent to the delegate for the length
of the call and posted again at once.  Transmit: a packet belongs to the device until it stands in
the used ring, and stays there until `allocate` needs it: the used ring is the free list, so no
interrupt ever says that something was sent.

The order of things that makes lost wake-ups impossible is in docs/drivers.md.  In short: a
suppression flag of the device is believed only when an access to a device register stands between
the publication and the look at the flag (`FENCED`); and `service` ends, in this order, with
re-arming the interrupt, reading the ISR register, and a last look at the ring.

Law: every frame that is not delivered or sent is counted; nothing waits, nothing is raised.
Above: whoever fills `receive` (net/ethernet.py).  Below: virtqueue.py and a transport.
Left out: offloads, mergeable buffers, several queue pairs, the control queue, MSI-X; a device that
asks for a reset is reported and left alone.
"""

import metal
import micropython
from micropython import const

from drivers.virtio import device, transport, virtqueue
from net.packet import SIZE, Pool
from runtime.counters import Counters

TYPE = const(1)
TRANSITIONAL = const(0x1000)

# Features, 5.1.3.
MTU = const(3)
MAC = const(5)
LINK_STATUS = const(16)
WANTED = (
    1 << MTU
    | 1 << MAC
    | 1 << LINK_STATUS
    | 1 << device.ANY_LAYOUT
    | 1 << device.EVENT_IDX
    | 1 << device.VERSION_1
)
# Device configuration, 5.1.4.
CONFIG_MAC = const(0)
CONFIG_STATUS = const(6)
CONFIG_MTU = const(10)
LINK_UP = const(1)

BUFFERS = const(64)  # per direction: what one turn of the loop handles
FEWEST = const(4)
_ETHERNET = const(14)  # its header
STANDARD_MTU = const(1500)
TURN_UP = const(2)  # of the locally administered bit of a MAC

# `cells`: one buffer for all that the hot paths need, so that they load one attribute.  First the
# counters, then the state of the device, then the two queues' windows (virtqueue.py).
COUNTS = ("received", "sent", "receive_doorbells", "transmit_doorbells", "turns", "waits")
DROPS = ("no_buffer", "link_down", "oversize", "foreign", "bad_length", "bad_id", "unclaimed")
_RECEIVED = const(0)
_SENT = const(1)
_DOORBELLS = const(2)
_TURNS = const(4)  # calls of `service`
_WAITS = const(5)  # times that it waited for packets to answer with
_NO_BUFFER = const(6)
_LINK_DOWN = const(7)
_OVERSIZE = const(8)
_FOREIGN = const(9)
_BAD_LENGTH = const(10)
_BAD_ID = const(11)
_UNCLAIMED = const(12)
_EVENT = const(16)  # EVENT_IDX was negotiated
_MORE = const(17)  # `service` stopped at its budget and will be called again
_ISR = const(18)  # address of the ISR register, 0: not in memory
_LINK = const(19)
_HEADER = const(20)  # length of the device header
_LIMIT = const(21)  # longest frame to send
_HALF = const(22)  # of the transmit packets
_RX = const(32)
_TX = const(48)
_CELLS = const(64)

# What is needed of virtqueue.py and net/packet.py: only constants of the same module cost nothing.
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
_BUFFERS = const(13)
_COUNT = const(14)
_NEXT = const(1)
_WRITE = const(2)
_NO_INTERRUPT = const(1)
_NO_NOTIFY = const(1)
_CONFIG_INTERRUPT = const(2)
_LINK_AT = const(0)  # in a packet's head, in 16-bit units
_PAYLOAD_AT = const(3)
_END_AT = const(4)
_FLAGS_AT = const(5)
_FRAME = const(82)
_BODY = const(208)
_SIZE = const(2048)
_LOG2_SIZE = const(11)


def probe(machine, function, arena):
    """The driver for PCI `function` if it is a virtio network device, else None."""
    if not transport.is_virtio(function, TYPE, TRANSITIONAL):
        return None
    name = f"eth{len(machine.nics)}"
    try:
        found = transport.find(function, machine.settings.get("virtio"))
        nic = VirtioNet(machine, name, found, arena, function.line)
    except (device.DeviceError, MemoryError) as error:
        machine.log.error("%s: virtio-net at %s: %s", name, function.name, error)
        return None
    machine.nics.append(nic)
    return nic


class VirtioNet:
    def __init__(self, machine, name, transport, arena, line):
        self.name = name
        self.log = machine.log
        self.transport = transport
        self.cause = transport.cause
        self.notify = transport.notify
        self.line = line
        self.cells = bytearray(4 * _CELLS)
        self.counters = Counters(name, COUNTS, DROPS, self.cells)
        machine.counters.add(self.counters)
        self.receive = self.unclaimed
        self.on_link = self.nobody

        features = device.initialise(transport, WANTED)
        has = [bit for bit in (MTU, MAC, LINK_STATUS, device.EVENT_IDX) if features >> bit & 1]
        self.has_status = LINK_STATUS in has
        if MAC in has:
            self.mac = bytes(transport.read_config(CONFIG_MAC, 6, 1))
        else:
            self.mac = bytes([TURN_UP] + [machine.random.bits(8) for _ in range(5)])
        self.mtu = STANDARD_MTU
        if MTU in has:
            self.mtu = min(STANDARD_MTU, transport.read_config(CONFIG_MTU, 1, 2)[0])

        # A legacy device without ANY_LAYOUT wants the header in a descriptor of its own (5.1.6.1).
        shift = 0 if features & (1 << device.VERSION_1 | 1 << device.ANY_LAYOUT) else 1
        count = self.count_buffers(machine.settings, arena)
        try:
            receive = virtqueue.Virtqueue(transport, 0, count << shift, arena)
            transmit = virtqueue.Virtqueue(transport, 1, count << shift, arena)
        except ValueError as error:
            device.fail(transport, str(error))
        count = min(count, receive.size >> shift, transmit.size >> shift)
        self.receive_pool, first = self.make_pool(arena, name + ".receive", count)
        receive.fill(self.cells, _RX, transport, shift, first, count)
        self.transmit_pool, first = self.make_pool(arena, name + ".transmit", count)
        transmit.fill(self.cells, _TX, transport, shift, first, count)
        self.receive_packets = self.receive_pool.packets
        self.transmit_packets = self.transmit_pool.packets
        self.free = self.transmit_pool.stack
        header = 12 if transport.version_1 else 10
        isr = transport.isr
        self.begin(header, self.mtu + _ETHERNET, int(device.EVENT_IDX in has), isr)
        transport.set_queue(receive)
        transport.set_queue(transmit)
        device.ready(transport)
        self.link = False
        self.changed()
        self.flush()
        self.log.info(
            "%s: virtio-net, %s, mac %s, mtu %d, line %d, %d + %d buffers",
            name,
            transport.name,
            ":".join([f"{byte:02x}" for byte in self.mac]),
            self.mtu,
            line,
            count,
            count,
        )

    def count_buffers(self, settings, arena):
        """As many as asked for, and no more than fit half of what is left of the arena."""
        count = int(settings.get("buffers", BUFFERS))
        fits = (arena.free >> 1) // (2 * SIZE)
        if min(count, fits) < FEWEST:
            raise MemoryError(f"{arena.free} bytes of the DMA arena do not do")
        return min(count, fits)

    def make_pool(self, arena, name, count):
        first = arena.take(count * SIZE, SIZE)
        return Pool(name, count, SIZE, metal.memory(first, count * SIZE), first), first

    @micropython.viper
    def begin(self, header: int, limit: int, event: int, isr):
        """Write the descriptors, post all receive buffers, ask for no transmit interrupts."""
        cells = ptr32(self.cells)
        cells[_HEADER] = header
        cells[_LIMIT] = limit
        cells[_EVENT] = event
        cells[_ISR] = int(isr)
        cells[_HALF] = (cells[_TX + _COUNT] + 1) >> 1
        queue = _RX
        while queue <= _TX:
            shift = cells[queue + _SHIFT]
            count = cells[queue + _COUNT]
            flags = 0
            if queue == _RX:
                flags = _WRITE
            i = 0
            while i < count:
                descriptor = ptr32(cells[queue + _DESCRIPTORS] + (i << (4 + shift)))
                buffer = cells[queue + _BUFFERS] + (i << _LOG2_SIZE)
                descriptor[0] = buffer + _FRAME - header
                descriptor[1] = 0
                descriptor[2] = _SIZE - _FRAME + header
                descriptor[3] = flags
                if shift:
                    # The header alone, then the frame: flags NEXT, next 2i + 1.
                    descriptor[2] = header
                    descriptor[3] = flags | _NEXT | (((i << 1) + 1) << 16)
                    descriptor[4] = buffer + _FRAME
                    descriptor[5] = 0
                    descriptor[6] = _SIZE - _FRAME
                    descriptor[7] = flags
                i += 1
            queue += _TX - _RX
        count = cells[_RX + _COUNT]
        shift = cells[_RX + _SHIFT]
        ring = ptr16(cells[_RX + _AVAILABLE])
        i = 0
        while i < count:
            ring[2 + i] = i << shift
            i += 1
        ring[1] = count
        cells[_RX + _INDEX] = count
        ring = ptr16(cells[_TX + _AVAILABLE])
        if event:
            # 2.7.7: the interrupt comes when the used index passes this, so once in 2^16 frames.
            ring[cells[_TX + _USED_EVENT]] = 0x7FFF
        else:
            ring[0] = _NO_INTERRUPT

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
            while seen != used[1]:
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
                    head = ptr16(cells[_RX + _BUFFERS] + (index << _LOG2_SIZE))
                    head[_LINK_AT] = _FRAME
                    head[_END_AT] = _FRAME + length
                    head[_FLAGS_AT] = 0
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
                if cells[_TX + _SEEN] == ptr16(cells[_TX + _USED])[1]:
                    return 0
            elif seen == used[1]:
                return 0

    @micropython.viper
    def starved(self, flying: int) -> int:
        """1: there is no packet to answer with.  The device interrupts when half have been sent.

        Frames that cannot be answered are better left with the device, and with the queues in front
        of it, than dropped here.
        """
        cells = ptr32(self.cells)
        if int(self.free[0]) != 0 or cells[_TX + _SEEN] != ptr16(cells[_TX + _USED])[1]:
            return 0
        ring = ptr16(cells[_TX + _AVAILABLE])
        if cells[_EVENT]:
            ring[cells[_TX + _USED_EVENT]] = cells[_TX + _SEEN] + (flying >> 1)
        else:
            ring[0] = 0
        cells[_WAITS] += 1
        return 1

    @micropython.viper
    def flush(self):
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
            if left == 0:
                cells[_NO_BUFFER] += 1
                return None
            packet = free[left]
            free[0] = left - 1
            index = int(packet.index)
        head = ptr16(cells[_TX + _BUFFERS] + (index << _LOG2_SIZE))
        head[_PAYLOAD_AT] = _BODY
        head[_END_AT] = _BODY
        head[_FLAGS_AT] = 0
        return packet

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

    def changed(self):
        """The configuration of the device changed: the link went up or down, or the device died."""
        if self.transport.status() & device.NEEDS_RESET:
            self.log.error("%s: the device failed and asks for a reset", self.name)
            up = False
        else:
            up = not self.has_status
            if self.has_status:
                up = self.transport.read_config(CONFIG_STATUS, 1, 2)[0] & LINK_UP == LINK_UP
        if up != self.link:
            self.link = up
            self.set_link(up)
            self.log.info("%s: link is %s", self.name, "up" if up else "down")
            self.on_link(up)

    @micropython.viper
    def set_link(self, up: int):
        cells = ptr32(self.cells)
        cells[_LINK] = up

    def reclaim(self):
        """Give every packet that has been sent back to its pool; True: none is with the device."""
        while self.free[0] < self.transmit_pool.count:
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

    def stop(self, patience):
        """Go on up to `patience` ms until what was sent has left, then stop the device."""
        self.flush()
        end = metal.uptime_ms() + patience
        while not self.reclaim() and metal.uptime_ms() < end:
            # What is left may be waiting for a neighbour to tell its address.
            self.service(FEWEST)
            self.flush()
        device.reset(self.transport)

    @micropython.viper
    def unclaimed(self, packet):
        cells = ptr32(self.cells)
        cells[_UNCLAIMED] += 1

    def nobody(self, up):
        """Nobody asked to be told about the link."""
