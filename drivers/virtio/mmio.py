"""Virtio without PCI: devices in slots of memory, as small machines have them (QEMU's microvm).

VIRTIO 1.2, sections 4.2.2 (registers), 4.2.4 (legacy: version 1).  Registers are words; those of
the device's configuration have the width of their field.

     0               4               8               12
 000 +---------------+---------------+---------------+---------------+
     |"virt"         |version        |device type    |vendor         |
 010 |device features|feature select |               |               |
 020 |driver features|feature select |page size (1)  |               |
 030 |queue select   |largest size   |size           |align (1)      |
 040 |page number (1)|queue ready (2)|               |               |
 050 |notify         |               |               |               |
 060 |interrupt      |acknowledge    |               |               |
 070 |status         |               |               |               |
 080 |descriptors (2)                |               |               |
 090 |available (2)                  |               |               |
 0a0 |used (2)                       |               |               |
 100 |device configuration ...

Nobody lists the slots but the kernel command line, `virtio_mmio.device=512@0xfeb00000:5` (size,
address, interrupt); where it is silent and there is no PCI, the places of microvm are probed.

An interrupt arrives through the I/O APIC (Intel 82093AA), as an edge with a line of its own: it
needs no masking.  That is enough as a driver acknowledges all it was told, and looks again.
Left out: more than 32 bits of address, shared memory regions, ACPI tables.
"""

import metal
import micropython
from micropython import const

from drivers.virtio.device import DeviceError, agreed
from runtime.mmio import load8, load16, load32, store32
from runtime.platform import ged

MAGIC = const(0x74726976)
VERSION = const(0x04)
DEVICE_TYPE = const(0x08)
DEVICE_FEATURES = const(0x10)
DEVICE_SELECT = const(0x14)
DRIVER_FEATURES = const(0x20)
DRIVER_SELECT = const(0x24)
PAGE_SIZE = const(0x28)
QUEUE_SELECT = const(0x30)
QUEUE_SIZE_MAX = const(0x34)
QUEUE_SIZE = const(0x38)
QUEUE_ALIGN = const(0x3C)
QUEUE_PAGE = const(0x40)
QUEUE_READY = const(0x44)
NOTIFY = const(0x50)
INTERRUPT = const(0x60)
ACKNOWLEDGE = const(0x64)
STATUS = const(0x70)
QUEUE_DESCRIPTORS = const(0x80)
QUEUE_AVAILABLE = const(0x90)
QUEUE_USED = const(0xA0)
CONFIG = const(0x100)

WORD = "virtio_mmio.device="
SLOTS = const(24)  # microvm's
FIRST = 0xFEB00000
APART = const(0x200)
IO_APIC = 0xFEC00000  # the second: 64 KB above
PINS = const(24)
LOCAL_APIC_ID = 0xFEE00020
VECTORS = const(32)  # of line 0; port/cpu/descriptors.c
SERIAL_PIN = const(4)
SERIAL_VECTOR = const(64)
PIC_MASKS = const(0x21)


def slots(machine, functions):
    """The slots with a device that the command line names; or, without PCI, that are found."""
    found = []
    for word in metal.command_line.split():
        if word.startswith(WORD):
            try:
                address, pin = word.split("@")[1].split(":")[:2]
                found.append(Slot(int(address, 0), (int(pin),)))
            except (IndexError, ValueError):
                machine.log.warning("%s: expected SIZE@ADDRESS:INTERRUPT", word)
    if not found and not functions:
        # Where the interrupts arrive depends on ACPI and the number of I/O APICs: one of these.
        found = [Slot(FIRST + APART * i, (24 + i, 16 + i, 5 + i)) for i in range(SLOTS)]
    return [slot for slot in found if slot.device > Slot.EMPTY]


def switches(machine, functions):
    """The power button of a machine without PCI `functions`; also the serial line comes this way
    if there is no 8259, whose mask would have it open.
    """
    if functions:
        return []
    if metal.in8(PIC_MASKS) == 0xFF:
        route(SERIAL_PIN, SERIAL_VECTOR)
    line = metal.new_line()
    return [ged.Button(line, machine)] if route(ged.PIN, VECTORS + line) else []


