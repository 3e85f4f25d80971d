"""Virtio over PCI, legacy interface: ports in base address 0.

VIRTIO 1.2, section 4.1.4.8.

     0               4               8               12
     +---------------+---------------+---------------+-------+-------+
     |device features|driver features| queue address | size  |select |
     +-------+---+---+---------------+---------------+-------+-------+
     |notify |sta|isr|  device configuration ...
     +-------+---+---+---
    16      18  19  20

Law: registers have the byte order of the guest; the used ring starts at the first 4096-byte
boundary after the available ring, and the whole queue is given as a page number (2.7.2).
Left out: MSI-X, which moves the device configuration.
"""

import metal
import micropython
from micropython import const

from drivers.virtio.device import agreed

DEVICE_FEATURES = const(0)
DRIVER_FEATURES = const(4)
QUEUE_ADDRESS = const(8)
QUEUE_SIZE = const(12)
QUEUE_SELECT = const(14)
QUEUE_NOTIFY = const(16)
STATUS = const(18)
ISR = const(19)
CONFIG = const(20)


class Legacy:
    name = "legacy"
    version_1 = False
    align = 4096
    isr = 0
    vectors = None  # not here: they would move the device configuration

    def __init__(self, base):
        self.base = base
        # For the two that stand in the way of every packet.
        self.in8 = metal.in8
        self.out16 = metal.out16
        self.isr_port = base + ISR
        self.notify_port = base + QUEUE_NOTIFY

    def status(self):
        return metal.in8(self.base + STATUS)

    def set_status(self, bits):
        metal.out8(self.base + STATUS, bits)

    def features(self):
        return metal.in32(self.base + DEVICE_FEATURES)

    def accept(self, features):
        metal.out32(self.base + DRIVER_FEATURES, features & 0xFFFFFFFF)

    def queue_size(self, index):
        metal.out16(self.base + QUEUE_SELECT, index)
        return metal.in16(self.base + QUEUE_SIZE)

    def set_queue(self, queue):
        metal.out16(self.base + QUEUE_SELECT, queue.index)
        metal.out32(self.base + QUEUE_ADDRESS, queue.descriptors >> 12)

    def smaller_queue(self, size, wanted):
        """The size of a legacy queue is the device's."""
        return size

    def write_config(self, offset, value):
        metal.out32(self.base + CONFIG + offset, value)

    def read_config(self, offset, count, width):
        load = metal.in8 if width == 1 else metal.in16 if width == 2 else metal.in32
        return agreed(load, self.base + CONFIG + offset, count, width)

    @micropython.viper
    def cause(self) -> int:
        return int(self.in8(self.isr_port))

    def notify_at(self, index):
        return 0

    @micropython.viper
    def notify(self, index):
        self.out16(self.notify_port, index)
