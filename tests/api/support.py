"""A machine of the virtual wire in which programs may block, and the modules people know on it."""

from runtime import machine as running
from tests.support import wire
from tools.cpython.library import Library

FOREVER = 1_000_000


class Loop(wire.Loop):
    """Blocking lets the virtual time pass."""

    def __init__(self, world):
        super().__init__()
        self.world = world
        self.wakes = 0
        self.turned = []
        self.blocks = 0  # how often somebody blocked

    def wake(self):
        self.wakes += 1

    def every_turn(self, callback):
        self.turned.append(callback)

    def block(self, ms=-1):
        self.blocks += 1
        before = self.wakes
        end = self.world.time + (FOREVER if ms < 0 else ms)
        while self.wakes == before and self.world.time < end:
            self.world.run(1)
            for callback in self.turned:
                callback()
        if ms < 0 and self.wakes == before:
            raise AssertionError("blocked for ever")


class Machine(wire.Host):
    """A host whose programs use runtime/library; `library.load(name)` gives them."""

    def __init__(self, world, name="machine", packets=16, **settings):
        super().__init__(world, name, packets=packets, **settings)
        self.loop = Loop(world)
        self.library = Library()
        self.clock = None  # nobody steers it
        self.be_current()

    def be_current(self):
        running.current = self

    def load(self, name):
        return self.library.load(name)

    @property
    def log_lines(self):
        return self.log.lines
