"""A virtio network device in Python, written from the device's side of the specification.

    device = NetDevice(machine, modern=True, event_idx=True)
    device.deliver(frame) -> bool       as if it came from the wire; False: no buffer
    device.sent                         frames that the driver has sent, once `transmit_all` ran
    device.described                    the device header of each, as its six fields
    device.polling = True               it looks at the transmit queue by itself and says so

It checks what the driver must not do (status steps out of order, features it did not offer, rings
outside of memory, a descriptor that is already the device's) with assertions.
"""

import struct

from tests.support.metal import PciFunction

MTU, MAC, STATUS, ANY_LAYOUT, EVENT_IDX, VERSION_1 = 3, 5, 16, 27, 29, 32
MERGEABLE = 15
RX, TX = 0, 1


class Queue:
    def __init__(self, size):
        self.size = self.limit = size
        self.descriptors = self.available = self.used = 0
        self.enabled = False
        self.taken = 0  # entries of the available ring that the device has taken
        self.index = 0  # of the used ring
        self.signalled = 0
        self.held = set()


class NetDevice:
    NUMBERS = (0x1041, 0x1000, 0x0200)  # modern, transitional, PCI class
    QUEUES = 2

    def __init__(
        self,
        machine,
        modern=True,
        event_idx=True,
        any_layout=True,
        size=256,
        mac=b"\x52\x54\x00\x12\x34\x56",
        mtu=None,
        status=True,
        line=11,
        slot=3,
        bus=0,
        refuse=False,
        reset_takes=2,
        features=(),
    ):
        self.machine, self.modern, self.line = machine, modern, line
        self.offered = (event_idx << EVENT_IDX) | (any_layout << ANY_LAYOUT) | (status << STATUS)
        self.offered |= (mac is not None) << MAC | (mtu is not None) << MTU | modern << VERSION_1
        self.config = bytearray(struct.pack("<6sHHH", mac or bytes(6), 1, 1, mtu or 0))
        self.offered |= sum(1 << bit for bit in features)
        self.described = []
        self.refuse, self.reset_takes = refuse, reset_takes
        self.sizes = size
        self.sent, self.doorbells, self.log = [], [0, 0], []
        self.polling = False
        self.isr_reads = 0
        self.generation = 0
        self.resetting = 0
        self.reset()
        # What firmware left behind: a running device.
        self.device_status = 15
        self.steps = []
        machine.add_pci(self.function(bus, slot))

    def function(self, bus, slot):
        # A transitional device has both interfaces; this one shows what `modern` says.
        it = PciFunction(
            (bus, slot, 0), 0x1AF4, self.NUMBERS[not self.modern], self.NUMBERS[2], self.line
        )
        base = 0xFEB00000 + 0x10000 * (slot + 32 * bus)
        if self.modern:
            it.bar(4, base, 0x4000, wide=True)
            for type, at in ((1, 0x0000), (3, 0x1000), (4, 0x2000), (2, 0x3000)):
                length = 20 if type == 2 else 16
                tail = struct.pack("<I", 4) if type == 2 else b""
                it.capability(
                    struct.pack("<BBBBBBHII", 9, 0, length, type, 4, 0, 0, at, 0x1000) + tail
                )
            self.machine.add_registers(base, self)
        else:
            it.bar(0, 0xC000 + 0x40 * slot, 0x20, io=True)
            self.machine.add_ports(0xC000 + 0x40 * slot, self)
        return it

    def reset(self):
        self.device_status = 0
        self.isr = 0
        self.feature_select = self.driver_select = self.select = 0
        self.accepted = 0
        self.queues = [Queue(self.sizes) for _ in range(self.QUEUES)]
        self.used_up = False

    # Registers.

    def load(self, offset, size):
        if self.modern:
            return self.load_modern(offset, size)
        if offset >= 20:
            return int.from_bytes(self.config[offset - 20 : offset - 20 + size], "little")
        queue = self.queues[self.select] if self.select < self.QUEUES else None
        if offset == 0:
            assert size == 4
            return self.offered & 0xFFFFFFFF
        if offset == 12:
            return queue.size if queue else 0
        if offset == 18:
            return self.read_status()
        if offset == 19:
            return self.read_isr()
        raise AssertionError(f"load of legacy register {offset}, {size} bytes")

    def store(self, offset, size, value):
        if self.modern:
            self.store_modern(offset, size, value)
        elif offset == 4:
            self.accept(value)
        elif offset == 8:
            queue, size = self.queues[self.select], self.queues[self.select].size
            queue.descriptors = value << 12
            queue.available = queue.descriptors + 16 * size
            queue.used = (queue.available + 6 + 2 * size + 4095) & ~4095
            queue.enabled = value != 0
        elif offset == 14:
            self.select = value
        elif offset == 16:
            self.doorbell(value)
        elif offset == 18:
            self.write_status(value)
        else:
            raise AssertionError(f"store to legacy register {offset}, {size} bytes")

    def load_modern(self, offset, size):
        structure, offset = offset & 0xF000, offset & 0xFFF
        if structure == 0x1000:
            assert (offset, size) == (0, 1)
            return self.read_isr()
        if structure == 0x2000:
            # 4.1.3.1: at the width of the field.
            assert size == (1 if offset < 6 else 2), f"{size} bytes at {offset}"
            return int.from_bytes(self.config[offset : offset + size], "little")
        assert structure == 0
        queue = self.queues[self.select] if self.select < self.QUEUES else None
        if (offset, size) == (4, 4):
            return self.offered >> 32 * self.feature_select & 0xFFFFFFFF
        if (offset, size) == (20, 1):
            return self.read_status()
        if (offset, size) == (21, 1):
            return self.generation
        if (offset, size) == (24, 2):
            return queue.size if queue else 0
        if (offset, size) == (30, 2):
            return self.select
        raise AssertionError(f"load of common register {offset}, {size} bytes")

    def store_modern(self, offset, size, value):
        structure, offset = offset & 0xF000, offset & 0xFFF
        if structure == 0x3000:
            assert size == 2 and offset == 4 * value
            self.doorbell(value)
            return
        assert structure == 0
        queue = self.queues[self.select] if self.select < self.QUEUES else None
        if (offset, size) == (0, 4):
            self.feature_select = value
        elif (offset, size) == (8, 4):
            self.driver_select = value
        elif (offset, size) == (12, 4):
            low = 32 * self.driver_select
            self.accept(self.accepted & ~(0xFFFFFFFF << low) | value << low)
        elif (offset, size) == (20, 1):
            self.write_status(value)
        elif (offset, size) == (22, 2):
            self.select = value
        elif (offset, size) == (24, 2):
            assert 0 < value <= queue.limit and value & (value - 1) == 0
            queue.size = value
        elif offset in (32, 40, 48) and size == 4:
            assert value, "a ring at address 0"
            setattr(queue, {32: "descriptors", 40: "available", 48: "used"}[offset], value)
        elif offset in (36, 44, 52) and size == 4:
            assert value == 0
        elif (offset, size) == (28, 2):
            queue.enabled = True
        else:
            raise AssertionError(f"store to common register {offset}, {size} bytes")

    def accept(self, features):
        assert not self.device_status & 8, "features after FEATURES_OK"
        assert features & ~self.offered == 0, "features that were not offered"
        self.accepted = features

    def read_status(self):
        if self.resetting:
            self.resetting -= 1
            self.machine.ms += 1
            return self.device_status | 1
        return self.device_status

    def write_status(self, value):
        self.steps.append(value)
        if value == 0:
            self.reset()
            self.resetting = self.reset_takes
            return
        assert value & self.device_status == self.device_status, "3.1.1: status bits are only set"
        if value & 8 and self.refuse:
            value &= ~8
        self.device_status = value
        if value & 4:
            assert all(queue.enabled for queue in self.queues)

    def read_isr(self):
        self.isr_reads += 1
        cause, self.isr = self.isr, 0
        return cause

    def doorbell(self, queue):
        self.doorbells[queue] += 1
        if queue == TX and not self.polling:
            self.transmit_all()
        if queue == RX:
            self.used_up = False

    # Memory, as a device sees it.

    def word(self, address, size=2):
        return int.from_bytes(self.machine.physical(address, 1)[:size], "little")

    def put(self, address, value, size=2):
        self.machine.physical(address, 1)[:size] = value.to_bytes(size, "little")

    @property
    def has_event_idx(self):
        return self.accepted >> EVENT_IDX & 1

    def take(self, queue):
        """The next chain of the available ring: its head and its parts, or None."""
        index = self.word(queue.available + 2)
        if index == queue.taken:
            return None
        assert (index - queue.taken) & 0xFFFF <= queue.size, "more than the ring can hold"
        head = self.word(queue.available + 4 + 2 * (queue.taken % queue.size))
        queue.taken = (queue.taken + 1) & 0xFFFF
        assert head < queue.size and head not in queue.held, (
            f"descriptor {head} is not the driver's"
        )
        queue.held.add(head)
        parts, at = [], head
        while True:
            base = queue.descriptors + 16 * at
            address, length = self.word(base, 8), self.word(base + 8, 4)
            flags, following = self.word(base + 12), self.word(base + 14)
            assert len(self.machine.physical(address, 1)) >= length
            parts.append((address, length, flags))
            if not flags & 1:
                break
            at = following
        if self.QUEUES == 2 and not self.modern and not self.accepted >> ANY_LAYOUT & 1:
            assert parts[0][1] == 10, "5.1.6.1: the header has a descriptor of its own"
        return head, parts

    def give_back(self, queue, head, length):
        self.fill_used(queue, head, length)
        self.put(queue.used + 2, queue.index)

    def fill_used(self, queue, head, length):
        queue.held.discard(head)
        at = queue.used + 4 + 8 * (queue.index % queue.size)
        self.put(at, head, 4)
        self.put(at + 4, length, 4)
        queue.index = (queue.index + 1) & 0xFFFF

    def signal(self, queue):
        """2.7.7.2: interrupt unless the driver suppresses it."""
        if self.has_event_idx:
            assert self.word(queue.available) == 0, "flags with EVENT_IDX"
            event = self.word(queue.available + 4 + 2 * queue.size)
            crossed = (queue.index - event - 1) & 0xFFFF < (queue.index - queue.signalled) & 0xFFFF
            queue.signalled = queue.index
            if not crossed:
                return
        elif self.word(queue.available) & 1:
            return
        self.raise_interrupt(1)

    def raise_interrupt(self, cause):
        self.isr |= cause
        self.machine.interrupt(self.line)

    # The wire.

    @property
    def header(self):
        return 12 if self.modern or self.mergeable else 10

    @property
    def mergeable(self):
        return self.accepted >> MERGEABLE & 1

    def deliver(self, frame, signal=True, flags=0):
        queue = self.queues[RX]
        if not self.device_status & 4:
            return False
        taken = self.take(queue)
        if taken is None:
            # Ask for a doorbell, and look again.
            self.used_up = True
            self.want(queue, True)
            return False
        head, parts = taken
        data = bytes([flags]) + bytes(self.header - 1) + frame
        first = parts[0][0]
        buffers = 0
        index = queue.index
        while True:
            buffers += 1
            before = len(data)
            for address, length, access in parts:
                assert access & 2, "a receive buffer that the device may not write"
                part, data = data[:length], data[length:]
                self.machine.physical(address, 1)[: len(part)] = part
            self.fill_used(queue, head, before - len(data))
            if not data:
                break
            assert self.mergeable, "the frame does not fit"
            taken = self.take(queue)
            if taken is None:
                # All or nothing: back to where we were.
                queue.taken = (queue.taken - buffers) & 0xFFFF
                queue.index = index
                queue.held.clear()
                self.want(queue, True)
                return False
            head, parts = taken
        if self.modern or self.mergeable:
            self.put(first + 10, buffers)
        self.put(queue.used + 2, queue.index)
        if signal:
            self.signal(queue)
        return True

    def can(self, feature):
        return self.accepted >> feature & 1

    def want(self, queue, doorbell):
        if self.has_event_idx:
            if doorbell:
                self.put(queue.used + 4 + 8 * queue.size, queue.taken)
        else:
            self.put(queue.used, 0 if doorbell else 1)

    def transmit_all(self, limit=None):
        """Take what the driver has published on the transmit queue."""
        queue = self.queues[TX]
        done = 0
        while limit is None or done < limit:
            taken = self.take(queue)
            if taken is None:
                break
            head, parts = taken
            data = b""
            for address, length, flags in parts:
                assert not flags & 2
                data += bytes(self.machine.physical(address, 1)[:length])
            described = struct.unpack("<BBHHHH", data[:10])
            flags, kind, *_ = described
            assert not flags or self.accepted & 1, "an offload that was not negotiated"
            assert kind & 0x7F in (0, *((1,) * self.can(11)), *((4,) * self.can(12)))
            assert not kind or flags & 1, "5.1.6.2.1: segmentation needs NEEDS_CSUM"
            assert len(data) - self.header <= 1514 or kind
            self.described.append(described)
            self.sent.append(data[self.header :])
            self.give_back(queue, head, 0)
            self.signal(queue)
            done += 1
        self.want(queue, not self.polling)
        return done

    def set_link(self, up):
        self.generation = (self.generation + 1) & 0xFF
        self.config[6:8] = struct.pack("<H", int(up))
        self.raise_interrupt(2)


class RngDevice(NetDevice):
    """An entropy device; `gives` says how many bytes it has for each request."""

    NUMBERS = (0x1044, 0x1005, 0xFF00)
    QUEUES = 1

    def __init__(self, machine, gives=(64,), **options):
        self.gives = list(gives)
        self.requests = 0
        super().__init__(machine, mac=None, status=False, **options)
        self.offered &= 1 << VERSION_1

    def doorbell(self, queue):
        self.requests += 1
        self.serve()

    def serve(self):
        if not self.gives:
            return
        queue = self.queues[0]
        head, ((address, length, flags),) = self.take(queue)
        assert flags & 2
        count = self.gives.pop(0)
        some = min(count, length)
        self.machine.physical(address, 1)[:some] = bytes(range(1, some + 1))
        self.give_back(queue, head, count)
        self.signal(queue)
