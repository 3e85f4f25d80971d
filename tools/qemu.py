"""A machine on the terminal: QEMU started for a person, its serial line in between.

The console goes to stdout as it comes.  Ctrl-C becomes byte 3 on the serial line, which asks the
machine to stop in order; a second one, or five seconds of patience, ends QEMU.  QEMU gets a process
group of its own, so that the terminal's Ctrl-C does not reach it, and dies when we die.

KVM is used where the processor has it: the device node alone proves nothing.
Left out: a second machine, other devices; tests/support/vm.py has what tests need.
"""

import contextlib
import ctypes
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import tty
from pathlib import Path
from typing import NamedTuple

from runtime.settings import Settings
from tools import network
from tools.errors import UserError
from tools.image import disk

QEMU = "qemu-system-i386"
LOCALHOST = "127.0.0.1"
PRIVILEGED, SHIFT = 1024, 5300
PATIENCE = 5  # seconds
CTRL_C, CTRL_CLOSE_BRACKET = b"\x03", b"\x1d"
PR_SET_PDEATHSIG = 1
PANIC = "panic=exit"
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
SMALLEST_HEAP = 64 * 1024  # as port/boot/memory.c has it
_libc = ctypes.CDLL(None)


class Forward(NamedTuple):
    """A port of the host's loopback that leads to one of the guest."""

    protocol: str
    host: int
    guest: int


def check(options):
    """Refuse what no image could be booted with."""
    memory(options.memory)
    find_forwards([], options.forward)
    network.check(Settings(options.append).values, "--append")
    find_tap(options)
    drives(options.drive, options.machine)
    if options.machine == "microvm" and options.disk:
        raise UserError(f"--disk {options.disk}: a microvm boots nothing but a kernel")


def needs(options):
    """What has to be compiled in for the machine that is asked for."""
    return ["bus=mmio"] if options.machine == "microvm" else []


def find_tap(options):
    """The TAP device that --nic names, or None."""
    if not options.nic:
        return None
    kind, _, name = options.nic.partition("=")
    if kind != "tap" or not name:
        raise UserError(f"--nic {options.nic}: expected tap=NAME")
    if not Path("/sys/class/net", name).exists():
        raise UserError(f"--nic {options.nic}: there is no such network device")
    return name


def check_drives(files):
    """Refuse those that --drive names and that are no files."""
    for file in files:
        if Path(file).is_dir():
            raise UserError(f"--drive {file}: a folder; it takes a file, the disk's content")
        if not Path(file).is_file():
            hint = f"`truncate -s 64M {file}` makes an empty disk"
            raise UserError(f"--drive {file}: there is no such file; {hint}")
        if not os.access(file, os.R_OK if file.lower().endswith(".iso") else os.R_OK | os.W_OK):
            raise UserError(f"--drive {file}: permission denied")


def drives(files, machine):
    """The arguments for the files that --drive names: disks, and CDs behind a SCSI adapter."""
    words = []
    bus = "device" if machine == "microvm" else "pci"
    check_drives(files)
    for i, file in enumerate(files):
        name = file.replace(",", ",,")
        node = f"driver=raw,node-name=drive{i},file.driver=file,file.filename={name}"
        if file.lower().endswith(".iso"):
            words += [
                "-blockdev",
                node + ",read-only=on",
                "-device",
                f"virtio-scsi-{bus},id=scsi{i}",
            ]
            words += ["-device", f"scsi-cd,bus=scsi{i}.0,drive=drive{i}"]
        else:
            words += ["-blockdev", node + ",discard=unmap"]
            words += ["-device", f"virtio-blk-{bus},drive=drive{i}"]
    return words


def idle_drives(files, modules):
    """Words on those that the image with these modules has no driver for."""
    for file in files:
        if file.lower().endswith(".iso"):
            driver, whose = "drivers.virtio.scsi", "--cloud adds it, or an import"
        else:
            driver, whose = "drivers.virtio.blk", "open() or machine.disks in a service adds it"
        if driver not in modules:
            yield f"--drive {file} will not be seen: no {driver} in this image ({whose})"


