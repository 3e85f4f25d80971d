"""hello: print a line and stop the machine.

The smallest service there is: it needs no network, so none is in its image.
"""


def start(machine):
    print("Hello from ImportOS.")
    machine.stop()
