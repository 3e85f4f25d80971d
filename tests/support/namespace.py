"""A network of its own for a test: a Linux network namespace with TAP devices in it, which ends
with the test.

The namespace is held by a child that waits for the end of its input, so it goes away with this
process however that ends. Nothing leaves it: there is no route to anywhere else.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading

from tests.support.tools import tool

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    UNSHARED = ("--net",)
    SETUP = "ip link set lo up"
    HOLDER = "cat"

    def __init__(self):
        script = f"{self.SETUP} && echo up && exec {self.HOLDER}"
        self.holder = subprocess.Popen(
            [tool("unshare"), *self.UNSHARED, "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PATH": "/usr/sbin:/sbin:/usr/bin:/bin"},
        )
        if self.holder.stdout.readline() != b"up\n":
            raise AssertionError("no network namespace; the tests need root or user namespaces")
        self.path = f"/proc/{self.holder.pid}/ns/net"
        self.children = []
        self.files = []

    def inside(self, function, *arguments):
        """Call a function on a thread that has entered the namespace: sockets and devices it makes
        belong there.
        """
        result = {}

        def work():
            try:
                with open(self.path) as file:
                    if _libc.setns(file.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                result["value"] = function(*arguments)
            except BaseException as error:
                result["error"] = error

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if "error" in result:
            raise result["error"]
        return result["value"]

    def command(self, *words):
        return [*self.enter(), tool(words[0]), *map(str, words[1:])]

    def enter(self):
        """The words in front of a command that is to run in the namespace."""
        return [tool("nsenter"), f"--net={self.path}"]

    def run(self, *words, check=True, timeout=30):
        """Run a program in the namespace to its end; returns subprocess's result with text."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout)
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def start(self, *words, **options):
        """Start a program in the namespace; `close` ends it."""
        child = subprocess.Popen(self.command(*words), **options)
        self.children.append(child)
        return child

    def tap(self, name="tap0", address="10.0.0.1/24", mtu=1500, offloads=False):
        """Make a TAP device with an address, up; returns its descriptor: what is written there, the
        kernel receives.  `offloads`: with a virtio header, so that QEMU's device has offloads.
        """
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR * offloads

        def make():
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
            return descriptor

        descriptor = self.inside(make)
        self.files.append(descriptor)
        # Without IPv6 the kernel does not speak before it is spoken to.
        self.run("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
        if address:
            self.run("ip", "address", "add", address, "dev", name)
        self.run("ip", "link", "set", name, "mtu", mtu, "up")
        return descriptor

    def neighbour(self, address, mac, device="tap0"):
        """A permanent neighbour entry: measurements without ARP in between."""
        self.run(
            "ip", "neighbour", "replace", address, "lladdr", mac, "dev", device, "nud", "permanent"
        )

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_DGRAM, protocol=0):
        made = self.inside(socket.socket, family, kind, protocol)
        made.settimeout(5)
        self.files.append(made)
        return made

    def close(self):
        """End what was started here, and the namespace."""
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        for file in self.files:
            if isinstance(file, int):
                os.close(file)
            else:
                file.close()
        self.holder.stdin.close()
        self.holder.wait()
        self.holder.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
