"""The module `metal` for CPython: a machine made of Python objects.

    machine = Machine()                 becomes the machine that `import metal` talks to
    machine.add_ram(base, size)         memory for ptr8(address), metal.memory(address, length)
    machine.add_ports(base, device)     has load(offset, size), store(offset, size, value)
    machine.add_registers(base, device) the same in memory
    machine.add_pci(function)           a PciFunction in the configuration space

`wait` halts the way the machine does: it returns when a counter has moved; else `machine.halted()`
may make something happen; else the clock jumps to the deadline; else the machine would sleep for
ever, and `Asleep` is raised, which is how most tests end.
"""

import sys
import types
from contextlib import suppress

import micropython

TICKS = (1 << 30) - 1
OBJECTS = 0x20000000


class Asleep(Exception):
    """The machine halted with nothing that could wake it."""


class PoweredOff(Exception):
    """metal.exit was called; `args[0]` is the status."""


class PciFunction:
    """256 bytes of configuration space; `bars` gives the size of each base address."""

    def __init__(self, address, vendor, device, class_code=0, line=11, multifunction=False):
        self.bus, self.device, self.function = address
        self.bytes = bytearray(256)
        self.put(0x00, vendor, 2)
        self.put(0x02, device, 2)
        self.put(0x0A, class_code, 2)
        self.bytes[0x0E] = (1 if class_code == 0x0604 else 0) | (0x80 if multifunction else 0)
        self.bytes[0x3C] = line
        self.bars = {}
        self.last_capability = 0x34
        self.next_capability = 0x40

    def put(self, offset, value, size):
        self.bytes[offset : offset + size] = value.to_bytes(size, "little")

    def bar(self, index, address, size, io=False, wide=False):
        flags = 1 if io else 4 if wide else 0
        self.put(0x10 + 4 * index, address & 0xFFFFFFFF | flags, 4)
        if wide:
            self.put(0x14 + 4 * index, address >> 32, 4)
            self.bars[0x14 + 4 * index] = (1, 0)
        self.bars[0x10 + 4 * index] = (size, flags)

    def capability(self, data):
        """Append a capability; `data`: its id, a byte for the link, the rest."""
        at = self.next_capability
        self.bytes[self.last_capability] = at
        self.bytes[at : at + len(data)] = data
        self.bytes[at + 1] = 0
        self.last_capability = at + 1
        self.next_capability = (at + len(data) + 3) & ~3
        self.bytes[0x06] |= 0x10

    def load(self, offset, size):
        return int.from_bytes(self.bytes[offset : offset + size], "little")

    def store(self, offset, size, value):
        if offset in self.bars and size == 4:
            length, flags = self.bars[offset]
            value = value & -length | flags
        elif 0x10 <= offset < 0x28:
            return  # no base address here
        self.put(offset, value & ((1 << 8 * size) - 1), size)


class _Registers:
    """What ptr8/16/32 of an address of registers gives: [index] at that width."""

    def __init__(self, device, offset, width):
        self.device, self.offset, self.width = device, offset, width

    def __getitem__(self, index):
        if self.offset is None:
            return 0
        value = self.device.load(self.offset + index * self.width, self.width)
        return value - (1 << 32) if self.width == 4 and value >> 31 else value

    def __setitem__(self, index, value):
        if self.offset is None:
            return
        mask = (1 << 8 * self.width) - 1
        self.device.store(self.offset + index * self.width, self.width, value & mask)


