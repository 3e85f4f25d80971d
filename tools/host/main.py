"""What an interpreter runs for a service in a Linux process.

    python3 tools/host/main.py kernel PORTS SERVICE [WORD ...]
    micropython tools/host/main.py tap DESCRIPTOR SERVICE [WORD ...]

from the root folder.  SERVICE is a module, or `image` for one whose needs are compiled; WORDs are
the machine's command line: address=10.0.0.2/24.  PORTS is what `--forward` said:
tcp:8080:80,udp:5300:53, or `-`.
IMPORTOS_DRIVES has the files that are disks, one in a line.
CPython needs the root folder, tools/cpython and tools/host/cpython on PYTHONPATH; MicroPython is
the one that tools/host/interpreters.py makes.
"""

import os
import sys

sys.path.insert(0, ".")

import hostio

from tools.host import disks, library
from tools.host import machine as process

MAC = b"\x52\x54\0\0\0\2"
STACK = 1 << 20  # imports within imports; a machine has them all in its image, in one row


def load(service):
    """(the module with `start`, settings that are compiled in)."""
    module = library.importer()(service)
    if service == "image":
        return module.service, module.SETTINGS
    return module, {}


def main(where, what, service, *words):
    hostio.stack(STACK)
    hostio.end_in_order()
    if where == "kernel":
        from tools.host import kernel

        kernel.replace_network()
    module, compiled = load(service)
    machine = process.make(" ".join(words), compiled)
    disks.attach(
        machine, [path for path in (os.getenv("IMPORTOS_DRIVES") or "").split("\n") if path]
    )
    disks.mount(machine)
    if where == "kernel":
        kernel.attach(machine, what)
    else:
        from tools.host.tap import TapNic

        nic = TapNic(int(what), MAC, machine.metal.poll)
        machine.nics.append(nic)
        machine.loop.add(nic)
    try:
        module.start(machine)
        print("ready")
        machine.loop.run()
    except KeyboardInterrupt:
        machine.log.info("interrupted")
    except SystemExit:
        pass  # machine.stop() while something was blocked
    end(machine, module)


def end(machine, module):
    """The order of runtime/boot.py: the service's last words, what was dropped."""
    failure = getattr(machine.loop, "failure", None)
    if failure:
        raise failure
    stop = getattr(module, "stop", None)
    if stop:
        stop()
    for disk in machine.disks:
        disk.stop(0)
    for nic in machine.nics:
        nic.stop(0)
    for name, number in machine.counters.drops().items():
        machine.log.info("dropped: %s %d", name, number)


if __name__ == "__main__":
    main(*sys.argv[1:])
