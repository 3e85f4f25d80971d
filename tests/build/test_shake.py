"""tools/image/shake.py: what nobody uses goes, what somebody may use stays, lines stay in place."""

import ast
import subprocess
import textwrap

import pytest

from tests.support.images import ROOT
from tools.image import shake
from tools.image.shake import Source


def source(text, ours=True, package=False):
    text = textwrap.dedent(text)
    return Source(text, ast.parse(text), ours, package)


def shaken(roots=(("main", "main"),), **texts):
    """The shaking of modules of the system; those with names that begin with `their` are not."""
    modules = {
        name.replace("__", "."): source(text, not name.startswith("their"))
        for name, text in texts.items()
    }
    result = shake.shake(modules, set(roots))
    for name, text in result.texts.items():
        assert len(text.splitlines()) == len(modules[name].text.splitlines()), "lines have moved"
        ast.parse(text)
    result.texts = {name: result.texts.get(name, module.text) for name, module in modules.items()}
    return result


def names(text):
    """The functions and classes of a module."""
    kinds = ast.FunctionDef | ast.ClassDef
    return {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)}


def test_what_is_reached_stays_and_the_rest_goes():
    result = shaken(
        main="""\
        import tools
        def main():
            tools.used()
        def unused():
            helper()
        def helper():
            pass
        """,
        tools="""\
        def used():
            _below()
        def _below():
            pass
        def lonely():
            lonely()
        """,
    )
    assert names(result.texts["main"]) == {"main"}
    assert names(result.texts["tools"]) == {"used", "_below"}
    assert result.removed == 3


def test_a_method_stays_while_anybody_says_its_name():
    result = shaken(
        main="""\
        from parts import Thing
        def main(other):
            Thing()
            other.stop()
            getattr(other, "pause")
        """,
        parts="""\
        class Thing:
            def __init__(self):
                self.x = 1
            def __len__(self):
                return 0
            def stop(self):
                self.inner()
            def inner(self):
                pass
            def pause(self):
                pass
            def never(self):
                pass
        class Nobody:
            def stop(self):
                pass
        """,
    )
    assert names(result.texts["parts"]) == {
        *("Thing", "__init__", "__len__", "stop", "inner", "pause")
    }


def test_a_class_that_loses_all_its_methods_keeps_a_body():
    result = shaken(main="class A:\n    def gone(self):\n        pass\ndef main():\n    A()\n")
    assert "class A:\n    pass\n" in result.texts["main"]


def test_imports_that_only_the_dead_needed_go():
    result = shaken(
        main="""\
        from a import (
            one,
            two,
        )
        import b
        def main():
            one()
        def gone():
            two(b)
        """,
        a="def one(): pass\ndef two(): pass\n",
        b="x = [1]\n",
    )
    assert result.texts["main"].splitlines()[:5] == ["from a import one", "", "", "", ""]
    assert names(result.texts["a"]) == {"one"}


def test_a_name_passed_on_by_another_module_stays():
    result = shaken(
        main="from middle import f\ndef main():\n    f()\n",
        middle="from low import f, g\n",
        low="def f(): pass\ndef g(): pass\n",
    )
    assert names(result.texts["low"]) == {"f"}
    assert result.texts["middle"].strip() == "from low import f"


def test_a_star_takes_everything():
    result = shaken(
        main="from low import *\ndef main():\n    pass\n", low="def f(): pass\ndef g(): pass\n"
    )
    assert names(result.texts["low"]) == {"f", "g"}


def test_imported_constants_become_numbers():
    result = shaken(
        main="""\
        from micropython import const
        from wire import END, SIZE, Header
        def main():
            return Header, END + SIZE
        """,
        wire="""\
        from micropython import const
        END = const(4)
        SIZE = const(END << 2 | 1)
        OTHER = const(9)
        class Header:
            pass
        """,
    )
    line = result.texts["main"].splitlines()[1]
    assert line == "from wire import Header; END = const(4); SIZE = const(17)"
    assert result.constants["wire"] == []


@pytest.mark.parametrize(
    "use", ["import wire\ndef main(): return wire.END", 'def main(x): return getattr(x, "END")']
)
def test_a_constant_that_is_an_attribute_is_told(use):
    result = shaken(main=use + "\n", wire="END = const(4)\nOTHER = const(5)\n")
    assert result.constants["wire"] == ["END"]


