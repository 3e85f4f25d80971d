"""The event loop: drivers whose interrupt line moved, due timers, callbacks, doorbells, sleep.

An interrupt handler only adds one to the counter of its line; here is where things happen.  A turn:

    1. drivers   each device whose line has moved, or that had work left, handles up to BUDGET
                 packets, so that a flood on one device starves nobody; devices that are `rare`
                 (a button, a console) cost nothing in a turn that another device has asked for
    2. timers    those that are due
    3. callbacks those that `soon` had collected before the turn; later ones wait for the next turn
    4. flush     each device rings the doorbells it owes, once per queue
    5. sleep     when nothing is left: collect garbage if it is worth it, then wait for an interrupt
                 or the next deadline

Sleeping loses no wake-up: the counters are copied to `seen` before the drivers run, and `wait`
compares them again with interrupts off and halts in the same step.

A turn allocates nothing.  An exception that a callback does not catch leaves `run` and ends the
machine loudly: it is a bug, not a packet.

`block` is the base of every call that waits: it runs turns inside of the callback that called it,
until `wake`.  Callbacks and timers may so run, and block, within each other, and a wake-up may be
for somebody else: who blocks looks again at what he waits for.  The inner one has to return before
the outer one can.

Devices: `line` (an interrupt line), `service(budget)` -> work is left, and, if they have doorbells,
`flush()`.  One whose class says `rare = True` leaves no work.
"""

import micropython
from micropython import const

BUDGET = const(64)
LINES = const(64)  # counters in `interrupts`
DEVICES = const(32)
CALLBACKS = const(16)  # to begin with

# `state`: words that only the loop uses.
STOPPED = const(0)
COUNT = const(1)  # devices
HEAD = const(2)  # callbacks: the next to call
PENDING = const(3)  # callbacks: how many
SLEEPS = const(4)
ROOM = const(5)  # for callbacks
FLUSHES = const(6)
WAKES = const(7)  # calls of `wake`
RARE = const(8)  # the first of the rare devices, which fill the places from the last down
LINE = const(16)  # per device: its line
SEEN = const(48)  # per device: the counter when it was last serviced
WORK = const(80)  # per device: work is left

TIDY_EVERY = const(64)  # sleeps between two looks at the heap


