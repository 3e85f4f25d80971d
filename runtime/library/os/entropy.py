"""os.urandom: an image has the generator behind it only if somebody asks for it."""

from runtime import waiting

_NO_DATA = 61  # ENODATA


def urandom(count):
    machine = waiting.machine()
    entropy = machine.entropy
    if entropy is None or not entropy.seeded:
        text = "no entropy: give the machine virtio-rng, a CPU with RDRAND or the setting seed="
        raise waiting.failure(_NO_DATA, text)
    return entropy.bytes(count)
