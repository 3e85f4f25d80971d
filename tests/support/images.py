"""What the tests boot and run: images of services, and MicroPython for Linux, built from this
checkout when they are asked for.

Two test processes ask for the same things at the same time: a lock lets one build while the other
waits, and each configuration is copied to a folder of its own, so that the next one does not
overwrite it.  What that takes does not count for the time that the test has, wherever it asks.
"""

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from tools.host import interpreters
from tools.image import formats

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT = ROOT / "build" / "tests"
SUFFIXES = {".elf", ".txt", ".json"}
SUFFIXES |= {Path(f).suffix for form in formats.FORMATS.values() for f in form.files("x")}


@contextlib.contextmanager
def lock(name):
    BUILT.mkdir(parents=True, exist_ok=True)
    with open(BUILT / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def untimed():
    """The clock of pytest-timeout stands still: what builds may have to wait, and has limits."""
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)


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
    if "--format" not in options:
        options = (*options, "--format", "img,qcow2")
    key = hashlib.sha256("\0".join((service, *options)).encode()).hexdigest()[:8]
    name = ("development-" if "--development" in options else "") + Path(service).stem
    name += "-cloud" if "--cloud" in options else ""
    made = ROOT / "build" / name
    copy = BUILT / f"{name}-{key}"
    with untimed(), lock("images"):
        importos("build", service, *options)
        copy.mkdir(exist_ok=True)
        for path in made.glob("*.*"):
            if path.suffix in SUFFIXES:
                shutil.copy(path, copy / path.name)
    return copy


@functools.cache
def micropython_linux():
    """MicroPython's Linux port from the same source as the images, 32 bits wide like them."""
    with untimed():
        return interpreters.micropython_linux()


def sources():
    """The unpacked MicroPython source that the images are made from."""
    chosen = os.environ.get("MICROPYTHON")
    return Path(chosen) if chosen else ROOT / "build" / "micropython"
