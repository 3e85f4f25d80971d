"""MSI-X: a PCI device interrupts by storing a number where the processor's APIC listens.

PCI Local Bus Specification 3.0, section 6.8.2; Intel SDM 3, 11.11 (address and data of a message);
VIRTIO 1.2, section 4.1.5.1.2 (vectors).

    capability                       entry of the table, which lies in a base address
     0       1       2       4       0       4       8       12      16
     +---+---+-------+-------+       +---------------+-------+-------+
     | id|nxt|control| table |       |    address    | data  | mask  |
     +---+---+-------+-------+       +---------------+-------+-------+

A message is an edge with a line of its own: nothing is shared, masked or unmasked.  Entry 0 is for
all queues of the device.  Entry 1 says that its configuration changed; that is rare, so one line
serves all devices, and each is asked.
Law: the ISR register is not read any more, but docs/drivers.md needs a barrier there: an access
that every hypervisor emulates.  The APIC's arbitration priority is one, and the cheapest; it is 0:
no cause.  (Its number is not: a processor that virtualises the APIC reads that itself, Intel SDM 3,
"Virtualizing Reads from the APIC-Access Page", and the stores before it may still be on their way.)
The setting `msix=no` keeps to lines.
"""

import metal
from micropython import const

from runtime import machine
from runtime.mmio import load32, store32

CAPABILITY = const(0x11)
CONTROL = const(2)
TABLE = const(4)
ENTRIES = const(0x7FF)  # less one
ENABLE = const(0x8000)
LOCAL_APIC = 0xFEE00000  # of messages: the processor's number from bit 12 on
LOCAL_APIC_ID = 0xFEE00020
ARBITRATION_PRIORITY = 0xFEE00090
VECTORS = const(32)  # of line 0; port/cpu/descriptors.c


class Changes:
    """What the loop services when the configuration of some device has changed."""

    rare = True

    def __init__(self):
        self.line = metal.new_line()
        self.transports = []

    def service(self, budget):
        for transport in self.transports:
            transport.changed()
        return False


def use(function, transport):
    """Have the device's interrupts come as messages, if both can do that; else INTx stays."""
    offset = 0
    for id, place in function.capabilities():
        if id == CAPABILITY:
            offset = place
    if not offset:
        return
    table = function.read32(offset + TABLE)
    bar = function.bar(table & 7)
    reachable = bar.address and not bar.io and not bar.address >> 32
    entries = function.read16(offset + CONTROL) & ENTRIES
    current = machine.current
    wanted = transport.vectors is not None and current.settings.get("msix") != "no"
    if not current.changes and wanted:
        current.changes = Changes()
        current.loop.add(current.changes)
    line = metal.new_line() if wanted and reachable and entries else 0
    if not line:
        function.write16(offset + CONTROL, 0)  # a firmware may have used it
        return
    function.line = line
    entry = bar.address + (table & ~7)
    for vector in (VECTORS + line, VECTORS + current.changes.line):
        store32(entry, LOCAL_APIC | load32(LOCAL_APIC_ID) >> 24 << 12)
        store32(entry + 4, 0)
        store32(entry + 8, vector)
        store32(entry + 12, 0)
        entry += 16
    function.write16(offset + CONTROL, ENABLE)
    transport.messages(ARBITRATION_PRIORITY)
    current.changes.transports.append(transport)
