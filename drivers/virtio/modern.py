"""Virtio over PCI, modern interface: structures in memory that capabilities point to.

VIRTIO 1.2, section 4.1.4.  Five vendor capabilities say in which base address and at which offset
each structure lies:

     0       1       2       3       4       5               8
     +-------+-------+-------+-------+-------+---------------+
     |  id   | next  |length | type  |  bar  | id    padding |
     +-------+-------+-------+-------+-------+---------------+
     |            offset             |          length       |
     +-------------------------------+-----------------------+
     |  notify_off_multiplier (type 2)
     +-------------------------------

The common configuration, 4.1.4.3:

     0               4               8               12
     +---------------+---------------+---------------+---------------+
     |feature select |device features|feature select |driver features|
     +-------+-------+---+---+-------+-------+-------+-------+-------+
     |config |queues |sta|gen|select | size  |vector |enable |notify |
     |vector |       |tus|   |       |       |       |       |offset |
     +-------+-------+---+---+-------+-------+-------+-------+-------+
     |          descriptors          |       available ring  ...
    32                              40              48: used ring

Ringing a doorbell and reading the ISR are one store and one load here, no call: this is the
interface to prefer (docs/drivers.md has the numbers).
Left out: structures in I/O space, addresses above 4 GiB (paging is off).
"""

from micropython import const

from drivers.virtio.device import DeviceError
from runtime.mmio import load8, load16, load32, store8, store16, store32

VENDOR_CAPABILITY = const(0x09)
COMMON = const(1)
NOTIFY = const(2)
ISR = const(3)
DEVICE = const(4)

QUEUES_VECTOR = const(0)  # entries of msix.py
CHANGE_VECTOR = const(1)

DEVICE_SELECT = const(0)
DEVICE_FEATURES = const(4)
DRIVER_SELECT = const(8)
DRIVER_FEATURES = const(12)
CONFIG_VECTOR = const(16)
STATUS = const(20)
GENERATION = const(21)
QUEUE_SELECT = const(22)
QUEUE_SIZE = const(24)
QUEUE_VECTOR = const(26)
QUEUE_ENABLE = const(28)
QUEUE_NOTIFY_OFFSET = const(30)
QUEUE_DESCRIPTORS = const(32)
QUEUE_AVAILABLE = const(40)
QUEUE_USED = const(48)


def structures(function):
    """The address of each structure by its type, and the multiplier of the notify structure."""
    found = {}
    multiplier = 0
    for id, offset in function.capabilities():
        if id != VENDOR_CAPABILITY:
            continue
        type = function.read8(offset + 3)
        # 4.1.4.1: there may be several of a type, in the order of the device's preference.
        if not COMMON <= type <= DEVICE or type in found:
            continue
        bar = function.bar(function.read8(offset + 4))
        if bar.io or bar.address == 0 or bar.address >> 32:
            continue
        found[type] = bar.address + function.read32(offset + 8)
        if type == NOTIFY:
            multiplier = function.read32(offset + 16)
    return found, multiplier


class Modern:
    name = "modern"
    version_1 = True
    align = 4

    def __init__(self, found, multiplier):
        self.common = found[COMMON]
        self.doorbells = found[NOTIFY]
        self.multiplier = multiplier
        self.isr = found[ISR]
        self.config = found.get(DEVICE, 0)  # devices without configuration may lack it
        self.vectors = False

    def messages(self, isr):
        """Interrupts are messages (msix.py); `isr` is to be read in place of the ISR register."""
        self.isr = isr
        self.vectors = True

    def changed(self):
        """A message says that the configuration changed: a driver puts its own in this slot."""

    def status(self):
        return load8(self.common + STATUS)

    def set_status(self, bits):
        store8(self.common + STATUS, bits)

    def features(self):
        store32(self.common + DEVICE_SELECT, 0)
        low = load32(self.common + DEVICE_FEATURES)
        store32(self.common + DEVICE_SELECT, 1)
        return low | load32(self.common + DEVICE_FEATURES) << 32

    def accept(self, features):
        store32(self.common + DRIVER_SELECT, 0)
        store32(self.common + DRIVER_FEATURES, features & 0xFFFFFFFF)
        store32(self.common + DRIVER_SELECT, 1)
        store32(self.common + DRIVER_FEATURES, features >> 32)
        self.attach(CONFIG_VECTOR, CHANGE_VECTOR)

    def attach(self, register, vector):
        """4.1.5.1.2: a device that has no room for a vector says so."""
        if not self.vectors:
            return
        store16(self.common + register, vector)
        if load16(self.common + register) != vector:
            raise DeviceError("it has no room for an interrupt vector")

    def queue_size(self, index):
        store16(self.common + QUEUE_SELECT, index)
        return load16(self.common + QUEUE_SIZE)

    def smaller_queue(self, size, wanted):
        """4.1.5.1.3: a driver may make a queue smaller to save memory; sizes are powers of two."""
        while size >> 1 >= wanted:
            size >>= 1
        return size

    def set_queue(self, queue):
        common = self.common
        store16(common + QUEUE_SELECT, queue.index)
        store16(common + QUEUE_SIZE, queue.size)
        for offset, address in (
            (QUEUE_DESCRIPTORS, queue.descriptors),
            (QUEUE_AVAILABLE, queue.available),
            (QUEUE_USED, queue.used),
        ):
            store32(common + offset, address)
            store32(common + offset + 4, 0)
        self.attach(QUEUE_VECTOR, QUEUES_VECTOR)
        store16(common + QUEUE_ENABLE, 1)

    def write_config(self, offset, value):
        store32(self.config + offset, value)

    def read_config(self, offset, count, width):
        # 4.1.3.1: a field is loaded at its own width.  4.1.4.3.1: the generation tells whether the
        # configuration changed between two loads.
        load = load8 if width == 1 else load16 if width == 2 else load32
        base = self.config + offset
        while True:
            generation = load8(self.common + GENERATION)
            values = [load(base + i * width) for i in range(count)]
            if load8(self.common + GENERATION) == generation:
                return values

    def cause(self):
        return load8(self.isr)

    def notify_at(self, index):
        # 4.1.4.4
        store16(self.common + QUEUE_SELECT, index)
        offset = load16(self.common + QUEUE_NOTIFY_OFFSET)
        return self.doorbells + offset * self.multiplier

    def notify(self, index):
        store16(self.notify_at(index), index)
