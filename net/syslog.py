"""Syslog: what the log says, to a collector.  RFC 5424 (messages), 5426 (UDP), 6587 (TCP).

    syslog = Syslog(machine, resolver=None)   setting `syslog=udp:10.0.0.1:514`, `tcp:[2001:db8::1]`
                                              (ports 514 and 601 if not given; a name needs the
                                              resolver); without it nothing happens
    syslog.send(level, text)                  a message of one's own; levels of runtime/log.py
    syslog.close()

It becomes the sink of machine.log: every line that is printed is sent, too.  Nothing is sent from
within a log call, which may stand anywhere: messages wait in a queue, bounded in number and bytes,
for a turn of their own.  Where the queue is full, the new message is dropped and counted, and the
next that finds room is preceded by one that says how many are missing.

The time of a message is that of machine.clock if somebody has set it (net/ntp), else NILVALUE, as
RFC 5424 section 6.2.3 wants it.  Over TCP, messages are framed by counting bytes; a connection that
breaks is made again after 1, 2, 4 ... 60 s, and the message under way is sent again whole.

Above: runtime/log.py.  Below: a UDP socket, or tcp.connect.
Left out: TLS; structured data; transports' acknowledgements (what TCP had taken when the connection
broke may be lost).
"""

from micropython import const

from net.address import parse, text
from net.config import SYSLOG_BYTES, SYSLOG_MESSAGES
from net.timestamp import rfc3339
from runtime.counters import Counters

FACILITY = const(3)  # system daemons
# error, warning, info, debug of runtime/log.py
SEVERITY = (3, 4, 6, 7)
WARNING = const(1)
LONGEST = const(1024)  # bytes of a message; RFC 5426 section 3.2: receivers take 480, better 2,048
UDP_PORT = const(514)
TCP_PORT = const(601)  # RFC 3195; RFC 6587 registers none
FIRST_MS = const(50)  # after the first datagram: the way to the collector may have to be found
NEXT_MS = const(10)
BURST = const(8)  # datagrams at a time
RETRY_MS = const(1_000)
LONGEST_RETRY = const(6)  # doublings, but a minute at most

COUNTS = ("sent", "bytes", "connected")
DROPS = ("full", "no_buffer", "unreachable", "no_name", "lost")
INDEX = {name: index for index, name in enumerate(COUNTS + DROPS)}


