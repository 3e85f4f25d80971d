"""`machine`: the few names of MicroPython's that mean something in a virtual machine.

    reset()            start the machine again, at once
    unique_id()        the hardware address of the first network device, b"" without one
    freq()             of the processor's clock, in Hz
    Timer(-1, period=ms, mode=Timer.PERIODIC, callback=f)      calls f(timer)
    idle()             let the machine go on until something happens
    WDT(timeout=ms)    from now on feed() has to be called in time, or the machine starts anew
Left out: pins, buses and everything else of a board; sleep modes: an idle machine halts anyway.
What ImportOS itself offers is the object that a service's start(machine) is given.
"""

import metal

from runtime import waiting as _waiting

PWRON_RESET = 1
_attrs = {"WDT": "watchdog"}


def reset():
    metal.reset()


soft_reset = reset


def reset_cause():
    return PWRON_RESET


def unique_id():
    nics = _waiting.machine().nics
    return bytes(nics[0].mac) if nics else b""


def freq():
    return metal.tsc_khz * 1000


def idle():
    _waiting.machine().loop.block(-1)


class Timer:
    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **options):
        self.timer = _waiting.machine().timers.timer(self._fire)
        self.period = 0
        self.mode = Timer.PERIODIC
        self.callback = None
        if options:
            self.init(**options)

    def init(self, mode=PERIODIC, freq=0, period=-1, callback=None):
        self.mode = mode
        self.period = 1000 // freq if freq else period
        self.callback = callback
        self.timer.start(self.period)

    def deinit(self):
        self.timer.stop()

    def _fire(self):
        if self.mode == Timer.PERIODIC:
            self.timer.start(self.period)
        if self.callback:
            self.callback(self)


def __getattr__(attr):
    part = _attrs.get(attr)
    if part is None:
        raise AttributeError(attr)
    value = getattr(__import__(part, None, None, True, 1), attr)
    globals()[attr] = value
    return value
