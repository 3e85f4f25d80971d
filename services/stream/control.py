"""The control connection of iperf3: who says what, and when.

    client                            server
    cookie, 37 bytes           ──►
                               ◄──    PARAM_EXCHANGE
    u32 length, JSON           ──►    parameters
                               ◄──    CREATE_STREAMS
    streams, each with the cookie (UDP: a datagram, which is answered)
                               ◄──    TEST_START, TEST_RUNNING
    ... streams run, in the directions that the parameters say ...
    TEST_END                   ──►
                               ◄──    EXCHANGE_RESULTS
    u32 length, JSON           ──►
                               ◄──    u32 length, JSON
                               ◄──    DISPLAY_RESULTS
    IPERF_DONE                 ──►

There is no RFC; this is what iperf 3.x does.  A state is one byte; numbers are big-endian.
"""

import json

from services.stream.flow import TcpFlow, UdpFlow

TEST_START, TEST_RUNNING, TEST_END = 1, 2, 4
PARAM_EXCHANGE, CREATE_STREAMS = 9, 10
CLIENT_TERMINATE, EXCHANGE_RESULTS, DISPLAY_RESULTS, IPERF_DONE = 12, 13, 14, 16
ACCESS_DENIED = b"\xff"
COOKIE = 37
LONGEST_JSON = 65536
STREAMS = 64
SMALLEST_DATAGRAM, LARGEST_DATAGRAM = 16, 65507
UDP_LENGTH = 1460
UDP_CONNECT = (b"9876", b"\x15\xcd\x5b\x07")  # 3.x: 0x36373839; before 3.7: 123456789
UDP_REPLY = b"6789"
RESULTS = (
    '{"cpu_util_total":0,"cpu_util_user":0,"cpu_util_system":0,'
    '"sender_has_retransmits":%d,"streams":[%s]}'
)
STREAM_RESULT = (
    '{"id":%d,"bytes":%d,"retransmits":%d,"jitter":%s,"errors":%d,"packets":%d,'
    '"start_time":0,"end_time":%s}'
)
QUIET_MS, PATIENCE = 20, 50  # nothing has come for so long: all is here; not longer than so often
FIRST_MS = 10_000  # so long a connection may take to say who it is


class Server:
    def __init__(self, machine):
        self.machine = machine
        self.test = None
        self.socket = None

    def accept(self, connection):
        Newcomer(self, connection)

    def datagram(self, socket, datagram):
        test = self.test
        if test:
            test.datagram(socket, datagram)


class Newcomer:
    """A connection that has not said its cookie yet: a new test, or a stream of this one."""

    def __init__(self, server, connection):
        self.server = server
        self.cookie = b""
        self.timer = server.machine.timers.timer(connection.abort)
        self.timer.start(FIRST_MS)
        connection.on_data = self.receive
        connection.on_close = self.closed

    def closed(self, connection, reason):
        self.timer.stop()

    def receive(self, connection, segment):
        data = segment.data
        missing = COOKIE - len(self.cookie)
        self.cookie += data[:missing]
        if len(self.cookie) < COOKIE:
            return
        self.timer.stop()
        server, rest = self.server, data[missing:]
        test = server.test
        if test is None:
            server.test = Test(server, connection, self.cookie, rest)
        elif test.cookie == self.cookie and not test.udp:
            test.add_tcp(connection, len(rest))
        else:
            connection.write(ACCESS_DENIED)
            connection.close()


