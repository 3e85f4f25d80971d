"""What nobody uses of the modules of an image: functions, classes, constants, imports.

    shaken = shake(modules, roots)      modules {name: Source}, roots {(module, name)}
    shaken.texts        {name: text} of the modules that are not as they were, line by line
    shaken.constants    {name: names}: the constants that other modules read
    shaken.names        {name: names}: of its arguments, those that a caller gives by name
    shaken.options(name)    the two for mpy-cross
    shaken.removed      how many functions and classes are gone

The law: a word decides.  A function or class at the top of a module of the system, or a method in
such a class, stays if code that stays mentions its name: as a name in its own module or where it is
imported, as an attribute or as a string anywhere.  So `getattr(x, "stop")` keeps every `stop`, and
whoever computes names (`getattr(x, name)`) outside of the system keeps everything: `computes` says
where.  Modules of others and of the service stay as they are.

- What is not a definition, an import or a constant at the top of a module runs when the module is
  imported; it stays, and so does what it mentions.
- `from module import NAME`, where NAME is `const(number)` there, becomes `NAME = const(number)`: no
  name to look up when the code runs.
- What the compiler takes for itself needs no import: `const` around a number, `@micropython.viper`.
- `A, B = const(1), const(2)` becomes two assignments, as only single names are constants to it.
- Lines stay where they are, so tracebacks and the source agree.

Neighbours: constants.py, arguments.py; closure.py, which then follows what is left; SConstruct.
Left out: what a live class inherits and overrides without a caller of its name; attributes.
"""

import ast
import re
from dataclasses import dataclass, field, replace

from tools.image import constants
from tools.image.arguments import asked

# Methods that MicroPython's C code looks for.
CALLED_FROM_C = frozenset(
    (
        *("close", "count", "default", "flush", "ioctl", "irq", "key", "keys", "mount", "open"),
        *("readblocks", "readinto", "remove", "send", "setblocking", "sync", "throw", "umount"),
        *("value", "write", "writeblocks"),
    )
)
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
INSPECTORS = frozenset(("dir", "eval", "exec", "globals", "locals", "vars"))
DYNAMIC = frozenset(("delattr", "getattr", "hasattr", "setattr"))
COMPUTING = INSPECTORS | DYNAMIC


@dataclass(frozen=True)
class Source:
    """A module: its text and tree; `ours`: may be changed; `package`: its __init__."""

    text: str
    tree: ast.Module
    ours: bool
    package: bool = False


@dataclass
class Shaken:
    texts: dict
    constants: dict
    removed: int
    computes: str = ""  # "module:line" of who computes names
    names: dict = field(default_factory=dict)

    def options(self, module):
        """What mpy-cross is told of a module."""
        options = []
        for key, found in ("consts", self.constants), ("names", self.names):
            if module in found:
                options += ["-X", f"{key}=" + ",".join(["", *found[module], ""])]
        return options


@dataclass
class Words:
    """What a piece of code mentions."""

    names: set = field(default_factory=set)  # of its module
    attributes: set = field(default_factory=set)  # of anything
    imports: set = field(default_factory=set)  # (module, name or "*")


@dataclass(eq=False)
class Piece:
    """What can go: a definition, an imported name or a constant."""

    module: str
    name: str
    words: Words
    node: ast.stmt
    alias: ast.alias | None = None
    inside: "Piece | None" = None
    live: bool = False


def shake(modules, roots):
    for name, source in modules.items():
        where = "" if source.ours else _computes(source.tree)
        if where:
            return Shaken({}, {}, 0, f"{name}:{where}")
    whole = modules
    modules = {name: _one_by_one(source) for name, source in modules.items()}
    walk = _Walk(modules)
    walk.run(roots)
    texts, removed = {}, 0
    for name, source in modules.items():
        dead = [piece for piece in walk.pieces[name] if not piece.live]
        inlined = walk.inlined.get(name, {})
        text = _rewrite(source, dead, inlined) if dead or inlined else source.text
        if text != whole[name].text:
            texts[name] = text
            kinds = (*FUNCTIONS, ast.ClassDef)
            removed += sum(isinstance(piece.node, kinds) for piece in dead)
    listed = sorted(asked(source.tree for source in modules.values()))
    names = {name: listed for name, source in modules.items() if source.ours}
    return Shaken(texts, walk.read_elsewhere(), removed, names=names)


