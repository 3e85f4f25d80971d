"""virtio-blk: a disk.

VIRTIO 1.2, section 5.2.  One queue; a request is a chain of three (5.2.6):

     0               4               8                               16
     +---------------+---------------+-------------------------------+
     |     type      |   reserved    |            sector             |      for the device to read
     +---------------+---------------+-------------------------------+
     | data ...                                                             read: to write
     +--------
     | status                                                               to write
     +--------

Data goes between the device and the caller's buffer directly: memory is flat, and the collector
moves nothing.  Requests that find no free slot wait in order.

Law: a status that the device did not write is an error; nothing the device says is believed
further than that.  Errors are errnos: EIO, EOPNOTSUPP where the device does not know the request.
Above: runtime/disk.py says what a disk offers.  Below: requests.py and a transport.
Left out: several queues, secure erase, lifetime, zones; segments (a buffer is one piece, larger
ones than SIZE_MAX are read piece by piece).
"""

import micropython
from micropython import const

from drivers.virtio import device, transport
from drivers.virtio.requests import INDIRECT, WRITE, Channel, Requests
from drivers.virtio.spans import Spans
from runtime.counters import Counters
from runtime.disk import Disk, Pieces

TYPE = const(2)
TRANSITIONAL = const(0x1001)

# Features, 5.2.3.
SIZE_MAX = const(1)
READ_ONLY = const(5)
BLOCK_SIZE = const(6)
FLUSH = const(9)
TOPOLOGY = const(10)
CONFIG_WCE = const(11)
DISCARD = const(13)
WRITE_ZEROES = const(14)
WANTED = 1 << SIZE_MAX | 1 << READ_ONLY | 1 << BLOCK_SIZE | 1 << FLUSH | 1 << TOPOLOGY
WANTED |= 1 << CONFIG_WCE | 1 << DISCARD | 1 << WRITE_ZEROES
WANTED |= 1 << INDIRECT | 1 << device.EVENT_IDX | 1 << device.VERSION_1

# Device configuration, 5.2.4.
CONFIG_CAPACITY = const(0)
CONFIG_SIZE_MAX = const(8)
CONFIG_BLOCK_SIZE = const(20)
CONFIG_PHYSICAL = const(24)  # log2 of logical blocks per physical one
CONFIG_CACHE = const(32)

# Request types, 5.2.6.
_READ = const(0)
_WRITE = const(1)
_FLUSH = const(4)
_GET_ID = const(8)
_DISCARD = const(11)
_ZEROES = const(13)
ID_BYTES = const(20)
PATIENCE_MS = const(1000)  # for the serial number

SLOTS = const(64)
SMALLEST, LARGEST = const(512), const(65536)  # block
_EIO = const(5)
_EROFS = const(30)
_UNSUPPORTED = const(2)  # a status

COUNTS = ("errors", "lost", "waited")

# `cells`: the counters, then the state.
_ERRORS = const(0)
_LOST = const(1)  # with a reset of the device
_WAITED = const(2)  # for a free slot
_PLACES = const(4)  # address of the places, one for each slot: header at 0, status at 16
_TABLES = const(5)  # address of the descriptors, four for each slot
_DIRECT = const(6)  # log2 of the descriptors of the ring for each slot
_MASK = const(7)  # of the bytes of a block
_SECTORS = const(8)
_LIMIT = const(9)  # longest request
_HIGH = const(10)  # upper word of all sectors
_QUEUED = const(11)  # requests that wait for a free slot
_ALIVE = const(12)  # -1, then 0
_BASE = const(13)  # of sectors, as _HIGH
_QUEUE = const(14)  # address of the cells of the queue
_CELLS = const(15)
# Of requests.py: where its free slots are.
_FREE = const(5)
_STACK = const(32)
_STATUS = const(16)
_LOG2_PLACE = const(5)

_UNSET = const(255)  # a status that no device has
_LONGEST = const(0x3FFFFE00)
_FAR = const(0x3FFFFFFF)  # a disk with more sectors needs two words for them
_DEVICE_READS = const(1)  # flags of a descriptor: NEXT
_DEVICE_WRITES = const(3)


def probe(machine, function, arena):
    """What the loop services of the disk at `function`, if that is a virtio block device."""
    if not transport.is_virtio(function, TYPE, TRANSITIONAL):
        return None
    name = f"disk{len(machine.disks)}"
    try:
        found = transport.find(function, machine.settings.get("virtio"))
        disk = VirtioBlk(machine, name, found, arena, function.line)
    except (device.DeviceError, MemoryError) as error:
        machine.log.error("%s: virtio-blk at %s: %s", name, function.name, error)
        return None
    machine.disks.append(disk)
    return disk.channel


def choose(offered):
    return offered & WANTED


