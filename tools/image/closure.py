"""What one service needs: the closure of its imports, found by reading, never by running.

    service = find_service("dns", root)
    closure = follow(service, root, micropython, generated={"image": text})
    closure.frozen      {dotted name: Frozen}: what to compile with mpy-cross and freeze, sorted
    closure.builtin     {C module: who imports it}
    closure.features    {feature: "FILE:LINE" that asks for it}, see cmodules.FEATURES
    closure.settings    {name: "FILE:LINE"} of the run-time settings the image reads
    closure.config()    text of image_config.h, equal for images that can share all C objects
    closure.shaken      what of the frozen modules is left out (shake.py): texts, constants, removed

The law: what is imported is in the image, and nothing else is.
- An import under `try` with `except ImportError` is optional.  Where everything in the `try` is
  found, the imports of its handler are dead and stay out.
- An import under `if` is in, unless the condition is TYPE_CHECKING or asks for CPython.
- One under `if SETTINGS["name"] == "text":`, SETTINGS from the module `image`, is in if that is so
  in this image: what a service is made of may be chosen with `--set name=text`.
- `from package import name` brings in package/name.py if there is one, else `name` has to be bound
  in the package.
- A package that loads its parts lazily, with MicroPython's idiom of a dictionary `_attrs` and a
  module-level `__getattr__`, brings in the parts whose names are used.
- An import inside a function counts like any other; only in MicroPython's own library and in
  packages (packages.py) it may fail.
- COMPANIONS are in although nobody imports them: where there is a network, its drivers.
- PARTS are in where somebody uses what they do: `inet.attach`, `inet.dns`.
- What the build was told to add (cloud.PARTS) is in, if what it is for is.
- The modules that people know lie in runtime/library, under their plain names.  MicroPython's old
  names (`ujson`) are the modules without the `u`.
- A service that imports `socket` or `network` and composes no stack gets runtime/network.py.
- Who reads `machine.entropy` brings in the generator of random numbers that nobody can guess, who
  reads `machine.disks` the drivers of disks (OF_MACHINE).
- BUSES are in where the setting `bus` asks for them.
- Where files are used, and no file system is named, all are in (cmodules.FILE_SYSTEMS).

Neighbours: cmodules.py and cloud.py (tables), needs.py (the generated module `image`), report.py
(tells it all).
Left out: names built at run time (`__import__(variable)`); syntax, which mpy-cross checks.
"""

import ast
import difflib
import hashlib
import keyword
import re
from dataclasses import dataclass, field
from pathlib import Path

from tools.errors import UserError, at
from tools.image.cmodules import (
    ALWAYS,
    ATTRIBUTES,
    BEHIND,
    FEATURES,
    FILE_SYSTEMS,
    IMPLIED,
    INSTEAD,
    MODULES,
    NAMES,
)
from tools.image.shake import Shaken, Source, shake

START = "runtime.boot"
HOST_ONLY = frozenset({"build", "docs", "port", "tests", "tools"})
MICROPYTHON_LIBRARY = {"asyncio": "extmod"}
# runtime/boot.py looks for these by name.
COMPANIONS = {
    "net.stack": ("drivers.virtio.net",),
    "net.tcp": ("drivers.virtio.net.offload", "net.urgent"),
    "runtime.csprng": ("drivers.virtio.rng",),
}
# `--set bus=mmio`: devices without PCI, which the image cannot know that it will meet.
BUSES = {"pci": (), "mmio": (("drivers.virtio.mmio", "drivers.virtio.transport"),)}
# Who reads an attribute of this name, of something called `inet` or, outside of the system, of
# anything, adds to a module of the image a part that the module looks for by name.
KNOWLEDGE = {"net.stack": "net.knowledge", "net.dhcp.message": "net.dhcp.facts"}
PARTS = {
    "attach": {"net.stack": "net.several", "net.ip4.internet": "net.ip4.several"},
    **dict.fromkeys(("dns", "ntp", "search", "domain", "hostname", "captive"), KNOWLEDGE),
}
COMMON_WORDS = {"search", "domain"}  # read of many things
SYSTEM = {"drivers", "net", "runtime"}
OF_MACHINE = {"entropy": "runtime.csprng", "disks": "drivers.virtio.blk"}
LIBRARY = Path("runtime/library")
OLD_NAMES = {"asyncio", "hashlib", "logging", "os", "select", "socket", "ssl", "time"}
STACKS = {"net.inet", "net.inet6", "net.dual"}
DEFAULT_STACK = "runtime.network"
NETWORK_USERS = {"network", "socket"}  # of runtime/library
CATCHES_IMPORT_ERROR = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