class Machine:
    def __init__(self):
        self.ram, self.ports, self.registers, self.pci = [], [], [], {}
        self.interrupts = bytearray(4 * 64)
        self.unmasked = set()
        self.lines = 17  # those that somebody has
        self.ms = 0
        self.output = []
        self.input = []
        self.command_line = ""
        self.halts = 0
        self.pci_address = 0
        self.alarms = []
        self.poweroff = None
        self.allocated = self.live = 0
        self.rdrand = False
        self.add_ports(0xCF8, self)
        self.objects = []
        micropython.physical = self.physical
        micropython.address_of = self.address_of
        metal.machine = self
        metal.interrupts = self.interrupts

    # Putting it together.

    def add_ram(self, base, size):
        block = bytearray(b"\xa5" * size)  # memory is never clean
        self.ram.append((base, block))
        return memoryview(block)

    def add_ports(self, base, device, size=64):
        self.ports.append((base, size, device))

    def add_registers(self, base, device, size=0x4000):
        self.registers.append((base, size, device))

    def add_pci(self, function):
        if function:  # else it is somewhere else
            self.pci[function.bus, function.device, function.function] = function

    def interrupt(self, line):
        counter = memoryview(self.interrupts).cast("I")
        counter[line] += 1

    # The processor's side.

    def physical(self, address, width):
        for base, block in self.ram:
            if base <= address < base + len(block):
                return memoryview(block)[address - base :]
        for base, size, device in self.registers:
            if base <= address < base + size:
                return _Registers(device, address - base, width)
        for base, view in self.objects:
            if base <= address < base + len(view):
                return view[address - base :]
        if 0xE0000 <= address < 0x100000:
            return memoryview(bytes(0x100000 - address))  # a firmware without tables
        if address >= 0xFE000000:
            return _Registers(self, None, width)  # the platform's: nobody is there
        raise IndexError(f"nothing lies at {address:#x}")

    def address_of(self, view):
        """Where a buffer of the heap lies for devices, from now on."""
        base = OBJECTS + (len(self.objects) << 20)
        self.objects.append((base, view))
        return base

    def port(self, port):
        for base, size, device in self.ports:
            if base <= port < base + size:
                return device, port - base
        return self, None

    def load(self, offset, size):
        """Configuration mechanism 1; a port with nobody behind it reads as ones."""
        if offset is None or offset < 4:
            return (1 << 8 * size) - 1
        function, at = self.selected(offset)
        return function.load(at, size) if function else (1 << 8 * size) - 1

    def store(self, offset, size, value):
        if offset == 0:
            self.pci_address = value
        elif offset and offset >= 4:
            function, at = self.selected(offset)
            if function:
                function.store(at, size, value)

    def selected(self, offset):
        address = self.pci_address
        assert address >> 31, "configuration access without the enable bit"
        key = address >> 16 & 0xFF, address >> 11 & 31, address >> 8 & 7
        return self.pci.get(key), (address & 0xFC) + offset - 4

    def halted(self):
        """Overridden by tests: what happens while the processor sleeps; True: something did."""
        return False

    def wait(self, seen, deadline):
        if bytes(seen) != bytes(self.interrupts):
            return
        self.halts += 1
        if self.halted():
            return
        if deadline < 0:
            raise Asleep
        distance = (deadline - self.ms & TICKS) if (deadline - self.ms) & TICKS < 1 << 29 else 0
        self.ms += distance
        if distance:
            self.interrupt(16)


class Metal(types.ModuleType):
    """The module; it passes everything on to the latest Machine."""

    machine = None
    build_id = "test"
    booted_by = "test"

    @property
    def command_line(self):
        return self.machine.command_line

    def _in(self, port, size):
        device, offset = self.machine.port(port)
        return device.load(offset, size)

    def _out(self, port, size, value):
        device, offset = self.machine.port(port)
        device.store(offset, size, value & ((1 << 8 * size) - 1))

    def in8(self, port):
        return self._in(port, 1)

    def in16(self, port):
        return self._in(port, 2)

    def in32(self, port):
        return self._in(port, 4)

    def out8(self, port, value):
        self._out(port, 1, value)

    def out16(self, port, value):
        self._out(port, 2, value)

    def out32(self, port, value):
        self._out(port, 4, value)

    def memory(self, address, length):
        return self.machine.physical(address, 1)[:length]

    def copy(self, pieces, count):
        words = memoryview(bytearray(pieces)).cast("I")
        for i in range(count):
            to, source, length = words[3 * i : 3 * i + 3]
            self.memory(to, length)[:] = self.memory(source, length)

    def arena(self):
        base, block = self.machine.ram[0]
        return base, len(block)

    def unmask(self, line):
        self.machine.unmasked.add(line)

    def mask(self, line):
        self.machine.unmasked.discard(line)

    def new_line(self):
        line = self.machine.lines
        self.machine.lines += line < 32
        return line if line < 32 else 0

    def wait(self, seen, deadline):
        self.machine.wait(seen, deadline)

    def alarm(self, ms):
        self.machine.alarms.append(ms)

    def ticks_ms(self):
        return self.machine.ms & TICKS

    def uptime_ms(self):
        self.machine.ms += 0
        return self.machine.ms

    def time(self):
        return 1_700_000_000 + self.machine.ms // 1000

    def stamp(self):
        return (1_700_000_000_000_000 + self.machine.ms * 1000).to_bytes(8, "little")

    def cycles(self):
        return self.machine.ms * 1000 & TICKS

    def allocated(self):
        return self.machine.allocated

    def live(self):
        return self.machine.live

    def on_busy(self, function):
        self.machine.on_busy = function

    def rdrand(self, buffer):
        buffer[:] = bytes(range(len(buffer)))
        return self.machine.rdrand

    def write(self, text):
        self.machine.output.append(text)

    def read(self):
        return self.machine.input.pop(0) if self.machine.input else -1

    def set_poweroff(self, port, value):
        self.machine.poweroff = (port, value)

    def set_panic(self, where):
        self.machine.panic = where

    def exit(self, status):
        raise PoweredOff(status)


def forget():
    """No machine is there any more, no address means anything, and nothing keeps its memory."""
    metal.machine = micropython.physical = micropython.address_of = None
    busy = sys.modules.get("runtime.urgent")
    if busy:
        busy.nics.clear()  # of an image, they are there for ever


metal = sys.modules.get("metal")
if not isinstance(metal, Metal):
    metal = sys.modules["metal"] = Metal("metal")

with suppress(ImportError):
    import gc

    # MicroPython's name, which CPython does not have.
    gc.mem_alloc = lambda: 0
