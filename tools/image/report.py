"""What is in an image, how much of it, and who asked for it.

    report = make(closure, elf_path, image_path, port_folder, micropython, contents, needs)
    report.text()      for people;  report.json()  for programs (and for `./importos run`)

Bytes are counted by symbol: a frozen module owns the objects that mpy-tool named after it, a C
source those it mentions.  The compressed size of a part is its share of the real payload, in
proportion to what it compresses to alone; so the columns add up to the image.

Left out: what has no symbol, such as padding and literals; it is "other".
"""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

import deflate

from tools.image.cmodules import MODULES
from tools.image.disk import bytes_used, loader_size
from tools.image.elf import Elf, Symbol

# Prefixes of the names that mpy-tool.py gives to the objects of a module.
FROZEN_SYMBOL = re.compile(
    r"(?:fun_data|proto_fun|raw_code|children|const_qstr_table_data|const_obj_table_data|const_obj"
    r"|const_table_data|frozen_module)_(\w+)"
)
# What the compiler appends when it makes several of one function.
CLONE = re.compile(r"(\.(lto_priv|isra|constprop|part|cold)(\.\d+)?|\.\d+)+$")
NEED = -1  # the section of a literal
NAMES = "names (qstr)"
OTHER = "other (padding, literals, libgcc)"


@dataclass
class Row:
    """One part of an image."""

    name: str
    raw: int
    compressed: int
    importers: list = field(default_factory=list)


@dataclass
class Report:
    """Rows by kind; totals in bytes."""

    service: str
    python: list
    c_modules: list
    core: list
    needs: list
    features: dict
    ports: list
    settings: dict
    totals: dict

    def json(self):
        return json.dumps(asdict(self), indent=1) + "\n"

    def text(self):
        lines = [f"{self.service}: {self.totals['image']:,} bytes", ""]
        lines += _table("Python module", self.python)
        lines += _table("C module", self.c_modules)
        lines += _table("core", self.core)
        if self.needs:
            lines += _table("compiled in", self.needs)
        for feature, where in self.features.items():
            lines.append(f"{feature}: because of {where}")
        t = self.totals
        lines += [
            f"in memory      {t['flat']:>9,}   and {t['bss']:,} cleared at the start",
            f"disk image     {t['image']:>9,}   boot sector and loader {t['loader']:,}, "
            f"payload {t['payload']:,}",
        ]
        return "\n".join(lines) + "\n"


def make(closure, elf_path, image_path, port_folder, micropython, contents, declared):
    """The report on a finished image; `contents`: {name: bytes} of its `declared` needs."""
    elf = Elf(elf_path)
    flat = elf.flat()[1]
    owners = _assign(elf, closure, Path(port_folder), Path(micropython), contents)
    image = bytes_used(image_path)
    payload = image - loader_size(image_path)
    alone = {name: len(deflate.deflate_compress(data, 9)) for name, data in owners.items()}
    scale = payload / sum(alone.values())

    def row(name, shown=None, importers=()):
        compressed = round(alone.get(name, 0) * scale)
        return Row(shown or name, len(owners.get(name, b"")), compressed, sorted(importers))

    def named(module):
        return f"{module.name} ({module.origin})" if module.origin else module.name

    python = [row(("frozen", m.name), named(m), m.importers) for m in closure.frozen.values()]
    c_modules = [row(("c", name), name, who) for name, who in closure.builtin.items()]
    compiled = [row(owner, owner[1]) for owner in owners if owner[0] == "need"]
    core = [row(name) for name in owners if isinstance(name, str)]
    bss = sum(s.size for s in elf.sections if s.name == ".bss")
    loader = loader_size(image_path)
    return Report(
        closure.service.name,
        _largest_first(python),
        _largest_first(c_modules),
        _largest_first(core),
        _largest_first(compiled),
        closure.features,
        list(declared.ports),
        declared.settings,
        {
            "flat": len(flat),
            "bss": bss,
            "image": image,
            "loader": loader,
            "payload": image - loader,
        },
    )