@dataclass(frozen=True)
class Service:
    """A service as the user named it: `module` is its import name below `folder`."""

    name: str
    module: str
    path: Path
    folder: Path

    @property
    def home(self):
        """The folder that paths in its NEEDS are relative to."""
        return self.path.parent


@dataclass
class Frozen:
    """One Python module of the image."""

    name: str
    path: Path
    package: bool = False
    origin: str = ""  # the package from PyPI that it belongs to
    importers: set = field(default_factory=set)

    @property
    def source_name(self):
        """The path under which it is frozen and which tracebacks show (`mpy-cross -s`)."""
        return self.name.replace(".", "/") + ("/__init__.py" if self.package else ".py")


@dataclass
class Closure:
    """The answer of `follow`; see the head of this module."""

    service: Service
    frozen: dict
    builtin: dict
    features: dict
    settings: dict
    shaken: Shaken

    def config(self, development=False):
        """The text of image_config.h: one line for every switch, on or off."""
        lines = [
            "// Generated from the imports of an image: exactly its C modules are switched on."
        ]
        for module in MODULES.values():
            if module.macro:
                lines.append((module.macro, "1" if self._has(module, development) else "0"))
        for feature, (macro, on, off) in FEATURES.items():
            lines.append((macro, on if development or feature in self.features else off))
        return "\n".join([lines[0], *(f"#define {m} ({v})" for m, v in lines[1:])]) + "\n"

    def config_key(self, development=False):
        """Names the configuration: images with equal keys share all objects made from C."""
        return hashlib.sha256(self.config(development).encode()).hexdigest()[:12]

    def _has(self, module, development):
        return development or any(MODULES[name] is module for name in self.builtin)


def find_service(text, root):
    """The service the user means: a name in services/, or a path to a .py file or a package."""
    root = Path(root)
    if re.fullmatch(r"[A-Za-z_]\w*", text):
        for path in (root / "services" / f"{text}.py", root / "services" / text / "__init__.py"):
            if path.is_file():
                return _checked(Service(text, f"services.{text}", path, root))
    path = Path(text)
    if path.is_dir() and (path / "__init__.py").is_file():
        path = path / "__init__.py"
    if path.is_file() and path.suffix == ".py":
        path = path.resolve()
        package = path.name == "__init__.py"
        name = path.parent.name if package else path.stem
        folder = path.parent.parent if package else path.parent
        if not name.isidentifier() or keyword.iskeyword(name):
            raise UserError(f"{text}: {name!r} is not a name Python can import; rename it")
        if folder == root / "services":
            return _checked(Service(name, f"services.{name}", path, root))
        library = (root / LIBRARY / f"{name}.py").is_file()
        if name in MODULES or name == "image" or library or (root / name).is_dir():
            raise UserError(f"{text}: the name {name!r} is taken by the system; rename it")
        return _checked(Service(name, name, path, folder))
    if "/" in text or text.endswith(".py"):
        raise UserError(f"no service {text!r}: there is no such file or package")
    raise UserError(_unknown(text, root))


def list_services(root):
    """The names `find_service` knows."""
    found = {p.stem for p in (root / "services").glob("*.py")}
    found |= {p.parent.name for p in (root / "services").glob("*/__init__.py")}
    return sorted(found - {"__init__"})


