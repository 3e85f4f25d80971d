"""What the tests boot and run: images of services, and MicroPython for Linux, built from this
checkout when they are asked for.

Two test processes ask for the same things at the same time: a lock lets one build while the other
waits, and each configuration is copied to a folder of its own, so that the next one does not
overwrite it.
"""

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT = ROOT / "build" / "tests"


@contextlib.contextmanager
def lock(name):
    BUILT.mkdir(parents=True, exist_ok=True)
    with open(BUILT / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def importos(*arguments, timeout=900):
    """Run the launcher; its output comes back when it fails."""
    done = subprocess.run(
        [ROOT / "importos", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout,
    )
    if done.returncode:
        raise AssertionError(
            f"importos {' '.join(arguments)}: status {done.returncode}\n{done.stdout[-4000:]}"
        )
    return done.stdout


@functools.cache
def build(service, *options):
    """`./importos build SERVICE OPTIONS` -> the folder of a copy of what it made."""
    key = hashlib.sha256("\0".join((service, *options)).encode()).hexdigest()[:8]
    name = ("development-" if "--development" in options else "") + Path(service).stem
    made = ROOT / "build" / name
    copy = BUILT / f"{name}-{key}"
    with lock("images"):
        importos("build", service, *options)
        copy.mkdir(exist_ok=True)
        for path in made.glob("*.*"):
            if path.suffix in {".elf", ".img", ".qcow2", ".txt", ".json"}:
                shutil.copy(path, copy / path.name)
    return copy


@functools.cache
def micropython_linux():
    """MicroPython's Linux port from the same source as the images, 32 bits wide like them."""
    source = sources()
    made = ROOT / "build" / "micropython-linux"
    modules = ROOT / "tests" / "micropython" / "linux"
    with lock("micropython-linux"):
        # MicroPython's makefile does not notice that a module is gone.
        listing = made / "modules"
        names = " ".join(sorted(path.name for path in modules.iterdir()))
        if not listing.exists() or listing.read_text() != names:
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(parents=True)
            listing.write_text(names)
        # Nothing is frozen and no library is linked: what the tests run comes from this checkout
        # alone.
        off = ["BTREE", "BLUETOOTH", "FFI", "SSL", "THREAD"]
        command = [
            "make",
            "-j2",
            "-C",
            source / "ports" / "unix",
            "VARIANT=standard",
            f"BUILD={made}",
        ]
        command += ["MICROPY_FORCE_32BIT=1", "MICROPY_USE_READLINE=0", "FROZEN_MANIFEST="]
        command += [f"USER_C_MODULES={modules}"]
        command += [f"MICROPY_PY_{name}=0" for name in off]
        # What our patches leave unused in this configuration is no mistake.
        command += ["CFLAGS_EXTRA=-Wno-error"]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PYTHON": sys.executable}
        )
        if done.returncode:
            raise AssertionError(done.stdout[-1000:] + done.stderr[-3000:])
    return made / "micropython"


def sources():
    """The unpacked MicroPython source that the images are made from."""
    chosen = os.environ.get("MICROPYTHON")
    return Path(chosen) if chosen else ROOT / "build" / "micropython"
