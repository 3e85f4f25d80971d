"""Which virtio device a PCI function is, and the transport to speak with it.

VIRTIO 1.2, sections 4.1.2 (vendor and device numbers), 4.1.2.3 (transitional devices).
Neighbours: legacy.py, modern.py; the drivers above.
"""

from micropython import const

from drivers.virtio import msix
from drivers.virtio.device import DeviceError
from drivers.virtio.legacy import Legacy
from drivers.virtio.modern import Modern, structures

VENDOR = const(0x1AF4)
MODERN = const(0x1040)  # plus the number of the device type
LAST_LINE = const(15)  # of the 8259 pair, which firmware routes to


def is_virtio(function, type, transitional):
    """Whether PCI `function` is a device of this type; `transitional`: its number there."""
    return function.vendor == VENDOR and function.device in (transitional, MODERN + type)


def find(function, wanted):
    """Modern if the device has it; `wanted`: "legacy" or "modern" insists on one."""
    interface = getattr(function, "interface", None)
    if interface:
        return interface(wanted)  # of a slot (mmio.py)
    function.enable()
    it = None
    if wanted != "legacy":
        found, multiplier = structures(function)
        if len(found) >= 3:
            it = Modern(found, multiplier)
    if not it and wanted != "modern" and function.device < MODERN:
        bar = function.bar(0)
        if bar.io and bar.address:
            it = Legacy(bar.address)
    if it:
        if function.line > LAST_LINE:
            function.line = 0
        msix.use(function, it)
        if not function.line:
            raise DeviceError("its interrupt is routed nowhere")
        return it
    raise DeviceError(f"no {wanted or 'usable'} interface: registers above 4 GiB, or nowhere")
