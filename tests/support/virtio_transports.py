"""Ways of a model device to be reached and to interrupt, to mix in front of it.

    class Device(Messages, NetDevice)       MSI-X: a table in base address 1, vectors per queue
    class Device(Mmio, NetDevice)           a slot of memory, `version` 1 or 2, behind an I/O APIC

Written from VIRTIO 1.2, sections 4.1.4.3, 4.1.5.1.2 and 4.2.2, PCI 3.0, section 6.8.2, and the data
sheet of the 82093AA.
"""

import struct

NO_VECTOR = 0xFFFF
MESSAGES = 0xFEE00000
LINES = 32  # vector of line 0
MSIX = 0x11
MAGIC, QEMU = 0x74726976, 0x554D4551


class Table:
    """Registers: an entry is address (8 bytes), data, mask."""

    def __init__(self, entries):
        self.bytes = bytearray(struct.pack("<QII", 0, 0, 1) * entries)

    def load(self, offset, size):
        assert size == 4
        return int.from_bytes(self.bytes[offset : offset + 4], "little")

    def store(self, offset, size, value):
        assert size == 4
        self.bytes[offset : offset + 4] = value.to_bytes(4, "little")

    def entry(self, number):
        return struct.unpack("<QII", self.bytes[16 * number : 16 * number + 16])