def run(folder, options):
    """Boot what is in a build folder as the options say; returns the guest's exit status."""
    report = json.loads((folder / "report.json").read_text())
    modules = {row["name"] for row in report["python"]}
    networked = "drivers.virtio.net" in modules
    command = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    accelerator = find_accelerator()
    command += ["-machine", f"{options.machine},accel={accelerator}"]
    command += ["-cpu", "host" if accelerator == "kvm" else "max"]
    check_memory(options.memory, report["totals"])
    command += ["-m", options.memory, "-smp", "1"]
    command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    command += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    command += boot(folder, options)
    tap = find_tap(options)
    if tap:
        backend = f"tap,id=net0,ifname={tap},script=no,downscript=no"
    else:
        forwards = find_forwards(report["ports"], options.forward)
        backend = user_backend(Settings(options.append, report.get("settings")), forwards)
    command += drives(options.drive, options.machine)
    pci = options.machine != "microvm"
    for line in idle_drives(options.drive, modules):
        print(line, flush=True)
    if "drivers.virtio.rng" in modules:
        command += ["-device", "virtio-rng-pci" if pci else "virtio-rng-device"]
    if networked:
        nic = "virtio-net-pci,netdev=net0,romfile=" if pci else "virtio-net-device,netdev=net0"
        command += ["-netdev", backend, "-device", nic]
        for f in () if tap else forwards:
            check_free(f)
            print(f"{LOCALHOST}:{f.host} leads to {f.protocol} port {f.guest}", flush=True)
    return Console(command + options.qemu_arg, raw=options.development).run()


def user_backend(settings, forwards):
    """The -netdev of QEMU's own network, around the address that the guest will have."""
    words, guest = network.user_network(settings)
    words += [f"hostfwd={f.protocol}:{LOCALHOST}:{f.host}-{guest}:{f.guest}" for f in forwards]
    return ",".join(["user", "id=net0", *words])


def boot(folder, options):
    """The arguments that say from what to boot."""
    line = f"{PANIC} {options.append}".strip()
    if options.development and options.service:
        line += " service=yes"  # else the REPL comes up at once
    if not options.disk:
        return ["-kernel", str(folder / f"{folder.name}.elf"), "-append", line]
    # The image of the build, but with this command line.
    image = folder / "run.img"
    loader = (folder.parent / "loader/deflate.bin").read_bytes()
    disk.write_sparse(image, disk.disk_image(folder / f"{folder.name}.elf", loader, line))
    device = "virtio-blk-pci" if options.disk == "virtio" else "ide-hd"
    return [
        *("-drive", f"file={image},format=raw,if=none,id=disk0"),
        *("-device", f"{device},drive=disk0"),
    ]


def find_accelerator():
    """kvm where the processor has the extensions and we may use them, else tcg."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
        real = flags and {"vmx", "svm"} & set(flags[1].split())
    except OSError:
        real = False
    return "kvm" if real and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def memory(text):
    """The bytes of a size as QEMU reads it: megabytes where it does not say."""
    match = re.fullmatch(r"([1-9]\d*)([KMG]?)", text)
    if not match:
        raise UserError(f"--memory {text}: expected a size such as 8M")
    return int(match[1]) * UNITS[match[2] or "M"]


def check_memory(text, totals):
    """Refuse less than the image and its heap take: what the firmware itself hangs with."""
    needed = disk.IMAGE + totals["flat"] + totals["bss"] + SMALLEST_HEAP
    if memory(text) < needed:
        raise UserError(f"--memory {text}: this image needs {-(-needed // UNITS['K'])}K at least")


def find_forwards(declared, told):
    """The service's ports as `PORTS` declares them, but for those that the user forwards."""
    forwards = {}
    for text in declared:
        protocol, _, guest = text.partition(":")
        guest = int(guest)
        host = guest + SHIFT if guest < PRIVILEGED else guest
        forwards[protocol, guest] = Forward(protocol, host, guest)
    for text in told:
        match = re.fullmatch(r"(?:(udp|tcp):)?(\d+):(\d+)", text)
        if not match or not all(0 < int(port) < 65536 for port in match.groups()[1:]):
            raise UserError(f"--forward {text}: expected udp:HOST:GUEST, such as udp:5353:53")
        forward = Forward(match[1] or "udp", int(match[2]), int(match[3]))
        forwards[forward.protocol, forward.guest] = forward
    return list(forwards.values())


