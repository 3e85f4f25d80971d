"""A virtio console device with named ports, in Python, from the device's side of the specification.

device = SerialDevice(machine, names={1: "org.example.a"})
device.connect(1)               the host listens; `up=False`: no more
device.send(1, b"...")          bytes for the machine; returns how many found a buffer
device.written[1]                bytes of the machine's
device.opened                   ports that the machine has opened
device.control(port, event, value, name)        any control message
"""

import struct

from tests.support.virtio_block import Chains

MULTIPORT = 1
READY, ADD, REMOVE, PORT_READY, CONSOLE, RESIZE, OPEN, NAME = range(8)


class SerialDevice(Chains):
    NUMBERS = (0x1043, 0x1003, 0x0780)

    def __init__(self, machine, names=None, ports=None, multiport=True, **options):
        self.names = names or {}
        count = ports or max(self.names, default=0) + 1
        self.QUEUES = 2 * count + 2
        self.written = dict.fromkeys(range(count), b"")
        self.opened, self.messages, self.full = set(), [], False
        features = [MULTIPORT] if multiport else []
        super().__init__(machine, indirect=False, features=features, **options)
        self.doorbells = [0] * self.QUEUES
        self.config = bytearray(struct.pack("<HHI", 0, 0, count) + bytes(56))

    def reset(self):
        super().reset()
        self.opened = set()

    def write_status(self, value):
        # Queues of ports that the driver does not use need not be there.
        if value & 4:
            for queue in self.queues:
                queue.enabled = True
        super().write_status(value)

    @staticmethod
    def first(port):
        return 2 * port + 2 if port else 0

    def control(self, port, event, value=0, name=b""):
        queue = self.queues[2]
        taken = self.take(queue)
        assert taken, "the driver has no buffer for a control message"
        message = struct.pack("<IHH", port, event, value) + name
        self.put_into(queue, taken, message)

    def put_into(self, queue, taken, data):
        head, ((address, length, flags),) = taken
        assert flags & 2
        data = data[:length]
        self.machine.physical(address, 1)[: len(data)] = data
        self.give_back(queue, head, len(data))
        self.signal(queue)

    def connect(self, port, up=True):
        self.control(port, OPEN, int(up))

    def send(self, port, data):
        queue = self.queues[self.first(port)]
        done = 0
        while done < len(data):
            taken = self.take(queue)
            if taken is None:
                break
            length = taken[1][0][1]
            self.put_into(queue, taken, data[done : done + length])
            done += min(length, len(data) - done)
        return done

    def doorbell(self, index):
        self.doorbells[index] += 1
        queue = self.queues[index]
        if index % 2 == 0 or (self.full and index != 3):
            return
        while taken := self.take(queue):
            head, parts = taken
            data = b"".join(
                bytes(self.machine.physical(address, 1)[:length]) for address, length, _ in parts
            )
            self.give_back(queue, head, 0)
            self.signal(queue)
            if index == 3:
                self.heard(*struct.unpack("<IHH", data))
            else:
                self.written[0 if index == 1 else index // 2 - 1] += data
        self.want(queue, True)

    def drain(self, port):
        """The host reads again."""
        self.full = False
        self.doorbell(self.first(port) + 1)

    def heard(self, port, event, value):
        self.messages.append((port, event, value))
        if event == READY:
            for number in self.names:
                self.control(number, ADD)
        elif event == PORT_READY and value:
            self.control(port, NAME, 1, self.names[port].encode() + b"\0")
        elif event == OPEN:
            (self.opened.add if value else self.opened.discard)(port)