class Messages:
    """`entries` of the table; `room`: what the device accepts as vectors."""

    def __init__(self, machine, entries=3, room=NO_VECTOR, table_at=None, **options):
        self.table = Table(entries)
        self.room = room
        self.table_at = table_at
        self.messages = []
        super().__init__(machine, **options)

    def function(self, bus, slot):
        it = super().function(bus, slot)
        base = self.table_at or 0xFEA00000 + 0x10000 * (slot + 32 * bus)
        it.bar(1, base, 0x1000, wide=bool(self.table_at))
        entries = len(self.table.bytes) // 16
        self.control = it.next_capability + 2
        it.capability(struct.pack("<BBHII", MSIX, 0, entries - 1, 0x001, 0x801))
        self.machine.add_registers(base, self.table, 0x1000)
        self.pci = it
        return it

    @property
    def enabled(self):
        return bool(self.pci.load(self.control, 2) & 0x8000)

    def reset(self):
        super().reset()
        self.config_vector = NO_VECTOR
        for queue in self.queues:
            queue.vector = NO_VECTOR

    def load_modern(self, offset, size):
        if (offset, size) == (16, 2):
            return self.config_vector
        if (offset, size) == (26, 2):
            return self.queues[self.select].vector
        if offset & 0xF000 == 0x1000:
            assert not self.enabled, "4.1.4.5.2: the ISR register, with MSI-X"
        return super().load_modern(offset, size)

    def store_modern(self, offset, size, value):
        if offset in (16, 26):
            assert size == 2
            value = value if value < min(self.room, len(self.table.bytes) // 16) else NO_VECTOR
            if offset == 16:
                self.config_vector = value
            else:
                assert not self.queues[self.select].enabled, "a vector for a queue that lives"
                self.queues[self.select].vector = value
        else:
            super().store_modern(offset, size, value)

    def raise_interrupt(self, cause):
        if not self.enabled:
            super().raise_interrupt(cause)
            return
        number = self.config_vector if cause & 2 else self.queues[0].vector
        if number == NO_VECTOR:
            return
        address, data, mask = self.table.entry(number)
        assert address == MESSAGES and not mask
        self.messages.append(number)
        self.machine.interrupt(data - LINES)


class IoApic:
    """24 pins; only edges are made."""

    def __init__(self, machine, base):
        self.machine = machine
        self.select = 0
        self.redirection = [1 << 16] * 24
        self.levels = [0] * 24
        machine.add_registers(base, self, 0x1000)

    def load(self, offset, size):
        assert size == 4
        if offset == 0:
            return self.select
        if self.select == 1:
            return 23 << 16 | 0x20
        entry = self.redirection[(self.select - 16) // 2]
        return entry >> 32 * (self.select & 1) & 0xFFFFFFFF

    def store(self, offset, size, value):
        assert size == 4
        if offset == 0:
            self.select = value
        else:
            pin, half = divmod(self.select - 16, 2)
            kept = self.redirection[pin] & (0xFFFFFFFF << 32 * (1 - half))
            self.redirection[pin] = kept | value << 32 * half

    def set(self, pin, level):
        entry = self.redirection[pin]
        assert not entry & 1 << 15 or entry & 1 << 16, "level-triggered"
        if level and not self.levels[pin] and not entry & 1 << 16:
            self.machine.interrupt((entry & 0xFF) - LINES)
        self.levels[pin] = level


class Mmio:
    """A slot at `address`, whose interrupt is `pin` of `ioapic`."""

    def __init__(self, machine, ioapic=None, address=0xFEB00000, pin=5, version=2, **options):
        self.ioapic, self.address, self.pin, self.version = ioapic, address, pin, version
        super().__init__(machine, modern=version == 2, **options)

    def function(self, bus, slot):
        self.machine.add_registers(self.address, self, 0x200)

    def load(self, offset, size):
        if offset >= 0x100:
            assert size == (1 if offset < 0x106 else 2)
            return int.from_bytes(self.config[offset - 0x100 : offset - 0x100 + size], "little")
        assert size == 4
        queue = self.queues[self.select] if self.select < self.QUEUES else None
        match offset:
            case 0x00:
                return MAGIC
            case 0x04:
                return self.version
            case 0x08:
                return self.NUMBERS[0] - 0x1040
            case 0x0C:
                return QEMU
            case 0x10:
                return self.offered >> 32 * self.feature_select & 0xFFFFFFFF
            case 0x34:
                return queue.limit if queue else 0
            case 0x44:
                return int(queue.enabled)
            case 0x60:
                return self.isr
            case 0x70:
                return self.read_status()
        raise AssertionError(f"load of register {offset:#x}")

    def store(self, offset, size, value):
        assert size == 4
        queue = self.queues[self.select] if self.select < self.QUEUES else None
        old = self.version == 1
        match offset:
            case 0x14:
                self.feature_select = value
            case 0x20:
                low = 32 * self.driver_select
                if not old or not low:
                    self.accept(self.accepted & ~(0xFFFFFFFF << low) | value << low)
            case 0x24:
                self.driver_select = value
            case 0x28:
                assert old and value == 4096
            case 0x30:
                self.select = value
            case 0x38:
                assert 0 < value <= queue.limit and value & (value - 1) == 0
                queue.size = value
            case 0x3C:
                assert old and value == 4096
            case 0x40:
                assert old
                queue.descriptors = value << 12
                queue.available = queue.descriptors + 16 * queue.size
                queue.used = (queue.available + 6 + 2 * queue.size + 4095) & ~4095
                queue.enabled = True
            case 0x44:
                assert not old
                queue.enabled = bool(value)
            case 0x50:
                self.doorbell(value)
            case 0x64:
                assert value and not value & ~3
                self.isr &= ~value
                self.set_level()
            case 0x70:
                self.write_status(value)
            case 0x80 | 0x90 | 0xA0:
                assert not old and value
                name = {0x80: "descriptors", 0x90: "available", 0xA0: "used"}[offset]
                setattr(queue, name, value)
            case 0x84 | 0x94 | 0xA4:
                assert not old and value == 0
            case _:
                raise AssertionError(f"store to register {offset:#x}")

    def reset(self):
        super().reset()
        self.set_level()

    def raise_interrupt(self, cause):
        self.isr |= cause
        self.set_level()

    def set_level(self):
        if self.ioapic:
            self.ioapic.set(self.pin, int(self.isr != 0))
