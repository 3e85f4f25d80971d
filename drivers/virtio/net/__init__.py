"""virtio-net: the network device of QEMU and most clouds.

VIRTIO 1.2, section 5.1.  Queue 0 receives, queue 1 transmits; every frame follows a device header
(5.1.6) of 12 bytes, or 10 on the legacy interface without mergeable buffers:

     0       1       2               4               6               8               10
     +-------+-------+---------------+---------------+---------------+---------------+----------
     | flags |  gso  | header length | segment size  |checksum start |checksum offset| buffers
     +-------+-------+---------------+---------------+---------------+---------------+----------

    receive.py    frames rise            transmit.py    frames fall, doorbells
    offload.py    checksums, segmentation, frames of 64 KB: in an image that has TCP
    urgent.py     what is handled while a callback computes: there, too
    control.py    which multicasts to hear, speaking up after a move: in an image for a cloud

The order of things that makes lost wake-ups impossible is in docs/drivers.md.

Law: every frame that is not delivered or sent is counted; nothing waits, nothing is raised.
Above: whoever fills `receive` (net/ethernet.py).  Below: virtqueue.py and a transport.
Left out: several queue pairs.
"""

import metal
import micropython
from micropython import const

from drivers.virtio import device, transport, virtqueue
from drivers.virtio.net.receive import Receive
from drivers.virtio.net.transmit import Transmit
from net.packet import SIZE, Pool
from runtime.counters import Counters
from runtime.parts import part

TYPE = const(1)
TRANSITIONAL = const(0x1000)
# What an image may have besides (tools/image/closure.py, COMPANIONS; tools/image/cloud.py).
PARTS = ("offload", "control")

