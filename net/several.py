"""Several: what a stack needs from its second interface on.

In images in which somebody calls `attach` (tools/image/closure.py, PARTS).
Above: Stack.add_interface.  Neighbours: copying.py, ip4/several.py.
"""

from net.copying import Copying
from net.stack import Interface


class Renamed:
    """A registry of counters for one interface: "eth1.ip4" beside the first's "ip4"."""

    def __init__(self, registry, name):
        self.registry = registry
        self.name = name

    def add(self, counters):
        counters.name = self.name + "." + counters.name
        return self.registry.add(counters)


def add_interface(stack, nic):
    """One more nic; its packets are those of the first."""
    packet = stack.allocate()
    if not packet:
        raise MemoryError("attach interfaces before all packets are in use")
    packet.release()
    registry = Renamed(stack.registry, nic.name)
    transmit = Copying(nic, packet.pool, registry).transmit
    interface = Interface(stack, nic, registry, transmit)
    stack.interfaces.append(interface)
    stack.offloads &= getattr(nic, "offloads", 0)
    return interface
