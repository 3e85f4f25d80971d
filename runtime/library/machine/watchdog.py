"""machine.WDT: who makes one has to feed it, or the machine starts anew.

Where there is a watchdog (runtime/platform/watchdog.py) it is that one, and the event loop feeds it
no more.  Elsewhere it is a timer of the loop, which sees that a service has stopped to work, but
not that the loop has.
"""

import metal

from runtime import waiting
from runtime.platform import watchdog

SHORTEST = 10


class WDT:
    def __init__(self, id=0, timeout=5000):
        if timeout < SHORTEST:
            raise ValueError(f"timeout={timeout}: at least {SHORTEST} ms")
        self._timeout = timeout
        self._device = device = watchdog.watchdog
        if device:
            device.timer.stop()
            device.arm(timeout)
        else:
            self._timer = waiting.machine().timers.timer(bark)
            self._timer.start(timeout)

    def feed(self):
        if self._device:
            self._device.feed()
        else:
            self._timer.start(self._timeout)


def bark():
    waiting.machine().log.error("machine.WDT was not fed in time")
    metal.reset()
