"""virtio-serial: named channels between the host and this machine, several in one device.

VIRTIO 1.2, section 5.3.  Each port has a pair of queues; what ports there are, their names and
whether the other side listens is said on a pair of control queues, in messages (5.3.6.2):

     0               4       6       8
     +---------------+-------+-------+--------
     |     port      | event | value | name ...
     +---------------+-------+-------+--------

Queues 0 and 1 are port 0's, 2 and 3 the control queues, 2n + 2 and 2n + 3 those of port n.

    serve(name, user)           before or after the devices were found: who has the port `name`
    user.opened(port, up)       slot, called when the host begins or ends to listen
    user.received(port, data)   bytes; False: no more until port.go_on()
    user.writable(port)         called after `write` took less than it was given
    port.write(data) -> int     how many bytes were taken; all are when nobody listens, and lost
    port.up                     the host listens

Law: a port without a user is told to be ready and never opened, so that the host knows that nobody
is there.  Nothing that the host says can make us raise, or keep more than the buffers below.
Above: runtime/instance/agent.py, logport.py.  Below: requests.py and a transport.
Left out: more than PORTS ports; the console port, as the log is on the serial line; its size.
"""

import metal
from micropython import const

from drivers.virtio import device, transport
from drivers.virtio.requests import WRITE, Channel, Requests
from runtime.counters import Counters
from runtime.parts import part

TYPE = const(3)
TRANSITIONAL = const(0x1003)
MULTIPORT = const(1)
CONFIG_PORTS = const(4)

# Events, 5.3.6.2.
DEVICE_READY = const(0)
PORT_ADD = const(1)
PORT_REMOVE = const(2)
PORT_READY = const(3)
CONSOLE_PORT = const(4)
PORT_OPEN = const(6)
PORT_NAME = const(7)

PORTS = const(4)
CONTROLS = const(32)  # the host tells of all its ports at once, and forgets what finds no buffer
CONTROL_BYTES = const(72)
ANSWERS = const(8)  # control messages of ours under way; the others wait
RECEIVES = const(2)
TRANSMITS = const(4)
BYTES = const(1024)
# Who wants a port, if in the image (tools/image/cloud.py).
USERS = ("runtime.instance.agent", "runtime.instance.logport")

COUNTS = ("received", "sent")  # buffers
DROPS = ("lost", "strange")  # writes that nobody heard; control messages that cannot be
_RECEIVED = const(0)
_SENT = const(1)
_LOST = const(2)
_STRANGE = const(3)

users = {}
ports = []


def serve(name, user):
    users[name] = user
    for port in ports:
        if port.name == name:
            port.open()


def probe(machine, function, arena):
    """What the loop services of the device at `function`, if that is a virtio console."""
    if not transport.is_virtio(function, TYPE, TRANSITIONAL):
        return None
    try:
        found = transport.find(function, machine.settings.get("virtio"))
        return VirtioConsole(machine, found, arena, function.line).channel
    except (device.DeviceError, MemoryError) as error:
        machine.log.error("virtio-console at %s: %s", function.name, error)
        return None


def choose(offered):
    return offered & (1 << device.VERSION_1 | 1 << device.EVENT_IDX | 1 << MULTIPORT)


