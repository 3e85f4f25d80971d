"""What a machine in a cloud has besides its service: `./importos build --cloud SERVICE`.

Parts that the system looks for by name and uses if they are in the image (runtime/parts.py);
a service that imports one itself gets it, too.  Every other image is without them.

Above: closure.follow, which takes them as if they were imported.
"""

# (module, the module that it is for); None: for every service.
PARTS = (
    ("runtime.instance", None),
    ("runtime.instance.network", "net.stack"),
    ("runtime.instance.metadata", "net.stack"),
    ("services.dns.outside", "services.dns"),
    ("runtime.platform.reach", "drivers.virtio.transport"),
    ("drivers.virtio.console", None),
    ("runtime.instance.agent", None),
    ("runtime.instance.logport", None),
    ("drivers.virtio.balloon", None),
    ("runtime.platform.watchdog", None),
    ("runtime.platform.pvpanic", None),
    ("drivers.virtio.blk", None),
    ("drivers.virtio.scsi", None),
    ("drivers.virtio.net.control", "drivers.virtio.net"),
    ("net.presence", "net.stack"),
)
