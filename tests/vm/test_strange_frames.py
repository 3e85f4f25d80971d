"""TCP, IPv6 and ICMP as no stack sends them, at rate: nothing leaks, everything is counted."""

import random
import socket

import pytest

from tests.support import images, load
from tests.support.malformed_tcp import Strange
from tests.support.target import ADDRESS, ADDRESS6, KERNEL, KERNEL6, MAC, SERVICE, Target

pytestmark = pytest.mark.timeout(3600)  # the first one builds the image


@pytest.fixture
def target():
    with Target(images.build(SERVICE) / "target.elf") as made:
        yield made


def strange(target, frames, seed=9):
    pack = socket.inet_pton
    four, six = socket.AF_INET, socket.AF_INET6
    mac = bytes.fromhex(MAC.replace(":", ""))
    ours = pack(four, ADDRESS), pack(six, ADDRESS6)
    theirs = pack(four, KERNEL), pack(six, KERNEL6)
    return Strange(mac, *ours, frames.mac, *theirs, seed=seed)


def flood(target, count, seed):
    before = target.look()
    frames = load.Frames(target.namespace)
    many = strange(target, frames, seed)
    frames.flood(many.frames(count), target.look)
    after = target.look()
    grown = target.grown(before, after)
    # All were delivered, and what is not counted as right has a name.
    assert grown["eth0.received"] >= count
    assert grown["tcp.segments"] > count // 4
    for name in ("tcp.checksum", "tcp.short", "tcp.header_length"):
        assert grown[name] > 0, grown
    target.serves()
    target.serves(ADDRESS6)
    return before


def test_strange_segments_headers_and_quotations(target):
    # The first take memory that is kept: for reassembly, half-open connections, neighbours.
    flood(target, 4_000, 8)
    before = flood(target, 12_000, 9)
    # (What was begun is forgotten after minutes: see the long version.)
    target.rests(before, but=("half_open", "time_wait"))


@pytest.mark.stress
def test_strange_frames_for_long(target):
    """A million of them; afterwards every table finds an end."""
    before = target.look()
    for seed in range(20):
        flood(target, 50_000, seed)
        print(f"{(seed + 1) * 50_000} frames, heap {target.look().heap}", flush=True)
    target.rests(before, within=200, heap=100_000)


def test_a_connection_survives_them(target):
    """Frames with its own addresses and ports, and numbers that are not its own."""
    frames = load.Frames(target.namespace)
    many = strange(target, frames)
    dice = random.Random(2)
    for family, address in ((4, ADDRESS), (6, ADDRESS6)):
        with target.connect(7, address=address) as client:
            port = client.getsockname()[1]
            for n in range(3000):
                made = many.segment(family, options=dice.randbytes(4 * dice.randrange(4)), port=7)
                made = port.to_bytes(2, "big") + made[2:16] + b"\0\0" + made[18:]
                total = many.sum(family, 6, made).to_bytes(2, "big")
                frames.send(many.ip(family, 6, made[:16] + total + made[18:]))
                if n % 100 == 0:
                    target.look()
                    client.send(b"%5d" % n)
                    assert client.recv(5) == b"%5d" % n
    target.serves()
