"""The module `tapio` for CPython: one frame per system call.

See tests/micropython/linux/tapio.
"""

import contextlib
import os


def read(descriptor, buffer):
    """Bytes read, 0 when there is no frame."""
    try:
        return os.readv(descriptor, [buffer])
    except BlockingIOError:
        return 0


def write(descriptor, buffer, start, end):
    # A full queue of the kernel loses the frame, as any wire may.
    with contextlib.suppress(BlockingIOError):
        os.write(descriptor, memoryview(buffer)[start:end])
