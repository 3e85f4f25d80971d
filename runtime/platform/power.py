"""The power button, and power off: ACPI's fixed registers of the chipset.

ACPI 6.4, sections 4.8.3.1 (PM1 status and enable), 4.8.3.2 (PM1 control: SCI_EN, SLP_TYP, SLP_EN),
4.8.2.2.1 (power button) and 7.4.2.5 (S5).  The two chipsets of QEMU keep the registers' base in PCI
configuration space: Intel 82371AB (PIIX4), section 7.1.29, and I/O controller hub 9, section
13.1.13.  Both raise line 9 for a pressed button, and that line may be a PCI device's, too.

     0       2       4
     +-------+-------+-------+
     |status |enable |control|
     +-------+-------+-------+

Left out: ACPI tables; on another chipset there is no button, and a machine that is done halts.
"""

import metal
from micropython import const

INTEL = const(0x8086)
PIIX4_PM = const(0x7113)
ICH9_LPC = const(0x2918)
PM_BASE = const(0x40)
PM1_ENABLE = const(2)
PM1_CONTROL = const(4)
POWER_BUTTON = const(0x100)  # status and enable
SCI_EN = const(1)  # the line of interrupts is the system's, not the firmware's
SLP_EN = const(0x2000)  # with SLP_TYP 0, which means S5 on both


def find(functions, machine):
    """The buttons among PCI `functions`, as devices for the loop; prepares power off."""
    found = []
    for function in functions:
        if function.vendor == INTEL and function.device in (PIIX4_PM, ICH9_LPC):
            base = function.read32(PM_BASE) & 0xFFC0
            if base:
                metal.set_poweroff(base + PM1_CONTROL, SLP_EN)
                found.append(Button(base, machine))
    return found


class Button:
    line = 9
    rare = True

    def __init__(self, base, machine):
        self.base = base
        self.machine = machine
        metal.out16(base, POWER_BUTTON)  # whatever happened before; a written 1 clears
        metal.out16(base + PM1_ENABLE, POWER_BUTTON)
        metal.out16(base + PM1_CONTROL, SCI_EN)

    def service(self, budget):
        if metal.in16(self.base) & POWER_BUTTON:
            metal.out16(self.base, POWER_BUTTON)
            self.machine.log.info("the power button is pressed")
            self.machine.stop()
        return False
