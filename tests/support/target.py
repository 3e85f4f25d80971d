"""A machine with everything that has ports (tests/vm/services/target.py), to be attacked.

    with Target(elf) as target:
        before = target.look()          heap, tables, counters
        ...
        target.rests(before)            tables empty again, heap as it was

Its namespace has the kernel at 10.0.0.1 and fd00::1, the machine at 10.0.0.2 and fd00::2.
"""

import ast
import collections
import contextlib
import socket
import time

from tests.support import images, vm
from tests.support.namespace import Namespace

KERNEL, ADDRESS = "10.0.0.1", "10.0.0.2"
KERNEL6, ADDRESS6 = "fd00::1", "fd00::2"
MAC = "52:54:00:12:34:56"
STATIC = f"address={ADDRESS}/24 gateway={KERNEL} address6={ADDRESS6}/64 gateway6={KERNEL6}"
BUFFERS = 256  # for reception
SERVICE = str(images.ROOT / "tests" / "vm" / "services" / "target.py")
Look = collections.namedtuple("Look", "heap tables counters")


class Target:
    def __init__(self, elf, offloads=True, memory="32M"):
        self.namespace = Namespace()
        self.machine = None
        try:
            descriptor = self.namespace.tap(address=f"{KERNEL}/24", offloads=offloads)
            self.namespace.run("sysctl", "-qw", "net.ipv6.conf.tap0.disable_ipv6=0")
            self.namespace.run("ip", "address", "add", f"{KERNEL6}/64", "dev", "tap0", "nodad")
            # For thousands of connections from one address, and as many that are half open.
            for setting in ("tcp_tw_reuse=1", "ip_local_port_range=1024 65000"):
                self.namespace.run("sysctl", "-qw", f"net.ipv4.{setting}")
            self.machine = vm.Machine(
                elf, nic=vm.Tap(descriptor), mac=MAC, memory=memory, command_line=STATIC
            )
            self.machine.wait_for(ADDRESS)
            self.control = self.namespace.socket()
            self.control.connect((ADDRESS, 99))
            self.control.settimeout(0.5)
            self.warm()
        except BaseException:
            self.close()
            raise

    def warm(self):
        """What is made once: every service has had a client, every buffer a frame."""
        with self.namespace.socket() as client:
            client.connect((ADDRESS, 7))
            for number in range(BUFFERS + 50):
                client.send(b"x")
                if number % 20 == 0:
                    time.sleep(0.01)
        # We close first, or the machine would be left with a connection in TIME-WAIT.
        for port, say in ((7, b"x"), (9, b""), (80, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")):
            with self.connect(port) as client:
                client.sendall(say)
                if say:
                    client.recv(65536)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
        self.look()

    def look(self):
        for _ in range(60):  # in a flood, some are lost
            self.control.send(b"?")
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                return Look(*ast.literal_eval(self.control.recv(65536).decode()))
        raise AssertionError(f"no answer\n{self.machine.text}{self.machine.errors()}")

    def count(self, name):
        return self.look().counters.get(name, 0)

    def grown(self, before, after=None):
        """Which counters have grown since, and by how much."""
        now = (after or self.look()).counters
        return {
            name: now[name] - before.counters.get(name, 0)
            for name in now
            if now[name] != before.counters.get(name, 0)
        }

    def rests(self, before, within=20, but=(), heap=16_000):
        """Wait until nothing is in any table (`but` those), and the heap is as large as before."""
        deadline = time.monotonic() + within
        while True:
            look = self.look()
            left = {name: n for name, n in look.tables.items() if n and name not in but}
            if not left and look.heap <= before.heap + heap:
                break
            assert time.monotonic() < deadline, (left, look.heap - before.heap, look)
            time.sleep(0.5)
        assert "Traceback" not in self.machine.text, self.machine.text
        return look

    def connect(self, port, timeout=10, address=ADDRESS):
        """A TCP connection from the kernel; the caller closes it."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        client = self.namespace.inside(socket.socket, family, socket.SOCK_STREAM)
        client.settimeout(timeout)
        try:
            client.connect((address, port))
        except BaseException:
            client.close()
            raise
        return client

    def serves(self, address=ADDRESS):
        """It answers on all of its ports."""
        with self.connect(80, address=address) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            data = b""
            while piece := client.recv(65536):
                data += piece
            assert data.startswith(b"HTTP/1.1 200 OK\r\n") and data.endswith(b"</main>\n"), data
        with self.connect(7, address=address) as client:
            client.sendall(b"hello")
            assert client.recv(10) == b"hello"

    def close(self):
        if self.machine:
            self.machine.close()
        self.namespace.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