def test_a_constant_passed_on_is_told():
    result = shaken(
        their_service="import front\ndef start(m): return front.STREAM\n",
        front="from back import STREAM, OTHER\n",
        back="STREAM = const(1)\nOTHER = const(2)\n",
    )
    assert "STREAM = const(1)" in result.texts["front"]
    assert result.constants["front"] == ["STREAM"]


def test_a_constant_of_a_class_is_read_as_an_attribute():
    text = "class A:\n    LIMIT = const(3)\n    def f(self): return self.LIMIT\n"
    result = shaken(main=text + "def main(): A().f()\n")
    assert result.constants["main"] == ["LIMIT"]


def test_what_runs_when_a_module_is_imported_stays():
    text = "def register(): pass\nregister()\nif True:\n    def inner(): pass\n"
    assert names(shaken(main=text + "def main(): pass\n").texts["main"]) == {
        *("register", "inner", "main")
    }


def test_modules_of_others_stay_as_they_are_and_keep_what_they_name():
    result = shaken(
        their_service="import system\ndef start(m):\n    system.used()\ndef never(): pass\n",
        system="def used(): pass\ndef other(): pass\n",
    )
    assert names(result.texts["their_service"]) == {"start", "never"}
    assert names(result.texts["system"]) == {"used"}


COMPUTES = ["getattr(m, name)", "setattr(m, name, 1)", "vars(m)", "dir(m)", "m.__dict__"]
COMPUTES += ["g = getattr", "map(getattr, m, name)", "builtins.hasattr(m, name)"]
COMPUTES += ["from builtins import getattr as g", "dir = dir(m)"]


@pytest.mark.parametrize("code", COMPUTES)
def test_who_computes_names_keeps_everything(code):
    result = shaken(
        their_service=f"def start(m, name):\n    {code}\n", system="def other(): pass\n"
    )
    assert names(result.texts["system"]) == {"other"}
    assert result.computes == "their_service:2"


@pytest.mark.parametrize("code", ["getattr(m, 'x')", "dir = m; m(dir)", "def f(vars): m(vars)"])
def test_who_names_constants_or_uses_their_words_computes_nothing(code):
    assert shaken(their_service=f"def start(m):\n    {code}\n").computes == ""


def test_two_statements_on_a_line_are_left():
    text = "def main(): pass\nUNUSED = (1, 2); main()\n"
    assert shaken(main=text).texts["main"] == text


def test_relative_imports_are_followed():
    assert shake.absolute("a.b.c", False, ast.parse("from .d import x").body[0]) == "a.b.d"
    assert shake.absolute("a.b", True, ast.parse("from . import x").body[0]) == "a.b"
    assert shake.absolute("a.b.c", False, ast.parse("from ..d import x").body[0]) == "a.d"


def test_what_only_the_compiler_reads_is_not_imported():
    kept = "from micropython import const, heap_lock\nimport micropython\n"
    text = "A = const(1)\nB = const(A | 2)\n\n@micropython.viper\ndef main(): return A + B"
    result = shaken(main=f"{kept}{text}\n").texts["main"]
    assert result == f"\n\n{text}\n"
    for more, first in (
        ("C = const(main())", "from micropython import const\n\n"),
        ("heap_lock()", "from micropython import heap_lock\n\n"),
        ("micropython.mem_info()", "\nimport micropython\n"),
    ):
        result = shaken(main=f"{kept}{text}\n{more}\n").texts["main"]
        assert result == f"{first}{text}\n{more}\n"


def test_constants_that_are_assigned_together_are_assigned_one_by_one():
    text = "from micropython import const\nA, B = (\n    const(1),\n    const(A + 1),\n)\n"
    result = shaken(main=text + "x, y = const(1), A\ndef main(): return A, B\n")
    assert result.texts["main"] == (
        "from micropython import const\nA = const(1); B = const(A + 1)\n\n\n\n"
        "x, y = const(1), A\ndef main(): return A, B\n"
    )
    assert result.constants["main"] == []


