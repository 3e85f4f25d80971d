"""The order of start: from the C entry to the service, and from the service's end to power off.

The page to read for what happens when.  C calls `main` with the heap and the interrupt stubs ready;
an exception that leaves it is printed with its traceback and ends the machine loudly.
"""

import image
import metal

from runtime import entropy, heap, pci
from runtime.console import Console
from runtime.counters import Registry
from runtime.dma import Arena
from runtime.ending import Ending
from runtime.log import LEVELS, Log
from runtime.loop import Loop
from runtime.machine import Machine
from runtime.parts import part
from runtime.platform import power
from runtime.ready import Readiness
from runtime.settings import Settings
from runtime.timers import Timers

# An image has a driver if it has what the driver is for.
DRIVERS = (
    "drivers.virtio.console",
    "drivers.virtio.balloon",
    "drivers.virtio.rng",
    "drivers.virtio.blk",
    "drivers.virtio.scsi",
    "drivers.virtio.net",
    "runtime.platform.watchdog",
    "runtime.platform.pvpanic",
)
SECRETS = "os.entropy"  # in an image whose service uses os.urandom (runtime/library/os)


def main():
    machine = make_machine()
    ending = Ending(machine, find_devices(machine))
    busy = part("runtime.urgent")
    if busy:
        busy.watch(ending)
    else:
        metal.on_busy(ending.urgent)
    if part(SECRETS) and not machine.entropy.seeded:
        machine.log.error("%s needs numbers that nobody can guess: not started", image.NAME)
        metal.exit(1)
    files = part("runtime.files")
    if files:
        files.mount(machine)
    ready = Readiness(machine, image.NAME)
    try:
        image.service.start(machine)
        ready.started()
        machine.loop.run()
    except SystemExit:
        pass  # stopped while it was blocked, or of its own will
    if machine.loop.failure:
        raise machine.loop.failure
    ending.run(getattr(image.service, "stop", None), machine.disks)
    machine.log.info("%s stopped", image.NAME)
    if machine.again:
        metal.reset()
    metal.exit(ending.failed)


def make_machine(level="info"):
    """All that needs no device; `level` of the log unless the settings say otherwise."""
    settings = Settings(metal.command_line, image.SETTINGS)
    log = Log(metal.write, metal.uptime_ms)
    level = settings.get("log", level)
    if level in LEVELS:
        log.set_level(level)
    else:
        log.warning("log=%s is not one of %s", level, ", ".join(LEVELS))
    log.info("ImportOS %s, build %s, started by %s", image.NAME, metal.build_id, metal.booted_by)
    timers = Timers(metal.ticks_ms)
    loop = Loop(metal, timers, heap.tidy)
    random = entropy.Random(metal.stamp(), metal.cycles)
    return Machine(log, settings, Registry(), timers, loop, random, metal.uptime_ms)


def find_devices(machine, console=True):
    """Chipset and the devices that the image has drivers for; returns who may stop the machine."""
    switches = [Console(machine.stop)] if console else []
    functions = pci.scan()
    reach = part("runtime.platform.reach")
    if reach:
        reach.lower(functions)
    mmio = part("drivers.virtio.mmio")
    if mmio:
        switches += mmio.switches(machine, functions)
        functions += mmio.slots(machine, functions)
    switches += power.find(functions, machine)
    for switch in switches:
        machine.loop.add(switch)
    instance = part("runtime.instance")
    if instance:
        instance.begin(machine)
    start, size = metal.arena()
    arena = Arena(start, size)
    csprng = part("runtime.csprng")
    if csprng:
        machine.entropy = entropy = csprng.make(machine, metal)
    for name in DRIVERS:
        driver = part(name)
        for function in functions if driver else ():
            device = driver.probe(machine, function, arena)
            if device:
                try:
                    machine.loop.add(device)
                except ValueError as error:
                    machine.log.error("%s is not heard: %s", function.name, error)
    if instance:
        instance.find(machine)
    if csprng:
        csprng.report(entropy, machine.log)
    return switches