class Test:
    def __init__(self, server, connection, cookie, rest):
        self.server = server
        self.machine = server.machine
        self.connection = connection
        self.cookie = cookie
        self.flows = []
        self.by_peer = {}
        self.udp = False
        self.expected = 0
        self.state = PARAM_EXCHANGE
        self.input = b""
        self.began = 0
        self.took = 0
        self.quiet = server.machine.timers.timer(self.exchange)
        self.heard = -1
        self.patience = PATIENCE
        connection.on_data = self.receive
        connection.on_close = self.closed
        connection.on_end = self.ended
        self.log("test by %s", ".".join([str(byte) for byte in connection.remote]))
        self.say(PARAM_EXCHANGE)
        self.take(rest)

    def log(self, text, *values):
        self.machine.log.info("stream: " + text, *values)

    def say(self, state):
        self.state = state
        self.connection.write(bytes([state]))

    # The control connection.

    def receive(self, connection, segment):
        self.take(segment.data)

    def take(self, data):
        self.input += data
        while self.input:
            if self.state == PARAM_EXCHANGE or self.state == EXCHANGE_RESULTS:
                if len(self.input) < 4:
                    return
                length = int.from_bytes(self.input[:4], "big")
                if length > LONGEST_JSON:
                    self.fail("text of %d bytes", length)
                    return
                if len(self.input) < 4 + length:
                    return
                text = self.input[4 : 4 + length]
                self.input = self.input[4 + length :]
                if self.state == PARAM_EXCHANGE:
                    self.prepare(text)
                else:
                    # The client's results are its own business; ours it shows.
                    self.quiet.start(QUIET_MS)
            else:
                said = self.input[0]
                self.input = self.input[1:]
                if said == TEST_END and self.state == TEST_RUNNING:
                    self.stop()
                    self.say(EXCHANGE_RESULTS)
                elif said in (IPERF_DONE, CLIENT_TERMINATE):
                    self.connection.close()
                    self.finish()
                    return

    def prepare(self, text):
        try:
            wanted = json.loads(text)
            self.udp = bool(wanted.get("udp"))
            count = int(wanted.get("parallel") or 1)
            self.size = int(wanted.get("len") or UDP_LENGTH)
            self.rate = int(wanted.get("bandwidth") or 0)
            self.wide = bool(wanted.get("udp_counters_64bit"))
            reverse, both = wanted.get("reverse"), wanted.get("bidirectional")
        except (ValueError, AttributeError):
            self.fail("parameters that are none")
            return
        if not 0 < count <= STREAMS:
            self.fail("%d streams", count)
            return
        if self.udp and not SMALLEST_DATAGRAM <= self.size <= LARGEST_DATAGRAM:
            self.fail("datagrams of %d bytes", self.size)
            return
        # The client makes the streams that it sends on first.
        self.directions = [False] * count + [True] * count if both else [bool(reverse)] * count
        self.say(CREATE_STREAMS)

    def fail(self, text, *values):
        self.log("refused: " + text, *values)
        self.connection.abort()
        self.finish()

    # Streams.

    def next_number(self):
        """iperf3 counts its streams 1, 3, 4, 5 ..."""
        return len(self.flows) + 2 if self.flows else 1

    def add_tcp(self, connection, early):
        if self.state != CREATE_STREAMS or len(self.flows) == len(self.directions):
            connection.abort()
            return
        flow = TcpFlow(self.next_number(), self.directions[len(self.flows)], connection)
        flow.tally.add(early)
        self.add(flow)

    def datagram(self, socket, datagram):
        peer = (datagram.source, datagram.source_port)
        flow = self.by_peer.get(peer)
        if flow:
            if not flow.sends:
                flow.receive(datagram)
            return
        if not self.udp or self.state != CREATE_STREAMS or datagram.data not in UDP_CONNECT:
            return
        number, sends = self.next_number(), self.directions[len(self.flows)]
        flow = UdpFlow(number, sends, self.machine, socket, peer, self.size, self.rate, self.wide)
        self.by_peer[peer] = flow
        socket.send_to(UDP_REPLY, *peer)
        self.add(flow)

    def add(self, flow):
        self.flows.append(flow)
        if len(self.flows) == len(self.directions):
            self.say(TEST_START)
            self.say(TEST_RUNNING)
            self.began = self.machine.uptime_ms()
            for each in self.flows:
                each.begin()

    def stop(self):
        self.took = (self.machine.uptime_ms() - self.began) & 0x3FFFFFFF
        for flow in self.flows:
            flow.end()

    # Results.

    def exchange(self):
        """Our results, when what was under way at the end of the test has arrived."""
        total = sum([flow.tally.total for flow in self.flows])
        if total != self.heard and self.patience:
            self.heard = total
            self.patience -= 1
            self.quiet.start(QUIET_MS)
            return
        seconds = decimal(self.took, 3)
        streams = [
            STREAM_RESULT
            % (
                flow.number,
                flow.tally.total,
                flow.retransmits,
                decimal(flow.jitter // 16, 6),
                flow.lost,
                flow.packets,
                seconds,
            )
            for flow in self.flows
        ]
        counts = max([flow.retransmits for flow in self.flows]) >= 0
        text = RESULTS % (1 if counts else -1, ",".join(streams))
        data = text.encode()
        self.connection.write(len(data).to_bytes(4, "big") + data)
        self.say(DISPLAY_RESULTS)
        for flow in self.flows:
            self.log(
                "stream %d %s %d bytes in %d ms",
                flow.number,
                "sent" if flow.sends else "received",
                flow.tally.total,
                self.took,
            )

    def ended(self, connection):
        connection.close()
        self.finish()

    def closed(self, connection, reason):
        self.finish()

    def finish(self):
        self.quiet.stop()
        if self.server.test is self:
            self.server.test = None
            for flow in self.flows:
                flow.end()
                flow.close()


def decimal(value, digits):
    """A number with so many digits behind the point, without floats."""
    scale = 10**digits
    return f"{value // scale}.{value % scale + scale}".replace(".1", ".", 1)
