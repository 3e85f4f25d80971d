"""The readiness marker: the line of the log that says that the machine serves.

    [    0.031] ready: dns 10.0.2.15 fe80::5054:ff:fe12:3456

Law: it is said once: when `start` has returned, or has not for WAITS_MS and so serves from within,
and the stack that it has composed, if any, has an address.
Who waits for it (deployments, tests) looks for `ready: NAME`; a log level above info hides it.
"""

from micropython import const

WAITS_MS = const(1000)


class Readiness:
    def __init__(self, machine, name):
        self.machine = machine
        self.name = name
        self.timer = machine.timers.timer(self.waits)
        self.timer.start(WAITS_MS)

    def waits(self):
        """`start` has not returned; with a stack that does not matter."""
        inet = self.machine.inet
        if inet:
            inet.when_configured(self.tell)
        else:
            self.timer.start(WAITS_MS)

    def started(self):
        self.timer.stop()
        if self.machine.inet:
            self.waits()
        else:
            self.tell(None)

    def tell(self, inet):
        machine = self.machine
        if not machine.ready:
            machine.ready = True
            strange = machine.settings.strange()
            if strange:
                machine.log.warning("settings that nobody has asked for: %s", strange)
            addresses = inet.address_texts() if inet else []
            machine.log.info("ready: %s", " ".join([self.name] + addresses))  # noqa: RUF005
