"""What the process of a hijacked program runs.

    python3 tools/hijack/run.py tap DESCRIPTOR hijack [WORD ...] -- PROGRAM [ARGUMENT ...]

WORDs are settings of the stack: address=10.0.0.2/24.  The program sees itself as `__main__`.
"""

import atexit
import os
import runpy
import sys

REPLACED = ("socket", "_socket", "select", "selectors", "asyncio", "ssl", "socketserver")


def main(_, descriptor, __, *words):
    at = words.index("--")
    words, program = words[:at], words[at + 1 :]
    sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
    from tools.cpython.library import Library
    from tools.hijack import polls, sockets
    from tools.hijack.thread import Stack

    stack = Stack(int(descriptor), words)
    library = Library()
    with stack:
        ours = sockets.make(stack, library.load("socket"))
        select = polls.make(stack, library.load("select"))
    for name in [name for name in sys.modules if name.partition(".")[0] in REPLACED]:
        del sys.modules[name]
    sys.modules["_socket"], sys.modules["select"] = ours, select
    atexit.register(stack.linger)
    sys.argv = list(program)
    sys.path[0] = os.path.dirname(program[0])
    runpy.run_path(program[0], run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
