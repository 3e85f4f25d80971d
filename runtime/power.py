"""Power off: tell the machine where its chipset's soft-off is.

ACPI 6.4, sections 4.8.3.2 (PM1 control: SLP_TYP, SLP_EN) and 7.4.2.5 (S5).  The two chipsets of
QEMU keep the registers' base in PCI configuration space: Intel 82371AB (PIIX4), section 7.1.29, and
I/O controller hub 9, section 13.1.13.
Left out: ACPI tables; on another chipset a machine that is done halts.
"""

import metal
from micropython import const

INTEL = const(0x8086)
PIIX4_PM = const(0x7113)
ICH9_LPC = const(0x2918)
PM_BASE = const(0x40)
PM1_CONTROL = const(4)
SLP_EN = const(0x2000)  # with SLP_TYP 0, which means S5 on both


def find(functions):
    """Look for the power management registers among PCI `functions`."""
    for function in functions:
        if function.vendor != INTEL:
            continue
        if function.device == PIIX4_PM:
            base = function.read32(PM_BASE) & 0xFFC0
        elif function.device == ICH9_LPC:
            base = function.read32(PM_BASE) & 0xFF80
        else:
            continue
        if base:
            metal.set_poweroff(base + PM1_CONTROL, SLP_EN)
            return
