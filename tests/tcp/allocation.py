"""Heap bytes per round trip, on MicroPython: run by test_core_allocation.py.

    micropython tests/tcp/allocation.py echo|bulk|copy

Two stacks, each on a device that hands its packets to the other; the collector is off, so
`gc.mem_alloc` counts every byte.
"""

import gc
import sys

sys.path[:0] = ["."]

import micropython  # noqa: E402
from micropython import const  # noqa: E402

from net.inet import Inet  # noqa: E402
from net.packet import FRAME, Pool  # noqa: E402
from net.tcp import Tcp  # noqa: E402
from tests.support.wire import Host, World  # noqa: E402

ROUNDS = 1000
BODY = bytes(20_000)
COPIED = bytearray(3000)
FRAME_HALF = const(41)  # where received frames begin, in halves
assert FRAME_HALF * 2 == FRAME


@micropython.viper
def cross(packet, lent):
    """Copy the frame of a sent packet to where a driver would put it."""
    out = ptr16(packet.buffer)
    words = ptr32(out)
    to = ptr16(lent.buffer)
    start = int(out[0]) >> 1
    end = int(out[4])
    i = start
    j = FRAME_HALF
    while i < (end + 1) >> 1:
        to[j] = out[i]
        i += 1
        j += 1
    at = int(FRAME_HALF << 1) + end - (start << 1)
    pieces = int(out[37])
    k = 0
    bytes_out = ptr8(to)
    while k < pieces:
        data = ptr8(packet.pieces[k])
        offset = words[19 + 2 * k]
        length = words[20 + 2 * k]
        i = 0
        while i < length:
            bytes_out[at] = data[offset + i]
            at += 1
            i += 1
        k += 1
    to[0] = FRAME_HALF << 1
    to[4] = at
    to[5] = 0


class Half:
    """A nic whose frames arrive at `other`, in the next turn."""

    name, mtu, link, offloads, urgent_receive = "eth0", 1500, True, 0, None

    def __init__(self, mac):
        self.mac = mac
        self.receive = self.on_link = self.other = None
        self.pool = Pool("half", 64, gathers=True)
        self.allocate = self.pool.allocate
        self.release = self.pool.release
        self.lent = Pool("lent", 1).allocate()
        self.waiting = [None] * 64
        self.count = 0
        self.done = 0

    def transmit(self, packet):
        self.waiting[self.count & 63] = packet
        self.count += 1

    def deliver(self):
        while self.done < self.count:
            packet = self.waiting[self.done & 63]
            self.done += 1
            other = self.other
            cross(packet, other.lent)
            self.release(packet)
            other.receive(other.lent)


class Soon:
    def __init__(self):
        self.callback = None

    def soon(self, callback):
        self.callback = callback

    def turn(self):
        callback = self.callback
        if callback:
            self.callback = None
            callback()
            return True
        return False


def make(world, name, address, mac):
    nic = Half(mac)
    host = Host(world, name, address=address)
    host.loop = Soon()
    host.inet = Inet(host, tcp=Tcp, nic=nic)
    return host, nic


def settle(a, b, nic_a, nic_b):
    while True:
        before = nic_a.count + nic_b.count
        a.loop.turn()
        b.loop.turn()
        nic_a.deliver()
        nic_b.deliver()
        if nic_a.count + nic_b.count == before and not a.loop.callback and not b.loop.callback:
            return


class Echo:
    def __init__(self):
        self.heard = 0

    def accept(self, connection):
        connection.on_data = self.echo

    def echo(self, connection, segment):
        connection.put(segment.buffer, segment.payload, segment.length, 1)

    def hear(self, connection, segment):
        self.heard += segment.length


def main(what):
    world = World()
    a, nic_a = make(world, "a", "10.0.0.1/24", b"\2\0\0\0\0\1")
    b, nic_b = make(world, "b", "10.0.0.2/24", b"\2\0\0\0\0\2")
    nic_a.other, nic_b.other = nic_b, nic_a
    service = Echo()
    if what == "echo":
        b.inet.tcp.listen(7, service.accept)
    else:
        b.inet.tcp.listen(7, lambda connection: None)
    connection = a.inet.tcp.connect(b.inet.address, 7)
    connection.on_data = service.hear
    settle(a, b, nic_a, nic_b)
    assert connection.state == "ESTABLISHED", connection.state
    data, length, kind = {
        "echo": (BODY, 100, 1),
        "bulk": (BODY, 20_000, 0),
        "copy": (COPIED, 3000, 1),
    }[what]
    gc.disable()
    for measured in (False, True):
        before = gc.mem_alloc()
        for _ in range(ROUNDS if measured else 20):
            assert connection.put(data, 0, length, kind) == length
            settle(a, b, nic_a, nic_b)
        after = gc.mem_alloc()
    if what == "echo":
        assert service.heard == 100 * (ROUNDS + 20)
    assert connection.queued == 0
    print(what, after - before)


main(sys.argv[1])
