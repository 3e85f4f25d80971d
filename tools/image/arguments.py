"""Names that callers give arguments by; all others need not be in the image.

    asked(trees)    of all modules: those names; and those of ASKED that are read or replaced

The law: a word decides, as in shake.py.  `f(size=1)` asks for every argument called `size`;
`x.f(**words)` for those of all functions called `f`, or of its __init__ if `f` is a class (of every
one if it has none); and for all there are, if something is stored under that name.
Neighbours: shake.py; port/micropython/patches/86-names-nobody-asks-for.patch.
"""

import ast

ASKED = {"__module__", "__qualname__", "__import__"}  # of classes; of the module builtins


def asked(trees):
    found, open_calls, arguments, heirs = set(), [], {}, set()
    stored = {ast.Attribute: set(), ast.Name: set()}  # names by which something may be called
    for tree in trees:
        stored[ast.Attribute].update(_word(node) for node in _outside(tree) if _is_stored(node))
        for node in ast.walk(tree):
            kind = type(node)
            if kind is ast.Call:
                words = {keyword.arg for keyword in node.keywords}
                found |= words - {None}
                if None in words:
                    open_calls.append(node.func)
            elif kind is ast.Attribute or kind is ast.Name:
                if _is_stored(node):
                    stored[kind].add(_word(node))
                if kind is ast.Attribute:
                    found.update({node.attr} & ASKED)
            elif kind is ast.arg:
                stored[ast.Name].add(node.arg)
            elif kind is ast.alias and node.asname:
                stored[ast.Name].add(node.asname)
            elif kind is ast.Constant:
                if type(node.value) is str:
                    found.update({node.value} & ASKED)
            elif kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda):
                # Their defaults are found by name.
                found |= {argument.arg for argument in node.args.kwonlyargs}
                arguments.setdefault(getattr(node, "name", "lambda"), set()).update(_names(node))
            elif kind is ast.ClassDef:
                makers = [c for c in node.body if getattr(c, "name", "") == "__init__"]
                for maker in makers:
                    arguments.setdefault(node.name, set()).update(_names(maker))
                if not makers:
                    heirs.add(node.name)
    for called in open_calls:
        word = "__init__" if _word(called) in heirs else _word(called)
        known = word in arguments and word not in stored.get(type(called), ())
        found |= (arguments[word] if known else set().union(*arguments.values())) - {"self"}
    return found


def _word(node):
    """What is called, read or stored: x.word, word; "" if it has no name."""
    return getattr(node, "attr", getattr(node, "id", ""))


def _names(function):
    """Of arguments that can be given by place."""
    return {argument.arg for argument in (*function.args.posonlyargs, *function.args.args)}


def _is_stored(node):
    return type(getattr(node, "ctx", None)) is ast.Store


def _outside(tree):
    """What is not in a function."""
    waiting = [tree]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield node
                waiting.append(node)
