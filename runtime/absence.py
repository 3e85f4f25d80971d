"""Absence: the machine was paused, or lay in a file, and the world has gone on.

Its own clock stands still meanwhile on every hypervisor but KVM with a bare TSC (where timers are
late instead); the clock on the battery goes on.  So the difference of the two tells, to a second.

    look(machine)     to be called when there is a reason: the device asks for an announcement, the
                      agent sets the time; who has to know is told: nic.on_return(seconds)

In images with drivers/virtio/net/control.py.  Neighbours: net/presence.py, the guest agent.
Left out: a pause that nobody tells us of is noticed when the next such reason comes.
"""

import metal

LEAST = 3  # seconds; both clocks are read to a second
AGAIN_MS = 1200
before = None  # the difference when they were compared last
timer = None


def look(machine):
    """Compare, and once more when the one on the battery is sure to be read anew: metal.time()
    reads it once a second."""
    global timer
    compare(machine)
    timer = timer or machine.timers.timer(lambda: compare(machine))
    timer.start(AGAIN_MS)


def compare(machine):
    global before
    now = metal.time() - metal.uptime_ms() // 1000
    away = 0 if before is None else now - before
    before = now
    if away < LEAST:
        return
    machine.log.info("back after %d s away", away)
    for nic in machine.nics:
        told = getattr(nic, "on_return", None)
        if told:
            told(away)
