"""A service with a bug in `start`."""


def start(machine):
    raise ValueError("as told")
