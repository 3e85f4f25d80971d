"""Internet4: IPv4 as a family of a stack (see net/stack.py): its interfaces, and which one to use.

Settings: address=10.0.0.2/24 gateway=10.0.0.1 mtu=1400 dns=10.0.0.1,10.0.0.3
"""

from net.address import parse, parse_interface
from net.interface4 import Interface4

PORT_UNREACHABLE = 3


class Internet4:
    size = 4

    def __init__(self, stack):
        self.stack = stack
        self.interfaces = []
        self.output = None
        self.send_long = None

    def attach(self, interface):
        """Speak IPv4 on this interface, too."""
        mine = Interface4(self, interface)
        self.interfaces.append(mine)
        if len(self.interfaces) == 1:
            self.output = mine.ip4.send
            self.send_long = mine.fragmentation.send
        return mine

    def configure(self, interface, configure):
        """Give it its address: by the settings, else by whom `configure` names."""
        settings = self.stack.settings
        if settings.get("address"):
            address, length = parse_interface(settings.get("address"))
            gateway = settings.get("gateway")
            names = settings.get("dns")
            interface.configure(
                address,
                length,
                gateway=parse(gateway) if gateway else None,
                mtu=int(settings.get("mtu", 0)),
                dns=[parse(name) for name in names.split(",")] if names else [],
                by="settings",
            )
        elif configure:
            interface.configuration = configure(interface)
        else:
            raise ValueError("no address: set address=10.0.0.2/24, or pass configure=Dhcp")

    def speak(self, protocol, transport):
        for interface in self.interfaces:
            interface.speak(protocol, transport)

    @property
    def configured(self):
        return bool([interface for interface in self.interfaces if interface.address])

    def refuse(self, packet):
        self.interfaces[0].icmp.unreachable(packet, PORT_UNREACHABLE)

    def source_for(self, destination):
        return self.interfaces[0].address

    def path_mtu(self, destination):
        return self.interfaces[0].ip4.path_mtu(destination)

    def is_local(self, address):
        return bool([i for i in self.interfaces if i.address == address])
