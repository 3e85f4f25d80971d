"""A service behind a bad wire: frames of both directions are lost, repeated, swapped, delayed.

Settings: `drop=5 repeat=5 swap=10 hold=20 seed=1` (per cent; a held frame waits a few ms).

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
        self.drop, self.repeat, self.swap, self.hold = [
            int(settings.get(name, 0)) / 100 for name in ("drop", "repeat", "swap", "hold")
        ]
        self.late = None  # swapped with the next one

    def transmit(self, packet):
        if self.random.chance(self.drop):
            packet.release()
            return
        if self.random.chance(self.repeat):
            copy = self.allocate()
            if copy:
                frame = packet.gather()
                start = packet.buffer[LINK] | packet.buffer[LINK + 1] << 8
                end = start + len(frame)
                copy.buffer[start:end] = frame
                for offset, value in ((LINK, start), (END, end), (FLAGS, 0)):
                    copy.buffer[offset] = value & 0xFF
                    copy.buffer[offset + 1] = value >> 8
                self.below.transmit(copy)
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

    def hear(self, packet):
        if self.random.chance(self.drop):
            return
        # What is heard is lent, and a layer may trim it: a copy for the second time.
        again = bytes(packet.buffer) if self.random.chance(self.repeat) else None
        self.receive(packet)
        if again:
            packet.buffer[:] = again
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
