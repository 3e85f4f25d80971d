"""Console input: Ctrl-C stops the machine in order.

Left out: everything else that is typed; the development image has a REPL instead.
"""

import metal
from micropython import const

LINE = const(4)  # the first serial port's interrupt
CTRL_C = const(3)


class Console:
    """`interrupt()` is called for a Ctrl-C."""

    line = LINE
    rare = True

    def __init__(self, interrupt):
        self.interrupt = interrupt

    def service(self, budget):
        byte = metal.read()
        while byte >= 0:
            if byte == CTRL_C:
                self.interrupt()
            byte = metal.read()
        return False
