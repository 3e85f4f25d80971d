"""virtio-rng: random bytes of the host for the generator of the machine.

VIRTIO 1.2, section 5.4.  One queue; each buffer comes back with as many random bytes as the host
had, at least one.

The first seed is waited for, as services start with the numbers; a host that is slow delivers it
later, by interrupt.
Law: one request is under way at most; a length from the device is not believed.
Above: runtime/csprng.py.  Below: virtqueue.py and a transport.
"""

import metal
import micropython
from micropython import const

from drivers.virtio import device, transport, virtqueue

TYPE = const(4)
TRANSITIONAL = const(0x1005)
BYTES = const(64)
PATIENCE_MS = const(20)
_CELLS = const(16)  # one window, virtqueue.py
_INDEX = const(0)
_SEEN = const(1)
_DESCRIPTORS = const(5)
_AVAILABLE = const(6)
_USED = const(7)
_MASK = const(4)
_WRITE = const(2)


def probe(machine, function, arena):
    """The driver for PCI `function` if it is a virtio entropy device, else None."""
    if not transport.is_virtio(function, TYPE, TRANSITIONAL):
        return None
    try:
        found = transport.find(function, machine.settings.get("virtio"))
        rng = VirtioRng(machine, found, arena, function.line)
    except (device.DeviceError, MemoryError, ValueError) as error:
        machine.log.error("virtio-rng at %s: %s", function.name, error)
        return None
    rng.wait(PATIENCE_MS)
    return rng


class VirtioRng(device.Driver):
    name = "virtio-rng"
    rare = True

    def __init__(self, machine, transport, arena, line):
        self.log = machine.log
        self.loop = machine.loop
        self.entropy = machine.entropy
        self.transport = transport
        self.line = line
        transport.changed = self.fails
        self.features = device.initialise(transport, self.choose)
        self.queue = virtqueue.Virtqueue(transport, 0, 1, arena)
        self.cells = bytearray(4 * _CELLS)
        self.buffer = arena.take(BYTES)
        self.live()
        self.entropy.sources.append(self.request)

    def choose(self, offered):
        return offered & 1 << device.VERSION_1

    def live(self):
        queue = self.queue
        queue.clear(queue.available, queue.used)
        queue.fill(self.cells, 0, self.transport, 0, self.buffer, 1)
        self.transport.set_queue(queue)
        device.ready(self.transport)
        self.waiting = False
        self.request()

    def gone(self):
        self.waiting = True  # for ever

    def request(self):
        """Ask for a seed, if none has been asked for."""
        if not self.waiting:
            self.waiting = True
            self.post(self.buffer)
            self.transport.notify(0)

    def wait(self, patience):
        end = metal.uptime_ms() + patience
        while self.waiting and metal.uptime_ms() < end:
            self.service(1)

    def service(self, budget):
        if self.transport.cause() & device.CONFIG_INTERRUPT:
            self.fails()
        length = self.take()
        if length >= 0:
            self.waiting = False
            length = min(length, BYTES)
            self.entropy.seed(bytes(metal.memory(self.buffer, length)), "virtio-rng")
            metal.memory(self.buffer, BYTES)[:] = bytes(BYTES)
            if not self.entropy.seeded:
                self.request()
        return False

    @micropython.viper
    def post(self, buffer: int):
        cells = ptr32(self.cells)
        descriptor = ptr32(cells[_DESCRIPTORS])
        descriptor[0] = buffer
        descriptor[1] = 0
        descriptor[2] = BYTES
        descriptor[3] = _WRITE
        ring = ptr16(cells[_AVAILABLE])
        index = (cells[_INDEX] + 1) & 0xFFFF
        mask = cells[_MASK]
        ring[2 + ((index - 1) & mask)] = 0
        cells[_INDEX] = index
        ring[1] = index

    @micropython.viper
    def take(self) -> int:
        """How many bytes have come; -1: nothing yet."""
        cells = ptr32(self.cells)
        seen = cells[_SEEN]
        if seen == ptr16(cells[_USED])[1]:
            return -1
        cells[_SEEN] = (seen + 1) & 0xFFFF
        length = ptr32(cells[_USED])[((seen & cells[_MASK]) << 1) + 2]
        if length < 0 or length > BYTES:
            length = 0
        return length
