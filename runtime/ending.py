"""The end in order: what happens between machine.stop() and the switched-off power.

    1. the service's stop(), if it has one
    2. connections are closed, and the other ends have a moment to close theirs
    3. machine.ends, last come, first called
    4. the stack says good-bye (DHCP, resets)
    5. disks are flushed, the last packets leave, the devices are reset
    6. the last lines of the log, and the power is off

Each step may block, for the loop goes on; SystemExit ends one that takes longer than it may, or
when the machine is told to stop once more.  An exception in a step is told, and the next one comes.

Law: DEADLINE_MS after machine.stop() the power is off, whatever anybody does.  A callback that
computes is no excuse: the VM calls `urgent` in its midst (port/micropython/urgent.c), which sees
the button and Ctrl-C, raises SystemExit there after STOP_MS, and at last switches off itself.
Left out: machine code that loops, which the VM cannot interrupt: that is for a watchdog.
"""

import sys

import metal
from micropython import const

DEADLINE_MS = const(9500)
STOP_MS = const(4000)
CLOSE_MS = const(1500)
EACH_MS = const(1500)
LOOK_MS = const(10)  # how often we look whether a connection is left
LAST_WORDS_MS = const(100)  # for the last packets


class Ending:
    """`switches`: devices that may call machine.stop()."""

    def __init__(self, machine, switches):
        self.machine = machine
        self.switches = switches
        self.over = 0  # by then the power is off; 0: the end has not begun
        self.enough = 0  # by then who still computes is interrupted
        self.failed = 0
        self.alarm = machine.timers.timer(machine.loop.stop)
        self.last = machine.timers.timer(self.late)

    def urgent(self, budget=0):
        """A callback computes: is it time to end?  True: look again soon."""
        now = metal.uptime_ms()
        if not self.over:
            for switch in self.switches:
                switch.service(budget)
            if not self.machine.loop.stopped():
                return False
            self.begin()
        elif now >= self.over:
            self.late()
        elif now >= self.enough:
            raise SystemExit
        return True

    def begin(self):
        now = metal.uptime_ms()
        self.over = now + DEADLINE_MS
        self.enough = now + STOP_MS
        self.last.start(DEADLINE_MS)

    def late(self):
        self.machine.log.error("not ended in %d ms: switched off", DEADLINE_MS)
        metal.exit(1)

    def run(self, stop, disks):
        """All of it; `stop`: the service's, or None."""
        machine = self.machine
        if not self.over:
            self.begin()
        if stop:
            self.step(STOP_MS, stop)
        inet = machine.inet
        if inet:
            self.step(CLOSE_MS, self.close)
        while machine.ends:
            self.step(EACH_MS, machine.ends.pop())
        if inet:
            self.step(EACH_MS, inet.stop)
        # These poll and have limits of their own: `urgent` cuts nothing short but at the very end.
        self.enough = self.over
        for disk in disks:
            left = self.over - metal.uptime_ms() - EACH_MS
            if not self.let_go(disk, max(min(left, EACH_MS), LAST_WORDS_MS)):
                machine.log.error("%s: not all is written", disk.name)
        for nic in machine.nics:
            self.let_go(nic, LAST_WORDS_MS)
        for name, number in machine.counters.drops().items():
            machine.log.info("dropped: %s %d", name, number)

    def let_go(self, device, patience):
        """A device that cannot even be reset does not keep the others from it."""
        try:
            return device.stop(patience)
        except Exception as error:
            self.failed = 1
            self.machine.log.error("%s: %r", device.name, error)
            return False

    def step(self, ms, function):
        """Call it; it is over after so long."""
        loop = self.machine.loop
        loop.resume()
        self.enough = metal.uptime_ms() + ms
        self.alarm.start(ms)
        metal.alarm(ms)
        try:
            function()
        except SystemExit:
            self.machine.log.warning("the end: one step was cut short")
        except Exception as error:
            self.tell(error)
        self.alarm.stop()
        if loop.failure:
            self.tell(loop.failure)
            loop.failure = None

    def tell(self, error):
        self.failed = 1
        sys.print_exception(error)

    def close(self):
        """Close all connections, and wait until the other ends have closed theirs."""
        tcp = self.machine.inet.tcp
        if tcp:
            for connection in tcp.connections:
                connection.close()
            while tcp.connections:
                self.machine.loop.block(LOOK_MS)
