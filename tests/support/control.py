"""A virtio network device with a control queue: what it was told, and asking for announcements.

    device = ControlDevice(hardware)
    device.commands               (class, command, data) of each, checked for their form
    device.everything, device.every_group, device.groups        what it hands over
    device.announce()             as after a migration: a bit in the status, an interrupt
    device.refuse_command = (1, 0)      answered with ERR
    device.silent = True          takes commands and does not answer

VIRTIO 1.2, section 5.1.6.5.
"""

from tests.support.virtio import NetDevice, Queue

CTRL_VQ, CTRL_RX, GUEST_ANNOUNCE = 17, 18, 21
CONTROL = 2
LINK_UP, ANNOUNCE = 1, 2


class ControlDevice(NetDevice):
    def __init__(self, machine, **options):
        self.commands = []
        self.refuse_command = None
        self.silent = False
        features = (*options.pop("features", ()), CTRL_VQ, CTRL_RX, GUEST_ANNOUNCE)
        super().__init__(machine, features=features, **options)

    def reset(self):
        self.QUEUES = CONTROL
        super().reset()
        self.doorbells = [0, 0, 0]
        self.everything, self.every_group, self.groups = True, False, []

    def accept(self, features):
        super().accept(features)
        if features >> CTRL_VQ & 1 and len(self.queues) == CONTROL:
            self.queues.append(Queue(self.sizes))
            self.QUEUES = CONTROL + 1

    def doorbell(self, queue):
        super().doorbell(queue)
        if queue == CONTROL and not self.silent:
            self.obey()

    def obey(self):
        queue = self.queues[CONTROL]
        while taken := self.take(queue):
            head, parts = taken
            *said, (ack, room, writable) = parts
            assert writable & 2 and room >= 1
            assert not any(flags & 2 for _, _, flags in said)
            text = b"".join(
                bytes(self.machine.physical(address, 1)[:length]) for address, length, _ in said
            )
            command = (text[0], text[1], text[2:])
            self.commands.append(command)
            good = command[:2] != self.refuse_command
            if good:
                self.act(*command)
            self.machine.physical(ack, 1)[0] = 0 if good else 1
            self.give_back(queue, head, 1)
            self.signal(queue)

    def act(self, kind, command, data):
        if kind == 0:
            assert self.can(CTRL_RX) and len(data) == 1 and data[0] in (0, 1)
            name = ("everything", "every_group")[command]
            setattr(self, name, bool(data[0]))
        elif kind == 1:
            assert self.can(CTRL_RX) and command == 0
            tables = []
            while data:
                count = int.from_bytes(data[:4], "little")
                macs = data[4 : 4 + 6 * count]
                assert len(macs) == 6 * count, "a table that ends before its MACs"
                tables.append([macs[at : at + 6] for at in range(0, len(macs), 6)])
                data = data[4 + 6 * count :]
            unicast, groups = tables
            assert not any(mac[0] & 1 for mac in unicast) and all(mac[0] & 1 for mac in groups)
            self.groups = groups
        else:
            assert (kind, command, data) == (3, 0, b""), f"class {kind}, command {command}"
            assert self.can(GUEST_ANNOUNCE)
            assert self.config[6] & ANNOUNCE, "5.1.6.5.4.1: nobody asked for an announcement"
            self.config[6] &= ~ANNOUNCE

    def announce(self):
        self.generation = (self.generation + 1) & 0xFF
        self.config[6] |= ANNOUNCE
        self.raise_interrupt(2)

    def passes(self, frame):
        """5.1.6.5.1: whether the filter hands this frame over."""
        to = frame[:6]
        if self.everything or to == b"\xff" * 6 or to == bytes(self.config[:6]):
            return True
        return bool(to[0] & 1) and (self.every_group or to in self.groups)

    def deliver(self, frame, *arguments, **options):
        if not self.passes(frame):
            return False
        return super().deliver(frame, *arguments, **options)
