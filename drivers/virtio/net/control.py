"""The control queue: which frames the device hands over, and speaking up after a move.

VIRTIO 1.2, sections 5.1.6.5 (commands) and 5.1.6.5.4 (announcements).  Queue 2 carries commands,
one chain each, of what the device reads and the byte in which it answers:

     0       1       2                               n
     +-------+-------+------- ... -------------------+     +-------+
     | class |command|  data                         |     |  ack  |
     +-------+-------+------- ... -------------------+     +-------+

    nic.set_groups(macs)  hand over broadcasts, what is for our MAC, and these multicast MACs; None:
                          every frame on the wire, as without this page
    nic.on_announce       slot, called when the machine has been moved to another place of its link
    nic.on_return         slot, called with the seconds that it was away (runtime/absence.py)

Without it (in images that do not ask for it: tools/image/cloud.py) the device hands over everything
there is on the wire, and whoever moves the machine speaks for it.

Law: one command is under way, the next wait, and a newer one takes the place of an older one of its
kind, so no more than KINDS wait.  Nothing waits for an answer: it is looked for, ever more seldom;
a device that is silent for PATIENCE_MS is left in peace, and hands over what it did before.
Above: net/presence.py.  Below: __init__.py, offload.py: one of their classes becomes `kind`.
Left out: VLANs, setting the MAC, several queue pairs, offloads that change while the device runs.
"""

import metal
from micropython import const

from drivers.virtio import device
from drivers.virtio.net import CONFIG_STATUS
from drivers.virtio.virtqueue import NEXT, NO_INTERRUPT, WRITE, Virtqueue
from runtime import absence, machine
from runtime.mmio import load16, store16, store32

# Features, 5.1.3.
QUEUE = const(17)
RECEIVE_MODES = const(18)
ANNOUNCE = const(21)
WANTED = 1 << QUEUE | 1 << RECEIVE_MODES | 1 << ANNOUNCE
PLACE = const(2)  # of the queue in the device: there is one pair of others
HAS_TO_ANNOUNCE = const(2)  # in the status of the device configuration

# Classes and commands, two bytes: 5.1.6.5.1, 5.1.6.5.2, 5.1.6.5.4.
EVERYTHING = b"\x00\x00"
EVERY_GROUP = b"\x00\x01"
GROUPS = b"\x01\x00"
ANNOUNCED = b"\x03\x00"
KINDS = const(4)
OK = const(0)
NO_ANSWER = const(0xFF)

MOST = const(64)  # multicast MACs; with more of them the device hands over all multicasts
SIZE = const(512)  # of the buffer for a command: the largest has 2 + 4 + 4 + 6 * 64 bytes
ACK = const(511)
PATIENCE_MS = const(8192)


class Control:
    """What a class of drivers gains; it stands in `kind` of the class that is made of both."""

    kind = None
    controls = None  # the queue
    groups = None  # what to hear

    def choose(self, offered):
        features = self.kind.choose(self, offered)
        usable = offered >> QUEUE & 1 and features & (
            1 << device.VERSION_1 | 1 << device.ANY_LAYOUT
        )
        return features | offered & WANTED if usable else features

    def live(self):
        self.busy = False
        self.commands = []
        absence.compare(machine.current)
        if self.has(QUEUE):
            if not self.controls:
                self.add_queue()
            queue = self.controls
            if not self.has(device.EVENT_IDX):
                # With it, the used event stands still: one interrupt in 2^16 commands.
                store16(queue.available, NO_INTERRUPT)
            store32(queue.descriptors, self.command)
            store32(queue.descriptors + 4, 0)
            store32(queue.descriptors + 12, NEXT | 1 << 16)
            store32(queue.descriptors + 16, self.command + ACK)
            store32(queue.descriptors + 20, 0)
            store32(queue.descriptors + 24, 1)
            store32(queue.descriptors + 28, WRITE)
        self.kind.live(self)
        if self.groups is not None:
            self.set_groups(self.groups)

    def add_queue(self):
        try:
            self.controls = Virtqueue(self.transport, PLACE, 2, self.arena)
        except ValueError as error:
            device.fail(self.transport, str(error))
        self.queues += (self.controls,)
        self.command = self.arena.take(SIZE)
        self.timer = self.loop.timers.timer(self.look)

    # What is told.

    def set_groups(self, groups):
        self.groups = groups
        if not self.has(RECEIVE_MODES):
            return
        if groups is not None:
            many = len(groups) > MOST
            listed = [] if many else groups
            # First no unicast MACs, as our own needs no mention.
            count = bytes(4) + len(listed).to_bytes(4, "little")
            self.order(GROUPS, count + b"".join(listed))
            self.order(EVERY_GROUP, bytes([many]))
        self.order(EVERYTHING, bytes([groups is None]))

    def changed(self):
        self.kind.changed(self)
        if self.has(ANNOUNCE) and self.has_status:
            status = self.transport.read_config(CONFIG_STATUS, 1, 2)[0]
            if status & HAS_TO_ANNOUNCE:
                absence.look(machine.current)
                self.on_announce()
                self.order(ANNOUNCED, b"")

    def on_announce(self):
        """There is no stack yet: it will announce its addresses when it gets them."""

    # Commands.

    def order(self, kind, data):
        self.commands = [other for other in self.commands if other[:2] != kind]
        self.commands.append(kind + data)
        if not self.busy:
            self.next()

    def next(self):
        self.busy = bool(self.commands)
        if not self.busy:
            return
        self.under_way = command = self.commands.pop(0)
        memory = metal.memory(self.command, SIZE)
        memory[: len(command)] = command
        memory[ACK] = NO_ANSWER
        queue = self.controls
        store32(queue.descriptors + 8, len(command))
        index = load16(queue.available + 2)
        store16(queue.available + 4 + 2 * (index & queue.size - 1), 0)
        store16(queue.available + 2, index + 1)
        self.notify(PLACE)
        self.patience = 1
        self.timer.start(1)

    def look(self):
        """Has the device answered?"""
        queue = self.controls
        if not self.busy:
            return  # it was reset meanwhile
        if load16(queue.used + 2) != load16(queue.available + 2):
            self.patience <<= 1
            if self.patience <= PATIENCE_MS:
                self.timer.start(self.patience)
            else:
                self.log.error("%s: the device answers no command", self.name)
            return
        if metal.memory(self.command, SIZE)[ACK] != OK:
            self.refused(self.under_way[:2])
        self.next()

    def refused(self, kind):
        self.log.warning("%s: the device refuses command %d.%d", self.name, kind[0], kind[1])
        if kind == GROUPS:
            # Rather too much than too little.
            self.order(EVERY_GROUP, b"\x01")


def refine(kind):
    """The class of drivers that has a control queue, too."""
    return type("ControlNet", (Control, kind), {"kind": kind})
