"""Machines that are moved: two places on one bridge, and a machine that goes from one to the other.

    with Bridge() as bridge:
        guest = bridge.machine(elf, 0)                  in the first place
        there = bridge.machine(elf, 1, incoming=True)   waiting in the second
        move(guest, there)                              while it runs
        save(guest, path); restore(there, path)         to a file, later back

The bridge stands in a namespace with the kernel at 10.0.0.1 and fd00::1.  Who was at a port of it
and speaks from another is found there: that is what announcements are for.
"""

import ast
import contextlib
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path

from tests.support import vm
from tests.support.namespace import Namespace

KERNEL, ADDRESS = "10.0.0.1", "10.0.0.2"
KERNEL6, ADDRESS6 = "fd00::1", "fd00::2"
MAC = "52:54:00:12:34:56"
STATIC = f"address={ADDRESS}/24 gateway={KERNEL} address6={ADDRESS6}/64"
PERIOD = 65521
PATTERN = bytes(
    (n * n // 7 + (n >> 8)) & 0xFF for n in range(PERIOD)
)  # as services/mover.py has it
ETH_P_ALL = 3


class Bridge:
    def __init__(self, places=2, offloads=True):
        self.stack = contextlib.ExitStack()
        self.namespace = self.stack.enter_context(Namespace())
        run = self.namespace.run
        run("ip", "link", "add", "br0", "type", "bridge", "stp_state", 0, "forward_delay", 0)
        self.taps = []
        for place in range(places):
            self.taps.append(self.namespace.tap(f"tap{place}", address=None, offloads=offloads))
            run("ip", "link", "set", f"tap{place}", "master", "br0")
        run("ip", "address", "add", f"{KERNEL}/24", "dev", "br0")
        run("ip", "address", "add", f"{KERNEL6}/64", "dev", "br0", "nodad")
        run("ip", "link", "set", "br0", "up")
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="moving-")))

    def machine(self, elf, place, incoming=False, **options):
        """A machine in a place of the bridge; `incoming`: one that waits for another's state."""
        options.setdefault("command_line", STATIC)
        extra = (*options.pop("extra", ()), *(("-incoming", "defer") if incoming else ()))
        nic = vm.Tap(self.taps[place])
        return self.stack.enter_context(vm.Machine(elf, nic=nic, mac=MAC, extra=extra, **options))

    def connect(self, port, address=ADDRESS):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        client = self.namespace.socket(family, socket.SOCK_STREAM)
        client.settimeout(120)
        client.connect((address, port))
        return client

    def ask(self, word=b"?"):
        """What the machine tells of itself: its uptime in ms, its counters, its network."""
        control = self.namespace.socket()
        control.connect((ADDRESS, 99))
        control.settimeout(0.5)
        for _ in range(40):
            control.send(word)
            with contextlib.suppress(TimeoutError):
                return ast.literal_eval(control.recv(65536).decode())
        raise AssertionError("the machine says nothing")

    def close(self):
        self.stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Listener:
    """Everything that is heard at a device of a namespace from one MAC, with the time."""

    def __init__(self, namespace, device="br0", mac=MAC):
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        namespace.inside(self.socket.bind, (device, ETH_P_ALL))
        self.socket.settimeout(0.1)
        self.frames = []
        self.ending = False
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.ending:
            with contextlib.suppress(TimeoutError, OSError):
                frame = self.socket.recv(65536)
                if frame[6:12] == self.mac and len(frame) < 200:
                    self.frames.append((time.monotonic(), frame))

    def since(self, moment):
        return [frame for when, frame in self.frames if when >= moment]

    def announced(self, moment):
        """What was announced since: addresses by gratuitous ARP, addresses by advertisement, and
        whether the emulator spoke for the machine (RARP)."""
        arp, advertised, reverse = set(), set(), False
        for frame in self.since(moment):
            kind = frame[12:14]
            if kind == b"\x08\x06" and frame[:6] == b"\xff" * 6 and frame[28:32] == frame[38:42]:
                arp.add(socket.inet_ntop(socket.AF_INET, frame[28:32]))
            elif kind == b"\x80\x35":
                reverse = True
            elif kind == b"\x86\xdd" and (frame[20], frame[54], frame[58]) == (58, 136, 0x20):
                # Unsolicited, overriding, to all nodes.
                assert frame[:6] == b"\x33\x33\0\0\0\1"
                advertised.add(socket.inet_ntop(socket.AF_INET6, frame[62:78]))
        return arp, advertised, reverse

    def expect(self, moment, addresses, timeout=30):
        """All of these have been announced since, or are soon."""
        end = time.monotonic() + timeout
        while True:
            arp, advertised, _ = self.announced(moment)
            if set(addresses) <= arp | advertised:
                return
            assert time.monotonic() < end, f"announced: {arp}, {advertised}"
            time.sleep(0.05)

    def close(self):
        self.ending = True
        self.thread.join()


