"""Flows: one stream of a test each, which sends or receives until the test is over.

    UDP payload, big-endian:  u32 seconds  u32 microseconds  u32 (or u64) number from 1 on

Jitter is RFC 3550's (section 6.4.1 and A.8), with the milliseconds of our clock; a number that was
left out counts as lost, and as found again when it comes late.
"""

from services.stream.tally import Tally

BLOCK = bytes(32768)  # what we send over TCP; nobody looks at it
TICK_MS = 5  # of a sender that keeps a rate
MASK = 0x3FFFFFFF
HALF = 0x20000000
MOST = 64  # datagrams in a tick: more would starve the others


class Flow:
    """`number` is what iperf3 calls the stream in the results."""

    def __init__(self, number, sends):
        self.number = number
        self.sends = sends
        self.tally = Tally()
        self.packets = 0
        self.lost = 0
        self.jitter = 0  # microseconds, times 16
        self.retransmits = -1

    def begin(self):
        """The test runs."""

    def end(self):
        """It is over."""


class TcpFlow(Flow):
    def __init__(self, number, sends, connection):
        super().__init__(number, sends)
        self.connection = connection
        self.running = False
        connection.on_data = self.receive
        connection.on_writable = self.send
        connection.on_close = self.closed

    def receive(self, connection, segment):
        self.tally.add(segment.length)

    def begin(self):
        self.running = True
        if self.sends:
            self.send(self.connection)

    def send(self, connection):
        taken = len(BLOCK)
        while self.running and taken == len(BLOCK):
            taken = connection.write(BLOCK, 0, len(BLOCK))
            self.tally.add(taken)

    def closed(self, connection, reason):
        self.running = False
        self.connection = None

    def end(self):
        """Closed, because the client reads whole blocks: it waits for the rest of one, or this."""
        self.running = False
        if self.connection:
            if self.sends:
                self.retransmits = self.connection.info().get("retransmits", 0)
            self.connection.close()

    def close(self):
        if self.connection:
            self.connection.abort()


class UdpFlow(Flow):
    """`rate`: bits a second; `size`: of a datagram."""

    def __init__(self, number, sends, machine, socket, peer, size, rate, wide):
        super().__init__(number, sends)
        self.socket = socket
        self.address, self.port = peer
        self.uptime_ms = machine.uptime_ms
        self.timer = machine.timers.timer(self.tick)
        self.block = bytearray(size)
        self.rate = rate
        self.wide = 4 if wide else 0
        self.last = 0  # the highest number that came
        self.transit = None
        self.since = 0
        self.due = 0  # bits, in thousandths

    # It receives.

    def receive(self, datagram):
        length = datagram.length
        if length < 12 + self.wide:
            return
        self.tally.add(length)
        buffer, at = datagram.buffer, datagram.payload
        seconds = int.from_bytes(buffer[at + 2 : at + 4], "big")
        sent = seconds * 1000 + int.from_bytes(buffer[at + 4 : at + 8], "big") // 1000
        number = int.from_bytes(buffer[at + 8 + self.wide : at + 12 + self.wide], "big")
        if number > self.last:
            self.lost += number - self.last - 1
            self.last = self.packets = number
        elif self.lost:
            self.lost -= 1
        transit = (self.uptime_ms() - sent) & MASK
        if self.transit is not None:
            change = (transit - self.transit + HALF & MASK) - HALF
            if abs(change) < 10_000:
                self.jitter += abs(change) * 1000 - ((self.jitter + 8) >> 4)
        self.transit = transit

    # It sends.

    def begin(self):
        self.since = self.uptime_ms()
        if self.sends:
            self.timer.start(0)

    def tick(self):
        now = self.uptime_ms()
        past = (now - self.since) & MASK
        self.since = now
        size = len(self.block)
        if self.rate:
            # Not more than a tenth of a second is made up for.
            self.due = min(self.due + self.rate * past // 1000, self.rate // 10 + 8 * size)
        else:
            self.due = MOST * 8 * size
        sent = 0
        while self.due >= 8 * size and sent < MOST and self.send(now):
            self.due -= 8 * size
            sent += 1
        self.timer.start(TICK_MS if self.rate else 1)

    def send(self, now):
        self.packets += 1
        block = self.block
        block[0:4] = (now // 1000).to_bytes(4, "big")
        block[4:8] = (now % 1000 * 1000).to_bytes(4, "big")
        block[8 : 12 + self.wide] = self.packets.to_bytes(4 + self.wide, "big")
        if not self.socket.send_to(block, self.address, self.port):
            self.packets -= 1
            return False
        self.tally.add(len(block))
        return True

    def end(self):
        self.timer.stop()

    def close(self):
        self.timer.stop()
