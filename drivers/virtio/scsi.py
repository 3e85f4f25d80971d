"""virtio-scsi: an adapter with CD-ROMs, such as the one with a machine's configuration, and disks.

VIRTIO 1.2, section 5.6; SPC-4 (INQUIRY, REPORT LUNS, sense data), SBC-3 and MMC-6 (sizes, reads).
Queue 2 carries commands, each a chain of (5.6.6.1):

     0       8       16  17  18  19                               51
     +-------+-------+---+---+---+--------------------------------+
     |  LUN  |  id   |att|pri|crn|            command             |     for the device to read
     +-------+-------+---+---+---+--------------------------------+
     | data for the device ...
     +-------+-------+-------+---+---+----------------------------+
     | sense |resid- |quali- |sta|re-|       sense data           |     to write
     |length | ual   |fier   |tus|sp.|                            |
     +-------+-------+-------+---+---+----------------------------+
     | data from the device ...
     0       4       8       10  11  12                          108

All targets are asked for their units at the start.  Each unit that is a CD-ROM with a medium, or a
disk, is in machine.disks.
Law: a command that ends in a unit attention (the adapter was reset; somebody else changed
something) is repeated, except where another medium may have been put in: that is an error (EIO).
A length or a number that the device says is believed only within what was asked for.
Above: runtime/disk.py says what a disk offers.  Below: requests.py and a transport.
Left out: events (units and media that come and go), task management, more than 2^32 blocks, UNMAP,
disks that say they are write protected (their writes fail with EROFS).
"""

import metal
from micropython import const

from drivers.virtio import device, transport
from drivers.virtio.requests import INDIRECT, WRITE, Channel, Requests
from runtime.counters import Counters
from runtime.disk import Disk, Pieces, patience

TYPE = const(8)
TRANSITIONAL = const(0x1004)
QUEUE = const(2)
SLOTS = const(16)
HEADER, RESPONSE, PLACE = const(51), const(108), const(192)
RESPONSE_AT = const(64)

# Device configuration, 5.6.4.
CONFIG_MAX_SECTORS = const(8)
CONFIG_MAX_TARGET = const(30)
SENSE_SIZE, CDB_SIZE = const(96), const(32)

# What the device says of a command, 5.6.6.1, and what the unit says, SAM-5 5.3.1.
FLAT = const(0x40)  # a LUN of 14 bits
OK, BAD_TARGET, RESET, BUSY = const(0), const(3), const(4), const(5)
GOOD, CHECK_CONDITION, UNIT_BUSY, QUEUE_FULL = const(0), const(2), const(8), const(0x28)

# Sense keys, SPC-4 4.5.6, and additional codes (27h 07h: the host has no space left).
NOT_READY, ILLEGAL, UNIT_ATTENTION, PROTECTED = const(2), const(5), const(6), const(7)
MEDIUM_CHANGED, NO_MEDIUM = const(0x28), const(0x3A)
NO_SPACE, NO_SPACE_NOW = const(0x27), const(7)

TEST_UNIT_READY, INQUIRY, READ_CAPACITY = const(0x00), const(0x12), const(0x25)
READ, WRITE_10, SYNCHRONIZE, REPORT_LUNS = const(0x28), const(0x2A), const(0x35), const(0xA0)
DISK, CDROM = const(0), const(5)

ATTEMPTS = const(8)
PATIENCE_MS = const(2000)
UNITS = const(16)  # of one target that are looked at
MOST_BLOCKS = const(0xFFFF)
EIO, ENXIO, EBUSY = const(5), const(6), const(16)
ENOSPC, EROFS, EOPNOTSUPP, ETIMEDOUT = const(28), const(30), const(95), const(110)
ENOMEDIUM = const(123)


