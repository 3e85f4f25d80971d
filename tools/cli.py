"""The command line: what the words after ./importos mean, and who does it.

`parse` needs only the standard library: the launcher calls it before anything is installed, so that
help and mistakes cost nothing.  `main` runs in the virtual environment.
"""

import argparse
import fcntl
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools import deploy, testing
from tools.errors import UserError
from tools.image import formats

ROOT = Path(__file__).resolve().parent.parent

DESCRIPTION = """\
ImportOS turns one Python service into a virtual machine that boots in milliseconds.

  ./importos run hello          build and boot the smallest service there is
  ./importos run dns            an authoritative name server; in another terminal:
                                    dig @127.0.0.1 -p 5353 host42.bench.example A
  ./importos build my/web.py    disk images of a service of yours, and what is in them

What is missing on a Debian machine is installed (it says what and why)."""

SERVICE = "name in services/, or path to a .py file or a package"
KEPT = ("apt", "venv", "mirror", "packages")  # what `clean` leaves: fetched, not made


def parse(arguments):
    """The parsed command line; ends with a message if there is nothing to run."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.command:
        parser.print_help()
        sys.exit(0)
    if options.command == "test":
        try:
            explained = testing.explain(options.arguments)
        except UserError as error:
            print(f"importos: {error}", file=sys.stderr)
            sys.exit(2)
        if explained:
            print(explained)
            sys.exit(0)
    return options


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        print(f"importos: {message} (try {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def _parser():
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog="importos", description=DESCRIPTION, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    made = argparse.ArgumentParser(add_help=False)
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="a setting or a need to compile in: --set address=10.0.2.15/24 --set zone=my.zone",
    )
    made.add_argument(
        "--development", action="store_true", help="with compiler, REPL and all of MicroPython"
    )
    made.add_argument(
        "--cloud",
        action="store_true",
        help="with what an instance in a cloud has: configuration from outside, guest agent, ...",
    )
    made.add_argument("--verbose", action="store_true", help="show every step of the build")

    run = commands.add_parser(
        "run",
        parents=[made],
        help="build what changed and boot it in QEMU; Ctrl-C stops it in order",
        description="Build what changed and boot it in QEMU with the console on this terminal. "
        "The exit status is the guest's.  --host and --tap run the same service as a Linux "
        "process: on the kernel's sockets, or on our stack.",
        epilog="Ports: a service's PORTS are forwarded from 127.0.0.1; port 53 of the guest "
        "is 5353 here, 80 is 5380: ports below 1024 lie 5300 higher.  Ctrl-C stops the machine, "
        "a second one ends QEMU; with --development, Ctrl-] does.",
    )
    run.add_argument("service", nargs="?", metavar="SERVICE", help=SERVICE)
    run.add_argument("--memory", default="32M", metavar="SIZE", help="default: 32M")
    run.add_argument("--machine", choices=("pc", "q35", "microvm"), default="pc")
    boot = run.add_mutually_exclusive_group()
    boot.add_argument("--kernel", action="store_true", help="boot the ELF directly (default)")
    boot.add_argument("--disk", choices=("ide", "virtio"), help="boot the disk image, from a disk")
    run.add_argument(
        "--forward",
        action="append",
        default=[],
        metavar="udp:HOST:GUEST",
        help="forward a port of 127.0.0.1 (tcp: too)",
    )
    where = run.add_mutually_exclusive_group()
    where.add_argument(
        "--host", action="store_true", help="no machine: a process, on the kernel's sockets"
    )
    where.add_argument(
        "--tap", action="store_true", help="no machine: our stack in a process, over a TAP device"
    )
    run.add_argument(
        "--interpreter",
        choices=("cpython", "micropython"),
        default="cpython",
        help="of a process (default: cpython, which checks the bounds of every pointer)",
    )
    run.add_argument(
        "--nic",
        metavar="tap=NAME",
        help="attach to a TAP device of yours: QEMU instead of its user network, --tap instead of "
        "a device in a network namespace",
    )
    run.add_argument(
        "--drive",
        action="append",
        default=[],
        metavar="FILE",
        help="a raw file as a disk of the machine, .iso as a CD; may be repeated",
    )
    run.add_argument("--append", default="", metavar="TEXT", help="kernel command line")
    run.add_argument(
        "--qemu-arg", action="append", default=[], metavar="ARG", help="one more word for QEMU"
    )
    run.add_argument("--no-build", action="store_true", help="boot what was built last")

    build = commands.add_parser(
        "build",
        parents=[made],
        help="make ELF and disk images, and report what is in them",
        description="Make ELF and disk images of a service, and report what is in them.",
        epilog="Formats: "
        + "; ".join(f"{name} ({form.what})" for name, form in formats.FORMATS.items())
        + ".",
    )
    build.add_argument(
        "--format",
        type=_formats,
        default=formats.DEFAULT,
        metavar="LIST",
        help=f"formats, with commas, or all (default: {','.join(formats.DEFAULT)})",
    )
    build.add_argument("service", nargs="?", metavar="SERVICE", help=SERVICE)
    build.add_argument(
        "--append", default="", metavar="TEXT", help="command line stored in the disk images"
    )
    build.add_argument(
        "--pack",
        choices=("lzma", "deflate"),
        default="lzma",
        help="the disk images; default: lzma.  deflate starts sooner and is an eighth larger",
    )

    hijack = commands.add_parser(
        "hijack",
        help="run a CPython program on our stack, over a TAP device",
        description="Run an unmodified CPython program: its sockets are those of our stack, over a "
        "TAP device in a network namespace, or one of yours.",
    )
    hijack.add_argument(
        "--forward",
        action="append",
        default=[],
        metavar="tcp:HOST:PORT",
        help="forward a port of 127.0.0.1 to the program (udp: too)",
    )
    hijack.add_argument("--nic", metavar="tap=NAME", help="attach to a TAP device of yours")
    hijack.add_argument(
        "--append", default="", metavar="TEXT", help="settings of the stack: address=10.0.0.2/24"
    )
    hijack.add_argument("program", metavar="PROGRAM", help="path to a Python file")
    hijack.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT")

    deploy.add_parsers(commands, made, _Parser, SERVICE)

    test = commands.add_parser(
        "test",
        help="run the tests: all, some rungs, or what pytest is told",
        add_help=False,
        prefix_chars="\0",
    )
    test.add_argument("arguments", nargs="*", metavar="RUNG | PATH | -OPTION")
    bench = commands.add_parser(
        "bench", help="measure, and print tables", add_help=False, prefix_chars="\0"
    )
    bench.add_argument("arguments", nargs="*", metavar="NAME | -OPTION")
    clean = commands.add_parser("clean", help="remove what was built")
    clean.add_argument("--all", action="store_true", help="and what was fetched")
    return parser


def main(arguments):
    """Do what was asked for; returns the exit status."""
    options = parse(arguments)
    try:
        match options.command:
            case "build":
                folder = build(options)
                print((folder / "report.txt").read_text(), end="")
                files = [f for name in options.format for f in formats.FORMATS[name].files("")]
                for suffix in [".elf", *files]:
                    print(_from_here(folder / f"{folder.name}{suffix}"))
            case "run" if options.host or options.tap:
                from tools.host import launch

                launch.check(options)
                return launch.run(options)
            case "run":
                from tools import qemu

                qemu.check(options)
                options.settings += qemu.needs(options)
                folder = _folder(options) if options.no_build else build(options)
                return qemu.run(folder, options)
            case "hijack":
                from tools import hijack

                return hijack.run(options)
            case command if command in deploy.COMMANDS:
                if command == "deploy":
                    _find(options)  # a service there is not, before a cloud there is not
                return deploy.run(options, lambda o: _folder(o) if o.no_build else build(o))
            case "test":
                return _module("tools.testing", options.arguments)
            case "bench":
                return _module("tools.bench", options.arguments)
    except UserError as error:
        print(f"importos: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _formats(text):
    """A list of formats, for argparse."""
    try:
        return formats.chosen(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def build(options):
    """Have SCons make the images of a service; returns their folder.

    Besides the ELF and the raw disk, in the formats `options.format`, if there are any.
    """
    from tools.image import needs

    service = _find(options)
    settings = []
    for text in options.settings:
        # Paths are relative to where the user is; SCons works in the root folder.
        name = text.partition("=")[0]
        found = needs.read(service, ROOT, [text]).files.get(name)
        settings.append(f"{name}={found.path}" if found else text)
    command = [sys.executable, "-m", "SCons", "-Q", f"--directory={ROOT}"]
    if options.service:
        command += [f"SERVICE={service.path}"]
    command += [f"--set={text}" for text in settings]
    command += [f"DEVELOPMENT={int(options.development)}", f"CLOUD={int(options.cloud)}"]
    wanted = ["img", *getattr(options, "format", ())]
    command += [f"FORMATS={','.join(wanted)}"]
    command += ["--silent"] * (not options.verbose)
    if options.command == "build" and options.append:
        command += [f"--append={options.append}"]
    if options.command == "build":
        command += [f"PACK={options.pack}"]
    start = time.monotonic()
    with (ROOT / "build" / f"{_folder_name(options)}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # somebody else may build the same
        if _scons(command):
            sys.exit(1)  # it has said why
        folder = _folder(options)
        formats.remove_old(folder, wanted)
        report = json.loads((folder / "report.json").read_text())
    name = service.name if options.service else "development image"
    print(
        f"{name}: {report['totals']['image']:,} bytes with {len(report['python'])} Python "
        f"and {len(report['c_modules'])} C modules, in {time.monotonic() - start:.1f} s",
        flush=True,
    )
    return folder


def _scons(command):
    """Run SCons; where the build has said what the user got wrong, without SCons' own words."""
    said = False
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stderr:
            said = said or line.startswith("importos: ")
            if not (said and line.startswith("scons: ***")):
                sys.stderr.write(line)
                sys.stderr.flush()
    return process.returncode


def _find(options):
    from tools.image import closure

    if not (options.service or options.development):
        raise UserError(f"which service? {SERVICE}")
    return closure.find_service(options.service or "hello", ROOT)


def _folder_name(options):
    """NAME, NAME-cloud, development-NAME, or development without a NAME."""
    name = _find(options).name
    parts = ["development"] * options.development + [name] * bool(options.service)
    return "-".join(parts + ["cloud"] * options.cloud)


def _folder(options):
    """Where the images of a service are."""
    folder = ROOT / "build" / _folder_name(options)
    if not (folder / "report.json").is_file():
        raise UserError(f"{folder.name} is not built yet: leave --no-build away")
    return folder


def _module(name, arguments):
    """Run a tool that has a `main(arguments)` of its own."""
    os.chdir(ROOT)
    return importlib.import_module(name).main(arguments)


def _from_here(path):
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("../..") else relative


def clean(root, everything):
    """Remove build/, but for what was fetched or installed there."""
    for path in sorted((root / "build").glob("*")):
        if everything or not re.match("|".join(KEPT), path.name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    return 0


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has seen enough
        status = 1
    sys.exit(status)
