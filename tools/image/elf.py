"""The little of ELF that images need: segments as one flat block, and symbols with their bytes.

32-bit little-endian only (System V ABI, chapters 4 and 5; Intel386 supplement).
"""

import struct
from pathlib import Path
from typing import NamedTuple

HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
SEGMENT = struct.Struct("<IIIIIIII")
SECTION = struct.Struct("<IIIIIIIIII")
SYMBOL = struct.Struct("<IIIBBH")
PT_LOAD, SHT_SYMTAB, SHT_NOBITS, SHF_ALLOC, SHN_COMMON = 1, 2, 8, 2, 0xFFF2
STT_OBJECT, STT_FUNC = 1, 2


class Header(NamedTuple):
    ident: bytes
    type: int
    machine: int
    version: int
    entry: int
    segments: int
    sections: int
    flags: int
    size: int
    segment_size: int
    n_segments: int
    section_size: int
    n_sections: int
    names: int


class Section(NamedTuple):
    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int


class Symbol(NamedTuple):
    name: str
    address: int
    size: int
    section: int


class Elf:
    """A linked file; `entry` is its start address."""

    def __init__(self, path):
        self.data = Path(path).read_bytes()
        header = Header._make(HEADER.unpack_from(self.data))
        if header.ident[:6] != b"\x7fELF\x01\x01":
            raise ValueError(f"{path} is not a 32-bit little-endian ELF file")
        self.entry = header.entry
        self.segments = [
            SEGMENT.unpack_from(self.data, header.segments + i * SEGMENT.size)
            for i in range(header.n_segments)
        ]
        raw = [
            SECTION.unpack_from(self.data, header.sections + i * SECTION.size)
            for i in range(header.n_sections)
        ]
        self.sections = [Section(self._text(raw[header.names][4] + s[0]), *s[1:8]) for s in raw]

    def flat(self):
        """(address, bytes) of everything that a loader puts into memory, without .bss."""
        loads = [s for s in self.segments if s[0] == PT_LOAD and s[4]]
        start = min(s[3] for s in loads)
        flat = bytearray(max(s[3] + s[4] for s in loads) - start)
        for _, offset, _, physical, size, *_ in loads:
            flat[physical - start : physical - start + size] = self.data[offset : offset + size]
        return start, bytes(flat)

    def section(self, name):
        return next(section for section in self.sections if section.name == name)

    def symbols(self):
        """Functions and objects that have a size and a place in memory."""
        found = []
        for section in self.sections:
            if section.type != SHT_SYMTAB:
                continue
            strings = self.sections[section.link].offset
            for at in range(section.offset, section.offset + section.size, SYMBOL.size):
                name, value, size, info, _, where = SYMBOL.unpack_from(self.data, at)
                if info & 15 in (STT_OBJECT, STT_FUNC) and size and 0 < where < len(self.sections):
                    found.append(Symbol(self._text(strings + name), value, size, where))
        return found

    def contents(self, symbol):
        """The bytes of a symbol; empty in .bss."""
        section = self.sections[symbol.section]
        if section.type == SHT_NOBITS:
            return b""
        at = section.offset + symbol.address - section.address
        return self.data[at : at + symbol.size]

    def _text(self, at):
        return self.data[at : self.data.index(b"\0", at)].decode()