class Download(threading.Thread):
    """Reads the pattern of mover.py, at most `rate` bytes a second, until told to stop."""

    def __init__(self, bridge, address=ADDRESS, rate=20_000_000):
        super().__init__(daemon=True)
        self.client = bridge.connect(19, address)
        self.rate = rate
        self.received = 0
        self.gap = 0  # the longest silence, in seconds
        self.failure = None
        self.said = b""
        self.start()

    def run(self):
        try:
            self.read()
        except BaseException as failure:
            self.failure = failure

    def read(self):
        last = time.monotonic()
        kept = b""
        while piece := self.client.recv(262144):
            now = time.monotonic()
            self.gap = max(self.gap, now - last)
            last = now
            data = kept + piece
            kept = data[-8:]  # perhaps the number at the end
            self.check(data[:-8])
            time.sleep(len(piece) / self.rate)
        self.said = kept

    def check(self, data):
        while data:
            at = self.received % PERIOD
            some = PATTERN[at : at + len(data)]
            if data[: len(some)] != some:
                raise AssertionError(f"other bytes than were sent, behind {self.received}")
            self.received += len(some)
            data = data[len(some) :]

    def until(self, more, timeout=60):
        """Wait until so many more bytes have come."""
        goal, end = self.received + more, time.monotonic() + timeout
        while self.received < goal:
            assert not self.failure, self.failure
            assert time.monotonic() < end, f"{self.received} of {goal} bytes"
            time.sleep(0.005)

    def finish(self):
        """Stop; every byte was right, and as many came as were sent."""
        self.client.sendall(b".")
        self.join(60)
        assert not self.is_alive(), "the download does not end"
        assert not self.failure, self.failure
        assert int.from_bytes(self.said, "big") == self.received
        return self.received


class Upload(threading.Thread):
    """Writes the pattern, at most `rate` bytes a second, until told to stop."""

    def __init__(self, bridge, address=ADDRESS, rate=10_000_000):
        super().__init__(daemon=True)
        self.client = bridge.connect(9, address)
        self.rate = rate
        self.sent = 0
        self.ending = False
        self.failure = None
        self.start()

    def run(self):
        try:
            while not self.ending:
                at = self.sent % PERIOD
                some = PATTERN[at : at + 16384]
                self.client.sendall(some)
                self.sent += len(some)
                time.sleep(len(some) / self.rate)
        except BaseException as failure:
            self.failure = failure

    def finish(self):
        self.ending = True
        self.join(60)
        assert not self.is_alive() and not self.failure, self.failure
        self.client.shutdown(socket.SHUT_WR)
        said = b""
        while piece := self.client.recv(64):
            said += piece
        assert struct.unpack(">Q", said)[0] == self.sent
        return self.sent


def wait_migrated(guest, timeout=60):
    end = time.monotonic() + timeout
    while True:
        status = guest.monitor.execute("query-migrate")
        if status["status"] == "completed":
            return status
        assert status["status"] not in ("failed", "cancelled"), status
        assert time.monotonic() < end, status
        time.sleep(0.01)


def move(guest, there, folder, **parameters):
    """Live migration to a machine that waits; what QEMU tells of it."""
    place = f"unix:{folder}/migration{time.monotonic_ns()}"
    there.monitor.execute("migrate-incoming", uri=place)
    if parameters:
        guest.monitor.execute("migrate-set-parameters", **parameters)
    guest.monitor.execute("migrate", uri=place)
    return wait_migrated(guest)


def save(guest, path):
    """Stop it and write its state to a file."""
    guest.monitor.execute("stop")
    guest.monitor.execute("migrate", uri=f"exec:cat > {path}")
    return wait_migrated(guest)


def restore(there, path, timeout=60):
    there.monitor.execute("migrate-incoming", uri=f"exec:cat {path}")
    end = time.monotonic() + timeout
    while there.monitor.execute("query-status")["status"] == "inmigrate":
        assert time.monotonic() < end, "its state does not come"
        time.sleep(0.01)
    there.monitor.execute("cont")
