"""A virtio device: its initialisation, step by step, and how it can fail.

Virtual I/O Device (VIRTIO) 1.2, section 3.1.1 (driver initialisation), 2.1 (status), 2.2
(features); 3.1.2 for legacy devices, which have no FEATURES_OK.

A transport (legacy.py, modern.py) gives access to one device:

    status(), set_status(bits)          the device status field
    features(), accept(features)        what the device offers, what the driver takes
    version_1                           the device follows 1.0 or later (modern)
    align                               between the available and the used ring, in bytes
    queue_size(index), set_queue(queue) the device's size or 0; tell it where the queue lies
    smaller_queue(size, wanted)         the size to use where `wanted` would do
    read_config(offset, count, width)   fields of the device's configuration, read at one moment
    write_config(offset, value)         a field of four bytes
    cause()                             read and so acknowledge the interrupt cause
    changed                             a slot: a message (msix.py) says that the configuration of
                                        the device, or its status, changed
    isr, notify_at(index)               addresses of the ISR register and of a queue's doorbell
                                        if they are in memory, else 0
    notify(index)                       ring a doorbell that is not in memory

Neighbours: runtime/pci.py below, net.py above.
"""

import metal
from micropython import const

# Device status, 2.1.
ACKNOWLEDGE = const(1)
DRIVER = const(2)
DRIVER_OK = const(4)
FEATURES_OK = const(8)
NEEDS_RESET = const(64)
FAILED = const(128)

# Features that belong to no device class, as bit numbers: 6, and 6.3 for the legacy one.
ANY_LAYOUT = const(27)
EVENT_IDX = const(29)
VERSION_1 = const(32)
ACCESS_PLATFORM = const(33)

# Interrupt cause, 4.1.4.5.
QUEUE_INTERRUPT = const(1)
CONFIG_INTERRUPT = const(2)

RESET_MS = const(1000)  # a device that has not reset by then is broken
RECOVERIES = const(8)  # a device that fails more often is left alone


class DeviceError(Exception):
    """This device cannot be used; the machine can."""


def initialise(transport, choose):
    """Steps 1 to 6 of 3.1.1; `choose(offered)` is what both sides have.  Next: queues, `ready`."""
    reset(transport)  # 1. Firmware may have left the device running.
    transport.set_status(ACKNOWLEDGE)  # 2.
    transport.set_status(ACKNOWLEDGE | DRIVER)  # 3.
    offered = transport.features()
    features = choose(offered)
    if transport.version_1 and not features >> VERSION_1 & 1:
        fail(transport, "it offers a modern interface without VERSION_1")
    # 6.1: what the platform translates is as it is, as nobody has set up a translation.
    features |= offered & 1 << ACCESS_PLATFORM
    transport.accept(features)  # 4.
    if transport.version_1:
        transport.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK)  # 5.
        if not transport.status() & FEATURES_OK:  # 6.
            fail(transport, f"it refuses the features {features:#x}")
    return features


def reset(transport):
    """Back to the beginning.  4.1.4.3.2: a driver waits until it reads back 0."""
    transport.set_status(0)
    start = metal.uptime_ms()
    while transport.status():
        if metal.uptime_ms() - start > RESET_MS:
            raise DeviceError("it does not reset")


def ready(transport):
    """Step 8: from here on the device lives."""
    transport.set_status(transport.status() | DRIVER_OK)


def agreed(load, base, count, width):
    """Fields of a configuration without a generation (2.5.3): read until two readings agree."""
    before = None
    while True:
        values = [load(base + i * width) for i in range(count)]
        if values == before:
            return values
        before = values


def fail(transport, why):
    """Tell the device that we gave up on it (2.1.1), and the caller why."""
    transport.set_status(transport.status() | FAILED)
    raise DeviceError(why)


class Driver:
    """A device that asks for a reset (2.1.2) is initialised anew, in the next turn.

    A driver has `name`, `log`, `loop`, `transport`, `features`, `choose` as for initialise, and
    live()      queues that are empty, and `ready`
    lost()      before that: what the device had been given will not come back
    gone()      instead: nor will the device
    """

    recoveries = 0
    failing = False  # it has asked, and `recover` will come

    def fails(self):
        """For `changed`: whether the device asks for a reset."""
        if not self.transport.status() & NEEDS_RESET:
            return False
        # (After so many recoveries it was left alone.)
        if self.recoveries <= RECOVERIES and not self.failing:
            self.failing = True
            self.log.error("%s: the device failed and asks for a reset", self.name)
            self.loop.soon(self.recover)
        return True

    def recover(self):
        self.failing = False
        self.recoveries += 1
        try:
            if self.recoveries > RECOVERIES:
                fail(self.transport, "it fails again and again")
            if initialise(self.transport, self.choose) != self.features:
                fail(self.transport, "it has other features now")
            self.lost()
            self.live()
        except DeviceError as error:
            self.log.error("%s: %s", self.name, error)
            self.gone()

    def lost(self):
        pass

    def gone(self):
        pass
