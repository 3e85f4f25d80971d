"""Machines that a watchdog has to end: the setting `how` says what this one does after 200 ms.

spins       a callback in machine code never comes back
panics      a bug
starves     machine.WDT is not fed any more
start       machine code in start() never comes back
stop        nor in stop()
"""

import machine
import micropython

wdt = None


def start(here):
    how = here.settings.get("how")
    if how == "starves":
        global wdt
        wdt = machine.WDT(timeout=500)
        wdt.feed()
    elif how == "start":
        spin()
    elif how == "stop":
        global stop
        stop = spin
    elif how:
        here.timers.timer(spin if how == "spins" else panic).start(200)


@micropython.viper
def spin():
    while True:
        pass


def panic():
    raise ValueError("a bug")
