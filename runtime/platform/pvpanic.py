"""pvpanic: a register that tells the hypervisor of a panic, so that it can act on it.

QEMU, docs/specs/pvpanic: bit 0 of a byte, PANICKED; a port, 0x505, or the first byte of base
address 0 of a PCI device.  Reading it gives the events that the device knows.
The panic itself is C (port/cpu/panic.c): it reports on the serial line, then here, then does what
`panic=` says, should the hypervisor let it go on.
Left out: CRASHLOADED, which is for those with a crash kernel.
"""

import metal
from micropython import const

from runtime.mmio import load8

RED_HAT = const(0x1B36)
PVPANIC = const(0x0011)
ISA_BRIDGE = const(0x0601)
PORT = const(0x505)
PANICKED = const(1)


def probe(machine, function, arena):
    """Looks at a PCI device, and at the port where there is an ISA bus; never one for the loop."""
    if function.vendor == RED_HAT and function.device == PVPANIC:
        function.enable()
        address = function.bar(0).address
        if address and not address >> 32 and load8(address) & PANICKED:
            use(machine, address)
    elif getattr(function, "class_code", 0) == ISA_BRIDGE:
        events = metal.in8(PORT)
        if events & PANICKED and events != 0xFF:
            use(machine, PORT)


def use(machine, address):
    metal.set_panic(address)
    machine.log.info("pvpanic at %#x", address)
