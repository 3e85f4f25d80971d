"""What TCP costs in guest instructions, exactly: QEMU counts them (-icount).

    ./importos build tests/tcp/services/meter.py
    python3 -m tests.tcp.cost build/meter/meter.elf [NAME ...]

    request     one HTTP request on a kept connection, the answer 1,041 bytes
    connection  a new connection, that request, and the end
    receive     bulk into the machine, per KiB           transmit    out of it, likewise
    segment     a full segment of 1,448 bytes, one at a time: wake-up, ACK and halt included
    bulk        a full segment in bulk, each handed over by the device as it came

    idle        not instructions, but connections that answered, at once in 16 MB (up to 10,000);
                only if it is asked for

The peer is the Linux kernel on a TAP device with offloads, unless `plain` is one of the names.
"""

import resource
import socket
import sys
import time

from tests.support.instructions import ADDRESS, Lab

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = 1041
BULK = 8 << 20
IDLE = 10_000


class TcpLab(Lab):
    def __init__(self, image, offloads=True, **options):
        super().__init__(image, offloads, **options)
        self.machine.wait_for("by settings")

    def connect(self, port):
        tcp = self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.settimeout(60)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tcp.connect((ADDRESS, port))
        return tcp

    def request(self):
        tcp = self.connect(80)

        def ask():
            tcp.sendall(REQUEST)
            return read(tcp, ANSWER)

        return self.cost(ask, 100)[0]

    def connection(self):
        """The kernel closes first; RST and TIME-WAIT are its affair."""

        def ask():
            tcp = self.connect(80)
            tcp.sendall(REQUEST)
            done = read(tcp, ANSWER)
            tcp.shutdown(socket.SHUT_WR)
            done = done and tcp.recv(10) == b""
            tcp.close()
            time.sleep(0.005)
            return done

        return self.cost(ask, 100)[0]

    def segment(self):
        tcp = self.connect(9)
        data = bytes(1448)

        def ask():
            tcp.sendall(data)
            time.sleep(0.002)
            return True

        return self.cost(ask, 100)[0]

    def receive(self):
        tcp = self.connect(9)
        tcp.sendall(bytes(1 << 20))
        before = self.settle()
        tcp.sendall(bytes(BULK))
        return (self.settle() - before) / (BULK >> 10)

    def bulk(self):
        """Per full segment, checksum offloaded, in bulk: the device does not put them together."""
        return self.receive() * 1448 / 1024

    def idle(self):
        """How many connections there can be at once, up to IDLE; each has answered."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        several = []
        try:
            while len(several) < IDLE:
                tcp = self.connect(7)
                several.append(tcp)
                tcp.sendall(b"x")
                read(tcp, 1)
        except ConnectionResetError:
            several.pop()
        for tcp in several[:: len(several) // 50]:
            tcp.sendall(b"there?")
            assert read(tcp, 6)
        return len(several)

    def transmit(self):
        tcp = self.connect(19)
        assert read(tcp, 1 << 20)
        before = self.machine.instructions()
        got = 0
        while got < BULK:
            got += len(tcp.recv(1 << 20))
        cost = (self.machine.instructions() - before) / (got >> 10)
        tcp.close()
        return cost


def read(tcp, length):
    while length > 0:
        part = tcp.recv(min(length, 1 << 20))
        if not part:
            return False
        length -= len(part)
    return True


NAMES = ("request", "connection", "segment", "bulk", "receive", "transmit")
WHOLE = tuple(
    [
        word
        for kind in ("tso4", "tso6", "ecn", "ufo")
        for word in ("-global", f"virtio-net-pci.guest_{kind}=off")
    ]
)


def main(image, *names):
    offloads = "plain" not in names
    chosen = [name for name in names if name != "plain"] or NAMES
    for name in chosen:
        options = {"extra": WHOLE} if name == "bulk" else {}
        if name == "idle":
            options = {"memory": "16M", "icount": None}
        with TcpLab(image, offloads, **options) as lab:
            print(f"{getattr(lab, name)():10.0f}  {name}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