def _unknown(text, root):
    names = list_services(root)
    near = difflib.get_close_matches(text, names, 3, 0.5)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = f"there are {', '.join(names) or 'none yet'}, or give a path to a .py file"
    return f"no service {text!r}: {hint}"


def _checked(service):
    tree = parse(service.path)
    if "start" not in _bound(tree):
        raise UserError(f"{show(service.path)}: a service needs a function start(machine)")
    for node in tree.body:
        match node:
            case ast.AsyncFunctionDef("start"):
                text = "start(machine) is called and not awaited: it cannot be async"
                raise at(show(service.path), node.lineno, text)
            case ast.FunctionDef("start", parameters) if not _takes_one(parameters):
                text = "start is called with one argument, the machine: start(machine)"
                raise at(show(service.path), node.lineno, text)
    return service


def _takes_one(parameters):
    """Whether a function can be called with one positional argument."""
    places = len(parameters.posonlyargs) + len(parameters.args)
    needed = places - len(parameters.defaults)
    named = sum(default is None for default in parameters.kw_defaults)
    return (places or parameters.vararg) and needed <= 1 and not named


def parse(path, text=None):
    """The syntax tree of a file; a syntax error is the user's."""
    try:
        text = Path(path).read_text(encoding="utf-8") if text is None else text
        return ast.parse(text, str(path))
    except SyntaxError as error:
        raise at(show(path), error.lineno or 1, error.msg) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{show(path)}: cannot be read: {error}") from None


def refused(path, complaint):
    """The UserError in what mpy-cross said about a file that is valid Python on the host."""
    lines = complaint.strip().splitlines() or ["mpy-cross says nothing"]
    reason = lines[-1].removeprefix("SyntaxError: ")
    places = re.findall(r'^  File ".*", line (\d+)', complaint, re.M)
    return at(show(path), places[-1] if places else 1, f"not MicroPython: {reason}")


