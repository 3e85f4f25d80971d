"""A machine that is moved while it talks: a download, an upload, an echo, and what it counts.

TCP 19 sends a pattern until the client says stop (any byte), and then how many bytes it were, in 8
bytes.  TCP 9 compares what comes with the pattern; at its end it says how many bytes were right, in
8 bytes.  TCP 7 and UDP 7 are echoes.  UDP 99 tells the uptime, counters, and what is known of the
network.
"""

import drivers.virtio.net.control  # noqa: F401 (as --cloud does)
import net.presence  # noqa: F401
from net.dhcp import Dhcp
from net.dual import Dual
from net.tcp import Tcp
from net.udp import Udp
from services import echo

PORTS = ("tcp:7", "tcp:9", "tcp:19", "udp:7", "udp:99")
# A prime, so that no loss of whole segments, pages or buffers goes unnoticed.
PERIOD = 65521
PATTERN = bytes([(n * n // 7 + (n >> 8)) & 0xFF for n in range(PERIOD)])


def start(machine):
    inet = Dual(machine, udp=Udp, tcp=Tcp, configure=Dhcp)
    inet.tcp.listen(7, echo.accept)
    inet.tcp.listen(9, Upload)
    inet.tcp.listen(19, Download)
    inet.udp.bind(7, echo.echo)

    def tell(socket, datagram):
        counters = {name: number for name, number in machine.counters().items() if number}
        known = {
            "gateway": inet.gateway,
            "mtu": inet.path_mtu(datagram.source),
            "dns": inet.dns,
            "ntp": inet.ntp,
            "routes": inet.routes.items(),
        }
        answer = repr((machine.uptime_ms(), counters, known)).encode()
        socket.send_to(answer, datagram.source, datagram.source_port)

    inet.udp.bind(99, tell)


class Download:
    def __init__(self, connection):
        self.sent = 0
        self.stopping = False
        connection.on_writable = self.more
        connection.on_data = self.stop
        connection.set(keepalive=(5_000, 1_000, 3))
        self.more(connection)

    def stop(self, connection, segment):
        self.stopping = True

    def more(self, connection):
        while not self.stopping:
            at = self.sent % PERIOD
            taken = connection.write(PATTERN, at, PERIOD - at)
            self.sent += taken
            if taken < PERIOD - at:
                return
        connection.write(self.sent.to_bytes(8, "big"))
        connection.close()


class Upload:
    def __init__(self, connection):
        self.right = 0
        connection.on_data = self.compare
        connection.on_end = self.end

    def compare(self, connection, segment):
        data = segment.data
        at = self.right % PERIOD
        while data:
            some = PATTERN[at : at + len(data)]
            if data[: len(some)] != some:
                connection.abort()
                return
            self.right += len(some)
            data = data[len(some) :]
            at = 0

    def end(self, connection):
        connection.write(self.right.to_bytes(8, "big"))
        connection.close()
