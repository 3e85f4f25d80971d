"""What the disks are, and what requests end with, said on the console: for tests/vm/test_disks.py.

The setting `do` is a list of requests to the first disk, or the one that `disk` names; all up to a
`-` are under way at the same time:

    r:SECTOR:COUNT  w:SECTOR:COUNT:BYTE  d:SECTOR:COUNT (discard)  z:SECTOR:COUNT (zeroes)
    f       flush
    sum     the SHA-256 of the whole disk, read in 50 pieces at once
    size    wait for another size
"""

import hashlib

import drivers.virtio.scsi  # noqa: F401 (brings the driver in)


class Work:
    def __init__(self, machine, disk):
        self.machine, self.disk = machine, disk
        self.left = 0

    def done(self, what):
        self.left += 1

        def ended(status, buffer):
            self.left -= 1
            if not self.left:
                self.machine.loop.wake()
            if what[0] == "r":
                same = bytes(buffer) == bytes(buffer[:1]) * len(buffer)
                print(what, status, "all", buffer[0] if same else "sorts")
            elif what:
                print(what, status)

        return ended

    def wait(self):
        while self.left:
            self.machine.loop.block()

    def request(self, what):
        kind, *numbers = what.split(":")
        numbers = [int(number) for number in numbers]
        disk, done = self.disk, self.done(what)
        try:
            if kind == "r":
                disk.read(numbers[0], bytearray(512 * numbers[1]), done)
            elif kind == "w":
                disk.write(numbers[0], bytes([numbers[2]]) * (512 * numbers[1]), done)
            elif kind == "d":
                disk.discard(*numbers, done)
            elif kind == "z":
                disk.write_zeroes(*numbers, done)
            elif kind == "f":
                disk.flush(done)
        except (OSError, ValueError) as error:
            self.left -= 1
            print(what, "refused", error)

    def sum(self):
        disk = self.disk
        whole = bytearray(512 * disk.sectors)
        unit = disk.block_size >> 9
        piece = max(disk.sectors // 50 // unit, 1) * unit
        starts = list(range(0, disk.sectors, piece))
        # Last things first, and the others in between.
        for start in starts[1::2][::-1] + starts[::2]:
            view = memoryview(whole)[512 * start : 512 * (start + piece)]
            disk.read(start, view, self.piece(view))
            self.left += 1
        self.wait()
        digest = hashlib.sha256(whole).digest()
        print("sum", "".join([f"{byte:02x}" for byte in digest]))

    def piece(self, view):
        def ended(status, buffer):
            assert status == 0 and buffer is view
            self.left -= 1
            if not self.left:
                self.machine.loop.wake()

        return ended


def start(machine):
    for disk in machine.disks:
        size = disk.block_size
        print(
            f"{disk.name}: {disk.sectors} sectors, blocks {size}, read only {disk.read_only},"
            f" serial {disk.serial}"
        )
    name = machine.settings.get("disk", "disk0")
    found = [disk for disk in machine.disks if disk.name == name]
    todo = machine.settings.get("do", "").split(",")
    for disk in found:
        work = Work(machine, disk)
        for what in todo:
            if what == "-":
                work.wait()
            elif what == "sum":
                work.wait()
                work.sum()
            elif what == "size":
                disk.on_change = machine.loop.wake
                before = disk.sectors
                print("waiting for a size")
                while disk.sectors == before:
                    machine.loop.block()
                print("size", disk.sectors)
            elif what:
                work.request(what)
        work.wait()
    for name, count in machine.counters().items():
        if "disk" in name:
            print(name, count)
    machine.stop()
