"""tools/image/frozen.py writes, port/micropython/lines.c reads: the line of every instruction.
tools/image/slots.py moves names, and none is another one afterwards.  tools/image/rows.py takes
away what nobody asks for.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import images
from tools.image import frozen, slots
from tools.image.elf import Elf

ROOT = Path(__file__).resolve().parent.parent.parent
TOOL = ROOT / "build/micropython/tools/mpy-tool.py"

# Each of these is coded in another way: far and near, backward, inside of a statement.
ODD = (
    '''"""Text."""
import sys


@sys.intern
def decorated(a,
              b=3, *,
              c=4):
    return [
        a(x)
        for x in (lambda: b
                  )()
        if x
    ]

class Empty: pass
def two(): return 1; return 2
class Table:
    size = {
        "one": sys.one,

        "two": two(
            1,
            sys.two),
    }
    def method(self):
        def inner(): return self
        try:
            raise ValueError(
                inner)
        except (OSError,
                KeyError) as error:
            raise
        finally: inner()
        while True:
            if inner(): continue
            yield inner
'''
    + "\n" * 3000
    + """
    def far(self): return (self.a.b.c.d.e.f.g(self.a, self.b, self.c, self.d) + self.x(1, 2, 3) +
        self.late)
last = Table().far() if sys else (sys.a, sys.b,
    sys.c) and sys.d or (sys.e if sys.f
    else sys.g)