def show(path):
    """A path as the user would type it: relative where it lies below the working directory."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def follow(
    service, root, micropython, generated=None, start=START, packages=(), parts=(), whole=True
):
    """The closure of `start` and of every generated module ({name: source text}).

    `packages`: what packages.provide gives: modules of others in the folder of each.  `parts`:
    (module, the module that it is for, or None), such as cloud.PARTS.  `whole`: modules stay as
    they are; otherwise what nobody uses is left out of them, then what nobody imports any more.
    """
    shaken = Shaken({}, {}, 0)
    places = Path(root), Path(micropython), generated or {}, packages
    walk = _walked(_Walk(service, *places, {}), start, parts)
    if not whole:
        shaken = shake(walk.sources(), {(start, "main")})
        walk = _walked(_Walk(service, *places, shaken.texts), start, parts)
    return Closure(
        service,
        dict(sorted(walk.frozen.items())),
        {name: sorted(who) for name, who in sorted(walk.builtin.items())},
        dict(sorted(walk.features.items())),
        dict(sorted(walk.settings.items())),
        shaken,
    )


def _walked(walk, start, parts):
    walk.require(start, "(start)")
    for name in walk.generated:
        walk.require(name, "(start)")
    for name in ALWAYS:
        walk.builtin.setdefault(name, set()).add("(always)")
    walk.run()
    users = NETWORK_USERS & set(walk.frozen)
    if users and not STACKS & set(walk.frozen):
        walk.require(DEFAULT_STACK, min(users))
        walk.run()
    bus = walk.compiled_settings().get("bus", "pci")
    if bus not in BUSES:
        raise UserError(f"--set bus={bus}: expected one of {', '.join(BUSES)}")
    if BUSES[bus]:
        walk.settings["bus"] = "tools/image/closure.py"
    walk.add((*parts, *BUSES[bus]))
    for part, user in walk.parts():
        walk.require(part, user)
    walk.run()
    files, *systems = FILE_SYSTEMS
    if files in walk.features and not walk.features.keys() & systems:
        for system in systems:
            walk.feature(system, walk.features[files])
    return walk


class _Walk:
    """The work list of `follow`: modules found, not yet read."""

    def __init__(self, service, root, micropython, generated, packages, texts):
        self.root, self.micropython, self.generated = root, micropython, generated
        self.texts = {**texts, **generated}  # of modules that are not as their files
        self.places = [(root, lambda top: top not in HOST_ONLY)]
        if service.folder != root:
            top_name = service.module.partition(".")[0]
            single = service.path.name != "__init__.py"
            # A service in one file may import its neighbours; a package only itself.
            self.places.append((service.folder, lambda top: single or top == top_name))
        self.library = root / LIBRARY
        self.origins = [(Path(package.folder), package) for package in packages]
        for folder in (self.library, *(folder for folder, _ in self.origins)):
            self.places.append((folder, lambda top: True))
        for name, folder in MICROPYTHON_LIBRARY.items():
            self.places.append((micropython / folder, lambda top, name=name: top == name))
        self.frozen, self.builtin, self.features, self.settings = {}, {}, {}, {}
        self.waiting, self.trees, self.bound, self.c_text = [], {}, {}, {}
        self.names = {}  # of PARTS: who reads them

    def run(self):
        while self.waiting:
            name = self.waiting.pop()
            module = self.frozen[name]
            _Reader(self, module, self.tree(name)).read()

    def add(self, parts):
        """Take each part whose whole is in, until there are no more."""
        missing = list(parts)
        while ready := [part for part in missing if part[1] is None or part[1] in self.frozen]:
            for name, whole in ready:
                if not self.require(name, whole or "(cloud)"):
                    raise UserError(f"{name}: no such part of the system")
                missing.remove((name, whole))
            self.run()

    def parts(self):
        """(part, who uses it) of the modules that are in."""
        return [
            (part, user)
            for name, user in self.names.items()
            for whole, part in PARTS[name].items()
            if whole in self.frozen
        ]

    # Finding modules.

    def require(self, name, importer):
        """Take the module and the packages above it into the image; False if there is none."""
        parts = name.split(".")
        if modern(name) != name:
            found = self.require(modern(name), importer)
            if not self.find(name):
                return found
        if not self.find(name) and not (len(parts) == 1 and name in MODULES):
            return False
        for end in range(1, len(parts) + 1):
            self._take(".".join(parts[:end]), importer)
        return True

    def _take(self, name, importer):
        if name in self.frozen:
            self.frozen[name].importers.add(importer)
            return
        found = self.find(name)
        if not found:
            self.builtin.setdefault(name, set()).add(importer)
            for feature in MODULES[name].features:
                self.feature(feature, f"import {name}")
            for other in MODULES[name].requires:
                self.builtin.setdefault(other, set()).add(name)
        elif found[0] is not None:
            origin = [
                str(package) for folder, package in self.origins if found[0].is_relative_to(folder)
            ]
            self.frozen[name] = Frozen(name, *found, "".join(origin), {importer})
            self.waiting.append(name)
            for companion in COMPANIONS.get(name, ()):
                self.require(companion, name)

    def find(self, name):
        """(path, is a package), path None for a folder without __init__.py; None: not Python's."""
        top = name.partition(".")[0]
        if name in self.generated:
            return Path(name + ".py"), False
        if top in MODULES and not MODULES[top].shadowed:
            return None
        relative = name.replace(".", "/")
        for folder, allows in self.places:
            path = folder / relative
            if not allows(top):
                continue
            if (path / "__init__.py").is_file():
                return path / "__init__.py", True
            if path.with_suffix(".py").is_file():
                return path.with_suffix(".py"), False
            if path.is_dir() and any(path.rglob("*.py")):
                return None, True
        return None

    def tree(self, name):
        if name not in self.trees:
            path, _ = self.find(name)
            self.trees[name] = parse(path, self.texts.get(name))
        return self.trees[name]

    def sources(self):
        """The modules as shake.py wants them."""
        return {
            name: Source(
                self.texts[name] if name in self.texts else module.path.read_text(),
                self.tree(name),
                name.partition(".")[0] in SYSTEM or self.of_library(name),
                module.package,
            )
            for name, module in self.frozen.items()
        }

    def of_library(self, name):
        """Whether it is one of the modules that people know."""
        return name in self.frozen and self.frozen[name].path.is_relative_to(self.library)

    def of_others(self, module):
        """Whether the module was written for more than this system."""
        return bool(module.origin) or module.path.is_relative_to(self.micropython)

    def compiled_settings(self):
        """SETTINGS of the generated module `image`."""
        for node in parse(Path("image"), self.generated.get("image", "")).body:
            match node:
                case ast.Assign([ast.Name("SETTINGS")], value):
                    return ast.literal_eval(value)
        return {}

    # What a module offers.

    def offers(self, module, name):
        """Whether `from module import name` can work, as far as reading tells."""
        if module in self.frozen:
            if module not in self.bound:
                self.bound[module] = _bound(self.tree(module))
            if name in self.bound[module]:
                return True
            if self.of_library(module):
                stars = [star for star in _stars(self.tree(module)) if self.require(star, module)]
                return any(self.offers(star, name) for star in stars)
            return "*" in self.bound[module]
        if module in self.builtin and MODULES[module].source:
            return self.c_offers(module, name)
        return module in self.builtin

    def c_offers(self, module, name):
        """A C module has a name if its sources mention it: generous, never wrong to refuse."""
        if module == "micropython" and name in ("bytecode", "native", "viper"):
            return True  # decorators, which mpy-cross takes away
        if module not in self.c_text:
            port = self.root / "port" / "micropython"
            source = MODULES[module].source
            places = (self.micropython / source, port / source, port / f"mod{module}.c")
            texts = [path.read_text() for path in places if path.is_file()]
            self.c_text[module] = "\n".join(texts) if texts else None
        text = self.c_text[module]
        return text is None or re.search(rf"(MP_QSTR_|X\(){name}\b", text) is not None

    def feature(self, feature, where):
        for name in (feature, *IMPLIED.get(feature, ())):
            if name not in self.features:
                self.features[name] = where
                for module in BEHIND.get(name, ()):
                    self.require(module, where)


