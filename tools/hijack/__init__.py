"""./importos hijack PROGRAM: an unmodified CPython program talks through our stack, over TAP.

    run.py        what the child process runs: the stack in a thread, then the program
    thread.py     that thread, and how the program's threads wait for it
    sockets.py    the module `_socket`, on which CPython's socket.py stands
    polls.py      the module `select`, of which selectors and asyncio are made

The sockets are those of runtime/library, the module that programs in the machine import.  LKL has
done the same to Linux' stack with a library that replaces calls of the C library; here it is one
module that another one imports.
Left out: what does not go through `socket` and `select` (C extensions, child processes), epoll,
recvmsg; sockets of our stack are no descriptors of the kernel; loopback.
"""

import os
import sys
from pathlib import Path

from tools.host import interpreters, namespace

RUN = interpreters.ROOT / "tools" / "hijack" / "run.py"


def run(options):
    """Start the program in a process with our stack; returns its status."""
    from tools.qemu import find_forwards

    forwards = find_forwards([], options.forward)
    environment = interpreters.environment()
    if "PYTHONDONTWRITEBYTECODE" not in os.environ:
        del environment["PYTHONDONTWRITEBYTECODE"]
    program = str(Path(options.program).resolve())
    words = [*options.append.split(), "--", program, *options.arguments]
    start = [sys.executable, "-u", str(RUN)]
    options.settings = []
    return namespace.run(start, ["hijack", *words], environment, forwards, options)
