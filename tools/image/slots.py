"""Names of frozen modules: the same one at the same place in the table of every module.

    arrange(tool, modules)      after it, tables and bytecode agree again

Bytecode names things by their place in a table of its module, which mpy-cross fills in the order of
first use: `self.log` is other bytes in each module.  Names that many modules have come first here,
each at the place that is free in most of them, so that bytecode and tables of modules are alike for
a compressor.  It is a colouring of a graph, done greedily.

What stays: entry 0 (the file), names on either side of 128, where numbers become longer, those that
native code loads, since it has their place in its instructions, and tables of many names.
"""

import collections
import re

MANY = 1000  # choosing places takes time with their square
ONE_BYTE = 128  # numbers below this are one byte of bytecode
LOAD_16 = re.compile(rb"(?=\x0f\xb7(.)(....))", re.DOTALL)  # movzx r32, word [r32 + displacement]
EDI = 7  # the register of the table: REG_QSTR_TABLE in py/emitnative.c


def arrange(tool, modules):
    places = choose(tool, modules)
    for module, place in zip(modules, places, strict=True):
        move(tool, module, place)


def choose(tool, modules):
    """For each module {place of a name: its new place}."""
    places = [{i: i for i in staying(tool, module)} for module in modules]
    free = [set(range(len(m.qstr_table))) - set(p) for m, p in zip(modules, places, strict=True)]
    found, fixed = collections.defaultdict(list), collections.defaultdict(collections.Counter)
    for number, module in enumerate(modules):
        for i, name in enumerate(module.qstr_table):
            if i in places[number]:
                fixed[name.str][i] += 1
            else:
                found[name.str].append((number, i))
    for name in sorted(found, key=lambda name: (-len(found[name]), name)):
        for low in True, False:
            left = [(n, i) for n, i in found[name] if (i < ONE_BYTE) == low]
            while left:
                votes = collections.Counter()
                for number, _ in left:
                    votes.update(p for p in free[number] if (p < ONE_BYTE) == low)
                votes.update({p: n for p, n in fixed[name].items() if p in votes})
                best = min(votes, key=lambda place: (-votes[place], place))
                for number, i in [(n, i) for n, i in left if best in free[n]]:
                    places[number][i] = best
                    free[number].remove(best)
                    left.remove((number, i))
    return places


def staying(tool, module):
    many = len(module.qstr_table) > MANY
    return range(len(module.qstr_table)) if many else {0} | loaded_by_native(tool, module)


def loaded_by_native(tool, module):
    """Places of names that native code loads, and a few that only look like it."""
    found = set()
    for code in functions(module.raw_code):
        if code.code_kind == tool.MP_CODE_BYTECODE:
            continue
        if code.code_kind == tool.MP_CODE_NATIVE_PY:
            found.update(code.names)
        for match in LOAD_16.finditer(code.fun_data + bytes(4)):
            kind, register = match[1][0] >> 6, match[1][0] & 7
            if register == EDI:
                displacement = (0, match[2][0], int.from_bytes(match[2], "little"), 0)[kind]
                found.add(displacement // 2)
    return {place for place in found if place < len(module.qstr_table)}


def functions(code):
    """A function and all that are made in it."""
    yield code
    for child in code.children:
        yield from functions(child)


def move(tool, module, place):
    table = module.qstr_table
    table[:] = [table[old] for old in sorted(place, key=place.get)]
    for code in functions(module.raw_code):
        if code.code_kind != tool.MP_CODE_BYTECODE:
            continue
        data, at = bytearray(code.fun_data), code.offset_source_info
        code.names = [place[name] for name in code.names]
        for name in code.names:
            at = _put(tool, data, at, name)
        at = code.offset_opcodes
        while at < len(data):
            kind, size, argument, _ = tool.mp_opcode_decode(data, at)
            if kind == tool.MP_BC_FORMAT_QSTR:
                _put(tool, data, at + 1, place[argument])
            at += size
        code.fun_data = bytes(data)


def _put(tool, data, at, number):
    """Write a number over one that is as long; where it ends."""
    encoded = tool.mp_encode_uint(number)
    data[at : at + len(encoded)] = encoded
    return at + len(encoded)
