"""A copy of the log on a channel of its own, org.importos.log: the same lines as on the console.

For a host that wants the log and not the console.  Lines are kept while nobody listens or the host
is slow, the latest ROOM bytes of them; what had to go is said where it is missing, and counted.
Above: drivers/virtio/console.py calls the slots.
Left out: what was logged before the device was found but the first line: it is on the console.
"""

import metal
from image import NAME
from micropython import const

from drivers.virtio import console
from runtime.counters import Counters

CHANNEL = "org.importos.log"
ROOM = const(8192)
DRAIN_MS = const(10)

COUNTS = ("lines",)
DROPS = ("lost",)
_LINES = const(0)
_LOST = const(1)


def serve(machine):
    console.serve(CHANNEL, LogPort(machine))


class LogPort:
    def __init__(self, machine):
        self.machine = machine
        self.counters = machine.counters.add(Counters("log_port", COUNTS, DROPS))
        self.port = None
        # The one line that is in every log before there is a device.
        self.lines = [f"[    0.000] ImportOS {NAME}, build {metal.build_id}\n".encode()]
        self.bytes = len(self.lines[0])
        self.missing = 0
        self.first = b""  # the rest of a line that the port has taken in part
        self.last = False  # nobody rings doorbells any more
        self.console = machine.log.write
        machine.log.write = self.write
        machine.ends.insert(0, self.drain)

    def write(self, text):
        """In place of what the log writes with."""
        self.console(text)
        line = text.encode()
        self.lines.append(line)
        self.bytes += len(line)
        while self.bytes > ROOM:
            self.bytes -= len(self.lines.pop(0))
            self.missing += 1
            self.counters.count(_LOST)
        self.send()

    def send(self):
        port = self.port
        while port and port.up:
            if not self.first:
                if self.missing:
                    self.first = b"... %d lines are missing here\n" % self.missing
                    self.missing = 0
                elif self.lines:
                    self.first = self.lines.pop(0)
                    self.bytes -= len(self.first)
                    self.counters.count(_LINES)
                else:
                    break
            taken = port.write(self.first)
            self.first = self.first[taken:]
            if self.first:
                break
        if port and self.last:
            port.console.channel.flush()

    def drain(self):
        """The end: what is left leaves, and later lines do so at once."""
        while self.port and self.port.up and (self.lines or self.first):
            self.machine.loop.block(DRAIN_MS)
        self.last = True

    # Slots.

    def opened(self, port, up):
        self.port = port
        self.first = b""
        self.send()

    def received(self, port, data):
        """Nobody has anything to tell a log."""

    def writable(self, port):
        self.send()