class VirtioBlk(Disk, device.Driver):
    said = None  # the serial number, once it was asked for

    def __init__(self, machine, name, transport, arena, line):
        self.name = name
        self.log = machine.log
        self.loop = machine.loop
        self.transport = transport
        self.choose = choose
        self.features = device.initialise(transport, choose)
        self.read_only = bool(self.has(READ_ONLY))
        self.queue = queue = Requests(transport, 0, SLOTS, 3, self.features, arena, name + ".queue")
        self.channel = Channel(transport, line, self.changed, queue)
        self.post = queue.post  # bound once, as is what else a request calls
        self.length = len
        self.kept = [None] * (2 * queue.count)  # of each slot the buffer and `done`
        self.waiting, self.alive = [], True
        self.cells = bytearray(4 * _CELLS)
        self.counters = machine.counters.add(Counters(name, COUNTS, (), self.cells))
        machine.counters.add(queue.counters)
        self.places = arena.take(queue.count << _LOG2_PLACE)
        self.configure()
        self.prepare(queue)
        self.live()
        nature = "with a cache" if self.volatile else "without a cache"
        self.log.info(
            "%s: virtio-blk, %s, %d sectors, blocks of %d, %s, line %d, %d requests",
            name,
            transport.name,
            self.sectors,
            self.block_size,
            "read only" if self.read_only else nature,
            line,
            queue.count,
        )

    def has(self, feature):
        return self.features >> feature & 1

    def configure(self):
        """Read what does not change while the device lives, and the size, which may."""
        read = self.transport.read_config
        size = read(CONFIG_BLOCK_SIZE, 1, 4)[0] if self.has(BLOCK_SIZE) else SMALLEST
        limit = read(CONFIG_SIZE_MAX, 1, 4)[0] if self.has(SIZE_MAX) else _LONGEST
        if not SMALLEST <= size <= LARGEST or size & (size - 1) or limit < size:
            device.fail(self.transport, f"blocks of {size} bytes, requests of {limit}")
        self.block_size = self.physical_size = size
        if self.has(TOPOLOGY):
            self.physical_size = size << (read(CONFIG_PHYSICAL, 1, 1)[0] & 15)
        # 5.2.6.2: there is a cache if it can be flushed, unless the field of CONFIG_WCE denies it.
        cache = not self.has(CONFIG_WCE) or read(CONFIG_CACHE, 1, 1)[0]
        self.volatile = bool(cache and self.has(FLUSH)) and not self.read_only
        self.longest = min(limit, _LONGEST) & -size
        self.put(_LIMIT, self.longest)
        self.put(_MASK, size - 1)
        self.measure()

    @micropython.viper
    def put(self, index: int, value: int):
        ptr32(self.cells)[index] = value

    def measure(self):
        low, high = self.transport.read_config(CONFIG_CAPACITY, 2, 4)
        self.sectors = sectors = high << 32 | low
        self.begin = self.begin_far if sectors > _FAR else self.begin_near
        self.put(_SECTORS, min(sectors, _FAR))

    def prepare(self, queue):
        """The descriptors that never change: the header, and the status behind data."""
        for slot in range(queue.count):
            place = self.places + (slot << _LOG2_PLACE)
            queue.piece(slot, 0, place, _STATUS, 0)
            queue.piece(slot, 1, place, _STATUS, 0)
            queue.piece(slot, 2, place + _STATUS, 1, WRITE)
            queue.dones[slot] = self.answered
        self.put(_PLACES, self.places)
        self.put(_TABLES, queue.table(0))
        self.put(_DIRECT, queue.shift)
        self.put(_ALIVE, -1)
        self.know(queue.cells)

    def live(self):
        """The queue, and steps 7 and 8 of the initialisation."""
        self.queue.attach(self.transport)
        device.ready(self.transport)

    @micropython.viper
    def know(self, queue: ptr32):
        ptr32(self.cells)[_QUEUE] = int(queue)

    @property
    def serial(self):
        """Printable characters of what the device says; asked when somebody wants to know."""
        if self.said is None:
            buffer = bytearray(ID_BYTES)
            before = self.status
            failed = self.wait(lambda done: self.begin(_GET_ID, 0, buffer, done), PATIENCE_MS)
            self.status = before  # it may answer all other questions
            self.said = "".join([chr(byte) for byte in buffer if 32 < byte < 127 and not failed])
        return self.said

    # Requests.

    @micropython.viper
    def read(self, sector, buffer, done):
        if sector >= self.sectors:
            self.refuse(sector, len(buffer))
        self.begin(_READ, sector, buffer, done)

    @micropython.viper
    def write(self, sector, buffer, done):
        if sector >= self.sectors:
            self.refuse(sector, len(buffer))
        if self.read_only:
            raise OSError(_EROFS)
        self.begin(_WRITE, sector, buffer, done)

    @micropython.viper
    def begin_near(self, kind: int, sector: int, buffer, done):
        """Send a request, piece by piece if it is too long, later if no slot is free."""
        cells = ptr32(self.cells)
        length = int(self.length(buffer))
        if kind <= _WRITE:
            last = cells[_SECTORS] - (length >> 9)
            if length <= 0 or (length | sector << 9) & cells[_MASK] or sector < 0 or sector > last:
                self.refuse(sector, length)
            if length > cells[_LIMIT]:
                Pieces(self, kind, sector, buffer, done)
                return
        queue = ptr32(cells[_QUEUE])
        free = (queue[_FREE] & cells[_ALIVE]) - 1
        if free < 0:
            self.queue_up(kind, sector, buffer, done)
            return
        data = ptr8(buffer)
        queue[_FREE] = free
        slot = queue[_STACK + free]
        kept = self.kept
        kept[slot << 1] = buffer
        kept[(slot << 1) + 1] = done
        place = ptr32(cells[_PLACES] + (slot << _LOG2_PLACE))
        place[0] = kind
        place[1] = 0
        place[2] = sector + cells[_BASE]
        place[3] = cells[_HIGH]
        place[4] = _UNSET
        pieces = 2
        descriptor = ptr32(cells[_TABLES] + (slot << 6))
        if length:
            pieces = 3
            flags = _DEVICE_READS
            if kind & 7 == 0:  # _READ, _GET_ID
                flags = _DEVICE_WRITES
            following = 2
            if cells[_DIRECT]:
                following += slot << 2
            descriptor[4] = int(data)
            descriptor[6] = length
            descriptor[7] = flags | following << 16
        else:
            descriptor[4] = cells[_PLACES] + (slot << _LOG2_PLACE) + _STATUS
            descriptor[6] = 1
            descriptor[7] = _DEVICE_WRITES
        self.post(slot, pieces)

    def begin_far(self, kind, sector, buffer, done):
        """On a disk whose sectors are no small integers: those of `begin_near` begin elsewhere."""
        length = len(buffer)
        low = sector & 0xFFFF
        if kind <= _WRITE:
            wrong = (length | sector << 9) & (self.block_size - 1)
            if wrong or not 0 <= sector <= self.sectors - (length >> 9):
                self.refuse(sector, length)
            if length > self.longest:
                Pieces(self, kind, sector, buffer, done)
                return
        if not self.queue.free():
            self.queue_up(kind, sector, buffer, done)
            return
        self.put(_HIGH, sector >> 32)
        self.put(_BASE, sector - low & 0xFFFFFFFF)
        try:
            self.begin_near(kind, low, buffer, done)
        finally:
            self.put(_HIGH, 0)
            self.put(_BASE, 0)

    @micropython.viper
    def answered(self, slot: int, length: int):
        cells = ptr32(self.cells)
        status = ptr8(cells[_PLACES] + (slot << _LOG2_PLACE))[_STATUS]
        kept = self.kept
        at = slot << 1
        buffer = kept[at]
        done = kept[at + 1]
        kept[at] = kept[at + 1] = None
        queue = ptr32(cells[_QUEUE])
        free = queue[_FREE]
        queue[_STACK + free] = slot
        queue[_FREE] = free + 1
        if cells[_QUEUED]:
            self.next()
        if length < 0:
            cells[_LOST] += 1
            status = _EIO
        elif status:
            cells[_ERRORS] += 1
            status = 95 if status == _UNSUPPORTED else _EIO  # EOPNOTSUPP
        done(status, buffer)

    def flush(self, done):
        if self.volatile:
            self.begin(_FLUSH, 0, b"", done)
        else:
            self.loop.soon(lambda: done(0, b""))

    def discard(self, sector, count, done):
        Spans(self, _DISCARD, DISCARD, sector, count, done)

    def write_zeroes(self, sector, count, done):
        Spans(self, _ZEROES, WRITE_ZEROES, sector, count, done)

    # What is not every request's.

    def queue_up(self, *request):
        if not self.alive:
            raise OSError(_EIO)
        self.waiting.append(request)
        self.put(_QUEUED, len(self.waiting))
        self.counters.count(_WAITED)

    def next(self):
        while self.waiting:
            request = self.waiting.pop(0)
            self.put(_QUEUED, len(self.waiting))
            try:
                self.begin(*request)
                return
            except (OSError, ValueError):
                request[3](_EIO, request[2])  # the disk has shrunk meanwhile

    def busy(self):
        return self.queue.count - self.queue.free() + len(self.waiting)

    def poll(self):
        self.channel.flush()
        self.channel.service(SLOTS)

    def stop(self, patience):
        """Everything written is on stable storage, if the host is quick enough."""
        done = self.sync(patience)
        if not self.busy():  # (the host would wait for those in the midst of a reset)
            device.reset(self.transport)
        self.gone()
        return done

    def gone(self):
        """No request leaves from here on; what waits has failed."""
        self.alive = False
        self.put(_ALIVE, 0)
        waiting, self.waiting = self.waiting, []
        self.put(_QUEUED, 0)
        for _, _, buffer, done in waiting:
            done(_EIO, buffer)

    def changed(self):
        """The configuration of the device changed, or the device died."""
        if self.fails():
            return
        before = self.sectors
        self.measure()
        if self.sectors != before:
            self.log.info("%s: %d sectors now, %d before", self.name, self.sectors, before)
            self.on_change()

    def recover(self):
        """What the device had has failed."""
        device.Driver.recover(self)
        self.queue.lost()
