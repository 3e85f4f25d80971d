"""The modules MicroPython has in C, the switch of each, and what else an import implies.

A macro is 1 in an image exactly when the module is imported there.  Names not listed here cannot
be imported from C in this machine, because they belong to boards (`machine`, `bluetooth`), need a
host (`ffi`) or have a Python implementation of ours.  `sys` and `builtins` are always there:
MicroPython's own import needs sys.path.

Neighbours: closure.py reads the tables and writes image_config.h from them.
"""

from typing import NamedTuple


class CModule(NamedTuple):
    """How a C module is switched on; `shadowed`: a Python module of the same name wins over it."""

    macro: str | None
    source: str = ""
    shadowed: bool = False
    features: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()  # other C modules that its code refers to


ALWAYS = ("builtins", "sys")

MODULES = {
    "__main__": CModule(None, "py/runtime.c"),
    "_asyncio": CModule("MICROPY_PY_ASYNCIO", "extmod/modasyncio.c"),
    "array": CModule("MICROPY_PY_ARRAY", "py/modarray.c", shadowed=True),
    "binascii": CModule("MICROPY_PY_BINASCII", "extmod/modbinascii.c", shadowed=True),
    "builtins": CModule(None, "py/modbuiltins.c"),
    "cmath": CModule("MICROPY_PY_CMATH", "py/modcmath.c", features=("float", "complex")),
    "collections": CModule("MICROPY_PY_COLLECTIONS", "py/modcollections.c", shadowed=True),
    "deflate": CModule("MICROPY_PY_DEFLATE", "extmod/moddeflate.c"),
    "errno": CModule("MICROPY_PY_ERRNO", "py/moderrno.c", shadowed=True),
    "gc": CModule("MICROPY_PY_GC", "py/modgc.c"),
    "hashlib": CModule("MICROPY_PY_HASHLIB", "extmod/modhashlib.c", shadowed=True),
    "heapq": CModule("MICROPY_PY_HEAPQ", "extmod/modheapq.c", shadowed=True),
    "io": CModule("MICROPY_PY_IO", "py/modio.c", shadowed=True),
    "json": CModule("MICROPY_PY_JSON", "extmod/modjson.c", shadowed=True, requires=("io",)),
    "math": CModule("MICROPY_PY_MATH", "py/modmath.c", features=("float",)),
    "metal": CModule(None, "modmetal.c"),
    "micropython": CModule("MICROPY_PY_MICROPYTHON", "py/modmicropython.c"),
    "os": CModule("MICROPY_PY_OS", "extmod/modos.c", shadowed=True),
    "platform": CModule("MICROPY_PY_PLATFORM", "extmod/modplatform.c", shadowed=True),
    "random": CModule("MICROPY_PY_RANDOM", "extmod/modrandom.c", shadowed=True),
    "re": CModule("MICROPY_PY_RE", "extmod/modre.c", shadowed=True),
    "select": CModule("MICROPY_PY_SELECT", "extmod/modselect.c", shadowed=True),
    "struct": CModule("MICROPY_PY_STRUCT", "py/modstruct.c", shadowed=True),
    "sys": CModule(None, "py/modsys.c"),
    "time": CModule("MICROPY_PY_TIME", "extmod/modtime.c", shadowed=True),
    "uctypes": CModule("MICROPY_PY_UCTYPES", "extmod/moductypes.c"),
}

# What costs kilobytes and follows from the language used, not from an import.  Smaller switches
# stay where port/micropython/mpconfigport.h puts them: if every builtin were a switch, nearly every
# edit of a service would be a new configuration, that is, a compilation of all of MicroPython.
FEATURES = {
    "float": ("MICROPY_FLOAT_IMPL", "MICROPY_FLOAT_IMPL_DOUBLE", "MICROPY_FLOAT_IMPL_NONE"),
    "complex": ("MICROPY_PY_BUILTINS_COMPLEX", "1", "0"),
    "sha1": ("MICROPY_PY_HASHLIB_SHA1", "1", "0"),
    "md5": ("MICROPY_PY_HASHLIB_MD5", "1", "0"),
}

# Builtin names, and attributes of C modules, that bring a feature along.
NAMES = {"float": "float", "complex": "complex"}
ATTRIBUTES = {
    ("hashlib", "sha1"): "sha1",
    ("hashlib", "md5"): "md5",
    ("random", "random"): "float",
    ("random", "uniform"): "float",
}
IMPLIED = {"complex": ("float",)}
