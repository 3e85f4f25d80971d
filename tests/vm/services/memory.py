"""A service that wants more memory than there is."""


def start(machine):
    hoard = []
    while True:
        hoard.append(bytearray(100000))
