"""Exact costs: guest instructions, counted by QEMU itself (-icount), per request and per boot.

The guest runs over TAP with a permanent neighbour entry, so nothing but the requests happens. The
counter is read while the guest is halted: each request includes its wake-up and its halt.
"""

import socket
import statistics
import struct
import time

from tests.support import load, vm
from tests.support.namespace import Namespace

ADDRESS, KERNEL = "10.0.0.2", "10.0.0.1"
MAC = "52:54:00:12:34:56"
STATIC = f"address={ADDRESS}/24 gateway={KERNEL}"
# One instruction is one nanosecond of the guest's clock; while it is halted, that clock keeps pace
# with ours, so that timers fire as seldom as they do in reality.
ICOUNT = "shift=0"


class Lab:
    """A machine that counts, opposite the kernel; `offloads`: of the TAP device."""

    def __init__(self, image, offloads=False, **options):
        self.namespace = Namespace()
        self.machine = None
        try:
            descriptor = self.namespace.tap(address=f"{KERNEL}/24", offloads=offloads)
            self.namespace.neighbour(ADDRESS, MAC)
            options = {"command_line": STATIC, "icount": ICOUNT, **options}
            self.machine = vm.Machine(image, nic=vm.Tap(descriptor), mac=MAC, **options)
        except BaseException:
            self.close()
            raise

    def settle(self):
        """Wait until the machine halts; returns the instructions so far."""
        before = -1
        while True:
            now = self.machine.instructions()
            if now == before:
                return now
            before = now
            time.sleep(0.02)

    def first_answer(self, entry, ask):
        """Instructions from `entry` to the first answer.

        `ask` has to be impatient: QEMU throws away what comes before the driver is ready.
        """
        self.machine.debugger.run_to(entry)
        start = self.machine.instructions()
        self.machine.debugger.go()
        deadline = time.monotonic() + 20
        while not ask():
            assert time.monotonic() < deadline, f"no answer\n{self.machine.text}"
        return self.machine.instructions() - start

    def first(self, ask, within=20):
        """Ask until there is an answer; returns the seconds since the start of QEMU."""
        while not ask():
            elapsed = time.monotonic() - self.machine.started
            assert elapsed < within and not self.machine.ended, f"no answer\n{self.machine.text}"
        return time.monotonic() - self.machine.started

    def cost(self, ask, count=200):
        """Instructions per request: the median of single ones."""
        for _ in range(20):
            assert ask(), f"no answer\n{self.machine.text}"
        costs = []
        before = self.settle()
        for _ in range(count):
            assert ask(), f"no answer\n{self.machine.text}"
            now = self.machine.instructions()
            while (again := self.machine.instructions()) != now:
                now = again
            costs.append(now - before)
            before = now
        return statistics.median(costs), statistics.fmean(costs)

    def pinger(self, timeout=0.5):
        """ask() that pings once."""
        raw = self.namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        raw.settimeout(timeout)
        raw.connect((ADDRESS, 0))
        number = 0

        def ask():
            nonlocal number
            number = number + 1 & 0xFFFF
            body = struct.pack(">HH", 77, number) + bytes(56)
            total = load.checksum(b"\x08\0\0\0" + body)
            raw.send(struct.pack(">BBH", 8, 0, total) + body)
            return receive(raw, lambda packet: packet[20] == 0 and packet[26:28] == body[2:4])

        return ask

    def asker(self, port, datagrams, timeout=0.5):
        """ask() that sends the next datagram and wants an answer with the same first two bytes."""
        udp = self.namespace.socket()
        udp.settimeout(timeout)
        udp.connect((ADDRESS, port))
        number = 0

        def ask():
            nonlocal number
            number = number + 1 & 0xFFFF
            identifier = struct.pack(">H", number)
            udp.send(identifier + datagrams[number % len(datagrams)][2:])
            return receive(udp, lambda packet: packet[:2] == identifier)

        return ask

    def close(self):
        if self.machine:
            self.machine.close()
        self.namespace.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def receive(source, wanted):
    try:
        while not wanted(source.recv(4096)):
            pass
    except (TimeoutError, ConnectionRefusedError):
        return False
    return True


def entry(elf):
    """Where an ELF starts: e_entry of a 32-bit little-endian header."""
    with open(elf, "rb") as file:
        return struct.unpack("<I", file.read(28)[24:])[0]
