"""virtio-balloon: memory that this machine does not use is the host's, for as long as that lasts.

VIRTIO 1.2, section 5.5.  Queues: pages lent, pages taken back, statistics, free pages reported.

The heap is one piece that grows upwards; memory above it holds nothing.  The host is lent pages
from the top of it downwards, as many as it wishes (5.5.4), but never those next to the heap: as
much as the heap has, and at least RESERVE, stays.  What the heap grows into later it simply uses,
for nobody has to be asked (MUST_TELL_HOST is not accepted); the host is told within a second.

     heap in use      | stays     |                          | lent
     +----------------+-----------+--------------------------+----------------+
     start            end         floor                      edge             top

Law: the heap does not grow while the host may still be throwing away pages; a page that is lent has
been thrown away before anything else happens.  A host that does not answer is lent nothing more.
Statistics (5.5.6.3): total, free and available memory, whenever the host asks; then the heap is
looked at, too: a large one that has become a small one gives back its upper part, which is reported
as free where the device wants to know (5.5.6.7).

Below: port/micropython/modlending.c, requests.py.
Left out: free page hints, poison, other page sizes than 4 KiB; memory that is not the heap's.
"""

import lending
import metal
from micropython import const

from drivers.virtio import device, transport
from drivers.virtio.requests import WRITE, Channel, Requests
from runtime.counters import Counters

TYPE = const(5)
TRANSITIONAL = const(0x1002)
STATISTICS = const(1)  # features, 5.5.3
FREE_HINT = const(3)
REPORTING = const(5)
WISHED = const(0)  # configuration, 5.5.4
ACTUAL = const(4)

PAGE = const(12)  # log2
PAGES = const(256)  # in one request
EACH_TURN = const(16)  # requests
RESERVE = const(4 << 20)
SMALL_HEAP = const(8 << 20)  # one that is not looked at
PIECE = const(64 << 20)  # reported in one request
PATIENCE_MS = const(1000)
LOOK_MS = const(1000)  # how often, while something is lent, whether the heap has grown
FREE, TOTAL, AVAILABLE = const(4), const(5), const(6)  # tags, 5.5.6.3
STAT = const(10)  # bytes

COUNTS = ("lent", "back", "asked", "reported")  # requests
_LENT = const(0)
_BACK = const(1)
_ASKED = const(2)
_REPORTED = const(3)


def probe(machine, function, arena):
    """What the loop services of the device at `function`, if that is a virtio balloon."""
    if not transport.is_virtio(function, TYPE, TRANSITIONAL):
        return None
    try:
        found = transport.find(function, machine.settings.get("virtio"))
        return VirtioBalloon(machine, found, arena, function.line).channel
    except (device.DeviceError, MemoryError) as error:
        machine.log.error("virtio-balloon at %s: %s", function.name, error)
        return None


def choose(offered):
    wanted = 1 << device.VERSION_1 | 1 << device.EVENT_IDX | 1 << STATISTICS | 1 << REPORTING
    return offered & wanted


