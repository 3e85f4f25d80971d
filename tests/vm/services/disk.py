"""What the disks are, said on the console: for tests/vm/test_disks.py."""

import drivers.virtio.scsi  # noqa: F401 (brings the driver in)


def start(machine):
    for disk in machine.disks:
        size = disk.block_size
        print(
            f"{disk.name}: {disk.sectors} sectors, blocks {size}, read only {disk.read_only},"
            f" serial {disk.serial}"
        )
        first = disk.fetch(0, size >> 9)
        print(f"{disk.name}: begins {first[:8].hex()}")
    machine.stop()
