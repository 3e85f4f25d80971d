"""A service with a bug in a callback."""


def start(machine):
    machine.timers.timer(fail).start(50)


def fail():
    raise ValueError("in a timer")
