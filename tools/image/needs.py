"""What a service declares, and the module `image` that is compiled in with it.

A service declares with literals (they are read, the service is not run):

    NEEDS = {
        "zone": {"file": "zones/bench.zone", "compiler": "tools.zone.compile:compile_zone"},
        "motd": {"file": "motd.txt"},       # without a compiler: the bytes of the file
        "site": {"folder": "site", "compiler": "tools.site.compile:compile_site"},
        "greeting": "hello",                # a setting with its default
        "address": None,                    # a setting without one
    }
    PORTS = ("udp:53",)                     # what `./importos run` forwards from the host

In the machine, `from image import zone` gives the bytes of a need, in read-only memory and without
heap; `image.SETTINGS` the settings that are compiled in.  `--set zone=FILE` replaces a file,
`--set greeting=hi` a setting.  A compiler is host Python: `compile(path) -> bytes`, a module of
the project or beside the service; what it raises as ValueError is shown as the user's mistake.  It
depends on the Python files of its folder, and on those its module lists in `SOURCES = ("a/b.py",)`.

    needs = read(service, root, overrides=["zone=my.zone"])
    needs.files             {name: File}: File.compile() gives the bytes, File.sources() what they
                            depend on
    needs.module(contents)  source text of the module, from {name: bytes}
    needs.skeleton()        the same without contents: for closure.follow, which only reads imports

Left out: needs that are not files or settings; a compiler's own dependencies outside its folder.
"""

import ast
import difflib
import importlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from tools import network
from tools.errors import UserError, at
from tools.image.closure import parse, show

RESERVED = {"NAME", "SETTINGS", "service"}


@dataclass(frozen=True)
class File:
    """A need that becomes bytes: a file, or a folder, and `module:function` that compiles it."""

    name: str
    path: Path
    compiler: str | None
    where: str
    places: tuple  # folders where the compiler's module may be
    folder: bool = False

    def compile(self):
        """The bytes that go into the image."""
        if self.compiler is None:
            return self.path.read_bytes()
        try:
            result = self._function()(self.path)
        except ValueError as error:
            raise UserError(f"{show(self.path)}: {error}") from None
        if not isinstance(result, bytes | bytearray):
            raise UserError(f"{self.where}: {self.compiler} did not return bytes")
        return bytes(result)

    def sources(self):
        """The file, or those of the folder, and the Python files of its compiler."""
        content = [self.path]
        if self.folder:
            content = sorted(path for path in self.path.rglob("*") if path.is_file())
        if self.compiler is None:
            return content
        relative = self.compiler.partition(":")[0].replace(".", "/") + ".py"
        for place in self.places:
            module = place / relative
            if module.is_file():
                more = [place / name for name in _sources(module)]
                return [*content, *sorted(module.parent.glob("*.py")), *more]
        raise UserError(f"{self.where}: compiler {self.compiler}: no file {relative}")

    def _function(self):
        module, _, function = self.compiler.partition(":")
        places = [str(place) for place in self.places]
        sys.path[:0] = places
        try:
            return getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError) as error:
            raise UserError(f"{self.where}: compiler {self.compiler}: {error}") from None
        finally:
            for place in places:
                sys.path.remove(place)


def _sources(module):
    """The literal SOURCES of a compiler's module."""
    for node in parse(module).body:
        match node:
            case ast.Assign([ast.Name("SOURCES")], value):
                return ast.literal_eval(value)
    return ()