def _assign(elf, closure, port_folder, micropython, needs):
    """{owner: its bytes}; an owner is ("frozen", module), ("c", module) or the name of a group."""
    escaped = {re.sub(r"\W", "_", name): name for name in closure.frozen}
    files = _words_of_sources(port_folder, micropython)
    by_source = {Path(MODULES[name].source).name: name for name in closure.builtin}
    start, flat = elf.flat()
    # The contents of a need have no symbol: the compiler makes a literal of them.
    found = [(name, flat.find(data), data) for name, data in needs.items() if data]
    literals = [Symbol(name, start + at, len(data), NEED) for name, at, data in found if at >= 0]
    owners, at = {}, 0
    for symbol in sorted([*elf.symbols(), *literals], key=lambda s: (s.address, -s.size)):
        first, end = symbol.address - start, symbol.address - start + symbol.size
        if first < at or end > len(flat):
            continue  # another name of the same bytes, or in .bss
        owner = ("need", symbol.name)
        if symbol.section != NEED:
            owner = _owner(CLONE.sub("", symbol.name), escaped, files, by_source)
        owners.setdefault(OTHER, bytearray()).extend(flat[at:first])
        owners.setdefault(owner, bytearray()).extend(flat[first:end])
        at = end
    owners.setdefault(OTHER, bytearray()).extend(flat[at:])
    return owners


def _owner(name, escaped, files, by_source):
    frozen = FROZEN_SYMBOL.match(name)
    if frozen:
        parts = frozen[1].split("_")
        for end in range(len(parts), 0, -1):
            module = escaped.get("_".join(parts[:end]))
            if module:
                return ("frozen", module)
    if ("qstr" in name and "pool" in name) or name.startswith("mp_frozen"):
        return NAMES
    for path in files.get(name, ()):
        if path.name in by_source:
            return ("c", by_source[path.name])
        return _group(path)
    return OTHER


def _group(path):
    parts = path.parts
    for folder in ("boot", "cpu", "libc"):
        if folder in parts:
            return f"port/{folder}"
    if parts[-2] == "micropython":
        return "port/micropython"
    return (
        "lib and shared (MicroPython)" if "py" not in parts else "interpreter (MicroPython's py/)"
    )


def _words_of_sources(port_folder, micropython):
    """{identifier: sources that mention it}: those first that mention it most."""
    root = Path(__file__).parents[2]
    found = {}
    for compiled in sorted(port_folder.rglob("*.[cS].o")):
        relative = compiled.relative_to(port_folder)
        base = micropython if relative.parts[0] == "mp" else root
        source = base.joinpath(*relative.parts[relative.parts[0] == "mp" :]).with_suffix("")
        if source.is_file():
            for word in re.findall(r"\w{3,}", source.read_text(errors="replace")):
                found.setdefault(word, {}).setdefault(source, 0)
                found[word][source] += 1
    return {word: sorted(files, key=files.get, reverse=True) for word, files in found.items()}


def _largest_first(rows):
    return sorted((r for r in rows if r.raw or r.importers), key=lambda r: (-r.raw, r.name))


def _table(title, rows):
    width = max([len(title), *(len(row.name) for row in rows)])
    lines = [f"{title:{width}}  {'bytes':>9}  {'packed':>8}  imported by"]
    for row in rows:
        who = ", ".join(row.importers[:4])
        if len(row.importers) > 4:
            who += f" and {len(row.importers) - 4} more"
        lines.append(f"{row.name:{width}}  {row.raw:>9,}  {row.compressed:>8,}  {who}".rstrip())
    total = sum(row.raw for row in rows), sum(row.compressed for row in rows)
    lines += [f"{'':{width}}  {total[0]:>9,}  {total[1]:>8,}", ""]
    return lines