def probe(machine, function, arena):
    """What the loop services of the adapter at `function`, if it is a virtio SCSI adapter."""
    if not transport.is_virtio(function, TYPE, TRANSITIONAL):
        return None
    try:
        found = transport.find(function, machine.settings.get("virtio"))
        adapter = Adapter(machine, found, arena, function.line, f"scsi{function.name}")
    except (device.DeviceError, MemoryError) as error:
        machine.log.error("virtio-scsi at %s: %s", function.name, error)
        return None
    adapter.scan(machine)
    return adapter.channel


def choose(offered):
    return offered & (1 << INDIRECT | 1 << device.EVENT_IDX | 1 << device.VERSION_1)


def big(number, size):
    return number.to_bytes(size, "big")


class Adapter(device.Driver):
    def __init__(self, machine, transport, arena, line, name):
        self.log = machine.log
        self.loop = machine.loop
        self.name = name
        self.transport = transport
        self.choose = choose
        self.features = device.initialise(transport, choose)
        self.queue = Requests(transport, QUEUE, SLOTS, 4, self.features, arena, name)
        machine.counters.add(self.queue.counters)
        self.channel = Channel(transport, line, self.fails, self.queue)
        self.places = arena.take(self.queue.count * PLACE)
        self.commands = [None] * self.queue.count
        self.disks = []
        self.waiting = []
        self.alive = True
        read = transport.read_config
        self.most_sectors = read(CONFIG_MAX_SECTORS, 1, 4)[0] or MOST_BLOCKS
        self.targets = min(read(CONFIG_MAX_TARGET, 1, 2)[0], 255) + 1
        self.live()

    def live(self):
        self.queue.attach(self.transport)
        device.ready(self.transport)

    def scan(self, machine):
        """Find the units of all targets, which are asked at the same time: REPORT LUNS."""
        answers = {}
        size = 8 + 8 * UNITS
        cdb = bytes((REPORT_LUNS, 0, 0, 0, 0, 0)) + big(size, 4) + bytes(2)
        for target in range(self.targets):

            def told(status, buffer, target=target):
                answers[target] = () if status else units(buffer)

            Command(self, address(target, 0), cdb, bytearray(size), WRITE, told).send()
        if not self.wait(lambda: len(answers) == self.targets):
            missing = self.targets - len(answers)
            self.log.warning("%s: %d targets do not answer", self.name, missing)
        for target in sorted(answers):
            for lun in sorted(answers[target]):
                try:
                    ScsiDisk(self, target, lun).start(machine)
                except OSError as error:
                    text = "no medium" if error.args[0] == ENOMEDIUM else f"error {error.args[0]}"
                    self.log.info("%s: target %d, unit %d: %s", self.name, target, lun, text)
                    if error.args[0] == ETIMEDOUT:
                        # Who is silent once is so for all that follow: a start does not wait.
                        self.log.error("%s: no answer: no more units are looked at", self.name)
                        return

    def ask(self, lun, cdb, length):
        """For set-up: the data of a command, waited for; OSError."""
        buffer = bytearray(length)
        ends = []
        Command(self, lun, cdb, buffer, WRITE, lambda status, _: ends.append(status)).send()
        if not self.wait(lambda: ends):
            raise OSError(ETIMEDOUT)
        if ends[0]:
            raise OSError(ends[0])
        return buffer

    def wait(self, test):
        end = metal.uptime_ms() + min(PATIENCE_MS, patience())
        while not test():
            self.poll()
            if metal.uptime_ms() > end:
                return False
        return True

    def poll(self):
        self.channel.flush()
        self.channel.service(SLOTS)

    def recover(self):
        device.Driver.recover(self)
        self.queue.lost()

    def gone(self):
        """Every command fails from here on."""
        self.alive = False
        waiting, self.waiting = self.waiting, []
        for command in waiting:
            self.send(command)

    def let_go(self, disk):
        """The machine ends; the last disk resets the device."""
        self.disks.remove(disk)
        # (The host would wait for what is under way in the midst of a reset.)
        if not self.disks and self.queue.free() == self.queue.count:
            device.reset(self.transport)

    # Commands.

    def send(self, command):
        if not self.alive:
            command.done(EIO, command.buffer)
            return
        queue = self.queue
        slot = queue.take()
        if slot < 0:
            self.waiting.append(command)
            return
        place = self.places + slot * PLACE
        cdb = command.cdb
        try:
            header = command.lun + bytes(11) + cdb + bytes(CDB_SIZE - len(cdb))
            metal.memory(place, HEADER)[:] = header
            metal.memory(place + RESPONSE_AT, RESPONSE)[:] = b"\xff" * RESPONSE
        except MemoryError:
            queue.release(slot)
            raise
        self.commands[slot] = command
        queue.piece(slot, 0, place, HEADER, 0)
        pieces = 1
        if command.buffer and not command.flags:
            queue.data(slot, pieces, command.buffer, 0)
            pieces += 1
        queue.piece(slot, pieces, place + RESPONSE_AT, RESPONSE, WRITE)
        pieces += 1
        if command.buffer and command.flags:
            queue.data(slot, pieces, command.buffer, WRITE)
            pieces += 1
        queue.send(slot, pieces, self.answered)

    def answered(self, slot, length):
        command = self.commands[slot]
        response = bytes(metal.memory(self.places + slot * PLACE + RESPONSE_AT, RESPONSE))
        self.commands[slot] = None
        self.queue.release(slot)
        if self.waiting:
            self.send(self.waiting.pop(0))
        if length < 0:
            command.done(EIO, command.buffer)
        else:
            command.ended(response)


