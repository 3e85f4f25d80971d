"""PCI: the functions there are, found through configuration mechanism 1 (ports 0xCF8 and 0xCFC).

PCI Local Bus Specification 3.0, sections 3.2.2.3.2 (mechanism), 6.1 (header), 6.2.5 (base
addresses), 6.7 (capabilities).  PCI-to-PCI bridges, which PCI Express root ports also are, are
followed to the bus behind them.
Left out: assigning addresses and bus numbers, which the firmware has done; the memory-mapped
configuration space of PCI Express; hot plug.
"""

import micropython
from metal import in8, in16, out8, out16, out32
from micropython import const

ADDRESS = const(0xCF8)
DATA = const(0xCFC)

# Configuration space header, type 0 and 1.
VENDOR = const(0x00)
DEVICE = const(0x02)
COMMAND = const(0x04)
STATUS = const(0x06)
CLASS = const(0x0A)
HEADER_TYPE = const(0x0E)
BAR0 = const(0x10)
SECONDARY_BUS = const(0x19)
CAPABILITIES = const(0x34)
INTERRUPT_LINE = const(0x3C)

IO_SPACE = const(1)  # COMMAND
MEMORY_SPACE = const(2)
BUS_MASTER = const(4)
INTERRUPT_DISABLE = const(0x400)
HAS_CAPABILITIES = const(0x10)  # STATUS
BRIDGE_CLASS = const(0x0604)
NOBODY = const(0xFFFF)  # the vendor of a function that is not there


class Bar:
    """A base address: `io` or memory, and where it starts (0: nowhere)."""

    def __init__(self, io, address):
        self.io = io
        self.address = address


@micropython.viper
def load8(number: int, offset: int) -> int:
    enable = 1  # a constant of 32 bits would be an object
    out32(0xCF8, (enable << 31) | (number << 8) | (offset & 0xFC))
    return int(in8(0xCFC + (offset & 3)))


@micropython.viper
def load16(number: int, offset: int) -> int:
    enable = 1  # a constant of 32 bits would be an object
    out32(0xCF8, (enable << 31) | (number << 8) | (offset & 0xFC))
    return int(in16(0xCFC + (offset & 2)))


class Function:
    """One function of a device: a driver's way to its configuration space."""

    def __init__(self, bus, device, function):
        self.name = "%02x:%02x.%d" % (bus, device, function)  # noqa: UP031 (as the log has it)
        self.number = bus << 8 | device << 3 | function
        self.vendor = self.read16(VENDOR)
        self.device = self.read16(DEVICE)
        self.class_code = self.read16(CLASS)
        self.line = self.read8(INTERRUPT_LINE)  # where the firmware has routed INTx to

    def read8(self, offset):
        return load8(self.number, offset)

    def read16(self, offset):
        return load16(self.number, offset)

    def read32(self, offset):
        return load16(self.number, offset) | load16(self.number, offset + 2) << 16

    def write8(self, offset, value):
        out32(ADDRESS, 0x80000000 | self.number << 8 | offset & 0xFC)
        out8(DATA + (offset & 3), value)

    def write16(self, offset, value):
        out32(ADDRESS, 0x80000000 | self.number << 8 | offset & 0xFC)
        out16(DATA + (offset & 2), value)

    def write32(self, offset, value):
        out32(ADDRESS, 0x80000000 | self.number << 8 | offset)
        out32(DATA, value)

    def enable(self):
        """Answer to I/O and memory accesses, reach memory, raise interrupts."""
        command = self.read16(COMMAND) | IO_SPACE | MEMORY_SPACE | BUS_MASTER
        self.write16(COMMAND, command & ~INTERRUPT_DISABLE)

    def bar(self, index):
        """Base address register `index` (6.2.5.1); a 64-bit one takes two registers."""
        low = self.read32(BAR0 + 4 * index)
        if low & 1:
            return Bar(True, low & ~3)
        high = self.read32(BAR0 + 4 * index + 4) if low & 6 == 4 else 0
        return Bar(False, low & ~15 | high << 32)

    def bar_size(self, index):
        """How long the region is, up to 2 GiB; 0: there is none.  Not for a device in use."""
        offset = BAR0 + 4 * index
        command = self.read16(COMMAND)
        self.write16(COMMAND, command & ~(IO_SPACE | MEMORY_SPACE))
        low = self.read32(offset)
        # 6.2.5.1: the bits that stay 0 after all ones were written are the size.
        self.write32(offset, 0xFFFFFFFF)
        ones = self.read32(offset) & (~3 if low & 1 else ~15)
        self.write32(offset, low)
        self.write16(COMMAND, command)
        return ones & -ones

    def capabilities(self):
        """Pairs of capability id and its offset, in the order of the list."""
        found = []
        if self.read16(STATUS) & HAS_CAPABILITIES:
            offset = self.read8(CAPABILITIES) & 0xFC
            while offset and len(found) < 48:  # as many as fit; a list that loops ends here
                id = self.read16(offset)
                found.append((id & 0xFF, offset))
                offset = id >> 8 & 0xFC
        return found


def scan(bus=0):
    """All functions of `bus` and of the buses behind it."""
    found = []
    for device in range(32):
        base = bus << 8 | device << 3
        function = 0
        functions = 1
        while function < functions:
            if load16(base | function, VENDOR) != NOBODY:
                it = Function(bus, device, function)
                found.append(it)
                if function == 0 and it.read8(HEADER_TYPE) & 0x80:
                    functions = 8
                if it.class_code == BRIDGE_CLASS:
                    behind = it.read8(SECONDARY_BUS)
                    if behind > bus:  # 0: the firmware has not set up the bridge
                        found += scan(behind)
            function += 1
    return found
