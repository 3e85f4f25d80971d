"""Prints numbers that nobody can guess, and where they come from."""


def start(machine):
    entropy = machine.entropy
    print("seeded:", entropy.seeded, ",".join(entropy.names))
    print("numbers:", entropy.bytes(16).hex())
    machine.loop.block(20)
    print("later:", entropy.seeded, ",".join(entropy.names))
    machine.stop()
