"""A transmission control block in the hand of a test: words by name, relative sequence numbers."""

from net.tcp import block, congestion, recovery, rtt

BASE = 0xFFFFF000  # snd_una at the beginning: the wrap is near


class Base:
    def __init__(self, **given):
        self.buffer = bytearray(block.SIZE)
        for name in given:
            setattr(self, name, given[name])

    @property
    def sequence(self):
        """snd_una, snd_nxt, snd_max, recover, high_rxt, counted from BASE."""
        names = ("snd_una", "snd_nxt", "snd_max", "recover", "high_rxt")
        return {name: (getattr(self, name) - BASE) & 0xFFFFFFFF for name in names}

    @property
    def ranges(self):
        """What the peer has selectively acknowledged, counted from BASE."""
        found = []
        for i in range(self.sacked):
            at = 4 * (block.SACK + 2 * i)
            edges = [int.from_bytes(self.buffer[at + k : at + k + 4], "little") for k in (0, 4)]
            found.append(tuple([(edge - BASE) & 0xFFFFFFFF for edge in edges]))
        return found


def word(index):
    """Word `index` of the buffer as an attribute: a signed number."""
    at = 4 * index

    def load(words):
        value = int.from_bytes(words.buffer[at : at + 4], "little")
        return value - (1 << 32) if value >> 31 else value

    def store(words, value):
        words.buffer[at : at + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")

    return property(load, store)


NAMES = ["snd_una", "snd_nxt", "snd_max", "snd_wnd", "iss", "queued", "mss", "flags"]
NAMES += ["srtt", "rttvar", "rto", "backoff", "rtt_seq", "rtt_at", "retransmits", "sacked"]
NAMES += ["cwnd", "ssthresh", "recover", "high_rxt", "pipe", "dupacks", "cubic", "acked"]
NAMES += ["cwr_seq", "hole", "hole_length", "sent_at", "hystart", "prior_cwnd"]

# Words of a block as attributes: `words.cwnd`, `words.flags`.
Words = type("Words", (Base,), {name: word(getattr(block, name.upper())) for name in NAMES})


def sender(sent=0, mss=1000, flags=block.SACK_OK, lost=0, **given):
    """A connection that has sent so many bytes, of which none is acknowledged."""
    words = Words(snd_una=BASE, snd_nxt=BASE, snd_max=BASE, iss=BASE - 1, mss=mss, flags=flags)
    words.snd_wnd = 1 << 20
    rtt.start(words.buffer)
    recovery.start(words.buffer)
    congestion.start(words.buffer, lost)
    words.snd_nxt = words.snd_max = BASE + sent
    words.flags = flags  # states, too
    for name in given:
        setattr(words, name, given[name])
    return words


def sacks(*ranges):
    """What options.parse makes of these ranges, counted from BASE."""
    out = bytearray(52)
    out[16:20] = len(ranges).to_bytes(4, "little")
    for i, (start, end) in enumerate(ranges):
        for k, edge in ((0, start), (4, end)):
            value = (BASE + edge) & 0xFFFFFFFF
            out[20 + 8 * i + k : 24 + 8 * i + k] = value.to_bytes(4, "little")
    return out