def test_arguments_keep_the_names_that_somebody_gives():
    def asked(text):
        return set(shaken(main=text, their="def f(size): pass\n").names["main"])

    assert asked("def main(a, b): main(1, 2)\n") == set()
    assert asked("def main(a, b): main(1, b=2)\n") == {"b"}
    assert asked("def main(a, *, b=1, **c): x.main(**c)\n") == {"a", "b"}
    assert asked("def main(a, *, b=1): main(lambda *, c=1: c)\n") == {"b", "c"}
    assert asked("class A:\n  def __init__(self, w): pass\ndef main(a): A(**c)\n") == {"w"}
    heir = "class A:\n  def __init__(self, w): pass\nclass B(A): pass\ndef main(a): B(**c)\n"
    assert asked(heir) == {"w"}
    assert asked("def main(c): c(**{})\n") == {"c", "size"}
    assert asked("def main(a): main(**{})\nmain = 1\n") == {"a", "size"}
    assert asked("def main(a):\n  main = 1\n  x.main(**{})\n") == {"a"}
    assert asked("def main(a):\n  main = 1\n  main(**{})\n") == {"a", "size"}
    assert asked("def main(a):\n  x.main(**{})\n  x.main = 1") == {"a", "size"}
    assert asked("def main(a): main(**{})\ndef f(main): main(**{})\n") == {"a", "main", "size"}
    assert asked("def main(a): main(**{})\nfrom x import y as main\n") == {"a", "size"}
    assert asked("def main(c): return c.__qualname__\n") == {"__qualname__"}
    assert asked("getattr(main, '__module__')\n") == {"__module__"}
    assert asked("builtins.__import__ = len\n") == {"__import__"}
    assert "their" not in shaken(main="", their="def f(size): pass\n").names


def test_the_compiler_keeps_the_names_that_it_is_told(image, tmp_path):
    # patches/86-names-nobody-asks-for.patch
    image("hello")
    text = "class Class:\n def function(own, size):\n  return size\n"

    def kept(*options):
        (tmp_path / "m.py").write_text(text)
        made = tmp_path / "m.mpy"
        cross = ROOT / "build/mpy-cross/mpy-cross"
        subprocess.run([cross, *options, "-o", made, tmp_path / "m.py"], check=True)
        content = made.read_bytes()  # after four bytes of header the number of names
        return content[4] - 4, [n for n in ("own", "size") if n.encode() + b"\0" in content]

    # Beside the file's, the module's, the class's and the function's name; three are __name__ etc.
    assert kept() == (5, ["own", "size"])
    assert kept("-X", "names=,") == (0, [])
    assert kept("-X", "names=,size,__qualname__,") == (2, ["size"])


def test_the_compiler_keeps_the_constants_that_it_is_told(image, tmp_path):
    # patches/85-private-constants.patch
    image("hello")
    cross = ROOT / "build/mpy-cross/mpy-cross"
    (tmp_path / "m.py").write_text("LONG = const(5)\nON = const(6)\n_P = const(7)\nx = LONG + ON\n")

    def stored(*options):
        made = tmp_path / "m.mpy"
        subprocess.run([cross, *options, "-o", made, tmp_path / "m.py"], check=True)
        names = ("LONG", "ON", "_P")
        return {n for n in names if bytes([2 * len(n)]) + n.encode() + b"\0" in made.read_bytes()}

    assert stored() == {"LONG", "ON"}
    assert stored("-X", "consts=,") == set()
    assert stored("-X", "consts=,LONG,") == {"LONG"}
    assert stored("-X", "consts=,ON,x,") == {"ON"}


def test_the_names_of_an_import_are_no_tuple(image, tmp_path):
    # patches/86-names-nobody-asks-for.patch: 0x10 is LOAD_CONST_STRING, 0x2a BUILD_TUPLE.
    image("hello")
    (tmp_path / "m.py").write_text("from m import own, size\n")

    def has_tuple(*options):
        cross = ROOT / "build/mpy-cross/mpy-cross"
        subprocess.run([cross, *options, "-o", tmp_path / "m.mpy", tmp_path / "m.py"], check=True)
        return b"\x2a\x02\x1b" in (tmp_path / "m.mpy").read_bytes()

    assert has_tuple() and has_tuple("-X", "names=,__import__,")
    assert not has_tuple("-X", "names=,")