def route(pin, vector):
    """Have interrupt `pin` arrive at `vector`, as an edge; False: there is no such pin."""
    window = IO_APIC + (pin // PINS << 16)
    store32(window, 1)
    if load32(window + 16) >> 16 & 0xFF != PINS - 1:
        return False
    select = 16 + 2 * (pin % PINS)
    store32(window, select + 1)
    store32(window + 16, load32(LOCAL_APIC_ID) & 0xFF000000)
    store32(window, select)
    store32(window + 16, vector)
    return True


class Slot:
    """In place of a PCI function: what a driver needs to know of its device."""

    EMPTY = const(0x1040)
    vendor = const(0x1AF4)
    class_code = 0

    def __init__(self, address, pins):
        self.address = address
        self.pins = pins
        self.name = f"{address:08x}"
        self.device = 0
        self.routed = 0
        if load32(address) == MAGIC:
            self.device = Slot.EMPTY + load32(address + DEVICE_TYPE)

    @property
    def line(self):
        """The line that its interrupts count on."""
        if not self.routed:
            line = metal.new_line()
            if not line:
                raise DeviceError("no interrupt line is left")
            if not sum([route(pin, VECTORS + line) for pin in self.pins]):
                raise DeviceError(f"there is no I/O APIC for interrupt {self.pins[0]}")
            self.routed = line
        return self.routed

    def enable(self):
        """It is."""

    def interface(self, wanted):
        version = load32(self.address + VERSION)
        if version == 2 and wanted != "legacy":
            return Mmio(self.address)
        if version == 1 and wanted != "modern":
            return MmioLegacy(self.address)
        raise DeviceError(f"no {wanted or 'usable'} interface but version {version}")


class Mmio:
    name = "mmio"
    version_1 = True
    align = 4
    isr = 0

    def __init__(self, base):
        self.base = base

    def status(self):
        return load32(self.base + STATUS)

    def set_status(self, bits):
        store32(self.base + STATUS, bits)

    def features(self):
        store32(self.base + DEVICE_SELECT, 0)
        low = load32(self.base + DEVICE_FEATURES)
        store32(self.base + DEVICE_SELECT, 1)
        return low | load32(self.base + DEVICE_FEATURES) << 32

    def accept(self, features):
        for i in range(2):
            store32(self.base + DRIVER_SELECT, i)
            store32(self.base + DRIVER_FEATURES, features >> 32 * i & 0xFFFFFFFF)

    def queue_size(self, index):
        store32(self.base + QUEUE_SELECT, index)
        return load32(self.base + QUEUE_SIZE_MAX)

    def smaller_queue(self, size, wanted):
        """4.2.3.2: the driver says how large a queue is; sizes are powers of two."""
        while size >> 1 >= wanted:
            size >>= 1
        return size

    def set_queue(self, queue):
        base = self.base
        store32(base + QUEUE_SELECT, queue.index)
        store32(base + QUEUE_SIZE, queue.size)
        for offset, address in (
            (QUEUE_DESCRIPTORS, queue.descriptors),
            (QUEUE_AVAILABLE, queue.available),
            (QUEUE_USED, queue.used),
        ):
            store32(base + offset, address)
            store32(base + offset + 4, 0)
        store32(base + QUEUE_READY, 1)

    def write_config(self, offset, value):
        store32(self.base + CONFIG + offset, value)

    def read_config(self, offset, count, width):
        # No generation is needed for this, so it serves both versions.
        load = load8 if width == 1 else load16 if width == 2 else load32
        return agreed(load, self.base + CONFIG + offset, count, width)

    @micropython.viper
    def cause(self) -> int:
        base = int(self.base)
        registers = ptr32(base)
        cause = registers[24]  # INTERRUPT
        if cause:
            registers[25] = cause  # ACKNOWLEDGE
        return cause

    def notify_at(self, index):
        return 0  # a doorbell takes a word, the hot paths of drivers store 16 bits

    @micropython.viper
    def notify(self, index: int):
        base = int(self.base)
        ptr32(base)[20] = index


class MmioLegacy(Mmio):
    """Version 1: the layout of a queue is the old one, and given as a page number."""

    name = "mmio, legacy"
    version_1 = False
    align = 4096

    def set_queue(self, queue):
        base = self.base
        store32(base + PAGE_SIZE, 4096)
        store32(base + QUEUE_SELECT, queue.index)
        store32(base + QUEUE_SIZE, queue.size)
        store32(base + QUEUE_ALIGN, 4096)
        store32(base + QUEUE_PAGE, queue.descriptors >> 12)
