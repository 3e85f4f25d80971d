"""A service that calls itself for ever."""


def start(machine):
    start(machine)