class VirtioConsole(device.Driver):
    name = "virtio-console"
    choose = staticmethod(choose)

    def __init__(self, machine, transport, arena, line):
        self.log = machine.log
        self.loop = machine.loop
        self.transport = transport
        self.features = features = device.initialise(transport, self.choose)
        self.counters = machine.counters.add(Counters("console", COUNTS, DROPS))
        if not features >> MULTIPORT & 1:
            device.fail(transport, "it has no named ports")
        most = transport.read_config(CONFIG_PORTS, 1, 4)[0]

        def queue(index, slots):
            return Requests(transport, index, slots, 1, features, arena)

        self.input = queue(2, CONTROLS)
        self.output = queue(3, ANSWERS)
        self.inputs = arena.take(CONTROLS * CONTROL_BYTES)
        self.outputs = arena.take(ANSWERS * 8)
        self.waiting = []  # control messages of ours
        self.ports = []
        for number in range(min(most, PORTS)):
            first = 2 * number + 2 if number else 0
            pair = queue(first, RECEIVES), queue(first + 1, TRANSMITS)
            self.ports.append(Port(self, number, pair, arena))
        self.queues = [self.input, self.output]
        for port in self.ports:
            self.queues += (port.input, port.output)
        self.channel = Channel(transport, line, self.fails, *self.queues)
        for name in USERS:
            user = part(name)
            if user:
                user.serve(machine)
        self.live()
        self.log.info("virtio-console, %s, line %d, %d ports", transport.name, line, most)

    def live(self):
        """The queues, step 8 of the initialisation, and the first word."""
        for queue in self.queues:
            queue.attach(self.transport)
        device.ready(self.transport)
        for _ in range(self.input.count):
            slot = self.input.take()
            self.listen(slot)
        self.say(0, DEVICE_READY, 1)
        self.channel.flush()

    # Control messages.

    def listen(self, slot):
        self.input.piece(slot, 0, self.inputs + slot * CONTROL_BYTES, CONTROL_BYTES, WRITE)
        self.input.send(slot, 1, self.heard)

    def say(self, port, event, value):
        slot = self.output.take()
        if slot < 0:
            if len(self.waiting) < CONTROLS:
                self.waiting.append((port, event, value))
            else:
                self.counters.count(_STRANGE)  # the host asks, and does not listen
            return
        address = self.outputs + 8 * slot
        message = port | event << 32 | value << 48
        metal.memory(address, 8)[:] = message.to_bytes(8, "little")
        self.output.piece(slot, 0, address, 8, 0)
        self.output.send(slot, 1, self.said)

    def said(self, slot, length):
        self.output.release(slot)
        if length >= 0 and self.waiting:
            self.say(*self.waiting.pop(0))

    def heard(self, slot, length):
        if length < 0:
            self.input.release(slot)
            return
        message = bytes(metal.memory(self.inputs + slot * CONTROL_BYTES, length))
        self.listen(slot)
        number = int.from_bytes(message[:4], "little")
        event = int.from_bytes(message[4:6], "little")
        value = int.from_bytes(message[6:8], "little")
        port = self.ports[number] if number < len(self.ports) else None
        if length < 8 or (port is None and event != PORT_ADD):
            self.counters.count(_STRANGE)
        elif event == PORT_ADD:
            if port is None:
                self.log.warning("virtio-console: port %d is one too many", number)
            else:
                port.add()
            self.say(number, PORT_READY, 1 if port else 0)
        elif event == PORT_NAME:
            port.called(message[8:])
        elif event == PORT_OPEN:
            port.host(value != 0)
        elif event == PORT_REMOVE:
            port.remove()
        elif event != CONSOLE_PORT:
            self.counters.count(_STRANGE)

    def lost(self):
        """2.1.2: ports that are there will be told of again."""
        self.waiting = []
        # First the ports, so that nobody writes when his last write is said to be lost.
        for port in self.ports:
            port.remove()
        for queue in self.queues:
            queue.lost()


class Port:
    """One channel.  What was received is handed on as it comes; what is sent is copied."""

    def __init__(self, console, number, pair, arena):
        self.console = console
        self.counters = console.counters
        self.number = number
        self.input, self.output = pair
        self.name = None
        self.user = None
        self.up = False
        self.full = False  # `write` took less than it was given
        self.held = []  # slots with what the user did not want yet
        self.inputs = arena.take(RECEIVES * BYTES)
        self.outputs = arena.take(TRANSMITS * BYTES)
        ports.append(self)

    # What the host says.

    def add(self):
        slot = self.input.take()
        while slot >= 0:
            self.listen(slot)
            slot = self.input.take()

    def remove(self):
        self.host(False)
        self.name = self.user = None

    def called(self, name):
        """Its name: the port is its user's now."""
        self.name = "".join([chr(byte) for byte in name if 32 < byte < 127])
        self.open()

    def open(self):
        user = users.get(self.name)
        if user and self.user is None:
            self.user = user
            self.console.say(self.number, PORT_OPEN, 1)
            self.console.log.info("port %s is open", self.name)
            if self.up:
                user.opened(self, True)

    def host(self, up):
        if up != self.up:
            self.up = up
            self.full = False
            if self.user:
                self.user.opened(self, up)
            self.go_on()

    # Bytes.

    def listen(self, slot):
        self.input.piece(slot, 0, self.inputs + slot * BYTES, BYTES, WRITE)
        self.input.send(slot, 1, self.received)

    def received(self, slot, length):
        if length < 0:
            self.input.release(slot)
            return
        data = bytes(metal.memory(self.inputs + slot * BYTES, length))
        self.counters.count(_RECEIVED)
        if self.user and self.user.received(self, data) is False:
            self.held.append(slot)
        else:
            self.listen(slot)

    def go_on(self):
        """The user wants more."""
        while self.held:
            self.listen(self.held.pop())

    def write(self, data):
        if not self.up:
            self.counters.count(_LOST)
            return len(data)
        taken = 0
        while taken < len(data):
            slot = self.output.take()
            if slot < 0:
                self.full = True
                break
            piece = data[taken : taken + BYTES]
            address = self.outputs + slot * BYTES
            metal.memory(address, len(piece))[:] = piece
            self.output.piece(slot, 0, address, len(piece), 0)
            self.output.send(slot, 1, self.sent)
            taken += len(piece)
            self.counters.count(_SENT)
        return taken

    def sent(self, slot, length):
        self.output.release(slot)
        if self.full and self.user:
            self.full = False
            self.user.writable(self)