class Command:
    """One command to one unit, repeated if it has to be; at last done(errno or 0, buffer)."""

    def __init__(self, adapter, lun, cdb, buffer, flags, done):
        self.adapter, self.lun, self.cdb, self.done = adapter, lun, cdb, done
        self.buffer, self.flags = buffer, flags
        self.attempts = 0

    def send(self):
        self.attempts += 1
        self.adapter.send(self)

    def ended(self, response):
        error = judge(response)
        residual = int.from_bytes(response[4:8], "little")
        if not error and 0 < residual <= len(self.buffer) and self.cdb[0] in (READ, WRITE_10):
            error = EIO  # a part of the sectors is missing
        if error == EBUSY:
            if self.attempts < ATTEMPTS:
                self.send()
                return
            error = EIO
        self.done(error, self.buffer)


def judge(response):
    """The errno of a response; 0: all is well, EBUSY: again."""
    status, said = response[10], response[11]
    if said in (RESET, BUSY):
        return EBUSY
    if said:
        return ENXIO if said == BAD_TARGET else EIO
    if status in (UNIT_BUSY, QUEUE_FULL):
        return EBUSY
    if status != CHECK_CONDITION:
        return EIO if status else 0
    sense = response[12:]
    # SPC-4, 4.5.2 (descriptors) and 4.5.3 (fixed).
    at, more = (1, 2) if sense[0] & 0x7F >= 0x72 else (2, 12)
    key, code = sense[at] & 15, sense[more]
    if key == UNIT_ATTENTION:
        return EIO if code == MEDIUM_CHANGED else EBUSY
    if key == NOT_READY:
        return ENOMEDIUM if code == NO_MEDIUM else EBUSY
    if key == PROTECTED:
        return ENOSPC if code == NO_SPACE and sense[more + 1] == NO_SPACE_NOW else EROFS
    return EOPNOTSUPP if key == ILLEGAL else EIO


def units(answer):
    """The LUNs in what REPORT LUNS says (SPC-4, 6.33), as far as they are of one level."""
    count = min(int.from_bytes(answer[:4], "big"), len(answer) - 8) >> 3
    entries = [answer[8 + 8 * i : 10 + 8 * i] for i in range(count)]
    return [(a & 0x3F) << 8 | b for a, b in entries if a >> 6 < 2]


def address(target, lun):
    """5.6.6.1: one, the target, a LUN of one level."""
    return bytes((1, target, FLAT | lun >> 8, lun & 255, 0, 0, 0, 0))


