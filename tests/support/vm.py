"""A virtual machine under test: started as told, its serial line captured, its monitor at hand, and
gone when the test is.

    with Machine(image / "dns.elf", nic=Slirp({5353: 53})) as machine:
    machine:
        machine.wait_for("ready")

The guest is always interpreted (TCG) on one processor, so results do not depend on the host having
virtualisation. QEMU dies with the thread that started it, and whatever happens `close` ends it.
"""

import contextlib
import ctypes
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from tests.support import gdb
from tests.support.tools import tool

BOOTS = ("multiboot", "pvh", "ide", "virtio-blk")
FORMATS = {".qcow2": "qcow2", ".vmdk": "vmdk", ".vdi": "vdi", ".vhd": "vpc", ".vhdx": "vhdx"}
MULTIBOOT_MAGIC = (0x1BADB002).to_bytes(4, "little")
# The readiness marker (runtime/ready.py): a name, and addresses if there is a network.
READY = re.compile(r"^\[ *\d+\.\d{3}\] ready: (\S+)((?: \S+)*)\n", re.M)
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

# What QEMU calls the three kinds of virtio PCI devices.
VIRTIO = {
    "transitional": "disable-legacy=off,disable-modern=off",
    "legacy": "disable-legacy=off,disable-modern=on",
    "modern": "disable-legacy=on,disable-modern=off",
}


class Slirp:
    """QEMU's user-mode network: DHCP, a gateway, and UDP ports of the host's loopback forwarded to
    the guest.
    """

    def __init__(self, forwards):
        self.forwards = forwards

    def arguments(self):
        rules = "".join(
            f",hostfwd=udp:127.0.0.1:{host}-:{guest}" for host, guest in self.forwards.items()
        )
        return f"user,id=net0{rules}", ()


class Tap:
    """A TAP device by its descriptor; the namespace it lives in does not matter to QEMU."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def arguments(self):
        return f"tap,id=net0,fd={self.descriptor}", (self.descriptor,)


def free_port():
    """A UDP port of the loopback that nobody uses at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def without_multiboot(elf, folder):
    """A copy of an ELF that only PVH can start: QEMU prefers a multiboot header."""
    data = bytearray(Path(elf).read_bytes())
    at = data.index(MULTIBOOT_MAGIC, 0, 8192)
    data[at : at + 4] = bytes(4)
    copy = Path(folder) / "pvh.elf"
    copy.write_bytes(data)
    return copy


