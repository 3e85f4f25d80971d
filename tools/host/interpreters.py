"""The interpreters of a service in a Linux process: CPython, and MicroPython for Linux.

MicroPython's Linux port is built from the same source as the images, for 32 bits, so that small
integers end where they end in the machine; viper functions are machine code.  Nothing is frozen and
no library is linked: what it runs comes from this checkout alone.

    interpreters.command("micropython")     the words to start it with, built if need be
    interpreters.environment(folders)       with these folders to import from, too
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.errors import UserError

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("cpython", "micropython")
HEAP = "64m"
MODULES = ROOT / "tools" / "host" / "micropython"
OFF = ("BTREE", "BLUETOOTH", "FFI", "SSL", "THREAD")


def command(name, heap=HEAP):
    if name == "cpython":
        return [sys.executable, "-u"]
    return [str(micropython_linux()), "-X", f"heapsize={heap}"]


def environment(folders=()):
    """The environment of both: where they import from.  The root folder is where they start."""
    ours = [ROOT, ROOT / "tools" / "cpython", ROOT / "tools" / "host" / "cpython", *folders]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, ours)),
        "MICROPYPATH": os.pathsep.join(map(str, [".frozen", *folders])),
        "PYTHONDONTWRITEBYTECODE": "1",
        "IMPORTOS_FOLDERS": os.pathsep.join(map(str, folders)),
    }


def micropython_linux():
    """The path of the executable, made if something of it changed."""
    chosen = os.environ.get("MICROPYTHON")
    source = Path(chosen) if chosen else ROOT / "build" / "micropython"
    made = ROOT / "build" / "micropython-linux"
    made.mkdir(parents=True, exist_ok=True)
    with (ROOT / "build" / "micropython-linux.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # MicroPython's makefile does not notice that a module is gone.
        listing = made / "modules"
        names = " ".join(sorted(path.name for path in MODULES.iterdir()))
        if not listing.exists() or listing.read_text() != names:
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(parents=True)
            listing.write_text(names)
        make = ["make", "-j2", "-C", source / "ports" / "unix", "VARIANT=standard"]
        make += [f"BUILD={made}", "MICROPY_FORCE_32BIT=1", "MICROPY_USE_READLINE=0"]
        make += ["FROZEN_MANIFEST=", f"USER_C_MODULES={MODULES}"]
        make += [f"MICROPY_PY_{name}=0" for name in OFF]
        # What our patches leave unused in this configuration is no mistake; native code calls C
        # with a stack that is aligned to words.
        make += ["CFLAGS_EXTRA=-Wno-error -mincoming-stack-boundary=2"]
        done = subprocess.run(
            make, capture_output=True, text=True, env={**os.environ, "PYTHON": sys.executable}
        )
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-12:]
            raise UserError("MicroPython for Linux cannot be built:\n" + "\n".join(last))
        # Who runs it runs a copy: the next one may be made meanwhile.
        built = made / "micropython"
        version = hashlib.sha256(built.read_bytes()).hexdigest()[:12]
        copy = made / f"micropython-{version}"
        if not copy.exists():
            shutil.copy(built, made / "new")
            (made / "new").rename(copy)
    return copy
