"""random with seeds that are objects, for MicroPython, whose own module has one state."""


class Random:
    """xorshift32 (Marsaglia 2003), not CPython's numbers."""

    def __init__(self, seed=1):
        self.state = (hash(seed) * 2654435761 + 1) & 0xFFFFFFFF or 1

    def getrandbits(self, count):
        value = 0
        for _ in range(0, count, 16):
            x = self.state
            x ^= x << 13 & 0xFFFFFFFF
            x ^= x >> 17
            x ^= x << 5 & 0xFFFFFFFF
            self.state = x
            value = value << 16 | x >> 16
        return value & ((1 << count) - 1)

    def randrange(self, start, stop=None):
        if stop is None:
            start, stop = 0, start
        return start + self.getrandbits(32) % (stop - start)

    def randint(self, first, last):
        return self.randrange(first, last + 1)

    def choice(self, values):
        return values[self.randrange(len(values))]

    def choices(self, values, k=1):
        return [self.choice(values) for _ in range(k)]

    def sample(self, values, k):
        values = list(values)
        self.shuffle(values)
        return values[:k]

    def shuffle(self, values):
        for i in range(len(values) - 1, 0, -1):
            j = self.randrange(i + 1)
            values[i], values[j] = values[j], values[i]

    def random(self):
        return self.getrandbits(30) / (1 << 30)

    def randbytes(self, count):
        return bytes([self.getrandbits(8) for _ in range(count)])


_shared = Random()
getrandbits = _shared.getrandbits
randrange = _shared.randrange
randint = _shared.randint
choice = _shared.choice