"""
)

# More instructions in a line, and more lines before the next, than two bytes count.
LONG = "big = {" + ",".join(f"{key}:{key}" for key in range(0x6000)) + "}\ntext = 1\n"
LONG += "\n" * 70000 + "last = sys.x\nlast()\n"
FEW = 0x8000  # bytes of bytecode in which each is asked for its line


@pytest.fixture
def hello(tmp_path):
    """The frozen modules of hello, copied while nobody builds it in another way."""
    built = ROOT / "build/hello"
    with images.untimed(), images.lock("images"):
        images.importos("build", "hello", "--format", "img")
        names = {row["name"] for row in json.loads((built / "report.json").read_text())["python"]}
        shutil.copytree(built / "frozen", tmp_path / "frozen")
    paths = sorted((tmp_path / "frozen").rglob("*.mpy"))
    return [path for path in paths if module_of(path.relative_to(tmp_path / "frozen")) in names]


def module_of(path):
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def load():
    tool = frozen.load(TOOL)
    tool.config.MICROPY_QSTR_BYTES_IN_LEN = tool.config.MICROPY_QSTR_BYTES_IN_HASH = 1
    tool.config.native_arch = tool.MP_NATIVE_ARCH_NONE
    tool.global_qstrs = tool.GlobalQStrList()
    return tool


def instructions(tool, code):
    """(opcode, argument or name) of a function of bytecode."""
    at, length = code.offset_opcodes, len(code.fun_data)
    while at < length:
        kind, size, argument, extra = tool.mp_opcode_decode(code.fun_data, at)
        if kind == tool.MP_BC_FORMAT_QSTR:
            argument = code.qstr_table[argument].str
        yield code.fun_data[at], argument, extra
        at += size


def meaning(tool, module):
    """All that names are for, in every function of a module."""
    for code in slots.functions(module.raw_code):
        if code.code_kind == tool.MP_CODE_BYTECODE:
            names = tool.extract_prelude(code.fun_data, 0)[-1]
            yield [code.qstr_table[name].str for name in names], [*instructions(tool, code)]
        else:
            loaded = sorted(slots.loaded_by_native(tool, module))
            yield code.fun_data, [module.qstr_table[i].str for i in loaded]


def test_names_that_move_mean_the_same(hello):
    tool = load()
    modules = [tool.read_mpy(str(path)) for path in hello]
    tables = [[name.str for name in module.qstr_table] for module in modules]
    before = [[*meaning(tool, module)] for module in modules]
    slots.arrange(tool, modules)
    assert [[*meaning(tool, module)] for module in modules] == before
    moved = [[name.str for name in module.qstr_table] for module in modules]
    assert [sorted(table) for table in moved] == [sorted(table) for table in tables]
    assert [table[0] for table in moved] == [table[0] for table in tables]
    at = [table.index("__init__") for table in moved if "__init__" in table]
    assert max(map(at.count, at)) > len(at) / 2, "one place in most modules"
    assert any(slots.loaded_by_native(tool, module) for module in modules)


def lines_by_mpy_cross(tool, paths):
    """{name of the C object: the line of each byte of its bytecode}, as mpy-cross wrote it."""
    found = {}
    for path in paths:
        for code in slots.functions(tool.read_mpy(str(path)).raw_code):
            if code.code_kind != tool.MP_CODE_BYTECODE:
                continue
            lines, at, length = [], code.offset_opcodes, len(code.fun_data)
            begins, line = frozen.lines_of(code)[::-1], 1
            while at < length:
                _, size, _, _ = tool.mp_opcode_decode(code.fun_data, at)
                while begins and begins[-1][0] <= at - code.offset_opcodes:
                    line = begins.pop()[1]
                lines += [line] * size
                at += size
            found["fun_data_" + code.escaped_name] = lines
    return found


def test_every_instruction_has_the_line_it_had(hello, tmp_path):
    modules = list(hello)
    for name, text in ("odd", ODD), ("long", LONG):
        (tmp_path / f"{name}.py").write_text(text)
        command = [ROOT / "build/mpy-cross/mpy-cross", "-march=x86", "-X", "heapsize=256m"]
        subprocess.run([*command, "-s", f"{name}.py", tmp_path / f"{name}.py"], check=True)
        modules.append(tmp_path / f"{name}.mpy")
    # The newest port that is finished: another one may be in the making.
    ports = (ROOT / "build").glob("port-*/fingerprint")
    port = max(ports, key=lambda path: path.stat().st_mtime).parent
    flags, names = port / "flags", port / "genhdr/qstrdefs.preprocessed.h"
    command = [sys.executable, "-m", "tools.image.frozen", tmp_path / "words"]
    command += [TOOL, "-f", "-q", names]
    command += ["-mlongint-impl=mpz", *modules]
    content = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    (tmp_path / "frozen_content.c").write_bytes(content)
    flags = flags.read_text().split()
    objects = []
    sources = ["port/micropython/lines.c", "build/micropython/py/bc.c"]
    for source in (tmp_path / "frozen_content.c", *(ROOT / name for name in sources)):
        objects.append(tmp_path / f"{source.stem}.o")
        command = ["gcc", *flags, "-w", "-c", "-o", objects[-1], source]
        subprocess.run(command, cwd=ROOT, check=True)
    program = tmp_path / "lines"
    command = ["gcc", "-m32", "-no-pie", "-Wl,--gc-sections,--unresolved-symbols=ignore-all"]
    command += ["-o", program, ROOT / "tests/build/lines.c", *objects]
    subprocess.run(command, check=True)

    tool = load()
    wanted = lines_by_mpy_cross(tool, modules)
    places = {s.name: s.address + s.size for s in Elf(program).symbols() if s.name in wanted}
    assert places.keys() == wanted.keys()
    asked, expected = [], []
    for name, lines in wanted.items():
        step = 1 if len(lines) < FEW else 4001
        some = sorted({*range(0, len(lines), step), *range(len(lines))[-20:]})
        asked += [places[name] - len(lines) + at for at in some]
        expected += [lines[at] for at in some]
    told = subprocess.run(
        [program], input="\n".join(f"{a:x}" for a in asked), capture_output=True, text=True
    ).stdout
    assert list(map(int, told.split())) == expected
    assert max(expected) > 70000


def functions_of(folder, name):
    return {symbol.name.split(".")[0] for symbol in Elf(folder / f"{name}.elf").symbols()}


def test_a_method_is_in_the_image_when_somebody_says_its_name(image, tmp_path):
    text = {"says": 'print("a".center(3))', "asks": 'print(getattr("a", "center")(3))'}
    text |= {"computes": 'print(getattr("a", "cen" + "ter")(3))', "neither": 'print("a")'}
    found = {}
    for name, line in text.items():
        (tmp_path / f"{name}.py").write_text(f"def start(machine):\n    {line}\n")
        found[name] = functions_of(image(str(tmp_path / f"{name}.py")), name)
    assert {name for name in text if "str_center" in found[name]} == {"says", "asks", "computes"}
    assert {name for name in text if "str_splitlines" in found[name]} == {"computes"}
    assert all("mp_obj_str_split" in functions for functions in found.values()), "the system splits"
