"""./importos run --tap: a TAP device, the kernel on one end of it and our stack on the other.

Without --nic the device lives in a network namespace of its own, which needs no privileges (who is
not root gets a user namespace as well) and leaves nothing behind: the kernel is 10.0.0.1 and
fd00::1 there, the service 10.0.0.2 and fd00::2, unless `address` says otherwise.  What is forwarded
from 127.0.0.1 is carried by this process, which has sockets of both sides.  With --nic tap=NAME it
is a device of the user's, who has given the kernel's end an address.

Left out: a way from the namespace to the world.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import ipaddress
import os
import signal
import socket
import struct
import subprocess
import sys

from net.address import text
from runtime.settings import Settings
from tools.errors import UserError

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
PR_SET_PDEATHSIG = 1
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
OURS, KERNEL = "10.0.0.2/24", "10.0.0.1"
OURS6, KERNEL6 = "fd00::2/64", "fd00::1"
PIECE = 65536
LOCALHOST = "127.0.0.1"
_libc = ctypes.CDLL(None, use_errno=True)


def run(start, tail, environment, forwards, options):
    """Start the process and stay until it ends; returns its status."""
    if options.nic:
        from tools.qemu import find_tap

        descriptor = open_tap(find_tap(options))
        os.set_inheritable(descriptor, True)
        sys.stdout.flush()
        os.execve(start[0], [*start, "tap", str(descriptor), *tail], environment)
    outside = [(listen(forward), forward) for forward in forwards]
    enter()
    descriptor = open_tap("tap0")
    settings = Settings(options.append, dict(text.split("=", 1) for text in options.settings))
    words, ours = configure(settings)
    for forward in forwards:
        print(f"{LOCALHOST}:{forward.host} leads to {forward.protocol} port {forward.guest}")
    user = "--user --preserve-credentials " if os.getuid() or in_user_namespace() else ""
    print(f"{ours} from inside: nsenter --target {os.getpid()} {user}--net", flush=True)
    child = subprocess.Popen(
        [*start, "tap", str(descriptor), tail[0], *words, *tail[1:]],
        env=environment,
        pass_fds=[descriptor],
        preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    os.close(descriptor)
    # The terminal's Ctrl-C reaches the child as well, which ends in order, and so do we.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGINT))
    return asyncio.run(carry(child, outside, ours))


def in_user_namespace():
    with open("/proc/self/uid_map") as file:
        return file.read().split()[2:] != ["4294967295"]


def listen(forward):
    """A socket of the host's loopback, before we leave it."""
    kind = socket.SOCK_STREAM if forward.protocol == "tcp" else socket.SOCK_DGRAM
    made = socket.socket(socket.AF_INET, kind)
    if kind == socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((LOCALHOST, forward.host))
    except OSError as error:
        other = f"{forward.protocol}:{forward.host + 10000}:{forward.guest}"
        reason = f"port {forward.host} of this machine: {error.strerror}"
        raise UserError(f"{reason}; take another: --forward {other}") from None
    made.setblocking(False)
    return made


def enter():
    """Be in a network namespace of our own from now on, as its root."""
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNET | (CLONE_NEWUSER if user else 0)
    if _libc.unshare(flags):
        flags |= CLONE_NEWUSER
        if _libc.unshare(flags):
            reason = os.strerror(ctypes.get_errno())
            raise UserError(
                f"--tap: no network namespace ({reason}); make a TAP device as root and "
                "name it: --nic tap=NAME"
            )
    if flags & CLONE_NEWUSER:
        with contextlib.suppress(OSError), open("/proc/self/setgroups", "w") as file:
            file.write("deny")
        for name, outer in (("uid_map", user), ("gid_map", group)):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(f"0 {outer} 1")


def open_tap(name):
    """The descriptor of a TAP device, made if it is not there."""
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        request = struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI)
        fcntl.ioctl(descriptor, TUNSETIFF, request)
    except OSError as error:
        raise UserError(f"TAP device {name}: {error.strerror}") from None
    return descriptor


def configure(settings):
    """Give the kernel its end; (what the machine is told, its address)."""
    words = []
    ours = settings.get("address")
    if not ours:
        ours = OURS
        words += [f"address={OURS}", f"gateway={KERNEL}"]
    if not settings.get("address6"):
        words += [f"address6={OURS6}", f"gateway6={KERNEL6}"]
    interface = ipaddress.ip_interface(ours)
    kernel = settings.get("gateway") or next(
        str(host) for host in interface.network.hosts() if host != interface.ip
    )
    command("sysctl", "-qw", "net.ipv6.conf.tap0.accept_dad=0")
    command("ip", "address", "add", f"{kernel}/{interface.network.prefixlen}", "dev", "tap0")
    command("ip", "-6", "address", "add", f"{KERNEL6}/64", "dev", "tap0", "nodad", check=False)
    command("ip", "link", "set", "lo", "up")
    command("ip", "link", "set", "tap0", "up")
    return words, text(interface.ip.packed)


def command(*words, check=True):
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, env={**os.environ, "PATH": path}
        )
    except FileNotFoundError:
        raise UserError(f"--tap needs the command {words[0]}") from None
    if check and done.returncode:
        raise UserError(f"{' '.join(words)}: {done.stderr.strip()}")


async def carry(child, outside, ours):
    """Forward until the child ends; returns its status."""
    loop = asyncio.get_running_loop()
    servers = []
    for outer, forward in outside:
        if forward.protocol == "tcp":
            servers.append(await asyncio.start_server(Streams(ours, forward.guest), sock=outer))
        else:
            servers.append(Datagrams(outer, ours, forward.guest))
    status = await loop.run_in_executor(None, child.wait)
    for server in servers:
        server.close()
    return status if status >= 0 else 128 - status


class Streams:
    """Each connection of the outside becomes one of the inside, end for end."""

    def __init__(self, address, port):
        self.address, self.port = address, port

    async def __call__(self, reader, writer):
        try:
            inner_reader, inner_writer = await asyncio.open_connection(self.address, self.port)
        except OSError:
            writer.transport.abort()
            return
        # The end of the process ends this, too; asyncio would call that an error.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
        for end in (writer, inner_writer):
            end.close()


async def pump(reader, writer):
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()


class Datagrams:
    """A socket of the inside for each sender of the outside.

    (Not asyncio's transports: they do not send empty datagrams.)
    """

    def __init__(self, outside, address, port):
        self.outside = outside
        self.inside = (address, port)
        self.senders = {}
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(outside, self.ask)

    def ask(self):
        with contextlib.suppress(OSError):
            while True:
                data, sender = self.outside.recvfrom(PIECE)
                inner = self.senders.get(sender)
                if inner is None:
                    inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    inner.setblocking(False)
                    inner.connect(self.inside)
                    self.loop.add_reader(inner, self.answer, inner, sender)
                    self.senders[sender] = inner
                inner.send(data)

    def answer(self, inner, sender):
        with contextlib.suppress(OSError):
            while True:
                self.outside.sendto(inner.recv(PIECE), sender)

    def close(self):
        self.loop.remove_reader(self.outside)
