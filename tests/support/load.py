"""Datagrams in quantity: the sender `load.c`, compiled when it is first wanted, and raw frames."""

import functools
import json
import random
import socket
import struct
import subprocess
import threading

from tests.support import images
from tests.support.tools import tool

SOURCE = images.ROOT / "tests" / "support" / "load.c"


@functools.cache
def sender():
    """The compiled sender; made again when its source is newer."""
    program = images.BUILT / "load"
    with images.lock("load"):
        if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
            subprocess.run([tool("gcc"), "-O2", "-o", program, SOURCE], check=True)
    return program


def load(
    namespace,
    address,
    port,
    way,
    count,
    outstanding,
    check,
    datagrams,
    timeout=600,
    silence=lambda: None,
):
    """Run the sender in a namespace; returns what it counted: sent, right, wrong, strange, lost,
    stalls, late, refused, seconds.

    `silence()` is called whenever it has heard nothing for a second, while it goes on listening.
    """
    stock = b"".join(struct.pack(">H", len(datagram)) + datagram for datagram in datagrams)
    words = [sender(), address, port, way, count, outstanding, check]
    command = [tool("nsenter"), f"--net={namespace.path}", *map(str, words)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, **pipes) as child:
        patience = threading.Timer(timeout, child.kill)
        patience.start()
        try:
            child.stdin.write(stock)
            child.stdin.close()
            said = ""
            for line in child.stderr:
                if line == b"silence\n":
                    silence()
                else:
                    said += line.decode()
            counted = child.stdout.read()
        finally:
            patience.cancel()
            child.kill()
    if child.returncode or not counted:
        raise AssertionError(said or f"no end in {timeout} s")
    return json.loads(counted)


def query(name, kind=1, flags=0):
    """A DNS query by hand: no EDNS, one question of class IN."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", 0, flags, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, 1)


def bench_queries(count=1000, seed=2):
    """Queries for random hosts of services/zones/bench.zone."""
    dice = random.Random(seed)
    return [query(f"host{dice.randrange(10000)}.bench.example") for _ in range(count)]


def echoes(count=100, seed=7):
    """Datagrams of random content and length."""
    dice = random.Random(seed)
    return [dice.randbytes(dice.choice((2, 3, 18, 60, 256, 512, 1472))) for _ in range(count)]


def pings(namespace, address, size=56, count=1, outstanding=1, timeout=5):
    """Echo requests, so many under way; returns how many came back whole.

    ping(8) waits for the last answer only twice as long as for the others, which on a busy host is
    not always enough; here every answer has the same time.
    """
    raw = namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.settimeout(timeout)
    raw.connect((address, 0))
    body = bytes(i * 7 & 0xFF for i in range(size))
    whole = 0
    for first in range(0, count, outstanding):
        waiting = set()
        for number in range(first, min(first + outstanding, count)):
            rest = struct.pack(">HH", 77, number & 0xFFFF) + body
            raw.send(struct.pack(">BBH", 8, 0, checksum(b"\x08\0\0\0" + rest)) + rest)
            waiting.add(rest)
        try:
            while waiting:
                message = raw.recv(65535)[20:]
                if message[0] == 0:
                    waiting.discard(message[4:])
        except TimeoutError:
            pass
        whole += min(outstanding, count - first) - len(waiting)
    return whole


class Frames:
    """A raw socket on a device of a namespace: frames exactly as given, past the kernel's IP."""

    def __init__(self, namespace, device="tap0"):
        self.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((device, 0))
        self.mac = self.socket.getsockname()[4]

    def send(self, frame):
        self.socket.send(frame)

    def flood(self, frames, answered, every=200):
        """Send many, with a request after `every` of them: `answered()` returns when it was
        answered.

        A TAP device drops what does not fit its queue of 500 without a word: without a pause it
        would be the kernel that survives the flood.
        """
        for number, frame in enumerate(frames, 1):
            self.socket.send(frame)
            if number % every == 0:
                answered()
        answered()


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1]))
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
