"""Initial sequence numbers: RFC 6528; the timestamps of RFC 7323 section 7.1."""

import struct

from net.tcp import block as layout
from net.tcp.isn import Isn

LOCAL, REMOTE = b"\x0a\0\0\2", b"\x0a\0\0\1"
KEY = bytes(range(16))


def ends(local=LOCAL, port=80, remote=REMOTE, remote_port=1234):
    """A block of a connection between these."""
    block = bytearray(layout.SIZE)
    block[0 : len(local)] = local
    block[16 : 16 + len(remote)] = remote
    block[32:36] = struct.pack(">HH", remote_port, port)
    block[4 * layout.FLAGS] = layout.IS_IP6 if len(local) == 16 else 0
    return block


def number(isn, now=0, **others):
    out = bytearray(8)
    isn.of_block(ends(**others), now, out)
    return struct.unpack("<II", out)


def test_rfc6528_3_the_clock_counts_four_microseconds():
    """MUST-8: ISN = M + F(...), M a timer of 4 us: 250 steps in a millisecond."""
    isn = Isn(KEY)
    first, offset = number(isn, 1000)
    for ms in (1, 7, 60_000, 10_000_000):
        later, same = number(isn, 1000 + ms)
        assert (later - first) & 0xFFFFFFFF == 250 * ms & 0xFFFFFFFF
        assert same == offset, "timestamps to one peer never go back (RFC 6191)"


def test_rfc6528_3_other_ends_have_other_numbers():
    """MUST-9, SHLD-1: F depends on both addresses, both ports and a secret."""
    several = [
        {},
        {"port": 81},
        {"remote_port": 1235},
        {"local": b"\x0a\0\0\3"},
        {"remote": b"\x0a\0\0\3"},
        {"local": LOCAL + bytes(12), "remote": REMOTE + bytes(12)},
        {"local": bytes(15) + b"\1", "remote": bytes(15) + b"\2"},
        {"local": bytes(15) + b"\1", "remote": bytes(15) + b"\3"},
    ]
    isn = Isn(KEY)
    seen = [number(isn, **end) for end in several] + [number(Isn(bytes(16)))]
    for which in (0, 1):
        values = [pair[which] for pair in seen]
        assert len(set(values)) == len(values)
        gaps = [(b - a) & 0xFFFFFFFF for a in values for b in values if a != b]
        assert min(gaps) > 1000, "and not a step away"


def test_rfc6528_the_numbers_are_spread_over_all_32_bits():
    isn = Isn(KEY)
    values = [number(isn, remote_port=port)[0] for port in range(1000, 1400)]
    for bit in range(32):
        ones = sum([value >> bit & 1 for value in values])
        assert 120 < ones < 280, bit
