"""Frozen modules as C: MicroPython's mpy-tool, and lines in a table of their own.

    python -m tools.image.frozen WORDS MPY_TOOL -f ... > frozen_content.c

MPY_TOOL is followed by its arguments.  WORDS is written, too: every word that a module says, as a
name or in a string (rows.py).

A function's bytecode begins with what line each part of it is from: a ninth of all bytecode, and in
the way of a compressor.  Here it is taken out, and one table for the image tells what the bytecode
does not: nearly every line begins where a statement ends, and is the next one or the one behind it.
port/micropython/lines.c reads it, when a traceback is printed.

The table follows the bytecode of each module from its first instruction, and that of a function
from where it is made (MAKE_FUNCTION), so that lines come as in the source.  At the start of a
function, and wherever an entry has taken effect, the next entry is read: one byte, and more if it
says so.

    bit 7     the function ends here, otherwise: a line begins
    6 to 4    how many ends of statements are passed before; 7: two bytes say how many instructions
    3 to 0    lines since the last one that began anywhere; 15: two bytes say how many, signed

What is too much for two bytes is told by several entries: the first after as many instructions as
can be counted, or more after none, for which no instruction is passed.

Arguments that no caller names (arguments.py) have the file's name, and the last of them none.
Neighbours: slots.py, which orders the names of modules; rows.py.
Left out: native code, whose exceptions have the line of the bytecode that called it.
"""

import importlib.util
import re
import sys
from pathlib import Path

from tools.image import slots
from tools.image.slots import functions

# The last instruction of a statement, most likely.
ENDS = (
    *("STORE_NAME", "STORE_GLOBAL", "STORE_ATTR", "STORE_SUBSCR", "STORE_MAP", "STORE_FAST_N"),
    *("STORE_DEREF", "POP_TOP", "JUMP", "POP_JUMP_IF_TRUE", "POP_JUMP_IF_FALSE", "SETUP_EXCEPT"),
    *("SETUP_FINALLY", "END_FINALLY", "RETURN_VALUE", "RAISE_OBJ"),
)
MAKERS = ("MAKE_FUNCTION", "MAKE_FUNCTION_DEFARGS", "MAKE_CLOSURE", "MAKE_CLOSURE_DEFARGS")
NAMELESS = 0  # of an argument: the name of the file, always the first of a module
COUNTED, FAR = 7, 15  # in an entry: instructions instead of statements; a number of its own
STEPS, AWAY = 0xFFFF, 0x7FFF  # as many instructions, and lines, as there can be in an entry


def load(path):
    """mpy-tool.py as a module."""
    sys.path.insert(0, str(Path(path).parent))
    spec = importlib.util.spec_from_file_location("mpy_tool", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def opcodes(tool, names):
    """The set of opcodes with these names; the short forms of a name are among them."""
    found = {getattr(tool.Opcode, "MP_BC_" + name) for name in names}
    if "STORE_FAST_N" in names:
        first = tool.Opcode.MP_BC_STORE_FAST_MULTI
        found |= set(range(first, first + tool.Opcode.MP_BC_STORE_FAST_MULTI_NUM))
    return found


def lines_of(code):
    """[(offset, line)]: the line of the bytecode from each offset on, as mpy-cross wrote it."""
    data, at, end = code.fun_data, code.offset_line_info, code.offset_closure_info
    offset, line, found = 0, 1, [(0, 1)]
    while at < end:
        if data[at] & 0x80:
            offset += data[at] & 15
            line += data[at] << 4 & 0x700 | data[at + 1]
            at += 2
        else:
            offset += data[at] & 31
            line += data[at] >> 5
            at += 1
        found.append((offset, line))
    return found


class Lines:
    """The table, as it grows."""

    def __init__(self, tool):
        self.tool = tool
        self.ends, self.makers = opcodes(tool, ENDS), opcodes(tool, MAKERS)
        self.entries = []
        self.base = 1  # the line that began last, in whatever function

    def function(self, code):
        """Add the lines of a function, and of those that are made in it."""
        data, start = code.fun_data, code.offset_opcodes
        lines, line = lines_of(code), self.base
        at, after_end, passed, steps = start, True, 0, 0
        place = self._reserve()
        while True:
            while lines and lines[0][0] <= at - start:
                now = lines.pop(0)[1]
            over = at == len(data)
            if over or now != line or steps == STEPS:
                delta = 0 if over else now - self.base
                self.entries[place] = self._entries(over, after_end, passed, steps, delta)
                if over:
                    return
                line = self.base = now
                place = self._reserve()
                passed = steps = 0
            elif after_end:
                passed += 1
            _, size, argument, _ = self.tool.mp_opcode_decode(data, at)
            opcode = data[at]
            if opcode in self.makers:
                child = code.children[argument]
                if child.code_kind == self.tool.MP_CODE_BYTECODE:
                    self.function(child)
            after_end = opcode in self.ends
            at, steps = at + size, steps + 1

    def _reserve(self):
        self.entries.append(b"")
        return len(self.entries) - 1

    @classmethod
    def _entries(cls, over, after_end, passed, steps, delta):
        near = max(-AWAY, min(delta, AWAY))
        entry = cls._entry(over, after_end, passed, steps, near)
        return entry if near == delta else entry + cls._entries(over, False, 0, 0, delta - near)

    @staticmethod
    def _entry(over, after_end, passed, steps, delta):
        near, counted = 0 <= delta < FAR, not after_end or passed >= COUNTED
        first = over << 7 | (COUNTED if counted else passed) << 4 | (delta if near else FAR)
        entry = bytes([first])
        if counted:
            entry += steps.to_bytes(2, "big")
        return entry if near else entry + delta.to_bytes(2, "big", signed=True)

    def table(self):
        return b"".join(self.entries)


def without_lines(tool, code):
    """Take the lines out of a function's bytecode, and names that no argument has at its end."""
    data = code.fun_data
    while len(code.names) > 1 and code.names[-1] == NAMELESS:
        del code.names[-1]
    names = b"".join(tool.mp_encode_uint(name) for name in code.names)
    size = tool.encode_prelude_size(len(names), code.prelude_size[1])
    start = data[: code.offset_prelude_size] + size
    code.fun_data = start + names + data[code.offset_closure_info :]
    code.prelude_size = len(names), code.prelude_size[1]
    code.offset_source_info = len(start)
    code.offset_line_info = code.offset_closure_info = len(start + names)
    code.offset_opcodes = code.offset_closure_info + code.prelude_size[1]


def lines_apart(tool, modules):
    """The table of lines of these modules, which have none afterwards."""
    lines = Lines(tool)
    for module in modules:
        lines.function(module.raw_code)
        for code in functions(module.raw_code):
            if code.code_kind == tool.MP_CODE_BYTECODE:
                without_lines(tool, code)
    return lines.table()


def words_of(modules):
    """All words in names and strings of modules."""
    texts = [name.str for module in modules for name in module.qstr_table]
    texts += [repr(thing) for module in modules for thing in module.obj_table]
    return set(re.findall(r"\w+", "\n".join(texts)))


def main():
    words, path, *arguments = sys.argv[1:]
    tool = load(path)
    freeze = tool.freeze_mpy

    def freeze_smaller(names, modules):
        Path(words).write_text("\n".join(sorted(words_of(modules))))
        table = lines_apart(tool, modules)
        slots.arrange(tool, modules)
        freeze(names, modules)
        print(f"const byte frozen_lines[] = {{{','.join(map(str, table))}}};")

    tool.freeze_mpy = freeze_smaller
    tool.main(arguments)


if __name__ == "__main__":
    main()
