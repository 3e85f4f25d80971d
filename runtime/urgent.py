"""While a callback computes: let the network devices look at what cannot wait.

The VM calls `poll` when a line has raised an interrupt and a callback has kept the loop for more
than a millisecond (port/micropython/urgent.c says when not).  Each device handles the frames that
need no service of the user's, and keeps the others for their turn.

Neighbours: drivers/virtio/net/urgent.py; net/urgent.py says which frames those are.
Left out: timers, which may call anybody; services that run as processes, which have no such VM.
"""

import metal
from micropython import const

BUDGET = const(64)  # frames of a device in one look

nics = []


def watch(nic):
    """`nic.urgent(budget)` -> frames are left that should be looked at soon."""
    if not nics:
        metal.on_busy(poll)
    nics.append(nic)


def poll():
    more = False
    for nic in nics:
        if nic.urgent(BUDGET):
            more = True
    return more
