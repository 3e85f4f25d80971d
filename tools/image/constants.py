"""Constants of a module, as MicroPython's compiler sees them: `NAME = const(number)`.

    numbers(tree)           {name: number} of those at the top
    assigned(tree)          names of all, wherever they stand
    together(tree)          (statement, text): `A, B = const(1), const(2)`, and the same one by one
    for_the_compiler(tree)  names in the code that only the compiler reads

Only a name that is assigned by itself is a constant to the compiler; together they are variables.
Neighbours: shake.py.
"""

import ast


def numbers(tree):
    """{name: number} of `NAME = const(number)` at the top of a module."""
    found = {}
    for node in tree.body:
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("const"), [value], [])):
                number = _number(value, found)
                if number is not None:
                    found[name] = number
    return found


def assigned(tree):
    """Names that mpy-cross takes for constants: `NAME = const(...)`, wherever it stands."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("const"), [_], [])):
                yield name


def together(tree):
    for node in tree.body:
        match node:
            case ast.Assign([ast.Tuple(names)], ast.Tuple(values)) if len(names) == len(values):
                pairs = list(zip(names, values, strict=True))
                if all(isinstance(name, ast.Name) and _is_const(value) for name, value in pairs):
                    yield node, "; ".join(f"{n.id} = {ast.unparse(v)}" for n, v in pairs)


def for_the_compiler(tree):
    known = {}
    for node in _statements(tree):
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("const") as called, [value], [])):
                number = _number(value, known)
                if number is not None:
                    known[name] = number
                    yield called
            case ast.FunctionDef():
                for decorator in node.decorator_list:
                    match decorator:
                        case ast.Attribute(ast.Name("micropython") as called, _):
                            yield called


def _statements(tree):
    """Of a module and its classes."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.ClassDef):
            yield from node.body


def _number(node, known):
    """The value of an expression of numbers and of constants, None if it is something else."""
    if type(node) is ast.Constant:
        return node.value if type(node.value) is int else None
    for child in ast.walk(node):
        match child:
            case ast.Constant(int()) | ast.operator() | ast.unaryop() | ast.expr_context():
                pass
            case ast.BinOp() | ast.UnaryOp():
                pass
            case ast.Name(name) if name in known:
                pass
            case _:
                return None
    value = eval(compile(ast.Expression(node), "const", "eval"), {"__builtins__": {}}, dict(known))
    return value if type(value) is int else None


def _is_const(node):
    match node:
        case ast.Call(ast.Name("const"), [_], []):
            return True
    return False
