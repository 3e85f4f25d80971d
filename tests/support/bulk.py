"""What a lot of data costs over TCP with the Linux kernel, in guest instructions.

    python3 -m tests.support.bulk [in|out ...] [--whole]

`in`: the kernel sends, `out`: the machine does; `--whole`: the device checks and makes checksums,
but cuts and merges nothing, so that every frame is one segment.  The machine counts its
instructions (tests/support/instructions.py).
"""

import socket
import sys

from tests.support import images, vm
from tests.support.instructions import ADDRESS, KERNEL, MAC, STATIC, Lab
from tests.support.namespace import Namespace

SERVICE = images.ROOT / "tests" / "vm" / "services" / "bulk.py"
MIB = 1 << 20


WHOLE = tuple(
    word
    for side in ("guest", "host")
    for kind in ("tso4", "tso6", "ecn")
    for word in ("-global", f"virtio-net-pci.{side}_{kind}=off")
)


class Bulk(Lab):
    def __init__(self, elf, **options):
        self.namespace = Namespace()
        self.machine = None
        try:
            descriptor = self.namespace.tap(address=f"{KERNEL}/24", offloads=True)
            self.namespace.neighbour(ADDRESS, MAC)
            options = {"command_line": STATIC, "icount": "shift=0", "memory": "32M", **options}
            self.machine = vm.Machine(elf, nic=vm.Tap(descriptor), mac=MAC, **options)
            self.machine.wait_for(ADDRESS)
        except BaseException:
            self.close()
            raise

    def connect(self, port):
        made = self.namespace.inside(socket.create_connection, (ADDRESS, port), 5)
        made.settimeout(30)
        return made

    def into(self, count):
        """Send `count` bytes to the machine."""
        data = bytes(MIB)
        with self.connect(9) as made:
            for _ in range(count // MIB):
                made.sendall(data)
            made.shutdown(socket.SHUT_WR)
            assert made.recv(1) == b""

    def out(self, count):
        """Have the machine send `count` bytes."""
        with self.connect(19) as made:
            made.sendall(b"%d" % count)
            got = 0
            while data := made.recv(MIB):
                got += len(data)
            assert got == count, got

    def frames(self):
        """(received, sent) of the kernel's device, as it counts them."""
        text = self.namespace.run("cat", "/proc/net/dev").stdout
        fields = next(line for line in text.splitlines() if "tap0:" in line).split()
        return int(fields[2]), int(fields[10])

    def cost(self, transfer, count):
        """Instructions per KiB, per frame from the kernel, and per frame to it."""
        transfer(MIB)
        before, frames = self.settle(), self.frames()
        transfer(count)
        cost = self.settle() - before
        counts = [b - a for a, b in zip(frames, self.frames(), strict=True)]
        return cost / (count >> 10), cost / counts[1], cost / counts[0]


def main(arguments):
    elf = images.build(str(SERVICE)) / "bulk.elf"
    extra = WHOLE if "--whole" in arguments else ()
    for name in [a for a in arguments if not a.startswith("-")] or ["in", "out"]:
        with Bulk(elf, extra=extra) as bulk:
            transfer = bulk.into if name == "in" else bulk.out
            kib, to, by = bulk.cost(transfer, 16 * MIB)
            print(f"{name}: {kib:,.0f} instructions per KiB; {to:,.0f} per frame to the machine,")
            print(f"    {by:,.0f} per frame from it")


if __name__ == "__main__":
    main(sys.argv[1:])