# Features, 5.1.3.
GUEST_CHECKSUM = const(1)
MTU = const(3)
MAC = const(5)
LINK_STATUS = const(16)
WANTED = (
    1 << GUEST_CHECKSUM
    | 1 << MTU
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

REST_MS = const(1000)  # when packets are made that the start needed not
BUFFERS = const(64)  # per direction: what one turn of the loop handles
FEWEST = const(4)
_ETHERNET = const(14)  # its header
STANDARD_MTU = const(1500)
LEAST_MTU = const(68)  # 5.1.4.1; a device that says less says nothing
TURN_UP = const(2)  # of the locally administered bit of a MAC

# `cells`: one buffer for all that the hot paths need, so that they load one attribute.  First the
# counters, then the state of the device, then the two queues' windows (virtqueue.py).
COUNTS = ("received", "sent", "receive_doorbells", "transmit_doorbells", "turns", "waits")
DROPS = ("no_buffer", "link_down", "oversize", "foreign", "bad_length", "bad_id", "unclaimed")
_EVENT = const(16)  # EVENT_IDX was negotiated
_MORE = const(17)  # `service` stopped at its budget and will be called again
_ISR = const(18)  # address of the ISR register, 0: not in memory
_LINK = const(19)
_HEADER = const(20)  # length of the device header
_LIMIT = const(21)  # longest frame to send
_HALF = const(22)  # of the transmit packets
_MERGE = const(23)  # a frame may take several buffers
_OFFLOADS = const(24)  # as the attribute
_KEPT = const(25)  # buffers that urgent.py has kept
_URGENT = const(26)  # frames that were handled while a callback computed
_TAILS = const(27)  # packets with tails that the device has
_ANSWERS = const(28)  # three quarters of the transmit packets: answers take no more (receive.py)
_UNMADE = const(29)  # transmit buffers without a packet (transmit.py)
_RX = const(32)
_TX = const(48)
_KEEP = const(64)  # of the ring of what is kept
_CELLS = const(80)

# What is needed of virtqueue.py and net/packet.py: only constants of the same module cost nothing.
_INDEX = const(0)
_DESCRIPTORS = const(5)
_AVAILABLE = const(6)
_USED_EVENT = const(8)
_SHIFT = const(12)
_BUFFERS = const(13)
_COUNT = const(14)
_NEXT = const(1)
_WRITE = const(2)
_NO_INTERRUPT = const(1)
_FRAME = const(82)
_SIZE = const(2048)
_LOG2_SIZE = const(11)
_FLAGS = const(10)
_AWAY = const(0x4000)


def probe(machine, function, arena):
    """The driver for PCI `function` if it is a virtio network device, else None."""
    if not transport.is_virtio(function, TYPE, TRANSITIONAL):
        return None
    name = "eth" + str(len(machine.nics))
    kind = VirtioNet
    for name_of_part in PARTS:
        found = part(__name__ + "." + name_of_part)
        if found:
            kind = found.refine(kind)
    try:
        found = transport.find(function, machine.settings.get("virtio"))
        nic = kind(machine, name, found, arena, function.line)
    except (device.DeviceError, MemoryError, ValueError) as error:
        machine.log.error("%s: virtio-net at %s: %s", name, function.name, error)
        return None
    machine.nics.append(nic)
    return nic


class VirtioNet(Receive, Transmit, device.Driver):
    offloads = 0  # 1: transport checksums, 2 and 4: segments of TCP over IPv4 and IPv6
    gathers = False  # packets may have tails
    tails = 0  # log2 of the descriptors of a packet with a tail, if the device gathers it
    merge = 0  # a frame may take several buffers

    def __init__(self, machine, name, transport, arena, line):
        self.name = name
        self.log = machine.log
        self.loop = machine.loop
        self.transport = transport
        self.cause = transport.cause
        self.notify = transport.notify
        self.line = line
        self.cells = bytearray(4 * _CELLS)
        self.counters = Counters(name, COUNTS, DROPS, self.cells)
        machine.counters.add(self.counters)
        self.receive = self.unclaimed
        self.on_link = self.nobody
        self.arena = arena

        self.features = features = device.initialise(transport, self.choose)
        self.has_status = self.has(LINK_STATUS)
        if self.has(MAC):
            self.mac = bytes(transport.read_config(CONFIG_MAC, 6, 1))
        else:
            self.mac = bytes([TURN_UP] + [machine.random.bits(8) for _ in range(5)])
        self.mtu = STANDARD_MTU
        if self.has(MTU):
            mtu = transport.read_config(CONFIG_MTU, 1, 2)[0]
            if mtu >= LEAST_MTU:
                self.mtu = min(STANDARD_MTU, mtu)

        # A legacy device without ANY_LAYOUT wants the header in a descriptor of its own (5.1.6.1).
        split = 0 if features & (1 << device.VERSION_1 | 1 << device.ANY_LAYOUT) else 1
        receive, transmit = self.count_buffers(machine.settings, arena)
        shift = self.tails or split
        try:
            receiving = virtqueue.Virtqueue(transport, 0, receive << split, arena)
            sending = virtqueue.Virtqueue(transport, 1, transmit << shift, arena)
        except ValueError as error:
            device.fail(transport, str(error))
        self.queues = receiving, sending
        receive = min(receive, receiving.size >> split)
        transmit = min(transmit, sending.size >> shift)
        if receive < 2 or not transmit:
            device.fail(transport, f"queues of {receiving.size} and {sending.size} do not do")
        self.receive_pool = self.make_pool(arena, name + ".receive", receive)
        self.pool = self.make_pool(arena, name + ".transmit", transmit, self.gathers)
        self.pool.more()
        machine.timers.timer(self.make_all).start(REST_MS)
        self.windows = (_RX, receiving, split, self.receive_pool), (_TX, sending, shift, self.pool)
        self.receive_packets = self.receive_pool.packets
        self.transmit_packets = self.pool.packets
        self.free = self.pool.stack
        self.link = None  # not known: the first look says it in the log
        self.live()
        self.log.info(
            "%s: virtio-net, %s, mac %s, mtu %d, line %d, %d + %d buffers",
            name,
            transport.name,
            self.mac.hex(":"),
            self.mtu,
            line,
            receive,
            transmit,
        )

    def choose(self, offered):
        """The features to accept of those that are offered."""
        return offered & WANTED

    def has(self, feature):
        return self.features >> feature & 1

    def count_buffers(self, settings, arena):
        """(receive, transmit): as many as asked for, that fit half of what is left of the arena."""
        count = int(settings.get("buffers", BUFFERS))
        fits = (arena.free >> 1) // (2 * SIZE)
        if min(count, fits) < FEWEST:
            raise MemoryError(f"{arena.free} bytes of the DMA arena do not do")
        count = min(count, fits)
        return count, count

    def make_pool(self, arena, name, count, gathers=False):
        first = arena.take(count * SIZE, SIZE)
        memory = metal.memory(first, count * SIZE)
        return Pool(name, count, SIZE, memory, first, gathers, lent=True)

    def live(self):
        """The queues, and steps 7 and 8 of the initialisation."""
        transport = self.transport
        for window, queue, shift, pool in self.windows:
            queue.fill(self.cells, window, transport, shift, pool.address, pool.count)
        header = 12 if transport.version_1 or self.merge else 10
        event = int(self.has(device.EVENT_IDX))
        self.begin(header, self.mtu + _ETHERNET, event, transport.isr)
        for queue in self.queues:
            transport.set_queue(queue)
        device.ready(transport)
        transport.changed = self.changed
        self.changed()
        self.flush()

    @micropython.viper
    def begin(self, header: int, limit: int, event: int, isr):
        """Write the descriptors, post all receive buffers, ask for no transmit interrupts."""
        cells = ptr32(self.cells)
        cells[_HEADER] = header
        cells[_LIMIT] = limit
        cells[_EVENT] = event
        cells[_ISR] = int(isr)
        cells[_HALF] = (cells[_TX + _COUNT] + 1) >> 1
        cells[_UNMADE] = cells[_TX + _COUNT]
        cells[_ANSWERS] = cells[_TX + _COUNT] - (cells[_TX + _COUNT] >> 2)
        cells[_MERGE] = int(self.merge)
        cells[_OFFLOADS] = int(self.offloads)
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

    def changed(self):
        """The configuration of the device changed: the link went up or down, or the device died."""
        up = not self.has_status
        if self.fails():
            up = False
        elif self.has_status:
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

    def lost(self):
        for packet in self.transmit_packets[: self.pool.made]:
            if packet.buffer[_FLAGS + 1] << 8 & _AWAY:
                if packet.pieces:
                    packet.pieces[:] = (None, None, None)
                packet.release()
        for queue in self.queues:
            queue.clear(queue.available, queue.used)

    def stop(self, patience):
        """Go on up to `patience` ms until what was sent has left, then stop the device."""
        self.flush()
        end = metal.uptime_ms() + patience
        while not self.reclaim() and metal.uptime_ms() < end:
            # What is left may be waiting for a neighbour to tell its address.
            self.service(FEWEST)
            self.flush()
        device.reset(self.transport)

    def nobody(self, up):
        """Nobody asked to be told about the link."""
