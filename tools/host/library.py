"""The modules people know (runtime/library) for a service in a Linux process.

    load = library.importer()       from here on; the process itself has what it needs already
    module = load("image")          the service with all it imports, as in the machine

On CPython they are loaded beside CPython's own (tools/cpython/library.py); on MicroPython for Linux
they are found before its C modules, which get an underscore in front, as in the machine.
IMPORTOS_FOLDERS names the folders of the service and of its packages.
"""

import os
import sys

PLAIN = ("hashlib", "os", "select", "socket", "time")


def importer():
    folders = [folder for folder in (os.getenv("IMPORTOS_FOLDERS") or "").split(":") if folder]
    if sys.implementation.name == "cpython":
        from tools.cpython.library import Library

        return Library(folders, private=["services"]).load
    for name in ("hashlib", "os", "time"):
        sys.modules["_" + name] = __import__("u" + name)
    sys.path[:0] = ["runtime/library"] + folders  # noqa: RUF005 (MicroPython)
    sys.path.append("build/micropython/extmod")
    for name in PLAIN:
        # MicroPython takes its C module where a `u` is in front.
        sys.modules["u" + name] = __import__(name)
    return load


def load(name):
    module = __import__(name)
    for part in name.split(".")[1:]:
        module = getattr(module, part)
    return module
