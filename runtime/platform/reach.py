"""Memory of devices beyond 4 GiB, moved to where a machine without paging reaches it.

UEFI firmware puts 64-bit base addresses above all memory where it can (VIRTIO 1.2, section 4.1.4.1:
the structures of a modern device lie behind such a one).  PCI Local Bus Specification 3.0, section
6.2.5.1 (base addresses); PCI-to-PCI Bridge Architecture 1.2, section 3.2.5.8 (memory base, limit).

The new place is free, as far as the base addresses of all functions tell: at the end of the
bridge's window for a device behind a bridge, or behind everything else on bus 0.
Left out: devices that are not virtio; windows that are too small, which leaves the device alone,
and its driver says so.
"""

from micropython import const

from runtime import pci

VIRTIO = const(0x1AF4)
MEMORY_WINDOW = const(0x20)  # of a bridge: base and limit, 16 bits of address each
END = 0xFEC00000  # the I/O APIC; below it, memory of devices
START = 0xC0000000
ALIGNED = 0xFFFFF


def lower(functions):
    """Move what is out of reach among `functions`, all that there are."""
    for function in functions:
        if function.vendor == VIRTIO:
            index = 0
            while index < 6:
                bar = function.bar(index)
                wide = not bar.io and function.read32(pci.BAR0 + 4 * index) & 6 == 4
                if wide and bar.address >> 32:
                    _move(function, index, functions)
                index += 2 if wide else 1


def _move(function, index, functions):
    size = function.bar_size(index)
    place = size and _place(size, function.number >> 8, functions)
    if place:
        command = function.read16(pci.COMMAND)
        function.write16(pci.COMMAND, command & ~pci.MEMORY_SPACE)
        function.write32(pci.BAR0 + 4 * index, place)
        function.write32(pci.BAR0 + 4 * index + 4, 0)
        function.write16(pci.COMMAND, command)


def _place(size, bus, functions):
    """A free address for so many bytes on a bus, or 0."""
    window = None
    taken = []
    for function in functions:
        here = function.number >> 8 == bus
        if function.class_code == pci.BRIDGE_CLASS:
            both = function.read32(MEMORY_WINDOW)
            first, last = (both & 0xFFF0) << 16, both & 0xFFF00000 | ALIGNED
            if here and first < last:
                taken.append((first, last + 1))
            if bus and function.read8(pci.SECONDARY_BUS) == bus:
                window = first, last + 1
            bars = 2
        else:
            bars = 6
        index = 0
        while here and index < bars:
            bar = function.bar(index)
            if bar.address and not bar.io and not bar.address >> 32:
                taken.append((bar.address, bar.address + function.bar_size(index)))
            wide = not bar.io and function.read32(pci.BAR0 + 4 * index) & 6 == 4
            index += 2 if wide else 1
    if bus:
        first, end = window or (0, 0)
    else:
        first = max([to for _, to in taken] + [START])
        end = min(first + 2 * size, END)
    place = end - size & -size
    while place >= first and any(place < to and at < place + size for at, to in taken):
        place -= size
    return place if place >= first else 0
