"""A virtio block device in Python, written from the device's side of the specification.

    device = BlockDevice(machine, sectors=64, indirect=True, ...)
    device.disk                     the bytes of the disk
    device.pending                  requests that wait for `serve`; `automatic` ones do not wait
    device.serve(n)                 answer the n-th of them
    device.fail[sector] = status    what a request that touches the sector ends with
    device.flushed                  how many flushes were answered
    device.said                     what was asked: (type, sector, length)

It checks, with assertions, what the driver must not do.
"""

import struct

from tests.support.virtio import NetDevice

INDIRECT = 28
READ, WRITE, FLUSH, GET_ID, DISCARD, WRITE_ZEROES = 0, 1, 4, 8, 11, 13
SIZE_MAX, SEG_MAX, RO, BLK_SIZE, F_FLUSH, TOPOLOGY, WCE, F_DISCARD, F_ZEROES = (
    1,
    2,
    5,
    6,
    9,
    10,
    11,
    13,
    14,
)
OK, IOERR, UNSUPP = 0, 1, 2


class Chains(NetDevice):
    """A device of chains: `take` follows tables, and answers come when the test wants them."""

    def __init__(self, machine, indirect=True, features=(), **options):
        super().__init__(
            machine,
            mac=None,
            status=False,
            any_layout=False,
            features=[*features, *((INDIRECT,) if indirect else ())],
            **options,
        )
        self.config = bytearray(64)

    def take(self, queue):
        index = self.word(queue.available + 2)
        if index == queue.taken:
            return None
        assert (index - queue.taken) & 0xFFFF <= queue.size, "more than the ring can hold"
        head = self.word(queue.available + 4 + 2 * (queue.taken % queue.size))
        queue.taken = (queue.taken + 1) & 0xFFFF
        assert head < queue.size
        parts, base, at, size = [], queue.descriptors, head, queue.size
        ours = set()
        while True:
            assert at < size, "a descriptor outside of its table"
            if base == queue.descriptors:
                assert at not in queue.held, f"descriptor {at} is not the driver's"
                ours.add(at)
            place = base + 16 * at
            address, length = self.word(place, 8), self.word(place + 8, 4)
            flags, following = self.word(place + 12), self.word(place + 14)
            if flags & 4:
                assert self.accepted >> INDIRECT & 1, "INDIRECT was not negotiated"
                assert flags == 4, "2.7.5.3.1"
                assert length % 16 == 0
                assert base == queue.descriptors
                base, at, size = address, 0, length // 16
                continue
            assert length, "an empty buffer"
            assert len(self.machine.physical(address, 1)) >= length
            assert flags & 2 or not any(part[2] & 2 for part in parts), "2.7.4.2: reads come first"
            parts.append((address, length, flags))
            if not flags & 1:
                break
            at = following
        queue.held |= ours
        self.heads = getattr(self, "heads", {})
        self.heads[id(queue), head] = ours
        return head, parts

    def fill_used(self, queue, head, length):
        queue.held -= getattr(self, "heads", {}).get((id(queue), head), set())
        super().fill_used(queue, head, length)

    def load_modern(self, offset, size):
        if offset & 0xF000 == 0x2000:
            offset &= 0xFFF
            return int.from_bytes(self.config[offset : offset + size], "little")
        return super().load_modern(offset, size)