class VirtioBalloon:
    def __init__(self, machine, transport, arena, line):
        self.log = machine.log
        self.loop = machine.loop
        self.transport = transport
        self.memory = sum([size for _, size, kind in metal.memory_map if kind == 1])
        self.features = features = device.initialise(transport, choose)
        hints = transport.features() >> FREE_HINT & 1

        def queue(index):
            return Requests(transport, index, 1, 1, features, arena)

        self.queues = [queue(0), queue(1)]
        self.statistics = self.reports = None
        if features >> STATISTICS & 1:
            self.statistics = queue(2)
            self.queues.append(self.statistics)
        if features >> REPORTING & 1:
            # The device's queues follow each other without gaps for those it does not have.
            self.reports = queue(len(self.queues) + hints)
            self.queues.append(self.reports)
        self.counters = machine.counters.add(Counters("balloon", COUNTS))
        self.numbers = arena.take(4 * PAGES)
        self.figures = arena.take(3 * STAT)
        self.channel = Channel(transport, line, self.changed, *self.queues)
        self.timer = machine.timers.timer(self.look)
        _, _, top, _ = lending.bounds()
        self.top = self.edge = top >> PAGE
        self.broken = False
        self.live()
        self.log.info("virtio-balloon, %s, line %d", transport.name, line)

    def live(self):
        for queue in self.queues:
            queue.attach(self.transport)
        device.ready(self.transport)
        if self.statistics:
            self.tell()
        self.timer.start(0)

    def changed(self):
        """The host wishes something else, or the device died."""
        if self.transport.status() & device.NEEDS_RESET:
            # All that was lent is ours again after a reset, 5.5.6.1; once is enough.
            self.log.error("virtio-balloon: the device failed")
            self.broken = True
            device.reset(self.transport)
            self.edge = self.top
            for queue in self.queues:
                queue.lost()
        elif not self.broken:
            self.timer.start(0)

    # Lending.

    def floor(self):
        """The first page that may be lent."""
        start, end, _, _ = lending.bounds()
        return (end + max(end - start, RESERVE) >> PAGE) + 1

    def look(self):
        """Come nearer to what the host wishes; take back what the heap needs."""
        if not self.broken:
            try:
                self.approach()
            except MemoryError:  # the heap, which must not grow meanwhile, is full to the brim
                self.timer.start(LOOK_MS)

    def approach(self):
        wished = self.transport.read_config(WISHED, 1, 4)[0]
        goal = min(max(self.top - wished, self.floor()), self.top)
        turns = EACH_TURN
        before = self.edge
        while self.edge != goal and turns and not self.broken:
            turns -= 1
            if self.edge > goal:
                some = min(self.edge - goal, PAGES)
                self.move(0, self.edge - some, some)
            else:
                some = min(goal - self.edge, PAGES)
                self.move(1, self.edge, some)
        if self.edge != before:
            self.transport.write_config(ACTUAL, self.top - self.edge)
            self.log.debug("virtio-balloon: %d pages lent, of %d", self.top - self.edge, wished)
        if self.edge != goal and not turns:
            self.timer.start(0)
        elif self.edge != self.top or wished:
            self.timer.start(LOOK_MS)

    def move(self, which, first, some):
        """Lend (0) or take back (1) pages, and wait until the host has them or knows."""
        queue = self.queues[which]
        slot = queue.take()
        if slot < 0:
            self.broken = True
            return
        pages = b"".join([(first + i).to_bytes(4, "little") for i in range(some)])
        metal.memory(self.numbers, len(pages))[:] = pages
        queue.piece(slot, 0, self.numbers, len(pages), 0)
        lending.limit(which == 0)
        queue.send(slot, 1, self.taken_back if which else self.lent)
        if queue.wait(slot, PATIENCE_MS):
            self.edge = first if which == 0 else first + some
        else:
            self.broken = True
            self.log.error("virtio-balloon: no answer, so nothing more is lent")

    def lent(self, slot, length):
        lending.limit(False)
        self.counters.count(_LENT)
        self.queues[0].release(slot)

    def taken_back(self, slot, length):
        self.counters.count(_BACK)
        self.queues[1].release(slot)

    # Statistics.

    def tell(self):
        """Put figures into the queue; the host gives them back when it wants new ones."""
        start, _, top, live = lending.bounds()
        free = top - start - live - metal.allocated()
        slot = self.statistics.take()
        figures = b""
        for tag, value in ((FREE, free), (TOTAL, self.memory), (AVAILABLE, free)):
            figures += tag.to_bytes(2, "little") + value.to_bytes(8, "little")
        metal.memory(self.figures, len(figures))[:] = figures
        self.statistics.piece(slot, 0, self.figures, len(figures), 0)
        self.statistics.send(slot, 1, self.asked)

    def asked(self, slot, length):
        self.statistics.release(slot)
        if length >= 0:
            self.counters.count(_ASKED)
            # Not from within here: the collector believes what it finds on the stack.
            self.loop.soon(self.give_back)
            self.tell()

    def give_back(self):
        """A heap that was large and is small: its upper part is nobody's."""
        start, before, _, live = lending.bounds()
        if before - start <= SMALL_HEAP or live > before - start >> 2:
            return
        lending.shrink()
        _, end, _, _ = lending.bounds()
        if end < before:
            self.log.info("the heap gives back %d KB", before - end >> 10)
            if self.reports and not self.broken:
                self.report(end + 4095 & -4096, before & -4096)

    def report(self, at, end):
        """Pages from here to there are free: the host may take what is in them."""
        lending.limit(True)
        while at < end and not self.broken:
            some = min(end - at, PIECE)
            slot = self.reports.take()
            self.reports.piece(slot, 0, at, some, WRITE)
            self.reports.send(slot, 1, self.reported)
            if not self.reports.wait(slot, PATIENCE_MS):
                self.broken = True
                self.log.error("virtio-balloon: no answer to a report")
                return
            at += some
        lending.limit(False)

    def reported(self, slot, length):
        self.counters.count(_REPORTED)
        self.reports.release(slot)
        if self.broken:
            lending.limit(False)  # it has come at last
