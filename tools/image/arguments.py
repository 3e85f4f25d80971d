"""Names that callers give arguments by; all others need not be in the image.

    asked(trees)    of all modules: those names; and those of ASKED that are read or replaced

The law: a word decides, as in shake.py.  `f(size=1)` asks for every argument called `size`;
`x.f(**words)` for every argument of whatever is called `f`, and if nothing is, for every string.
Neighbours: shake.py; port/micropython/patches/86-names-nobody-asks-for.patch.
"""

import ast

ASKED = ("__module__", "__qualname__", "__import__")  # of classes; of the module builtins


def asked(trees):
    found, strings, open_calls, arguments = set(), set(), [], {}
    for tree in trees:
        for node in ast.walk(tree):
            kind = type(node)
            if kind is ast.Call:
                words = {keyword.arg for keyword in node.keywords}
                found |= words - {None}
                if None in words:
                    open_calls.append(node.func)
            elif kind is ast.Attribute:
                if node.attr in ASKED:
                    found.add(node.attr)
            elif kind is ast.Constant:
                if type(node.value) is str and node.value.isidentifier():
                    strings.add(node.value)
            elif kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
                arguments.setdefault(node.name, set()).update(_arguments(node))
            if kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda):
                # Their defaults are found by name.
                found |= {argument.arg for argument in node.args.kwonlyargs}
    for called in open_calls:
        word = getattr(called, "attr", getattr(called, "id", None))
        found |= arguments.get(word, strings)
    return found


def _arguments(node):
    """What a function or class can be given by name; `self` a method has."""
    if isinstance(node, ast.ClassDef):
        makers = [child for child in node.body if getattr(child, "name", "") == "__init__"]
        return {name for maker in makers for name in _arguments(maker)}
    every = node.args
    every = (*every.posonlyargs, *every.args, *every.kwonlyargs)
    return {argument.arg for argument in every} - {"self"}