class _Reader(ast.NodeVisitor):
    """Reads one module: its imports, and what language it uses."""

    def __init__(self, walk, module, tree):
        self.walk, self.module, self.top = walk, module, tree
        self.optional = self.depth = 0
        self.missed = False
        self.aliases = {}  # local name -> module it stands for
        parts = module.name.split(".")
        self.package = parts if module.package else parts[:-1]

    def read(self):
        self._find_aliases()
        self.visit(self.top)

    def where(self, node):
        return f"{show(self.module.path)}:{node.lineno}"

    def fail(self, node, text):
        raise at(show(self.module.path), node.lineno, text)

    # Imports.

    def visit_Import(self, node):
        for name in node.names:
            self.need(node, name.name)

    def visit_ImportFrom(self, node):
        base = self.absolute(node)
        if not self.need(node, base):
            return
        for name in node.names:
            if name.name == "*":
                continue
            base = modern(base)
            lazy = self.lazy_parts(base).get(name.name)
            if lazy:
                self.walk.require(f"{base}.{lazy}", self.module.name)
            elif self.walk.require(f"{base}.{name.name}", self.module.name):
                continue
            elif not self.walk.offers(base, name.name):
                reason = INSTEAD.get(f"{base}.{name.name}", "it has no such name")
                self.missing(node, f"cannot import {name.name} from {base}: {reason}")
            else:
                self.uses(base, name.name, node)

    def visit_Call(self, node):
        match node:
            case ast.Call(ast.Name("__import__"), [ast.Constant(str() as name)], []):
                self.need(node, name)
            case ast.Call(ast.Attribute(holder, "get"), [ast.Constant(str() as name), *_]):
                self.setting(holder, name, node)
        self.generic_visit(node)

    def absolute(self, node):
        if not node.level:
            return node.module
        keep = len(self.package) - (node.level - 1)
        if keep <= 0:
            self.fail(node, "a relative import reaches above the top package")
        return ".".join(self.package[:keep] + ([node.module] if node.module else []))

    def need(self, node, name):
        if self.walk.require(name, self.module.name):
            return True
        top = name.partition(".")[0]
        if top in INSTEAD:
            reason = INSTEAD[top]
        elif top in HOST_ONLY and (self.walk.root / top).is_dir():
            reason = f"{top}/ stays on the host"
        elif top in self.walk.builtin or self.walk.find(top):
            reason = f"{top} has no such module"
        else:
            reason = "no such module in the project, beside the service or in MicroPython"
        self.missing(node, f"cannot import {name}: {reason}")
        return False

    def missing(self, node, text):
        if self.optional:
            self.missed = True
        elif not (self.depth and self.walk.of_others(self.module)):
            self.fail(node, text)

    # Where an import stands.

    def visit_Try(self, node):
        if not any(map(_catches_import_error, node.handlers)):
            self.generic_visit(node)
            return
        outside, self.missed = self.missed, False
        self.optional += 1
        self.visit_all(node.body)
        self.optional -= 1
        missed, self.missed = self.missed, outside
        for handler in node.handlers:
            if missed or not _catches_import_error(handler):
                self.visit_all(handler.body)
        self.visit_all(node.orelse + node.finalbody)

    def visit_If(self, node):
        known = _known(node.test)
        if known is None:
            known = self.compiled(node.test)
        if known is None:
            self.visit(node.test)
        if known is not False:
            self.visit_all(node.body)
        if known is not True:
            self.visit_all(node.orelse)

    def compiled(self, test):
        """The value of `SETTINGS["name"] == "text"`, with SETTINGS from the module `image`."""
        match test:
            case ast.Compare(
                ast.Subscript(ast.Name("SETTINGS"), ast.Constant(str() as name)),
                [ast.Eq() | ast.NotEq() as op],
                [ast.Constant(str() as text)],
            ):
                value = self.walk.compiled_settings().get(name)
                return (value == text) == isinstance(op, ast.Eq)
        return None

    def visit_FunctionDef(self, node):
        self.depth += 1
        self.visit_all(node.decorator_list + node.body)
        self.visit_all([d for d in node.args.defaults + node.args.kw_defaults if d])
        self.depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_AnnAssign(self, node):
        self.visit_all([node.target] + ([node.value] if node.value else []))

    def visit_all(self, nodes):
        for node in nodes:
            self.visit(node)

    # Language.

    def visit_Constant(self, node):
        if isinstance(node.value, float):
            self.walk.feature("float", self.where(node))
        elif isinstance(node.value, complex):
            self.walk.feature("complex", self.where(node))

    def visit_BinOp(self, node):
        if isinstance(node.op, ast.Div):
            self.walk.feature("float", self.where(node))
        self.generic_visit(node)

    def visit_AugAssign(self, node):
        self.visit_BinOp(node)

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load) and node.id in NAMES and node.id not in self.aliases:
            self.walk.feature(NAMES[node.id], self.where(node))

    def visit_Attribute(self, node):
        module = self.aliases.get(_dotted(node.value))
        if module:
            lazy = self.lazy_parts(module).get(node.attr)
            if lazy:
                self.walk.require(f"{module}.{lazy}", self.module.name)
            ours = self.walk.of_library(module) and not lazy
            hint = INSTEAD.get(f"{module}.{node.attr}")
            known = ours or module in self.walk.builtin
            if hint or (known and not self.walk.offers(module, node.attr)):
                who = module if ours or hint else f"MicroPython's {module}"
                self.missing(node, f"{who} has no {node.attr}" + (f": {hint}" if hint else ""))
            self.uses(module, node.attr, node)
        reader = self.module.name
        system = reader.partition(".")[0] in SYSTEM or self.walk.of_library(reader)
        holder = (_dotted(node.value) or "").split(".")[-1]
        meant = holder == "inet" or not (system or node.attr in COMMON_WORDS)
        if node.attr in PARTS and meant and isinstance(node.ctx, ast.Load):
            self.walk.names.setdefault(node.attr, reader)
        reads = holder == "machine" and node.attr in OF_MACHINE and isinstance(node.ctx, ast.Load)
        # boot and the drivers themselves look whether it is there.
        if reads and self.module.name != START and not reader.startswith("drivers."):
            self.walk.require(OF_MACHINE[node.attr], self.module.name)
        self.generic_visit(node)

    def visit_Subscript(self, node):
        match node.slice:
            case ast.Constant(str() as name):
                self.setting(node.value, name, node)
        self.generic_visit(node)

    def setting(self, holder, name, node):
        """`machine.settings.get("log")` and `settings["log"]`: the image reads `log`."""
        if (_dotted(holder) or "").split(".")[-1] == "settings":
            self.walk.settings.setdefault(name, self.where(node))

    def uses(self, module, name, node):
        feature = ATTRIBUTES.get((module, name))
        if feature:
            self.walk.feature(feature, self.where(node))

    def lazy_parts(self, package):
        """{attribute: part} of a package that loads its parts on first use."""
        if package not in self.walk.frozen or not self.walk.frozen[package].package:
            return {}
        tree = self.walk.tree(package)
        for node in tree.body:
            match node:
                case ast.Assign([ast.Name("_attrs")], ast.Dict() as table):
                    return ast.literal_eval(table) if "__getattr__" in _bound(tree) else {}
        return {}

    def _find_aliases(self):
        for node in ast.walk(self.top):
            if isinstance(node, ast.Import):
                for name in node.names:
                    self.aliases[name.asname or name.name] = modern(name.name)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.aliases.setdefault(node.name, None)


