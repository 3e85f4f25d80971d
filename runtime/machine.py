"""Machine: what a service is given; everything that an operating system has, by name."""

current = None  # the machine that runs, for the modules of runtime/library


class Machine:
    """Made once by runtime.boot, passed to the service's `start`.

    nics, nic       network devices; the first one
    disks           block devices (runtime/disk.py), in an image that reads this attribute
    inet            the first network stack that was made, None before
    timers, loop    time and turns
    log, settings   lines out, words in
    counters        `machine.counters()` is a dict of all numbers, `.drops()` of what was dropped
    random          numbers nobody has to keep secret
    clock           the time of day once somebody asks for it (runtime/clock.py, clock_of)
    instance        what the cloud says (runtime/instance), in an image that is for one
    ends            functions called at the end, last come, first called (runtime/ending.py)
    ready           it has said so (runtime/ready.py)
    entropy         numbers nobody can guess (runtime/csprng.py): it is in an image that asks for it
    """

    changes = None  # drivers/virtio/msix.py

    def __init__(self, log, settings, counters, timers, loop, random, clock):
        global current
        current = self
        self.log = log
        self.settings = settings
        self.counters = counters
        self.timers = timers
        self.loop = loop
        self.random = random
        self.uptime_ms = clock
        self.clock = None
        self.instance = None
        self.entropy = None
        self.nics = []
        self.disks = []
        self.inet = None
        self.ready = False
        self.ends = []
        self.again = False

    @property
    def nic(self):
        """The first network device."""
        if not self.nics:
            raise OSError(
                "no network device: -nic model=virtio makes one (microvm: build --set bus=mmio)"
            )
        return self.nics[0]

    def stop(self, again=False):
        """End in order: finish the turn, then what runtime/ending.py says, and the power goes off.

        `again`: the machine starts anew instead.
        """
        self.again = again
        self.loop.stop()