def _computes(tree):
    """The line where names are computed, "" if nowhere: `getattr` and such that get another name
    than a constant, or become an object that may be called elsewhere.
    """
    fine, own = set(), set()
    for node in ast.walk(tree):
        match node:
            case ast.arg(name) | ast.Name(name, ast.Store()):
                own.add(name)  # `dir` is a word for folders, too
            case ast.Call(ast.Name(name) as called, [_, ast.Constant(str()), *_]) if (
                name in DYNAMIC
            ):
                fine.add(called)
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Name(name) as called) if name in COMPUTING and called not in fine:
                return str(node.lineno)
            case ast.Name(name) if name in COMPUTING - own and node not in fine:
                return str(node.lineno)
            case ast.Attribute(ast.Name("builtins"), name) if name in COMPUTING:
                return str(node.lineno)
            case ast.ImportFrom("builtins", names) if COMPUTING & {alias.name for alias in names}:
                return str(node.lineno)
            case ast.Attribute(_, "__dict__"):
                return str(node.lineno)
    return ""


class _Walk:
    def __init__(self, modules):
        self.modules = modules
        self.constants = {name: constants.numbers(source.tree) for name, source in modules.items()}
        self.pieces, self.by_name, self.by_word = {}, {}, {}
        self.inlined = {}  # module: {alias: value}
        self.compiled = {
            id(n) for s in modules.values() for n in constants.for_the_compiler(s.tree)
        }
        self.names, self.words, self.waiting = set(), set(CALLED_FROM_C), []
        self.fixed = {name: Words() for name in modules}  # what always runs
        for name, source in modules.items():
            self.pieces[name] = []
            if source.ours:
                self.divide(name, source)
            else:
                self.collect(name, source.tree, self.fixed[name])

    # Dividing a module into pieces.

    def divide(self, module, source):
        for node in source.tree.body:
            if isinstance(node, FUNCTIONS):
                self.piece(module, node.name, [node], node)
            elif isinstance(node, ast.ClassDef):
                inner = [child for child in node.body if isinstance(child, FUNCTIONS)]
                rest = [child for child in node.body if not isinstance(child, FUNCTIONS)]
                rest += node.bases + node.keywords + node.decorator_list
                whole = self.piece(module, node.name, rest, node)
                for child in inner:
                    self.piece(module, child.name, [child], child, inside=whole)
            elif isinstance(node, ast.ImportFrom) and not any(a.name == "*" for a in node.names):
                self.divide_import(module, source, node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    bound = (alias.asname or alias.name).partition(".")[0]
                    self.piece(module, bound, [], node, alias)
            elif _is_plain(node):
                self.piece(module, node.targets[0].id, [node.value], node)
            else:
                self.collect(module, node, self.fixed[module])

    def divide_import(self, module, source, node):
        base = absolute(module, source.package, node)
        for alias in node.names:
            bound = alias.asname or alias.name
            made = self.piece(module, bound, [], node, alias)
            value = self.constants.get(base, {}).get(alias.name)
            if value is None or alias.asname or self.modules[base].package:
                made.words.imports.add((base, alias.name))
            else:
                self.inlined.setdefault(module, {})[made] = value

    def piece(self, module, name, nodes, node, alias=None, inside=None):
        words = Words()
        for child in nodes:
            self.collect(module, child, words)
        made = Piece(module, name, words, node, alias, inside)
        self.pieces[module].append(made)
        self.by_name.setdefault((module, name), []).append(made)
        self.by_word.setdefault(name, []).append(made)
        return made

    def collect(self, module, tree, words):
        for node in ast.walk(tree):
            if id(node) in self.compiled:
                continue
            if isinstance(node, ast.Name):
                words.names.add(node.id)
            elif isinstance(node, ast.Attribute):
                words.attributes.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                if IDENTIFIER.fullmatch(node.value):
                    words.attributes.add(node.value)
            elif isinstance(node, ast.ImportFrom):
                base = absolute(module, self.modules[module].package, node)
                words.imports.update((base, alias.name) for alias in node.names)
            elif isinstance(node, ast.Global):
                words.names.update(node.names)

    # What is reached.

    def run(self, roots):
        for root in roots:
            self.name(*root)
        for module, words in self.fixed.items():
            self.mention(module, words)
            self.name(module, "__getattr__")  # of a package that loads its parts lazily
        for word in CALLED_FROM_C:
            self.look(self.by_word.get(word, ()))
        while self.waiting:
            piece = self.waiting.pop()
            self.mention(piece.module, piece.words)
            for child in self.pieces[piece.module]:
                if child.inside is piece:
                    self.look([child])

    def mention(self, module, words):
        for name in words.names:
            self.name(module, name)
        for base, name in words.imports:
            if name == "*":
                for piece in self.pieces.get(base, ()):
                    self.name(base, piece.name)
            self.name(base, name)
        for word in words.attributes - self.words:
            self.words.add(word)
            self.look(self.by_word.get(word, ()))

    def name(self, module, name):
        if (module, name) not in self.names:
            self.names.add((module, name))
            self.look(self.by_name.get((module, name), ()))

    def look(self, pieces):
        """Those that are reached by now."""
        for piece in pieces:
            if piece.live or (piece.inside and not piece.inside.live):
                continue
            special = piece.inside and piece.name.startswith("__")
            named = piece.name in self.words or (piece.module, piece.name) in self.names
            if special or named:
                piece.live = True
                self.waiting.append(piece)

    def read_elsewhere(self):
        """{module: its constants that others read, or that it reads as attributes}."""
        return {
            module: sorted(
                name
                for name in self.constants_of(module, source)
                if name in self.words or self.imported(module, name)
            )
            for module, source in self.modules.items()
        }

    def constants_of(self, module, source):
        """Those that it assigns, and those that were imports before."""
        return {*constants.assigned(source.tree), *(p.name for p in self.inlined.get(module, ()))}

    def imported(self, module, name):
        """Whether live code imports it; in its own module the compiler knows it."""
        if not hasattr(self, "live_imports"):
            words = list(self.fixed.values())
            words += [p.words for pieces in self.pieces.values() for p in pieces if p.live]
            self.live_imports = {pair for w in words for pair in w.imports}
        return bool({(module, name), (module, "*")} & self.live_imports)


def absolute(module, package, node):
    """The module that `from ... import` names."""
    if not node.level:
        return node.module
    parts = module.split(".")
    keep = len(parts) + package - node.level
    return ".".join(parts[:keep] + ([node.module] if node.module else []))


def _is_plain(node):
    """`NAME = literal`, or a constant: nothing happens but that there is a name."""
    match node:
        case ast.Assign([ast.Name()], value):
            plain = (ast.Constant, ast.Name, ast.operator, ast.unaryop, ast.expr_context)
            plain += (ast.BinOp, ast.UnaryOp, ast.Tuple)
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
                if value.func.id != "const" or len(value.args) != 1:
                    return False
                value = value.args[0]
            return all(isinstance(child, plain) for child in ast.walk(value))
    return False


# Writing what is left.


def _one_by_one(source):
    """A module of ours with an assignment for each constant."""
    found = list(constants.together(source.tree)) if source.ours else ()
    if not found:
        return source
    lines = source.text.splitlines()
    for node, text in found:
        _replace(lines, node, text, source.tree)
    text = "\n".join(lines) + "\n"
    return replace(source, text=text, tree=ast.parse(text))


def _rewrite(source, dead, inlined):
    lines = source.text.splitlines()
    gone = {id(piece.node) for piece in dead if not piece.alias}
    aliases = {}
    for piece in dead:
        if piece.alias:
            aliases.setdefault(id(piece.node), (piece.node, []))[1].append(piece)
    numbers = {}
    for piece, value in inlined.items():
        aliases.setdefault(id(piece.node), (piece.node, []))[1].append(piece)
        if piece.live:
            numbers.setdefault(id(piece.node), []).append(f"{piece.name} = const({value})")
    for node, pieces in aliases.values():
        text = _import_without(node, {id(piece.alias) for piece in pieces})
        parts = ([text] if text else []) + sorted(numbers.get(id(node), []))
        _replace(lines, node, "; ".join(parts), source.tree)
    _remove(lines, source.tree, gone, "")
    return "\n".join(lines) + "\n"


def _remove(lines, parent, gone, indentation):
    """Take the definitions out of a body; a body that has nothing else left is `pass`."""
    left = [node for node in parent.body if id(node) not in gone]
    first = parent.body[0]
    for node in parent.body:
        if id(node) in gone:
            _replace(lines, node, "", parent)
        elif isinstance(node, ast.ClassDef):
            _remove(lines, node, gone, " " * node.body[0].col_offset)
    if not left and indentation:
        lines[_start(first) - 1] = indentation + "pass"


def _start(node):
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno] + [d.lineno for d in decorators])


def _replace(lines, node, text, parent):
    """Put one line in the place of a statement that has its lines for itself."""
    start, end = _start(node), node.end_lineno
    for other in parent.body:
        if other is not node and start <= other.end_lineno and _start(other) <= end:
            return  # `a = 1; b = 2`: leave both
    lines[start - 1] = text
    lines[start:end] = [""] * (end - start)


def _import_without(node, aliases):
    kept = [alias for alias in node.names if id(alias) not in aliases]
    if not kept:
        return ""
    names = ", ".join(a.name + (f" as {a.asname}" if a.asname else "") for a in kept)
    if isinstance(node, ast.Import):
        return f"import {names}"
    return f"from {'.' * node.level}{node.module or ''} import {names}"
