"""A virtual Ethernet with a virtual clock: whole stacks side by side, ten minutes in milliseconds.

    world = World()
    a = Host(world, "a", address="10.0.0.1/24")
    b = Host(world, "b", address="10.0.0.2/24", wrap=lambda nic: Lossy(nic, lose=[3]))
    a.inet = Inet(a, udp=Udp)
    world.run(1000)             virtual milliseconds; every frame takes `world.delay` of them
    world.check()               every packet is back in its pool

A wrapper has the interface of a nic and sits in front of one: Lossy, Reordering, Duplicating,
Corrupting, Pcap, Tap; they can be stacked, and those that throw dice take a seed.  Bad luck happens
to what the host transmits.  Nothing here needs CPython: MicroPython runs it as well.
"""

import struct

from net.packet import END, FLAGS, FRAME, LINK, Pool
from runtime.counters import Registry
from runtime.timers import Timers
from tests.support.offload import leave

TURN = 0x3FFFFFFF


class Random:
    """The same numbers on every interpreter (xorshift, Marsaglia 2003)."""

    def __init__(self, seed=1):
        self.state = (seed * 2654435761 + 1) & 0xFFFFFFFF or 1

    def bits(self, count):
        x = self.state
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self.state = x
        return x >> (32 - count)

    def chance(self, probability):
        return self.bits(16) < probability * 65536

    def below(self, limit):
        return self.bits(30) % limit


class World:
    """The clock, the wires (one, unless nics say otherwise), and what is under way."""

    def __init__(self, start=0x3FFFFF00, delay=1):
        # Soon after the start the clock wraps around, as it does in the machine every 12 days.
        self.time = start
        self.delay = delay
        self.events = []  # of (when, order, nic, frame)
        self.order = 0
        self.nics = []
        self.hosts = []
        self.frames = []  # everything that was on the wire: (time, sender's name, frame)

    def clock(self):
        return self.time & TURN

    def send(self, sender, frame):
        self.frames.append((self.time, sender.name, frame))
        for nic in self.nics:
            if nic is not sender and nic.wire == sender.wire and nic.link and sender.link:
                self.later(self.delay, nic.hear, frame)

    def later(self, delay, call, argument=None):
        self.order += 1
        event = (self.time + delay, self.order, call, argument)
        at = len(self.events)
        while at and self.events[at - 1][:2] > event[:2]:
            at -= 1
        self.events.insert(at, event)

    def run(self, ms=None):
        """Let time pass: so many milliseconds, or until nothing is under way on the wire."""
        end = None if ms is None else self.time + ms
        self.turn()
        while True:
            when = self.events[0][0] if self.events else None
            if end is not None:
                for host in self.hosts:
                    deadline = host.timers.next()
                    if deadline >= 0:
                        left = ((deadline - self.time + 0x20000000) & TURN) - 0x20000000
                        due = self.time + max(left, 0)
                        when = due if when is None else min(when, due)
            if when is None or (end is not None and when > end):
                break
            self.time = max(self.time, when)
            while self.events and self.events[0][0] <= self.time:
                _, _, call, argument = self.events.pop(0)
                if argument is None:
                    call()
                else:
                    call(argument)
                self.turn()
            for host in self.hosts:
                host.timers.run(self.clock())
            self.turn()
        if end is not None:
            self.time = end

    def turn(self):
        """What was to be called soon is called, as at the end of a turn of the event loop."""
        for host in self.hosts:
            host.loop.turn()

    def check(self):
        """No packet was lost or invented."""
        for nic in self.nics:
            for pool in nic.pools:
                held = sum([host.holds(pool) for host in self.hosts])
                assert pool.free + held == pool.count, f"{pool.name}: {pool.free} of {pool.count}"
                assert len({id(p) for p in pool.stack[1 : pool.free + 1]}) == pool.free


class Nic:
    """One station's card.  What it hears is lent to `receive`; what it sends goes on the wire.

    `offloads`: what it says it can (net/packet.py), and does.
    """

    def __init__(self, world, name, mac, mtu=1500, packets=16, wire=0, offloads=0):
        self.wire = wire
        self.world = world
        self.name = name
        self.mac = mac
        self.mtu = mtu
        self.link = True
        self.receive = None
        self.on_link = None
        self.offloads = offloads
        self.urgent_receive = None
        self.pools = [Pool(name + ".receive", 4), Pool(name + ".transmit", packets, gathers=True)]
        self.no_buffer = 0
        world.nics.append(self)

    def allocate(self):
        packet = self.pools[1].allocate()
        if packet is None:
            self.no_buffer += 1
        return packet

    def transmit(self, packet):
        frames = leave(packet, self.offloads)
        packet.release()
        for frame in frames:
            assert 14 <= len(frame) <= self.mtu + 14, f"{self.name} sends {len(frame)} bytes"
            self.world.send(self, frame)

    def hear(self, frame):
        packet = self.pools[0].allocate()
        b = packet.buffer
        # As a driver leaves them: rubbish behind the frame and in the head.
        for i in range(10, 64):
            b[i] = 0xA5
        end = FRAME + len(frame)
        b[FRAME:end] = frame
        for offset, value in ((LINK, FRAME), (END, end), (FLAGS, 0)):
            b[offset] = value & 0xFF
            b[offset + 1] = value >> 8
        if self.receive:
            self.receive(packet)
        packet.release()

    def set_link(self, up):
        self.link = up
        if self.on_link:
            self.on_link(up)


