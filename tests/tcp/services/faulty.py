"""A service behind a bad wire: frames of both directions are lost, repeated, swapped, delayed,
and arrive with a wrong byte.

Settings: `drop=5 repeat=5 swap=10 hold=20 spoil=5 seed=1` (per cent; a held frame waits a few ms).

19     LENGTH bytes of a pattern, then the end
9      takes what comes; at the end of it one line: how many bytes, and their CRC
"""

import binascii

from net.inet import Inet
from net.packet import END, FLAGS, LINK
from net.tcp import Tcp
from tests.support.wire import Random, Wrapper
from tests.tcp.peer import pattern

PORTS = ("tcp:9", "tcp:19")
LENGTH = 300_000


class Faulty(Wrapper):
    """Bad luck for what is sent and for what is heard."""

    def __init__(self, below, timers, settings):
        Wrapper.__init__(self, below)
        self.timers = timers
        self.random = Random(int(settings.get("seed", 1)))
        self.drop, self.repeat, self.swap, self.hold, self.spoil = [
            int(settings.get(name, 0)) / 100 for name in ("drop", "repeat", "swap", "hold", "spoil")
        ]
        self.late = None  # swapped with the next one
        self.late_heard = None
        self.held_heard = []

    def transmit(self, packet):
        if self.random.chance(self.drop):
            packet.release()
            return
        if self.random.chance(self.repeat):
            copy = self.twin(packet)
            if copy:
                self.below.transmit(copy)
        if self.random.chance(self.spoil):
            copy = self.twin(packet)
            if copy:
                packet.release()
                packet = copy
                self.flip(packet.buffer)
        if self.late is None and self.random.chance(self.swap):
            self.late = packet
            return
        if self.random.chance(self.hold):
            self.held.append(packet)
            self.timers.timer(self.release).start(1 + self.random.below(15))
            return
        self.below.transmit(packet)
        if self.late is not None:
            late, self.late = self.late, None
            self.below.transmit(late)

    def release(self):
        self.below.transmit(self.held.pop(0))

    def twin(self, packet):
        """The same frame, in a packet without a tail; None: there is no packet."""
        copy = self.allocate()
        if copy:
            frame = packet.gather()
            start = packet.buffer[LINK] | packet.buffer[LINK + 1] << 8
            end = start + len(frame)
            copy.buffer[start:end] = frame
            for offset, value in ((LINK, start), (END, end), (FLAGS, 0)):
                copy.buffer[offset] = value & 0xFF
                copy.buffer[offset + 1] = value >> 8
        return copy

    def flip(self, buffer):
        """A bit of a byte behind the link header."""
        start = (buffer[LINK] | buffer[LINK + 1] << 8) + 14
        end = buffer[END] | buffer[END + 1] << 8
        buffer[start + self.random.below(end - start)] ^= 1 << self.random.below(8)

    def hear(self, packet):
        if self.random.chance(self.drop):
            return
        if self.random.chance(self.spoil):
            self.flip(packet.buffer)
        # What is heard is lent, and a layer may trim it: copies for what comes later.
        if self.late_heard is None and self.random.chance(self.swap):
            self.late_heard = bytes(packet.buffer)
            return
        if self.random.chance(self.hold):
            self.held_heard.append((packet, bytes(packet.buffer)))
            self.timers.timer(self.hear_held).start(1 + self.random.below(15))
            return
        again = bytes(packet.buffer) if self.random.chance(self.repeat) else None
        self.receive(packet)
        if again:
            packet.buffer[:] = again
            self.receive(packet)
        if self.late_heard is not None:
            packet.buffer[:] = self.late_heard
            self.late_heard = None
            self.receive(packet)

    def hear_held(self):
        packet, content = self.held_heard.pop(0)
        packet.buffer[:] = content
        self.receive(packet)


class Sender:
    def __init__(self, connection, data):
        self.data = data
        self.sent = 0
        connection.on_writable = self.more
        self.more(connection)

    def more(self, connection):
        while self.sent < len(self.data):
            taken = connection.write(self.data, self.sent)
            if not taken:
                return
            self.sent += taken
        connection.close()


class Counter:
    def __init__(self, connection):
        self.count = self.crc = 0
        connection.on_data = self.add
        connection.on_end = self.tell

    def add(self, connection, segment):
        self.crc = binascii.crc32(segment.data, self.crc)
        self.count += segment.length

    def tell(self, connection):
        connection.write(b"%d %d\n" % (self.count, self.crc & 0xFFFFFFFF))
        connection.close()


def start(machine):
    data = pattern(LENGTH)
    nic = Faulty(machine.nic, machine.timers, machine.settings)
    inet = Inet(machine, tcp=Tcp, nic=nic)
    inet.tcp.listen(19, lambda connection: Sender(connection, data))
    inet.tcp.listen(9, Counter)
