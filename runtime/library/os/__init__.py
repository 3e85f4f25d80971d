"""`os`: what of it makes sense in a machine with one program and no files.

    urandom(n)    n bytes that nobody can guess; OSError where the machine has no entropy
    uname()       the names of system and machine
In a development image also MicroPython's file systems.  Left out: environment, processes, files.
"""

import sys

from _os import *

name = "importos"
_attrs = {"urandom": "entropy"}


def uname():
    version = ".".join([str(part) for part in sys.implementation.version[:3]])
    return (sys.platform, "", version, "MicroPython " + version, "i686")


def __getattr__(attr):
    part = _attrs.get(attr)
    if part is None:
        raise AttributeError(attr)
    value = getattr(__import__(part, None, None, True, 1), attr)
    globals()[attr] = value
    return value
