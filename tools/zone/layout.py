"""The constants of services/dns/table.py, read without running it: that file is for the machine.

from tools.zone import layout; layout.table.MAGIC
"""

import ast
from pathlib import Path
from types import SimpleNamespace

SOURCE = Path(__file__).resolve().parents[2] / "services" / "dns" / "table.py"


def constants(path):
    """{name: number} of the assignments `NAME = const(number)` of a module."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("const"), [value])):
                found[name] = ast.literal_eval(value)
    return found


table = SimpleNamespace(**constants(SOURCE))
