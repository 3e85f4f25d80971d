"""Numbers that nobody can guess: keys, sequence numbers, what `os.urandom` gives.

ChaCha20 (RFC 8439, section 2.3) with fast key erasure: each refill makes four blocks of key stream;
the first 32 bytes are the next key, the rest is handed out once and wiped.  So who reads the memory
later cannot tell what was handed out before.

    entropy.bytes(16)           that many random bytes
    entropy.seeded              whether sources worth believing gave at least 32 bytes
    entropy.seed(data, name)    of such a source: RDRAND, virtio-rng, the setting `seed=`
    entropy.stir(data)          of any other: the time, jitter; it does no harm and counts nothing

Sources are asked again when numbers are wanted and the last seed is older than RESEED_MS: an idle
machine needs no timer for it.
Neighbours: runtime/boot.py makes the one of the machine, if something in the image asks for
`machine.entropy`; drivers/virtio/rng.py; runtime/entropy.py has the cheap numbers.
Left out: estimates of the entropy of jitter; a copy of a running machine (a snapshot) repeats its
numbers until the next seed.
"""

import micropython
from micropython import const

KEY = const(32)
BLOCK = const(64)
BLOCKS = const(4)  # per refill
ENOUGH = const(32)  # bytes of seed
RESEED_MS = const(300000)
SAMPLES = const(64)  # of the cycle counter
RDRAND_BYTES = const(64)  # asked for more than needed: the instruction may be a weak one
CONSTANTS = b"expand 32-byte k"
# The words of each quarter round: four columns, four diagonals.
QUARTERS = bytes((0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)) + bytes(
    (0, 5, 10, 15, 1, 6, 11, 12, 2, 7, 8, 13, 3, 4, 9, 14)
)


@micropython.viper
def chacha20(state: ptr32, out: ptr32, quarters: ptr8):
    """One block of key stream, RFC 8439 section 2.3.  All sums and shifts go through stores, which
    keep 32 bits.
    """
    i = 0
    while i < 16:
        out[i] = state[i]
        i += 1
    rounds = 10
    while rounds:
        rounds -= 1
        at = 0
        while at < 32:
            a = quarters[at]
            b = quarters[at + 1]
            c = quarters[at + 2]
            d = quarters[at + 3]
            at += 4
            out[a] = out[a] + out[b]
            out[d] = out[d] ^ out[a]
            out[d] = (out[d] << 16) | ((out[d] >> 16) & 0xFFFF)
            out[c] = out[c] + out[d]
            out[b] = out[b] ^ out[c]
            out[b] = (out[b] << 12) | ((out[b] >> 20) & 0xFFF)
            out[a] = out[a] + out[b]
            out[d] = out[d] ^ out[a]
            out[d] = (out[d] << 8) | ((out[d] >> 24) & 0xFF)
            out[c] = out[c] + out[d]
            out[b] = out[b] ^ out[c]
            out[b] = (out[b] << 7) | ((out[b] >> 25) & 0x7F)
    i = 0
    while i < 16:
        out[i] = out[i] + state[i]
        i += 1


@micropython.viper
def sample(out: ptr32, count: int, cycles):
    """The counter, `count` times: what may differ is how long the calls took."""
    while count:
        count -= 1
        out[count] = int(cycles())


@micropython.viper
def mix(key: ptr8, data: ptr8, count: int):
    while count:
        count -= 1
        key[count] ^= data[count]


class Entropy:
    """`clock()`: milliseconds; `cycles()`: a counter that runs fast."""

    def __init__(self, clock, cycles):
        self.clock = clock
        self.cycles = cycles
        self.state = bytearray(BLOCK)
        self.state[:16] = CONSTANTS
        self.stream = bytearray(BLOCK * BLOCKS)
        self.block = memoryview(self.stream)
        self.left = 0  # bytes at the end of `stream` that were not handed out yet
        self.credit = 0
        self.names = []
        self.sources = []  # asked for a seed when the last one is old; each calls `seed`
        self.asked = clock()
        samples = bytearray(4 * SAMPLES)
        sample(samples, SAMPLES, cycles)
        self.stir(samples)

    @property
    def seeded(self):
        return self.credit >= ENOUGH

    def stir(self, data):
        """The new key is what the old one makes of itself and `data`."""
        key = memoryview(self.state)[16:48]
        for start in range(0, len(data), KEY):
            piece = data[start : start + KEY]
            mix(key, piece, len(piece))
            self.refill(1)
        self.left = 0

    def seed(self, data, name):
        if name not in self.names:
            self.names.append(name)
        self.credit = min(self.credit + len(data), ENOUGH)
        self.stir(data)

    def refill(self, blocks=BLOCKS):
        """The last `blocks` of the stream anew; the first 32 bytes of them are the next key."""
        state = self.state
        state[52:56] = self.cycles().to_bytes(4, "little")
        first = BLOCK * (BLOCKS - blocks)
        for number in range(blocks):
            state[48] = number
            chacha20(state, self.block[first + number * BLOCK :], QUARTERS)
        state[16 : 16 + KEY] = self.block[first : first + KEY]
        self.block[first : first + KEY] = bytes(KEY)
        self.left = BLOCK * blocks - KEY

    def bytes(self, count):
        now = self.clock()
        if now - self.asked > RESEED_MS:
            self.asked = now
            for source in self.sources:
                source()
        out = bytearray(count)
        at = 0
        while at < count:
            if self.left == 0:
                self.refill()
            some = min(count - at, self.left)
            start = BLOCK * BLOCKS - self.left
            out[at : at + some] = self.block[start : start + some]
            self.block[start : start + some] = bytes(some)
            self.left -= some
            at += some
        return bytes(out)


def make(machine, metal):
    """The machine's: seeded by the processor and by the setting `seed=`, if they are there."""
    entropy = Entropy(machine.uptime_ms, metal.cycles)
    entropy.stir(metal.stamp())

    def processor():
        buffer = bytearray(RDRAND_BYTES)
        if metal.rdrand(buffer):
            entropy.seed(buffer, "RDRAND")

    processor()
    entropy.sources.append(processor)
    seed = machine.settings.get("seed")
    if seed:
        try:
            entropy.seed(bytes.fromhex(seed), "setting")
        except (TypeError, ValueError):
            machine.log.warning("seed: must be hexadecimal digits, two for a byte")
    return entropy


def report(entropy, log):
    """Say what the numbers come from, once the devices have been found."""
    if entropy.seeded:
        log.info("entropy: %s", ", ".join(entropy.names))
    else:
        log.warning("entropy: no source; start the machine with RDRAND or a virtio-rng device")
