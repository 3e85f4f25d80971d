"""What C offers to Python and no Python of the image asks for: out of its tables, out of the image.

    without_rows(object, names, words) -> the object file of the port, with empty rows

Methods of builtin types, builtins, and what C modules have are rows of a table: a name, and the
address of an object.  A linker keeps all of them, because the table is needed.  Here the name
becomes the empty one and the address a number, and then functions that nothing else wants are
collected (--gc-sections).  A word decides, as in shake.py: a row stays while its name is
said in any frozen module, as a name or within a string.  So do rows with underscores in front, and
those that C asks for by name.

System V ABI, chapter 4 (sections, relocation); Intel386 supplement.
Left out: images with code that computes names, and with a compiler; they have all rows.
"""

import re
import struct

from tools.image.elf import Elf

TABLE = re.compile(r"\.rodata\.\w*(?:locals_dict|_locals|globals)_table")
ENTRY = re.compile(r'^QDEF([01])\(\w+, \d+, \d+, "(.*)"\)$', re.MULTILINE)
SHT_PROGBITS, SHT_REL = 1, 9
ROW, RELOCATION = struct.Struct("<II"), struct.Struct("<II")
QSTR_TAG, TAGS, ZERO = 2, 7, 1  # of objects: an interned string; the small integer 0
# What py/ and extmod/ ask for by name (yield from, streams, dict.update, os for its disk).
FROM_C = {"append", "chdir", "close", "count", "getcwd", "ilistdir", "ioctl", "irq", "keys", "main"}
FROM_C |= {"mkdir", "mount", "open", "read", "readblocks", "readinto", "remove", "rename", "rmdir"}
FROM_C |= {"send", "setblocking", "stat", "statvfs", "sync", "throw", "umount", "value", "write"}
FROM_C |= {"writeblocks"}


def names_of(header):
    """Interned strings of the port by number: the text of genhdr/qstrdefs.generated.h.

    Those of QDEF0 are counted first (py/qstr.h), wherever they stand.
    """
    return [name for _, name in sorted(ENTRY.findall(header), key=lambda entry: entry[0])]


def without_rows(path, names, words):
    elf = Elf(path)
    data, wanted = bytearray(elf.data), words | FROM_C
    empty = names.index("", 1) << 3 | QSTR_TAG
    for number, section in enumerate(elf.sections):
        if section.type != SHT_PROGBITS or not TABLE.match(section.name):
            continue
        cleared = set()
        for at in range(0, section.size, ROW.size):
            key, _ = ROW.unpack_from(data, section.offset + at)
            if key & TAGS != QSTR_TAG:
                raise ValueError(f"{section.name} has a row whose name is no interned string")
            name = names[key >> 3]
            if name not in wanted and not name.startswith("_"):
                ROW.pack_into(data, section.offset + at, empty, ZERO)
                cleared |= {at, at + 4}
        for at in _relocations(elf, number):
            offset, _ = RELOCATION.unpack_from(data, at)
            if offset in cleared:
                RELOCATION.pack_into(data, at, offset, 0)  # R_386_NONE
    return bytes(data)


def _relocations(elf, number):
    """Where the relocations of a section are."""
    for section in elf.sections:
        if section.type == SHT_REL and section.info == number:
            yield from range(section.offset, section.offset + section.size, RELOCATION.size)