class ScsiDisk(Disk):
    def __init__(self, adapter, target, lun):
        self.adapter = adapter
        self.place = target, lun
        self.lun = address(target, lun)
        self.poll = adapter.poll
        self.flying = 0

    def start(self, machine):
        """Take a place in machine.disks, if there is something to read."""
        answer = self.adapter.ask(self.lun, bytes((INQUIRY, 0, 0, 0, 36, 0)), 36)
        kind = answer[0]  # qualifier 0: a unit is there
        if kind not in (DISK, CDROM):
            return
        self.ready()
        told = self.adapter.ask(self.lun, bytes((READ_CAPACITY,)) + bytes(9), 8)
        last, size = int.from_bytes(told[:4], "big"), int.from_bytes(told[4:], "big")
        if size < 512 or size > 65536 or size & (size - 1) or last == 0xFFFFFFFF:
            self.adapter.log.warning(
                "%s: blocks of %d bytes, the last is %d: left alone", self.adapter.name, size, last
            )
            return
        self.block_size = size
        self.sectors = (last + 1) * (size >> 9)
        self.read_only = kind == CDROM
        self.volatile = not self.read_only
        self.longest = min(MOST_BLOCKS * size, self.adapter.most_sectors << 9) & -size or size
        self.name = f"disk{len(machine.disks)}"
        self.counters = machine.counters.add(Counters(self.name, ("errors",)))
        machine.disks.append(self)
        self.adapter.disks.append(self)
        text = "".join([chr(byte) if 32 <= byte < 127 else "?" for byte in answer[8:32]])
        self.adapter.log.info(
            "%s: virtio-scsi, target %d, unit %d, %s, %d sectors, blocks of %d%s",
            self.name,
            *self.place,
            " ".join(text.split()),
            self.sectors,
            size,
            ", read only" if self.read_only else "",
        )

    def ready(self):
        """TEST UNIT READY until it is; a medium that was put in before we came is no news."""
        for attempt in range(ATTEMPTS):
            try:
                self.adapter.ask(self.lun, bytes(6), 0)
                return
            except OSError as error:
                if error.args[0] in (ENOMEDIUM, ETIMEDOUT) or attempt == ATTEMPTS - 1:
                    raise

    def read(self, sector, buffer, done):
        self.begin(READ, sector, buffer, done)

    def write(self, sector, buffer, done):
        if self.read_only:
            raise OSError(EROFS)
        self.begin(WRITE_10, sector, buffer, done)

    def begin(self, kind, sector, buffer, done):
        length = len(buffer)
        size = self.block_size
        if (
            length <= 0
            or (length | sector << 9) & (size - 1)
            or not 0 <= sector <= self.sectors - (length >> 9)
        ):
            self.refuse(sector, length)
        if length > self.longest:
            Pieces(self, kind, sector, buffer, done)
            return
        block, count = sector // (size >> 9), length // size
        cdb = bytes((kind, 0)) + big(block, 4) + b"\0" + big(count, 2) + b"\0"
        self.command(cdb, buffer, WRITE if kind == READ else 0, done)

    def flush(self, done):
        if self.volatile:
            self.command(bytes((SYNCHRONIZE,)) + bytes(9), b"", 0, done)
        else:
            self.adapter.loop.soon(lambda: done(0, b""))

    def discard(self, sector, count, done):
        raise OSError(EROFS if self.read_only else EOPNOTSUPP)

    write_zeroes = discard

    def command(self, cdb, buffer, flags, done):
        if not self.adapter.alive:
            raise OSError(EIO)

        def ended(status, buffer):
            self.flying -= 1
            if status:
                self.counters.count(0)
            done(status, buffer)

        Command(self.adapter, self.lun, cdb, buffer, flags, ended).send()
        self.flying += 1

    def busy(self):
        return self.flying

    def stop(self, patience):
        """Everything written is on stable storage; the adapter is reset with its last disk."""
        done = self.sync(patience)
        self.adapter.let_go(self)
        return done