@dataclass(frozen=True)
class Needs:
    """What goes into the module `image` of one service."""

    service: object
    files: dict
    settings: dict
    ports: tuple

    def skeleton(self):
        return self.module(dict.fromkeys(self.files, b""))

    def module(self, contents):
        lines = [
            f'"""Made by the build for the service {self.service.name}."""\n',
            f"NAME = {self.service.name!r}",
            f"SETTINGS = {dict(sorted(self.settings.items()))!r}",
            *(f"{name} = {data!r}" for name, data in sorted(contents.items())),
            f"import {self.service.module} as service",
        ]
        return "\n".join(lines) + "\n"

    def check_settings(self, closure):
        """Refuse a `--set` that nothing in the image reads: most likely it is mistyped.

        And one that the network would not understand.
        """
        known = {*closure.settings, *self.files, *_declared(self.service)}
        if "net.stack" in closure.frozen:
            known.update(network.READERS)  # read under names made of the interface's
        for name in self.settings:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = (
                    f"did you mean {near[0]}?" if near else f"it reads {', '.join(sorted(known))}"
                )
                raise UserError(f"--set {name}: nothing in this image reads it; {hint}")
        if "net.stack" in closure.frozen:
            network.check(self.settings, "setting")  # also of NEEDS
        system = closure.settings.keys() - _declared(self.service).keys()
        readers = {name: network.OTHERS[name] for name in system & network.OTHERS.keys()}
        network.check(self.settings, "setting", readers)


def read(service, root, overrides=()):
    """The needs of a service with the user's `NAME=VALUE` overrides."""
    declared, files, settings = _declared(service), {}, {}
    places = (Path(root), service.home)
    for name, need in declared.items():
        where = f"{show(service.path)}:{need.line}"
        if not isinstance(need.value, dict):
            if need.value is not None:
                settings[name] = str(need.value)
        elif set(need.value) == {"folder", "compiler"}:
            path = service.home / need.value["folder"]
            files[name] = File(name, path, need.value["compiler"], where, places, folder=True)
        elif "file" not in need.value or not set(need.value) <= {"file", "compiler"}:
            raise UserError(
                f"{where}: need {name!r}: expected a 'file' and maybe a 'compiler', or a 'folder' "
                "and a 'compiler'"
            )
        else:
            path = service.home / need.value["file"]
            files[name] = File(name, path, need.value.get("compiler"), where, places)
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier() or name in RESERVED:
            raise UserError(f"--set {text}: expected NAME=VALUE")
        if name in files:
            path = Path(value).expanduser().absolute()
            files[name] = replace(files[name], path=path, where=f"--set {name}")
        else:
            settings[name] = value
    for need in files.values():
        kind = "folder" if need.folder else "file"
        if not (need.path.is_dir() if need.folder else need.path.is_file()):
            raise UserError(f"{need.where}: need {need.name!r}: no {kind} {show(need.path)}")
    return Needs(service, files, settings, _ports(service))


@dataclass(frozen=True)
class _Declared:
    line: int
    value: object


def literal(service, name):
    """(line, node, value) of the last top-level `NAME = literal`, or None."""
    for node in reversed(parse(service.path).body):
        match node:
            case ast.Assign([ast.Name(target)], value) if target == name:
                try:
                    return node.lineno, value, ast.literal_eval(value)
                except ValueError:
                    text = f"{name} has to be a literal: it is read without running the service"
                    raise at(show(service.path), node.lineno, text) from None
    return None


def _declared(service):
    found = literal(service, "NEEDS")
    if not found:
        return {}
    line, node, value = found
    if not isinstance(value, dict):
        raise at(show(service.path), line, "NEEDS has to be a dictionary")
    for key, name in zip(node.keys, value, strict=True):
        if not (isinstance(name, str) and name.isidentifier()) or name in RESERVED:
            raise at(show(service.path), key.lineno, f"NEEDS: {name!r} is not usable as a name")
    return {
        name: _Declared(key.lineno, value[name]) for key, name in zip(node.keys, value, strict=True)
    }


def _ports(service):
    found = literal(service, "PORTS")
    if not found:
        return ()
    line, _, ports = found
    for port in ports:
        kind, _, number = str(port).partition(":")
        if kind not in ("udp", "tcp") or not number.isdecimal() or not 0 < int(number) < 65536:
            text = f"PORTS: expected entries like 'udp:53', not {port!r}"
            raise at(show(service.path), line, text)
    return tuple(ports)
