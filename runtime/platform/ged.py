"""The power button and power off of QEMU's microvm, whose ACPI has no chipset to sit in.

ACPI 6.4, sections 5.6.9 (generic event device) and 4.8.3.7 (sleep control); the places are those of
QEMU 7.2, docs/specs/acpi_hw_reduced_hotplug.rst and hw/i386/microvm-dt.c.

     000 events that happened, cleared by reading     200 sleep control

Left out: ACPI tables, hot plug, reset.  Where ACPI is off nothing is there, and nothing happens.
"""

import metal
from micropython import const

from runtime.mmio import load32

EVENTS = 0xFEA00000
SLEEP_CONTROL = 0xFEA00200
POWER_BUTTON = const(2)
S5 = const(0x34)  # sleep type 5, and enable
PIN = const(9)


class Button:
    """On `line`, where the caller has its pin arrive."""

    rare = True

    def __init__(self, line, machine):
        self.line = line
        self.machine = machine
        metal.set_poweroff(SLEEP_CONTROL, S5)
        load32(EVENTS)  # whatever happened before

    def service(self, budget):
        if load32(EVENTS) & POWER_BUTTON:
            self.machine.log.info("the power button is pressed")
            self.machine.stop()
        return False
