"""A service that reads a disk: for tests/support/disk_cost.py.

size=KILOBYTES order=sequential|random window=REQUESTS count=NUMBER     and says what it took
"""

import gc

import micropython

from runtime.heap import tidy


class Meter:
    def __init__(self, machine, disk, size, step, window):
        self.machine, self.disk = machine, disk
        self.buffers = [bytearray(size) for _ in range(window)]
        self.sectors = size >> 9
        self.places = disk.sectors // self.sectors
        self.step = step
        self.place = self.left = self.flying = 0
        self.ended = self.end  # bound once
        self.read = disk.read

    def run(self, count):
        self.left = count
        self.flying = len(self.buffers)
        for buffer in self.buffers:
            self.next(buffer)
        while self.flying:
            self.machine.loop.block()

    def next(self, buffer):
        if not self.left:
            self.flying -= 1
            self.machine.loop.wake()
            return
        self.left -= 1
        self.place = (self.place + self.step) % self.places
        self.disk.read(self.place * self.sectors, buffer, self.ended)

    def end(self, status, buffer):
        if status:
            raise OSError(status)
        self.next(buffer)


class FastMeter(Meter):
    def __init__(self, machine, disk, size, step, window):
        super().__init__(machine, disk, size, step, window)
        self.state = bytearray(24)
        self.ended = self.fast

    def run(self, count):
        self.prepare(count, len(self.buffers), self.step, self.sectors, self.places)
        for buffer in self.buffers:
            self.fast(0, buffer)
        while self.running():
            self.machine.loop.block()

    @micropython.viper
    def prepare(self, count: int, flying: int, step: int, sectors: int, places: int):
        state = ptr32(self.state)
        state[0] = count
        state[1] = flying
        state[3] = step
        state[4] = sectors
        state[5] = places

    @micropython.viper
    def running(self) -> int:
        return ptr32(self.state)[1]

    @micropython.viper
    def fast(self, status: int, buffer):
        state = ptr32(self.state)
        if status:
            raise OSError(status)
        if state[0] == 0:
            state[1] -= 1
            self.machine.loop.wake()
            return
        state[0] -= 1
        place = (state[2] + state[3]) % state[5]
        state[2] = place
        self.read(place * state[4], buffer, self.ended)


def start(machine):
    get = machine.settings.get
    size = int(get("size", "4")) << 10
    step = 7919 if get("order", "random") == "random" else 1
    kind = FastMeter if get("callback") == "viper" else Meter
    meter = kind(machine, machine.disks[0], size, step, int(get("window", "1")))
    meter.run(20)
    tidy()
    gc.disable()
    before = gc.mem_alloc()
    meter.run(int(get("count", "100")))
    print("took", gc.mem_alloc() - before)
    machine.stop()