class BlockDevice(Chains):
    NUMBERS = (0x1042, 0x1001, 0x0100)
    QUEUES = 1

    def __init__(
        self,
        machine,
        sectors=64,
        size_max=0,
        block_size=0,
        read_only=False,
        flush=True,
        discard=True,
        zeroes=True,
        serial=b"disk-of-tests",
        writeback=1,
        physical=0,
        automatic=True,
        **options,
    ):
        self.disk = bytearray(512 * sectors)
        self.block_size = block_size or 512
        self.serial, self.automatic = serial, automatic
        self.pending, self.fail, self.said = [], {}, []
        self.flushed = 0
        self.writeback, self.physical = writeback, physical
        features = [SEG_MAX, TOPOLOGY, WCE]
        for bit, offered in (
            (SIZE_MAX, size_max),
            (BLK_SIZE, block_size),
            (RO, read_only),
            (F_FLUSH, flush),
            (F_DISCARD, discard),
            (F_ZEROES, zeroes),
        ):
            features += [bit] if offered else []
        super().__init__(machine, features=features, **options)
        self.configure(sectors, size_max)

    def configure(self, sectors, size_max=0):
        struct.pack_into("<QII4xI", self.config, 0, sectors, size_max, 254, self.block_size)
        struct.pack_into("<BBHIB", self.config, 24, self.physical, 0, 1, 0, self.writeback)
        struct.pack_into("<IIIIIB", self.config, 36, 1 << 22, 1, 8, 1 << 22, 1, 1)

    def resize(self, sectors):
        self.disk[512 * sectors :] = bytes(max(0, 512 * sectors - len(self.disk)))
        self.generation = (self.generation + 1) & 0xFF
        self.configure(sectors)
        self.raise_interrupt(2)

    def reset(self):
        super().reset()
        self.pending = []

    def doorbell(self, queue):
        self.doorbells[queue] += 1
        ring = self.queues[queue]
        while (taken := self.take(ring)) is not None:
            self.pending.append(taken)
        while self.automatic and self.pending:
            self.serve()
        self.want(ring, True)

    def serve(self, n=0):
        head, parts = self.pending.pop(n)
        address, length, flags = parts[0]
        assert length == 16 and not flags & 2
        kind, zero, sector = struct.unpack("<IIQ", self.machine.physical(address, 1)[:16])
        assert zero == 0
        address, length, flags = parts[-1]
        assert length == 1 and flags & 2, "the status"
        total = sum(part[1] for part in parts[1:-1])
        self.said.append((kind, sector, total))
        status, written = self.act(kind, sector, parts[1:-1], total)
        self.machine.physical(address, 1)[:1] = bytes([status])
        ring = self.queues[0]
        self.give_back(ring, head, written + 1)
        self.signal(ring)

    def act(self, kind, sector, parts, total):
        if kind == FLUSH:
            assert sector == 0 and not parts and self.accepted >> F_FLUSH & 1
            self.flushed += 1
            return self.fail.get("flush", OK), 0
        if kind == GET_ID:
            ((address, length, flags),) = parts
            assert length == 20 and flags & 2
            if self.serial is None:
                return UNSUPP, 0
            self.machine.physical(address, 1)[:20] = self.serial[:20].ljust(20, b"\0")
            return OK, 20
        if kind in (DISCARD, WRITE_ZEROES):
            ((address, length, flags),) = parts
            assert length == 16 and self.accepted >> (F_DISCARD if kind == DISCARD else F_ZEROES)
            at, count, _ = struct.unpack("<QII", self.machine.physical(address, 1)[:16])
            if (at + count) * 512 > len(self.disk):
                return IOERR, 0
            self.disk[512 * at : 512 * (at + count)] = bytes(512 * count)
            return OK, 0
        assert kind in (READ, WRITE)
        assert total and total % self.block_size == 0 and sector * 512 % self.block_size == 0
        size_max = struct.unpack_from("<I", self.config, 8)[0]
        assert not size_max or all(part[1] <= size_max for part in parts)
        at = 512 * sector
        if at + total > len(self.disk) or (kind == WRITE and self.offered >> RO & 1):
            return IOERR, 0
        for bad, status in self.fail.items():
            if bad != "flush" and at <= bad * 512 < at + total:
                return status, 0
        for address, length, flags in parts:
            memory = self.machine.physical(address, 1)
            if kind == READ:
                assert flags & 2
                memory[:length] = self.disk[at : at + length]
            else:
                assert not flags & 2
                self.disk[at : at + length] = memory[:length]
            at += length
        return OK, total if kind == READ else 0
