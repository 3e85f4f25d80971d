"""What the modules people know (runtime/library) stand on: the one machine, its stack, waiting.

    machine()           the machine that runs; in a development image without a service one is made
    wait(test, ms)      let the machine run until test() is true; False: `ms` passed first (-1: no
                        limit)
    pause(ms)           let the machine run for a while
    failure(number)     an OSError to be raised
    settle(test)        in a REPL, where nothing runs between two calls: wait a little for test()
    stack()             the stack the service has made, else one with all defaults, with an address

Everything that blocks comes here, and here means `machine.loop.block`: timers, drivers and the
callbacks of the service go on meanwhile, and an idle machine halts.
"""

import sys

from micropython import const

from runtime import machine as running

LONGEST = const(0x0FFFFFFF)  # ms: three days; a longer wait is made of several
MASK = const(0x3FFFFFFF)
HALF = const(0x20000000)

NETWORK_IS_DOWN = const(100)
LAST_WORDS_MS = const(1000)
CONFIGURED_MS = const(30000)  # how long the first call that needs an address waits for it


if sys.implementation.name == "cpython":

    def failure(number, text="failed"):
        """An OSError with an errno: CPython's has one only beside a text."""
        return OSError(number, text)
else:
    failure = OSError


def machine():
    if running.current is None:
        # The REPL of a development image: nobody has started anything.
        boot = __import__("runtime.boot", None, None, ("*",))
        boot.find_devices(boot.make_machine("error"), console=False)
        running.current.interactive = True
    return running.current


def wait(test, ms=-1):
    here = machine()
    if ms < 0:
        while not test():
            here.loop.block(-1)
        return True
    while not test():
        if ms <= 0:
            return False
        begin = here.timers.now()
        here.loop.block(min(ms, LONGEST))
        ms -= (here.timers.now() - begin) & MASK
    return True


def never():
    return False


def pause(ms):
    if ms > 0:
        wait(never, ms)


def settle(test):
    if getattr(machine(), "interactive", False):
        wait(test, LAST_WORDS_MS)


def stack():
    """The stack, with an address; OSError where there is no network or nobody gave one in time."""
    here = machine()
    inet = here.inet
    if inet is None:
        try:
            make = __import__("runtime.network", None, None, ("make",)).make
        except ImportError:
            # The service composes a stack of its own, only later.
            raise failure(NETWORK_IS_DOWN)  # noqa: B904 (MicroPython has no `from`)
        inet = make(here)
    if not has_address(inet):
        inet.when_configured(lambda _: here.loop.wake())
        wait(lambda: has_address(inet), CONFIGURED_MS)
        if not has_address(inet):
            raise failure(NETWORK_IS_DOWN)
    return inet


def has_address(inet):
    return inet.address or getattr(inet, "addresses6", None)
