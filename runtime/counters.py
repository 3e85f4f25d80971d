"""Counters: everything that is counted, and every drop, has a name.

A part of the system owns one `Counters`; a `Registry` knows them all.  Hot paths add to a cell
through `ptr32(counters.cells)[index] += 1`, the rest calls `count(index)`.

Law: counters only grow; they wrap at 2^32.
"""

import micropython


class Counters:
    """`counts`, then `drops`: the index of a name is its place in `counts + drops`.

    An owner that keeps other state beside its counters hands in the buffer for both; the counters
    are its first words.
    """

    def __init__(self, name, counts, drops=(), cells=None):
        self.name = name
        self.counts = counts
        self.dropped = drops
        self.cells = bytearray(4 * (len(counts) + len(drops))) if cells is None else cells

    @micropython.viper
    def count(self, index: int):
        cells = ptr32(self.cells)
        cells[index] += 1

    def number(self, index):
        return int.from_bytes(self.cells[4 * index : 4 * index + 4], "little")

    def __getitem__(self, name):
        return self.number((tuple(self.counts) + tuple(self.dropped)).index(name))

    def items(self):
        """Pairs of "owner.name" and number, all of them."""
        numbers = [(self.name + "." + name, self.number(i)) for i, name in enumerate(self.counts)]
        return numbers + self.of_drops()

    def of_drops(self):
        first = len(self.counts)
        return [
            (self.name + "." + name, self.number(first + i)) for i, name in enumerate(self.dropped)
        ]

    def drops(self):
        """The same, only what was dropped."""
        return [pair for pair in self.of_drops() if pair[1]]


class Registry:
    """All counters of a machine: `registry()` and `registry.drops()` are dicts by name."""

    def __init__(self):
        self.all = []

    def add(self, counters):
        self.all.append(counters)
        return counters

    def __call__(self):
        return dict([pair for counters in self.all for pair in counters.items()])

    def drops(self):
        """What was dropped, without the zeros: `assert machine.counters.drops() == {}`."""
        return dict([pair for counters in self.all for pair in counters.drops()])