def check_free(forward):
    """Refuse a port that somebody listens on at the loopback."""
    kind = socket.SOCK_DGRAM if forward.protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if forward.protocol == "tcp":
            # Connections of the last run that are not forgotten yet do not hold the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCALHOST, forward.host))
        except PermissionError:
            raise UserError(f"port {forward.host} needs root: take one above 1023") from None
        except OSError:
            text = f"{forward.protocol}:{forward.host + 10000}:{forward.guest}"
            if not _only_others(forward):
                raise UserError(
                    f"port {forward.host} of this machine is in use; take another: --forward {text}"
                ) from None


def _only_others(forward):
    """True if the port is held, but at the wildcard address: QEMU shares it and is preferred.

    Desktops have a multicast DNS daemon at 0.0.0.0:5353.
    """
    local = f"0100007F:{forward.host:04X}"
    table = Path("/proc/net", forward.protocol).read_text()
    return forward.protocol == "udp" and local not in table


def in_background():
    """Whether reading the terminal would stop us."""
    try:
        return os.tcgetpgrp(0) != os.getpgrp()
    except OSError:
        return False  # not our terminal, or none


class Console:
    """QEMU with its console on ours."""

    def __init__(self, command, raw):
        self.command, self.raw = command, raw
        self.deadline = None
        self.interrupts = 0
        self.forced = False

    def run(self):
        try:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
            )
        except FileNotFoundError:
            raise UserError(f"{QEMU} is not installed") from None
        wake, self.wakened = os.pipe()
        os.set_blocking(self.wakened, False)
        handlers = {
            number: signal.signal(number, self.on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        terminal = self._raw_terminal()
        try:
            self.copy(wake)
            # It has closed its output: it is about to end.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
        finally:
            if terminal:
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, terminal)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
        return self.status()

    def on_signal(self, number, frame):
        self.interrupts += 1 if number == signal.SIGINT else 2
        os.write(self.wakened, b"!")

    def copy(self, wake):
        """Carry bytes both ways until QEMU ends."""
        out = self.process.stdout.fileno()
        inputs = {out, wake}
        if not in_background():
            inputs.add(0)
        while True:
            patience = self.deadline and max(0, self.deadline - time.monotonic())
            ready = select.select(inputs, [], [], patience)[0]
            if not ready:
                print("\nimportos: the machine does not stop; ending QEMU", file=sys.stderr)
                self.end()
                self.deadline = None
            if wake in ready:
                os.read(wake, 64)
                self.interrupt()
            if out in ready:
                piece = os.read(out, 65536)
                if not piece:
                    return
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            if 0 in ready:
                piece = os.read(0, 4096)
                if not piece:
                    inputs.discard(0)
                elif self.raw and CTRL_CLOSE_BRACKET in piece:
                    self.end()
                else:
                    self.send(piece)

    def interrupt(self):
        if self.interrupts > 1:
            self.end()
        else:
            self.deadline = time.monotonic() + PATIENCE
            self.send(CTRL_C)

    def end(self):
        self.forced = True
        self.process.terminate()

    def send(self, data):
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has just ended

    def status(self):
        """The guest's status: isa-debug-exit makes 2 * n + 1 of n; power off is 0."""
        code = self.process.returncode
        complaint = self.process.stderr.read().decode(errors="replace").strip()
        if self.forced:
            return 130 if self.interrupts else 0
        if code < 0:
            return 1
        if complaint and code == 1:
            raise UserError(complaint.splitlines()[-1])
        if complaint:
            print(complaint, file=sys.stderr)
        return code >> 1 if code & 1 else code

    def _raw_terminal(self):
        """Single keys for a REPL; returns what to restore."""
        if not (self.raw and sys.stdin.isatty()):
            return None
        before = termios.tcgetattr(sys.stdin)
        tty.setraw(sys.stdin)
        return before
