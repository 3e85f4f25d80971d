"""Says what it was told: the settings, and what the cloud says; then serves nothing."""

import json

from net.dhcp import Dhcp
from net.inet import Inet
from net.udp import Udp

NEEDS = {"greeting": "compiled in", "colour": "compiled in", "shape": "compiled in"}


def returned(machine, nic):
    """Whether the device gives all packets back."""
    end = machine.uptime_ms() + 500
    while not nic.reclaim() and machine.uptime_ms() < end:
        pass
    return nic.pool.free == nic.pool.count


def start(machine):
    settings = machine.settings
    told = {name: settings.get(name) for name in ("greeting", "colour", "shape", "hostname")}
    instance = machine.instance
    told["instance"] = {
        "source": instance.source,
        "id": instance.id,
        "hostname": instance.hostname,
        "name": instance.name,
        "meta": instance.meta,
        "user_data": len(instance.user_data),
        "settings": instance.settings,
        "public_keys": instance.public_keys,
        "launch_index": instance.launch_index,
        "availability_zone": instance.availability_zone,
        "networks": len(instance.network.get("networks", ())),
    }
    file = instance.file("zone")
    told["file"] = file and len(file)
    told["timers"] = machine.timers.count
    told["packets"] = [returned(machine, nic) for nic in machine.nics]
    told["counters"] = len(machine.counters.all)
    machine.log.info("told %s", json.dumps(told))
    machine.log.debug("debugging")
    if settings.get("network") != "no":
        inet = Inet(machine, udp=Udp, configure=Dhcp)
        for nic in machine.nics[1:]:
            inet.attach(nic, configure=Dhcp)