class Loop:
    """`metal`: interrupts, unmask, wait, ticks_ms.  `tidy()`: collect garbage if it is worth it."""

    def __init__(self, metal, timers, tidy):
        self.unmask = metal.unmask
        self.wait = metal.wait
        self.ticks_ms = metal.ticks_ms
        self.interrupts = metal.interrupts
        self.timers = timers
        self.tidy = tidy
        self.seen = bytearray(4 * LINES)
        self.state = bytearray(4 * (WORK + DEVICES))
        self.services = [None] * DEVICES
        self.flushes = []
        self.callbacks = [None] * CALLBACKS
        self.state[4 * ROOM] = CALLBACKS
        self.state[4 * RARE] = DEVICES
        self.alarms = []  # a timer for each `block` within another
        self.depth = 0
        self.failure = None
        self.one_more = self.nothing  # bound once: blocking allocates nothing

    @micropython.viper
    def add(self, device):
        """Service `device` from now on."""
        state = ptr32(self.state)
        n = state[COUNT]
        if n == state[RARE]:
            raise ValueError("the loop has room for 32 devices")
        if bool(getattr(device, "rare", False)):
            n = state[RARE] - 1
            state[RARE] = n
        else:
            state[COUNT] = n + 1
        line = int(device.line)
        state[LINE + n] = line
        state[SEEN + n] = -1  # look at it once, whatever its line did before
        state[WORK + n] = 1
        self.services[n] = device.service
        flush = getattr(device, "flush", None)
        if flush:
            self.flushes.append(flush)
            state[FLUSHES] += 1
        self.unmask(line)

    @micropython.viper
    def every_turn(self, callback):
        """Call `callback()` before each sleep, from now on."""
        state = ptr32(self.state)
        self.flushes.append(callback)
        state[FLUSHES] += 1

    @micropython.viper
    def soon(self, callback):
        """Call `callback()` in the next turn."""
        state = ptr32(self.state)
        callbacks = self.callbacks
        if state[PENDING] == state[ROOM]:
            self.grow(state[HEAD])
            state[HEAD] = 0
            state[ROOM] <<= 1
            callbacks = self.callbacks
        at = state[HEAD] + state[PENDING]
        if at >= state[ROOM]:
            at -= state[ROOM]
        callbacks[at] = callback
        state[PENDING] += 1

    @micropython.viper
    def revisit(self, line: int):
        """Service the devices of `line` in the next turn, even if it does not move."""
        state = ptr32(self.state)
        i = state[COUNT]
        while i:
            i -= 1
            if state[LINE + i] == line and state[WORK + i] == 0:
                state[WORK + i] = 1
                self.soon(self.one_more)

    def grow(self, head):
        """Make twice the room for callbacks, with the next to call in front."""
        callbacks = self.callbacks
        self.callbacks = callbacks[head:] + callbacks[:head] + [None] * len(callbacks)

    @micropython.viper
    def stop(self):
        """Leave `run` at the end of this turn."""
        state = ptr32(self.state)
        state[STOPPED] = 1

    @micropython.viper
    def resume(self):
        """Turn again, for those who block at the end."""
        state = ptr32(self.state)
        state[STOPPED] = 0

    def run(self):
        """Turn until stopped, which may have happened before."""
        self.turns(0, 0)

    def block(self, ms=-1):
        """Turn until `wake` is called or `ms` have passed (-1: no limit), or for any other reason.

        When the machine is stopped meanwhile, SystemExit unwinds whoever is blocked.  A bug in
        another callback is not the business of who blocks either: `failure` keeps it for boot.
        """
        depth = self.depth
        if depth == len(self.alarms):
            self.alarms.append(self.timers.timer(self.wake))
        alarm = self.alarms[depth]
        if ms >= 0:
            alarm.start(ms)
        self.depth = depth + 1
        try:
            self.turns(self.wakes(), -1)
        except SystemExit:
            raise
        except KeyboardInterrupt:
            # Ctrl-C at a REPL, or at a Linux process, is for the one who is blocked.
            self.depth = depth
            alarm.stop()
            raise
        except BaseException as failure:
            self.failure = failure
            self.stop()
        self.depth = depth
        alarm.stop()
        # The turn we are in has old counters, so it must not be the last one before a sleep.
        self.soon(self.one_more)
        if self.stopped():
            raise SystemExit

    @micropython.viper
    def wake(self):
        """Let whoever is blocked look again."""
        state = ptr32(self.state)
        state[WAKES] = (state[WAKES] + 1) & 0xFFFFFF

    @micropython.viper
    def wakes(self) -> int:
        return ptr32(self.state)[WAKES]

    @micropython.viper
    def stopped(self) -> int:
        return ptr32(self.state)[STOPPED]

    def nothing(self):
        """A callback for the sake of another turn."""

    @micropython.viper
    def turns(self, wakes: int, mask: int):
        """Turn until stopped; if `mask` is -1 also until the count of wake-ups is not `wakes`."""
        counters = ptr32(self.interrupts)
        seen_buffer = self.seen
        seen = ptr32(seen_buffer)
        state = ptr32(self.state)
        services = self.services
        flushes = self.flushes
        timers = self.timers
        while state[STOPPED] | ((state[WAKES] - wakes) & mask) == 0:
            # What interrupts say from here on belongs to the next turn.
            counters[LINES - 1] = 0  # port/micropython/urgent.c: a new turn
            count = state[COUNT]
            i = 0
            while i < count:
                line = state[LINE + i]
                seen[line] = counters[line]
                i += 1

            # 1. Drivers.
            busy = 0
            moved = 0
            i = 0
            while i < count:
                now = seen[state[LINE + i]]
                if now != state[SEEN + i] or state[WORK + i] != 0:
                    state[SEEN + i] = now
                    moved = 1
                    more = int(services[i](BUDGET))
                    state[WORK + i] = more
                    busy |= more
                i += 1

            # 2. Timers: due if it was no driver that woke us, or if sleep is not in sight.
            if moved == 0:
                # The timer's line moved, or one that is nobody's.
                i = 0
                while i < LINES:
                    seen[i] = counters[i]
                    i += 1
                # A device's line may have moved meanwhile, too: then this is no time to sleep.
                i = 0
                while i < count:
                    if seen[state[LINE + i]] != state[SEEN + i]:
                        busy = 1
                    i += 1
            if (moved == 0 or busy != 0) and int(timers.first) >= 0:
                timers.run(self.ticks_ms())

            # The rare: a line that moved without them ends the next sleep at once, and that turn
            # has none that `moved`; unless it is the line of another, too, so now and then anyway.
            if moved == 0 or busy != 0 or state[SLEEPS] & 15 == 0:
                i = state[RARE]
                while i < DEVICES:
                    now = counters[state[LINE + i]]
                    if now != state[SEEN + i]:
                        state[SEEN + i] = now
                        services[i](BUDGET)
                    i += 1

            # 3. Callbacks.
            pending = state[PENDING]
            while pending:
                callbacks = self.callbacks
                head = state[HEAD]
                callback = callbacks[head]
                callbacks[head] = None
                head += 1
                if head == state[ROOM]:
                    head = 0
                state[HEAD] = head
                state[PENDING] -= 1
                pending -= 1
                callback()
                if pending > state[PENDING]:
                    pending = state[PENDING]  # turns within the callback have called them

            # 4. Doorbells.
            i = state[FLUSHES]
            while i:
                i -= 1
                flushes[i]()

            # 5. Sleep.
            if busy | state[PENDING] | state[STOPPED] == 0 and (state[WAKES] - wakes) & mask == 0:
                state[SLEEPS] += 1
                if state[SLEEPS] & (TIDY_EVERY - 1) == 0:
                    self.tidy()
                self.wait(seen_buffer, timers.first)
