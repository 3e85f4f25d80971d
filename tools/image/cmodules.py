"""The modules MicroPython has in C, the switch of each, and what else an import implies.

A macro is 1 in an image exactly when the module is imported there.  Names not listed here cannot
be imported from C in this machine, because they belong to boards (`machine`, `bluetooth`), need a
host (`ffi`) or have a Python implementation of ours (`select`).  `sys` and `builtins` are always
there: MicroPython's own import needs sys.path.  Where runtime/library has a module of the same name
on top, MicroPython's has an underscore in front (port/micropython/headers.py renames it).

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
    "_hashlib": CModule("MICROPY_PY_HASHLIB", "extmod/modhashlib.c"),
    "_os": CModule("MICROPY_PY_OS", "extmod/modos.c"),
    "_time": CModule("MICROPY_PY_TIME", "extmod/modtime.c"),
    "array": CModule("MICROPY_PY_ARRAY", "py/modarray.c", shadowed=True),
    "binascii": CModule("MICROPY_PY_BINASCII", "extmod/modbinascii.c", shadowed=True),
    "builtins": CModule(None, "py/modbuiltins.c"),
    "cmath": CModule("MICROPY_PY_CMATH", "py/modcmath.c", features=("float", "complex")),
    "collections": CModule("MICROPY_PY_COLLECTIONS", "py/modcollections.c", shadowed=True),
    "deflate": CModule("MICROPY_PY_DEFLATE", "extmod/moddeflate.c"),
    "errno": CModule("MICROPY_PY_ERRNO", "py/moderrno.c", shadowed=True),
    "gc": CModule("MICROPY_PY_GC", "py/modgc.c"),
    "heapq": CModule("MICROPY_PY_HEAPQ", "extmod/modheapq.c", shadowed=True),
    "io": CModule("MICROPY_PY_IO", "py/modio.c", shadowed=True),
    "json": CModule("MICROPY_PY_JSON", "extmod/modjson.c", shadowed=True, requires=("io",)),
    "lending": CModule("MICROPY_PY_LENDING", "modlending.c"),
    "math": CModule("MICROPY_PY_MATH", "py/modmath.c", features=("float",)),
    "metal": CModule(None, "modmetal.c"),
    "micropython": CModule("MICROPY_PY_MICROPYTHON", "py/modmicropython.c"),
    "platform": CModule("MICROPY_PY_PLATFORM", "extmod/modplatform.c", shadowed=True),
    "random": CModule("MICROPY_PY_RANDOM", "extmod/modrandom.c", shadowed=True),
    "re": CModule("MICROPY_PY_RE", "extmod/modre.c", shadowed=True),
    "struct": CModule("MICROPY_PY_STRUCT", "py/modstruct.c", shadowed=True),
    "sys": CModule(None, "py/modsys.c"),
    "uctypes": CModule("MICROPY_PY_UCTYPES", "extmod/moductypes.c"),
    "vfs": CModule("MICROPY_PY_VFS", "extmod/modvfs.c", features=("vfs",)),
}

# What costs kilobytes and follows from the language used, not from an import.  Smaller switches
# stay where port/micropython/mpconfigport.h puts them: if every builtin were a switch, nearly every
# edit of a service would be a new configuration, that is, a compilation of all of MicroPython.
FEATURES = {
    "float": ("MICROPY_FLOAT_IMPL", "MICROPY_FLOAT_IMPL_DOUBLE", "MICROPY_FLOAT_IMPL_NONE"),
    "complex": ("MICROPY_PY_BUILTINS_COMPLEX", "1", "0"),
    "ringio": ("MICROPY_PY_MICROPYTHON_RINGIO", "1", "0"),
    "vfs": ("IMPORTOS_VFS", "1", "0"),
    "fat": ("IMPORTOS_FAT", "1", "0"),
    "littlefs": ("IMPORTOS_LITTLEFS", "1", "0"),
}
# Modules that a feature needs.  Where files are, but no file system is named, all of them are.
BEHIND = {"vfs": ("runtime.files", "io")}  # MicroPython has `open` where it has io
FILE_SYSTEMS = ("vfs", "fat", "littlefs")

# Builtin names, and attributes of C modules, that bring a feature along.
NAMES = {"float": "float", "complex": "complex", "open": "vfs"}
FILES = ("chdir", "getcwd", "ilistdir", "listdir", "mkdir", "mount", "remove", "rename", "rmdir")
FILES += ("stat", "statvfs", "umount", "unlink")
ATTRIBUTES = {
    ("random", "random"): "float",
    ("random", "uniform"): "float",
    ("micropython", "RingIO"): "ringio",
    **{("os", name): "vfs" for name in FILES},
    **{(module, "VfsFat"): "fat" for module in ("os", "vfs")},
    **{(module, "VfsLfs2"): "littlefs" for module in ("os", "vfs")},
}
IMPLIED = {"complex": ("float",), "fat": ("vfs",), "littlefs": ("vfs",)}

# What people look for, and what is there instead; the words end the sentence of the build.
INSTEAD = {
    "concurrent": "there is one thread: asyncio, or callbacks and machine.timers",
    "ctypes": "uctypes lays structures over memory, struct packs them",
    "dataclasses": "a class with __slots__ or a namedtuple does",
    "datetime": "time.gmtime and time.mktime count seconds since 1970",
    "email": "nothing parses mail here",
    "enum": "const() from micropython makes numbers with names",
    "http": "net.http serves with callbacks; microdot (PyPI) with asyncio",
    "multiprocessing": "there is one processor: asyncio, or one machine more",
    "pathlib": "os and open take strings as paths",
    "queue": "there is one thread: collections.deque and asyncio.Event",
    "requests": 'name it: REQUIREMENTS = ("micropython-urequests==0.9.1",)',
    "selectors": "select.poll, or asyncio",
    "signal": "the service's stop() is called when the machine is stopped",
    "socketserver": "asyncio.start_server, or tcp.listen with callbacks",
    "subprocess": "there are no processes",
    "tempfile": "use io.BytesIO",
    "threading": "there is one thread: asyncio, or callbacks and machine.timers",
    "_thread": "there is one thread: asyncio, or callbacks and machine.timers",
    "typing": "annotations are read by nobody; leave the import away, or under TYPE_CHECKING",
    "urllib": 'name it: REQUIREMENTS = ("micropython-urequests==0.9.1",)',
    "zlib": "deflate.DeflateIO",
    "gzip": "deflate.DeflateIO with deflate.GZIP",
    "time.monotonic": "use ticks_ms and ticks_diff",
    "time.perf_counter": "use ticks_us and ticks_diff",
    "time.strftime": "format what gmtime gives",
    "os.environ": "machine.settings has what the command line says",
    "os.getenv": "machine.settings has what the command line says",
    "os.path": "paths are strings: join with /, ask with os.stat",
    "socket.fromfd": "there are no descriptors",
    "socket.socketpair": "asyncio.Event or a list joins two parts of a service",
    "select.epoll": "select.poll costs what is ready, too",
    "asyncio.Queue": "a list and an asyncio.Event",
    "asyncio.to_thread": "there is one thread",
    "asyncio.get_running_loop": "use get_event_loop",
}
