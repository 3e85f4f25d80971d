"""The hash index of a zone's table: from a parent and a label to a node.

    index = best_index(names, planes)   names: (node, parent, label) of each, in order of the nodes
    index.column, index.multiplier, index.shift, index.low

A hash scatters numbers as no compressor can gather them again: a slot for each of 10,000 names is
14 KB of a disk image.  But names that are counted (host1 ... host9999, addresses of a reverse zone)
are neighbours in the table, so the bits LOW of a label's last byte need no hash: names that
differ in no others share a slot, which has what is left of the node's number without them.  Names
without such neighbours have a slot each, and where gaps would queue many slots up behind one hash,
LOW is 0: the index that needs few probes wins, then the smaller one.

The layout is drawn in services/dns/table.py, Table.find is the search.
"""

import struct
import zlib
from collections import Counter
from operator import attrgetter

from tools.zone.layout import table

LOAD = 0.7  # slots in use, at most
LOWS = (0, table.FIRST_NODE - 1)
TRIES = 160_000  # labels hashed in search of the best index
MULTIPLIERS = tuple(0x2545F491 + 0x1D3A5E2C * n & 0x3FFFFFFF | 1 for n in range(64))
TOLERANCE = 1.05  # probes, as a share of the fewest, that a smaller image is worth


def best_index(names, planes):
    """Few probes first, then few bytes in the image.

    The worst question, which somebody may ask all day, is no worse than it has to be.
    """
    indexes = {low: _indexes(names, low, planes) for low in LOWS}
    everyone = [index for tried in indexes.values() for index in tried]
    best, plain = (min(tried, key=attrgetter("probes")) for tried in (everyone, indexes[LOWS[0]]))
    most, longest = TOLERANCE * best.probes, max(best.longest(), plain.longest())
    good = [index for index in everyone if index.probes <= most and index.longest() <= longest]
    return min(good, key=Index.packed)


def _indexes(names, low, planes):
    keys = Counter()  # {(what a slot has, the parent, the words that are hashed): how many names}
    for node, parent, label in names:
        last = label[-1] & low
        keys[node - last, parent, hash_words(label[:-1] + bytes((label[-1] - last,)))] += 1
    size = 2
    while size * LOAD < len(keys):
        size *= 2
    tries = max(1, TRIES // (len(keys) + 1))
    return [Index(keys, low, size, multiplier, planes) for multiplier in MULTIPLIERS[:tries]]


class Index:
    """The slots by one multiplier.  `probes`: those of a search for every name."""

    def __init__(self, keys, low, size, multiplier, planes):
        self.low = low
        self.multiplier = multiplier
        self.shift = shift = 31 - size.bit_length()
        self.probes = 0
        self.slots = slots = [0] * size
        for (number, parent, words), names in keys.items():
            slot = slot_of(parent, words, multiplier, shift)
            self.probes += names
            while slots[slot]:
                slot = (slot + 1) % size
                self.probes += names
            slots[slot] = number
        self.column = column(slots, planes)

    def longest(self):
        """Probes of the worst question: slots in use one after the other, and the free one."""
        used = bytes(map(bool, self.slots))
        return 1 + max(map(len, (used + used).split(b"\0")))

    def packed(self):
        """About how many bytes it is in the image."""
        return len(zlib.compress(self.column))


def hash_words(label):
    """The words of a label as the hash takes them: the bit for lower case set in every byte."""
    data = bytes(byte | 0x20 for byte in (len(label), *label))
    data = data.ljust((len(data) + 3) // 4 * 4, b"\0")
    return struct.unpack(f"<{len(data) // 4}I", data)


def slot_of(parent, words, multiplier, shift):
    """The slot where the search for a label under a parent begins; Table.find does the same."""
    for word in words:
        parent = parent * multiplier + word
    return (parent * multiplier & 0x3FFFFFFF) >> shift


def column(numbers, planes):
    """All low bytes, all second bytes, ..."""
    return b"".join(
        bytes(number >> 8 * plane & 0xFF for number in numbers) for plane in range(planes)
    )