class Host:
    """What Inet needs of a machine."""

    def __init__(self, world, name, wrap=None, mtu=1500, packets=16, offloads=0, **settings):
        number = len(world.hosts) + 1
        self.world = world
        self.name = name
        mac = bytes([2, 0, 0, 0, 0, number])
        self.card = Nic(world, name, mac, mtu, packets, offloads=offloads)
        self.nic = wrap(self.card) if wrap else self.card
        self.timers = Timers(world.clock)
        self.random = Random(number)
        self.settings = settings
        self.counters = Registry()
        self.log = Log()
        self.loop = Loop()
        self.entropy = Entropy(number)
        self.inet = None
        world.hosts.append(self)

    def holds(self, pool):
        """Packets of this pool that wait in the stack or in a wrapper for something to happen."""
        held = []
        if self.inet:
            held += self.inet.held()
        nic = self.nic
        while nic is not self.card:
            held += nic.held
            nic = nic.below
        return len([packet for packet in held if packet.pool is pool])


class Loop:
    """Turns of the event loop, as far as a stack asks for them."""

    def __init__(self):
        self.callbacks = []

    def soon(self, callback):
        self.callbacks.append(callback)

    def turn(self):
        """Until nobody wants another turn: the time on the wire stands still meanwhile."""
        for _ in range(1000):
            if not self.callbacks:
                return
            callbacks, self.callbacks = self.callbacks, []
            for callback in callbacks:
                callback()
        raise AssertionError("a callback calls itself for ever")

    def wake(self):
        pass


class Entropy:
    """Numbers that nobody can guess, always the same ones."""

    seeded = True

    def __init__(self, seed):
        self.random = Random(seed + 1000)

    def bytes(self, count):
        return bytes([self.random.bits(8) for _ in range(count)])


class Log:
    def __init__(self):
        self.lines = []

    def info(self, text, *values):
        self.lines.append(text % values if values else text)

    error = warning = debug = info


class Wrapper:
    """A nic in front of a nic.  Subclasses replace `transmit` or `hear`."""

    def __init__(self, below):
        self.below = below
        self.held = []
        self.name = below.name
        self.mac = below.mac
        self.mtu = below.mtu
        self.offloads = below.offloads
        self.urgent_receive = None
        self.allocate = below.allocate
        self.receive = below.receive
        below.receive = self.hear

    @property
    def on_link(self):
        return self.below.on_link

    @on_link.setter
    def on_link(self, slot):
        self.below.on_link = slot

    @property
    def link(self):
        return self.below.link

    def transmit(self, packet):
        self.below.transmit(packet)

    def hear(self, packet):
        self.receive(packet)


class Lossy(Wrapper):
    """Loses a share of what is sent, or the frames with the given numbers, counted from 0."""

    def __init__(self, below, drop=0, lose=(), seed=1):
        Wrapper.__init__(self, below)
        self.drop = drop
        self.lose = lose
        self.random = Random(seed)
        self.sent = 0
        self.lost = 0

    def transmit(self, packet):
        nth = self.sent
        self.sent += 1
        if nth in self.lose or self.random.chance(self.drop):
            self.lost += 1
            packet.release()
        else:
            self.below.transmit(packet)


class Duplicating(Wrapper):
    """Sends some frames twice."""

    def __init__(self, below, share=0.5, seed=1):
        Wrapper.__init__(self, below)
        self.share = share
        self.random = Random(seed)

    def transmit(self, packet):
        if self.random.chance(self.share):
            copy = self.allocate()
            if copy:
                copy.buffer[:] = packet.buffer
                copy.pieces[:] = packet.pieces
                self.below.transmit(copy)
        self.below.transmit(packet)


class Reordering(Wrapper):
    """Holds some frames back for a few milliseconds, so that later ones overtake them."""

    def __init__(self, below, world, share=0.5, longest=10, seed=1):
        Wrapper.__init__(self, below)
        self.world = world
        self.share = share
        self.longest = longest
        self.random = Random(seed)

    def transmit(self, packet):
        if self.random.chance(self.share):
            self.held.append(packet)
            self.world.later(1 + self.random.below(self.longest), self.release, packet)
        else:
            self.below.transmit(packet)

    def release(self, packet):
        self.held.remove(packet)
        self.below.transmit(packet)


class Corrupting(Wrapper):
    """Flips one bit of some frames."""

    def __init__(self, below, share=0.5, seed=1):
        Wrapper.__init__(self, below)
        self.share = share
        self.random = Random(seed)

    def transmit(self, packet):
        if self.random.chance(self.share):
            b = packet.buffer
            link = b[LINK] | b[LINK + 1] << 8  # the tail is whole: it may be the sender's only copy
            bit = self.random.below(8 * (packet.end - link))
            b[link + (bit >> 3)] ^= 1 << (bit & 7)
        self.below.transmit(packet)


class Pcap(Wrapper):
    """Writes what is sent and heard to a file that tcpdump and Wireshark read."""

    def __init__(self, below, path, world):
        Wrapper.__init__(self, below)
        self.world = world
        self.file = open(path, "wb")  # noqa: SIM115 (as long as the nic lives)
        # Magic of microsecond stamps, version 2.4, no zone, 65,535 bytes of each, Ethernet.
        self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))

    def record(self, packet):
        b = packet.buffer
        if packet.pieces:
            frame = packet.gather()
        else:
            frame = bytes(b[b[LINK] | b[LINK + 1] << 8 : packet.end])
        time = self.world.time
        stamp = (time // 1000, time % 1000 * 1000, len(frame), len(frame))
        self.file.write(struct.pack("<IIII", *stamp) + frame)
        self.file.flush()

    def transmit(self, packet):
        self.record(packet)
        self.below.transmit(packet)

    def hear(self, packet):
        self.record(packet)
        self.receive(packet)
