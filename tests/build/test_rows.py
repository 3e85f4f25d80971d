"""tools/image/rows.py: what C asks for by name stays in its tables."""

import re
from pathlib import Path

import pytest

from tools.image import rows

ROOT = Path(__file__).parents[2]
FOLDERS = ("build/micropython/py", "build/micropython/extmod")
# Lookups of methods and attributes.  (What C imports or makes exceptions of is no row.)
LOOKUP = re.compile(
    r"(?:mp_load_method\w*|mp_load_attr|mp_vfs_proxy_call|iobase_read_write)"
    r"\([^;{]*?\bMP_QSTR_([a-z]\w*)"
)


def asked(folder):
    return {
        name: path.relative_to(ROOT)
        for path in sorted((ROOT / folder).rglob("*.c"))
        for name in LOOKUP.findall(path.read_text(errors="replace"))
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_c_asks_for_by_name_stays(folder):
    found = asked(folder)
    assert {name: str(path) for name, path in found.items() if name not in rows.FROM_C} == {}
    assert found