class Syslog:
    def __init__(self, machine, resolver=None, inet=None, app="importos"):
        self.log = machine.log
        self.machine = machine
        self.inet = inet or machine.inet
        self.resolver = resolver
        self.random = machine.random
        self.counters = machine.counters.add(Counters("syslog", COUNTS, DROPS))
        self.timer = machine.timers.timer(self.turn)
        self.app = app
        self.name = machine.settings.get("hostname")
        self.queue = []
        self.bytes = 0  # in the queue
        self.missing = 0  # dropped since the last message was taken
        self.address = None
        self.sink = None
        self.socket = None
        self.connection = None
        self.ready = False  # something may be sent
        self.written = 0  # bytes of the first message that TCP has taken
        self.warm = False
        self.action = None  # what the timer is for, if not for messages
        self.retries = 0
        setting = machine.settings.get("syslog")
        self.stream = False
        if setting:
            self.stream, host, self.port = parse_setting(setting)
            if self.stream and not self.inet.tcp:
                raise ValueError(f"syslog={setting} needs TCP: Inet(machine, tcp=Tcp)")
            self.sink = self.log.sink = self.send
            self.find(host)

    def count(self, name, times=1):
        while times:
            self.counters.count(INDEX[name])
            times -= 1

    # Where to.

    def find(self, host):
        try:
            self.found([parse(host)], 0)
        except ValueError:
            if not self.resolver:
                raise ValueError(f"syslog: {host} is a name, and there is no resolver") from None
            self.host = host
            self.resolver.lookup(host, self.found)

    def found(self, addresses, error):
        if error:
            self.count("no_name")
            self.retry(self.ask)
            return
        self.address = addresses[0]
        self.inet.when_configured(self.configured)

    def ask(self):
        self.resolver.lookup(self.host, self.found)

    def configured(self, inet):
        """There is a way out."""
        if self.socket or self.connection or self.address is None:
            return
        if self.stream:
            self.connect()
        else:
            self.socket = inet.udp.bind(0, self.ignore)
            self.socket.unreachable = self.unreachable
            self.ready = True
            self.wake(0)

    def ignore(self, socket, datagram):
        pass

    def unreachable(self, socket, address, port, kind):
        self.count("unreachable")

    # Messages.

    def send(self, level, text):
        """Queue a message."""
        message = self.message(level, text)
        notice = b""
        if self.missing:
            notice = self.message(WARNING, f"{self.missing} messages were dropped here")
        if not self.room(len(message) + len(notice)):
            self.missing += 1
            self.count("full")
            return
        if notice:
            self.missing = 0
            self.put(notice)
        self.put(message)

    def room(self, length):
        return len(self.queue) < SYSLOG_MESSAGES and self.bytes + length <= SYSLOG_BYTES

    def put(self, message):
        self.queue.append(message)
        self.bytes += len(message)
        if self.ready and not self.timer.active:
            self.wake(0)

    def message(self, level, message):
        """RFC 5424 section 6."""
        clock = self.machine.clock
        now = rfc3339(clock.now_us()) if clock and clock.synchronised else "-"
        name = self.name or self.own_address()
        priority = FACILITY * 8 + SEVERITY[level]
        head = f"<{priority}>1 {now} {name} {self.app} - - - "
        message = "".join([char if char >= " " else " " for char in message])
        body = message.encode()
        if len(body) != len(message):
            # RFC 5424 section 6.4: what is UTF-8 says so.
            body = b"\xef\xbb\xbf" + body
        whole = head.encode() + body
        if len(whole) > LONGEST:
            # Cut before a character, not within it.
            end = LONGEST
            while whole[end] & 0xC0 == 0x80:
                end -= 1
            whole = whole[:end]
        return whole

    def own_address(self):
        inet = self.inet
        four = getattr(inet, "address", None)
        addresses = ([four] if four else []) + list(getattr(inet, "addresses6", ()))
        for address in addresses:
            if address:
                return text(address)
        return "-"

    def wake(self, ms):
        self.timer.start(ms)

    def turn(self):
        action, self.action = self.action, None
        if action:
            action()
        elif self.ready and self.stream:
            self.drain()
        elif self.ready:
            self.send_datagrams()

    def take(self):
        """The first message has left."""
        message = self.queue.pop(0)
        self.bytes -= len(message)
        self.count("sent")

    # UDP: RFC 5426.

    def send_datagrams(self):
        burst = BURST if self.warm else 1
        while self.queue and burst:
            burst -= 1
            if not self.socket.send_to(self.queue[0], self.address, self.port):
                self.count("no_buffer")
                break
            self.take()
        if self.queue:
            self.wake(NEXT_MS if self.warm else FIRST_MS)
        self.warm = bool(self.queue)

    # TCP: RFC 6587 section 3.4.1, octet counting.

    def connect(self):
        self.connection = connection = self.inet.tcp.connect(
            self.address, self.port, self.connected
        )
        connection.on_close = self.closed
        connection.on_writable = self.writable
        connection.on_data = self.unasked

    def connected(self, connection):
        if connection is not self.connection:
            return
        self.count("connected")
        self.retries = 0
        self.written = 0
        self.ready = True
        self.drain()

    def unasked(self, connection, segment):
        pass

    def writable(self, connection):
        if self.ready:
            self.drain()

    def drain(self):
        while self.queue and self.ready:
            message = self.queue[0]
            frame = str(len(message)).encode() + b" " + message
            taken = self.connection.write(frame, self.written)
            self.written += taken
            if self.written < len(frame):
                return
            self.written = 0
            self.take()

    def closed(self, connection, reason):
        if connection is not self.connection:
            return
        if self.ready and self.written:
            self.count("lost")
        self.connection = None
        self.ready = False
        self.retry(self.connect)

    def retry(self, action):
        """Later, each time later."""
        self.action = action
        wait = min(RETRY_MS << min(self.retries, LONGEST_RETRY), 60_000)
        self.retries += 1
        self.wake(wait + self.random.bits(8))

    def close(self):
        """Send nothing any more."""
        if self.log.sink is self.sink:
            self.log.sink = self.sink = None
        self.timer.stop()
        self.ready = False
        if self.socket:
            self.socket.close()
        connection, self.connection = self.connection, None
        if connection:
            connection.close()
        self.address = None


def parse_setting(setting):
    """udp:HOST[:PORT] or tcp:HOST[:PORT] -> stream, host, port; HOST of IPv6 in brackets."""
    kind, _, rest = setting.partition(":")
    if kind not in ("udp", "tcp") or not rest:
        raise ValueError(f"syslog={setting}: give udp:HOST:PORT or tcp:HOST:PORT")
    stream = kind == "tcp"
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port[1:]
    else:
        host, _, port = rest.partition(":")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"syslog={setting}: {port} is not a port")
    return stream, host, int(port) if port else TCP_PORT if stream else UDP_PORT
