"""runtime/library on CPython: MicroPython programs see the modules of the machine.

    library = Library(packages=[folder])
    module = library.load("services.microdot_app")    it, and all it imports, as in the machine

Names of runtime/library, MicroPython's asyncio and what lies in `packages` are imported from there,
into modules of their own; sys.modules stays as it is, so that CPython's own `socket` and `time` go
on working for everybody else.  Modules with other names are CPython's, for instance `json`.
MicroPython awaits what can be iterated; so the classes and generators of its asyncio are given
__await__ here.  Below: the C modules _time, _os and _hashlib are made of CPython's.
Left out: reloading, threads.
"""

import ast
import builtins
import hashlib
import inspect
import sys
import time
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PERIOD = 1 << 30
# MicroPython's C modules that had a `u` in front once.
OLD = ("array", "binascii", "collections", "errno", "heapq", "io", "json", "random", "re", "struct")


class Library:
    def __init__(self, packages=(), micropython=ROOT / "build" / "micropython", private=()):
        """`private`: further module names that are loaded anew, from the root folder."""
        self.places = [ROOT / "runtime" / "library", *map(Path, packages)]
        self.asyncio = Path(micropython) / "extmod"
        self.private = set(private)
        self.modules = {"_time": _time(), "_os": types.ModuleType("_os"), "_hashlib": _hashlib()}

    def load(self, name):
        """The module of that name, with the modules of the machine below it."""
        if not self._find(name):
            self.private.add(name)
        return self._import(name, fromlist=("*",))

    def _find(self, name):
        """(path, is a package), None: CPython's."""
        top = name.partition(".")[0]
        places = [self.asyncio] if top == "asyncio" else self.places
        if any(name == one or name.startswith(one + ".") for one in self.private):
            places = [*self.places, ROOT]
        for place in places:
            path = place / name.replace(".", "/")
            if (path / "__init__.py").is_file():
                return path / "__init__.py", True
            if path.with_suffix(".py").is_file():
                return path.with_suffix(".py"), False
        return None

    def _import(self, name, globals=None, locals=None, fromlist=(), level=0):
        """As builtins.__import__ for modules of ours."""
        if level:
            globals = sys._getframe(1).f_globals if globals is None else globals
            package = globals["__package__"].split(".")
            parts = package[: len(package) - level + 1] + ([name] if name else [])
            name = ".".join(parts)
        if name.startswith("u") and name[1:] in OLD and not self._find(name):
            name = name[1:]
        if not (name in self.modules or self._find(name)):
            return builtins.__import__(name, globals, locals, fromlist, 0)
        module = None
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            module = self._module(".".join(parts[:end]), module)
        if not fromlist and not level:
            return self._module(parts[0], None)
        if isinstance(fromlist, list | tuple):
            for part in fromlist:
                if not hasattr(module, part) and self._find(f"{name}.{part}"):
                    self._module(f"{name}.{part}", module)
        return module

    def _module(self, name, parent):
        if name not in self.modules:
            found = self._find(name)
            if found is None:
                return builtins.__import__(name, fromlist=("*",))
            path, package = found
            module = types.ModuleType(name)
            module.__file__ = str(path)
            module.__package__ = name if package else name.rpartition(".")[0]
            if package:
                module.__path__ = [str(path.parent)]
            module.__builtins__ = {**vars(builtins), "__import__": self._import}
            self.modules[name] = module
            try:
                tree = ast.parse(path.read_text(), str(path))
                if name.partition(".")[0] == "asyncio":
                    tree = ast.fix_missing_locations(_Generators().visit(tree))
                exec(compile(tree, str(path), "exec"), module.__dict__)
            except BaseException:
                del self.modules[name]
                raise
            if name.partition(".")[0] == "asyncio":
                _awaitable(module)
        if parent is not None:
            setattr(parent, name.rpartition(".")[2], self.modules[name])
        return self.modules[name]


class _Generators(ast.NodeTransformer):
    """An `async def` with a `yield` of its own is a coroutine to MicroPython: here a generator."""

    def visit_AsyncFunctionDef(self, node):
        if not any(isinstance(inner, ast.Yield) for inner in ast.walk(node)):
            return node
        fields = {name: getattr(node, name, None) for name in ast.FunctionDef._fields}
        made = ast.copy_location(ast.FunctionDef(**fields), node)
        for inner in ast.walk(made):
            for name, value in ast.iter_fields(inner):
                if isinstance(value, ast.Await):
                    setattr(inner, name, ast.YieldFrom(value.value))
        return made


def _awaitable(module):
    """What MicroPython's asyncio iterates, CPython may await; its exceptions have a `value`."""
    for name, thing in list(vars(module).items()):
        if getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(thing):
            if hasattr(thing, "__iter__") and not hasattr(thing, "__await__"):
                thing.__await__ = thing.__iter__
            if issubclass(thing, BaseException):
                thing.value = property(lambda error: error.args[0] if error.args else None)
            for attribute, method in list(vars(thing).items()):
                if inspect.isgeneratorfunction(method) and not attribute.startswith("__"):
                    setattr(thing, attribute, types.coroutine(method))
        elif inspect.isgeneratorfunction(thing):
            setattr(module, name, types.coroutine(thing))


def _time():
    """MicroPython's `time`."""
    module = types.ModuleType("_time")

    def ticks_add(ticks, delta):
        return (ticks + delta) % PERIOD

    def ticks_diff(end, start):
        return (end - start + PERIOD // 2) % PERIOD - PERIOD // 2

    module.__dict__.update(
        ticks_ms=lambda: _clock() % PERIOD,
        ticks_us=lambda: time.monotonic_ns() // 1000 % PERIOD,
        ticks_cpu=lambda: time.monotonic_ns() % PERIOD,
        ticks_add=ticks_add,
        ticks_diff=ticks_diff,
        time=lambda: int(time.time()),
        time_ns=time.time_ns,
        gmtime=lambda seconds=None: tuple(time.gmtime(seconds))[:8],
        localtime=lambda seconds=None: tuple(time.gmtime(seconds))[:8],
        mktime=_mktime,
        sleep_us=lambda us: time.sleep(us / 1e6),
    )
    return module


def _clock():
    """The clock of the machine that runs: a virtual one in tests."""
    from runtime import machine

    if machine.current is None:
        return time.monotonic_ns() // 1000000
    return machine.current.timers.now()


def _mktime(fields):
    import calendar

    return calendar.timegm((*tuple(fields[:6]), 0, 0, 0))


def _hashlib():
    module = types.ModuleType("_hashlib")
    module.sha256 = hashlib.sha256
    return module
