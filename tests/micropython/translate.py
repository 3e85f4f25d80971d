"""Test modules in the Python that MicroPython understands.

What our tests like and MicroPython refuses: the star in a display, `[*a, b]`, which becomes
`list(a) + [b]`, and `zip(..., strict=True)`.  What is tested is never translated, only the tests.
"""

import ast


class Simpler(ast.NodeTransformer):
    def display(self, node):
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load) or not any(
            isinstance(part, ast.Starred) for part in node.elts
        ):
            return node
        total = ast.List([], ast.Load())
        for part in node.elts:
            if isinstance(part, ast.Starred):
                more = ast.Call(ast.Name("list", ast.Load()), [part.value], [])
            else:
                more = ast.List([part], ast.Load())
            total = ast.BinOp(total, ast.Add(), more)
        if isinstance(node, ast.Tuple):
            return ast.Call(ast.Name("tuple", ast.Load()), [total], [])
        return total

    visit_List = visit_Tuple = display

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "zip":
            node.keywords = []
        return node


def translate(source):
    return ast.unparse(ast.fix_missing_locations(Simpler().visit(ast.parse(source)))) + "\n"