class Monitor:
    """QEMU's machine protocol over one end of a socket pair."""

    def __init__(self, connection):
        connection.settimeout(30)
        self.file = connection.makefile("rw", encoding="utf-8")
        self.lock = threading.Lock()
        self.events = []  # as they come: {"event": name, "data": {...}, ...}
        json.loads(self.file.readline())
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        with self.lock:
            self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self.file.flush()
            while True:
                line = self.file.readline()
                if not line:
                    raise EOFError(f"QEMU ended before it answered {command}")
                answer = json.loads(line)
                if "error" in answer:
                    raise RuntimeError(f"{command}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]
                self.events.append(answer)

    def wait_for(self, event):
        """The next event of that name, which may have come already; it is taken from the list."""
        with self.lock:
            while True:
                for found in self.events:
                    if found["event"] == event:
                        self.events.remove(found)
                        return found
                line = self.file.readline()
                if not line:
                    raise EOFError(f"QEMU ended before {event}")
                self.events.append(json.loads(line))

    def human(self, line):
        return self.execute("human-monitor-command", **{"command-line": line})


@dataclasses.dataclass
class Machine:
    """One QEMU process and its guest, started when this object is made."""

    image: Path
    _: dataclasses.KW_ONLY
    boot: str = "multiboot"  # one of BOOTS, or "cd"
    machine: str = "pc"
    virtio: str = "transitional"  # one of VIRTIO
    root_port: bool = False  # the network device behind a PCI Express root port
    devices: str = ""  # words for QEMU that stand before the disk and the network device
    nic_options: str = ""  # "bus=port3,vectors=0"
    disk_options: str = ""
    memory: str = "32M"
    command_line: str = ""  # where there is a boot loader that takes one
    nic: Slirp | Tap | None = None
    mac: str = "52:54:00:12:34:56"
    icount: str = ""  # "shift=0,sleep=off": the guest's clock is its instructions
    gdb: bool = False  # wait for `debugger` before the first instruction
    debug_exit: bool = True  # the status of the guest is QEMU's; else it powers off by ACPI
    processor: str = "max"
    emulator: str = "qemu-system-i386"
    extra: tuple = ()

    ended = False  # QEMU has closed the console

    def __post_init__(self):
        self.stack = contextlib.ExitStack()
        self.console = bytearray()
        self.news = threading.Condition()
        self.started = time.monotonic()
        try:
            self._start()
        except BaseException:
            self.stack.close()
            raise

    def _start(self):
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="importos-vm-"))
        words = f"""{tool(self.emulator)} -nodefaults -no-user-config -display none -no-reboot
            -M {self.machine},accel=tcg -m {self.memory} -cpu {self.processor} -smp 1
            -chardev stdio,id=serial0,signal=off -serial chardev:serial0"""
        command = words.split() + self.devices.split() + self._boot(folder)
        if self.debug_exit:
            command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        keep = []
        if self.nic is not None:
            backend, descriptors = self.nic.arguments()
            keep += descriptors
            device = f"netdev=net0,mac={self.mac}"
            if self.machine.startswith("microvm") and "pcie=on" not in self.machine:
                device = f"virtio-net-device,{device}"
                old = "off" if self.virtio == "modern" else "on"
                command += ["-global", f"virtio-mmio.force-legacy={old}"]
            else:
                device = f"virtio-net-pci,{device},romfile=,{VIRTIO[self.virtio]}"
            if self.root_port:
                command += ["-device", "pcie-root-port,id=port0,chassis=1,slot=1"]
                device += ",bus=port0"
            if self.nic_options:
                device += f",{self.nic_options}"
            command += ["-netdev", backend, "-device", device]
        if self.icount:
            command += ["-icount", self.icount]
        if self.gdb:
            # The guest waits before its first instruction for `self.debugger` to let it run.
            stub, stubs = socket.socketpair()
            self.debugger = gdb.Stub(stub)
            self.stack.callback(stub.close)
            self.stack.callback(stubs.close)
            keep.append(stubs.fileno())
            command += ["-chardev", f"socket,id=gdb0,fd={stubs.fileno()}", "-gdb", "chardev:gdb0"]
            command += ["-S"]
        ours, theirs = socket.socketpair()
        keep.append(theirs.fileno())
        command += [
            "-chardev",
            f"socket,id=qmp0,fd={theirs.fileno()}",
            "-mon",
            "chardev=qmp0,mode=control",
        ]
        command += list(self.extra)
        self.command = command
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=keep,
            preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        )
        self.stack.callback(self._end)
        theirs.close()
        self.stack.callback(ours.close)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            self.monitor = Monitor(ours)
        except (EOFError, ValueError, OSError) as error:
            # A machine that has nothing to do may have ended before the monitor greets.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2)
            ended = self.process.poll() is not None
            self.process.kill()
            complaint = self.process.stderr.read().decode()
            if complaint or not ended:
                raise AssertionError(f"QEMU did not start: {complaint}") from error
            self.monitor = None

    def _boot(self, folder):
        """QEMU's arguments for one of BOOTS."""
        image, boot = Path(self.image), self.boot
        if boot in ("multiboot", "pvh"):
            kernel = image if boot == "multiboot" else without_multiboot(image, folder)
            append = ["-append", self.command_line] if self.command_line else []
            return ["-kernel", str(kernel), *append]
        # The image stays as it is: writes, if any, go to a temporary file.
        kind = FORMATS.get(image.suffix, "raw")
        drive = f"file={image},format={kind},id=disk0,if=none,snapshot=on"
        # On q35 an IDE disk is behind an AHCI controller; the firmware hides the difference.
        device = {"ide": "ide-hd", "cd": "ide-cd", "virtio-blk": "virtio-blk-pci"}[boot]
        if self.disk_options:
            device += f",{self.disk_options}"
        return ["-drive", drive, "-device", f"{device},drive=disk0"]

    def _read(self):
        descriptor = self.process.stdout.fileno()
        while True:
            try:
                piece = os.read(descriptor, 65536)
            except OSError:
                piece = b""
            with self.news:
                if not piece:
                    self.ended = True
                    self.news.notify_all()
                    return
                self.console += piece
                self.news.notify_all()

    @property
    def text(self):
        """All that came over the serial line so far; a terminal's CR LF is one end of line."""
        return self.console.decode("utf-8", "replace").replace("\r\n", "\n")

    def wait_for(self, marker, timeout=20):
        """Wait until the console shows a text; returns the seconds since the start of QEMU."""
        self.wait_until(lambda text: marker in text, timeout, marker)
        return time.monotonic() - self.started

    def wait_for_ready(self, timeout=20):
        """Wait for the readiness marker; returns the addresses that it names, as texts."""
        self.wait_until(READY.search, timeout, "readiness marker")
        return READY.search(self.text)[2].split()

    def wait_until(self, true, timeout=20, what="change"):
        """Wait until `true(text of the console)`."""
        with self.news:
            self.news.wait_for(lambda: true(self.text) or self.ended, timeout)
            if not true(self.text):
                state = "QEMU ended" if self.ended else f"nothing in {timeout} s"
                raise AssertionError(f"no {what!r}: {state}\n{self.text}{self.errors()}")

    def errors(self):
        """What QEMU itself complained about, once it has ended."""
        return self.process.stderr.read().decode() if self.process.poll() is not None else ""

    def type(self, keys):
        """Bytes for the serial line's input."""
        self.process.stdin.write(keys)
        self.process.stdin.flush()

    def wait(self, timeout=20):
        """Wait for the machine to end by itself; returns the exit status of the guest
        (isa-debug-exit's coding), or 0 for power off.
        """
        status = self.process.wait(timeout)
        self.reader.join(5)
        return status

    def instructions(self):
        """Guest instructions since reset; needs `icount`."""
        return self.monitor.execute("query-replay")["icount"]

    def forgotten(self):
        """Whether the processor sleeps although its network device has frames for it, or it has
        for the device: a wake-up or a doorbell was lost.  What it saw, in words, or "".

        The device must have EVENT_IDX, and the driver packets enough.  Seen three times, as neither
        stands still meanwhile.
        """
        seen = {self._forgotten()}
        for _ in range(2):
            time.sleep(0.1)
            seen.add(self._forgotten())
        return seen.pop() if len(seen) == 1 else ""

    def _forgotten(self):
        ask = self.monitor.execute
        path = next(d["path"] for d in ask("x-query-virtio") if d["name"] == "virtio-net")
        queues = [ask("x-query-virtio-queue-status", path=path, queue=n) for n in (0, 1)]
        if "HLT=1" not in self.monitor.human("info registers"):
            return ""
        receive, send = queues
        handled = self._word(receive["vring-avail"] + 4 + 2 * receive["vring-num"])  # used event
        published = self._word(send["vring-avail"] + 2)
        if (handled, published) == (receive["used-idx"], send["last-avail-idx"]):
            return ""
        return f"handled {handled}, published {published}, asleep: {queues}"

    def _word(self, address):
        """16 bits of the guest's memory."""
        return int(self.monitor.human(f"xp /1hx {address:#x}").split()[1], 16)

    def cpu_ticks(self):
        """CPU time of the whole QEMU process, user and system, in clock ticks (10 ms)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def resident(self):
        """Proportional set size of the QEMU process in bytes."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no Pss in smaps_rollup")

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def close(self):
        self.stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
