"""Exact costs over IPv6, beside those over IPv4: guest instructions per request.

    python3 -m tests.support.instructions6

prints, for each of ping, UDP echo and DNS query, what both families cost in one run.
"""

import socket
import struct
import sys

from tests.support import images, instructions, vm
from tests.support.namespace import Namespace

ADDRESS, KERNEL = "2001:db8::2", "2001:db8::1"
STATIC = f"address6={ADDRESS}/64 gateway6={KERNEL}"


class Lab6(instructions.Lab):
    """A machine that counts, opposite a kernel that speaks IPv6 and is otherwise quiet."""

    def __init__(self, image, **options):
        self.namespace = Namespace()
        self.machine = None
        try:
            descriptor = self.namespace.tap(address=None)
            for name in ("accept_dad=0", "router_solicitations=0", "disable_ipv6=0"):
                self.namespace.run("sysctl", "-qw", f"net.ipv6.conf.tap0.{name}")
            words = ["ip", "-6", "address", "add", f"{KERNEL}/64", "dev", "tap0", "nodad"]
            self.namespace.run(*words)
            self.namespace.neighbour(ADDRESS, instructions.MAC)
            options = {"command_line": STATIC, "icount": instructions.ICOUNT, **options}
            nic = vm.Tap(descriptor)
            self.machine = vm.Machine(image, nic=nic, mac=instructions.MAC, **options)
        except BaseException:
            self.close()
            raise

    def pinger(self, timeout=0.5):
        raw = self.namespace.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        raw.settimeout(timeout)
        raw.connect((ADDRESS, 0))
        number = 0

        def ask():
            nonlocal number
            number = number + 1 & 0xFFFF
            body = struct.pack(">HH", 77, number) + bytes(56)
            raw.send(b"\x80\0\0\0" + body)  # the kernel adds the checksum
            return instructions.receive(raw, lambda m: m[0] == 129 and m[6:8] == body[2:4])

        return ask

    def asker(self, port, datagrams, timeout=0.5):
        udp = self.namespace.socket(socket.AF_INET6)
        udp.settimeout(timeout)
        udp.connect((ADDRESS, port))
        number = 0

        def ask():
            nonlocal number
            number = number + 1 & 0xFFFF
            identifier = struct.pack(">H", number)
            udp.send(identifier + datagrams[number % len(datagrams)][2:])
            return instructions.receive(udp, lambda packet: packet[:2] == identifier)

        return ask


def query(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return bytes([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + labels + bytes([0, 0, 1, 0, 1])


QUERIES = [query(f"host{number}.bench.example") for number in range(0, 10000, 97)]


def costs(lab, port, datagrams):
    """(ping, datagram): medians."""
    lab.first(lab.pinger())
    return lab.cost(lab.pinger())[0], lab.cost(lab.asker(port, datagrams))[0]


def main():
    root = images.ROOT / "tests" / "vm" / "services"
    echo = [bytes(32)]
    pairs = [
        (
            "echo",
            images.build(str(root / "echo4.py")),
            images.build(str(root / "echo6.py")),
            7,
            echo,
        ),
        (
            "dns",
            images.build("dns", "--set", "protocols=udp4"),
            images.build(str(root / "names6.py")),
            53,
            QUERIES,
        ),
    ]
    for name, four, six, port, datagrams in pairs:
        with instructions.Lab(four / f"{four.name.rpartition('-')[0]}.elf") as lab:
            ping4, ask4 = costs(lab, port, datagrams)
        with Lab6(six / f"{six.name.rpartition('-')[0]}.elf") as lab:
            ping6, ask6 = costs(lab, port, datagrams)
        print(f"{name:5} image, ping: IPv4 {ping4:,.0f}, IPv6 {ping6:,.0f}")
        print(f"{name:5} datagram:    IPv4 {ask4:,.0f}, IPv6 {ask6:,.0f}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