def modern(name):
    """The name without MicroPython's `u` of old."""
    top = name.partition(".")[0]
    old = top[:1] == "u" and (top[1:] in OLD_NAMES or top[1:] in MODULES)
    return name[1:] if old and top not in MODULES else name


def _stars(tree):
    """The modules that a module takes all names from."""
    found = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return [node.module for node in found if any(name.name == "*" for name in node.names)]


def _bound(tree):
    """Names bound at the top of a module; "*" where they cannot be known by reading."""
    names = set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

    def visit(node):
        if isinstance(node, functions):
            names.add(node.name)
            if node.name == "__getattr__" and tree is not node:
                names.add("*")
            names.update(n for g in ast.walk(node) if isinstance(g, ast.Global) for n in g.names)
            return
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((n.asname or n.name).partition(".")[0] for n in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return names


def _catches_import_error(handler):
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(k is None or _dotted(k) in CATCHES_IMPORT_ERROR for k in kinds)


def _known(test):
    """The value of a condition that tells host and machine apart; None: known only when it runs."""
    match test:
        case ast.Name("TYPE_CHECKING") | ast.Attribute(_, "TYPE_CHECKING"):
            return False
        case ast.UnaryOp(ast.Not(), operand):
            inner = _known(operand)
            return None if inner is None else not inner
        case ast.Compare(left, [ast.Eq() | ast.NotEq() as op], [ast.Constant(str() as name)]):
            if _dotted(left) == "sys.implementation.name":
                return (name == "micropython") == isinstance(op, ast.Eq)
    return None


def _dotted(node):
    """`a.b.c` of a chain of attributes, else None."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(value, attribute):
            inner = _dotted(value)
            return inner and f"{inner}.{attribute}"
    return None
