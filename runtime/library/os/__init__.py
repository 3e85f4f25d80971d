"""`os`: what of it makes sense in a machine with one program.

    urandom(n)    n bytes that nobody can guess; OSError where the machine has no entropy
    uname()       the names of system and machine
and, in an image that uses one of them, what it does with files on a disk (docs/disks.md):
listdir, ilistdir, stat, statvfs, mkdir, rmdir, remove, rename, chdir, getcwd, mount, umount.
Left out: environment, processes, os.path.
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
