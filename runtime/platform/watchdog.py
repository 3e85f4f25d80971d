"""The watchdog i6300esb: it restarts (or what the host says) a machine whose event loop hangs.

Intel 6300ESB I/O controller hub, section 16: two timers one after the other, here with one half of
the time each; when the second is over, the host acts.  Configuration space has the mode at 0x60 and
the switch at 0x68; base address 0 the timers:

     0               4               8              12
     +---------------+---------------+---------------+-------+
     |    timer 1    |    timer 2    |    status     |reload |
     +---------------+---------------+---------------+-------+

A store to a timer or to reload counts after 0x80 and 0x86 were stored to reload.

A timer of the machine's loop feeds it, so that it barks when a callback does not come back, when a
panic ends in a halt, or when the processor stands still.  Setting: watchdog=SECONDS, 0 for never;
followed again (`choose`) when a source that needs devices has it.
Above: machine.WDT (runtime/library/machine), which feeds it in place of the loop.
"""

from micropython import const

from runtime.mmio import store16, store32

INTEL = const(0x8086)
I6300ESB = const(0x25AB)
MODE = const(0x60)
WITHOUT_INTERRUPT = const(3)  # 1 ms a tick, and the second timer does act
SWITCH = const(0x68)
ENABLE = const(2)
TIMER_1 = const(0)
TIMER_2 = const(4)
RELOAD = const(12)
RELOADED = const(0x100)

SECONDS = const(30)
LONGEST = const(2000)
TICKS = const(512)  # of each timer, for a second

watchdog = None  # the one there is


def probe(machine, function, arena):
    """Arms it; never a device for the loop."""
    global watchdog
    if function.vendor == INTEL and function.device == I6300ESB and watchdog is None:
        function.enable()
        bar = function.bar(0)
        if bar.io or not bar.address or bar.address >> 32:
            machine.log.error("watchdog at %s: its registers are out of reach", function.name)
            return
        watchdog = Watchdog(machine, function, bar.address)
        choose(machine)


def choose(machine):
    """Follow the setting, which may come after the device was found."""
    seconds = str(machine.settings.get("watchdog", SECONDS))
    if not (seconds.isdigit() and len(seconds) < 10):
        machine.log.warning("watchdog=%s is not a number of seconds", seconds)
    elif watchdog and watchdog.ms != 1000 * min(int(seconds), LONGEST):
        watchdog.arm(1000 * min(int(seconds), LONGEST))
        watchdog.turn()


class Watchdog:
    def __init__(self, machine, function, base):
        self.log = machine.log
        self.function = function
        self.base = base
        self.ms = 0
        self.timer = machine.timers.timer(self.turn)
        function.write16(MODE, WITHOUT_INTERRUPT)

    def arm(self, ms):
        """It acts when `feed` has not been called for so long; 0: never."""
        self.ms = ms
        self.function.write8(SWITCH, 0)  # or it might act on what is written next
        for timer in (TIMER_1, TIMER_2):
            self.unlock()
            store32(self.base + timer, max(ms * TICKS // 1000, 1))
        self.feed()
        if ms:
            self.function.write8(SWITCH, ENABLE)
        self.log.info("watchdog: armed, %d ms", ms)

    def turn(self):
        """The loop goes round."""
        self.feed()
        if self.ms:
            self.timer.start(self.ms >> 2)

    def feed(self):
        self.unlock()
        store16(self.base + RELOAD, RELOADED)

    def unlock(self):
        store16(self.base + RELOAD, 0x80)
        store16(self.base + RELOAD, 0x86)
