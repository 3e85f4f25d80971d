"""How machines end that do not want to: the setting `how` says what this one does meanwhile.

computes    a callback never comes back
swallows    one that does not let SystemExit through either
stop        stop() computes
blocks      stop() waits for ever
raises      stop() has a bug
"""

from net.inet import Inet
from net.tcp import Tcp

PORTS = ("tcp:7",)
how = None
log = None
loop = None


def start(machine):
    global how, log, loop
    log, loop = machine.log, machine.loop
    how = machine.settings.get("how")
    inet = Inet(machine, tcp=Tcp)
    inet.tcp.listen(7, accept)
    machine.ends.append(lambda: log.info("first come"))
    machine.ends.append(lambda: log.info("last come"))
    if how in ("computes", "swallows"):
        machine.timers.timer(compute).start(100)


def accept(connection):
    connection.on_data = lambda connection, segment: connection.write(b"x" * 1000)


def compute():
    log.info("computing")
    n = 0
    while True:
        try:
            while True:
                n += 1
        except SystemExit:
            if how != "swallows":
                raise


def stop():
    log.info("stop is called")
    if how == "stop":
        compute()
    if how == "blocks":
        while True:
            loop.block()
    if how == "raises":
        raise ValueError("in stop")
