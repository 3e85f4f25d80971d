"""./importos run --host | --tap: a service in a Linux process.

What the service needs is compiled as for an image, into build/host/NAME/image.py; then the
interpreter takes the place of this process, so that Ctrl-C reaches it.
"""

import os
import signal
import sys
from pathlib import Path

from runtime.settings import Settings
from tools import network
from tools.errors import UserError
from tools.host import interpreters, namespace
from tools.image import closure, needs, packages

ROOT = interpreters.ROOT
MAIN = ROOT / "tools" / "host" / "main.py"


def check(options):
    """Refuse what no service could be started with."""
    from tools.qemu import check_drives, find_forwards

    find_forwards([], options.forward)
    network.check(Settings(options.append).values, "--append")
    check_drives(options.drive)
    if options.disk or options.kernel or options.qemu_arg or options.development or options.cloud:
        raise UserError("--host and --tap start a process: it boots no disk, kernel or QEMU")


def run(options):
    from tools.qemu import check_free, find_forwards

    service = closure.find_service(options.service or "", ROOT)
    need = needs.read(service, ROOT, options.settings)
    others = packages.provide(service, ROOT)
    # What could not be in an image is said here, as by the build.
    micropython = Path(os.environ.get("MICROPYTHON") or ROOT / "build" / "micropython")
    generated = {"image": need.skeleton()}
    need.check_settings(closure.follow(service, ROOT, micropython, generated, packages=others))
    folder = compile_needs(service, need)
    folders = [folder, *[service.folder] * (service.folder != ROOT)]
    folders += [package.folder for package in others]
    start = [*interpreters.command(options.interpreter), str(MAIN)]
    environment = interpreters.environment(folders)
    environment["IMPORTOS_DRIVES"] = "\n".join(os.path.abspath(path) for path in options.drive)
    forwards = find_forwards(need.ports, options.forward)
    words = options.append.split()
    os.chdir(ROOT)
    # A shell starts what ends with & with SIGINT ignored, and so would be the interpreter.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if options.tap:
        return namespace.run(start, ["image", *words], environment, forwards, options)
    for f in forwards:
        check_free(f)
        print(f"127.0.0.1:{f.host} is {f.protocol} port {f.guest}", flush=True)
    ports = ",".join(f"{f.protocol}:{f.host}:{f.guest}" for f in forwards) or "-"
    sys.stdout.flush()
    os.execve(start[0], [*start, "kernel", ports, "image", *words], environment)


def compile_needs(service, need):
    """The folder with the module `image` of a service; what did not change is not made again."""
    folder = ROOT / "build" / "host" / service.name
    folder.mkdir(parents=True, exist_ok=True)
    contents = {}
    for name, file in need.files.items():
        kept, stamp = folder / f"{name}.bytes", folder / f"{name}.sources"
        now = repr([(str(path), path.stat().st_mtime_ns) for path in file.sources()])
        if not (kept.is_file() and stamp.is_file() and stamp.read_text() == now):
            kept.write_bytes(file.compile())
            stamp.write_text(now)
        contents[name] = kept.read_bytes()
    (folder / "image.py").write_text(need.module(contents))
    return folder
