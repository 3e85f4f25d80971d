"""Every test that there is, is run."""

import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_no_folder_of_tests_is_passed_by(pytestconfig):
    """pytest passes by folders named `build` unless it is told."""
    patterns = pytestconfig.getini("norecursedirs")
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")}
    names = {name for folder in folders for name in folder.parts}
    assert "build" in names
    assert not [name for name in names for it in patterns if fnmatch.fnmatch(name, it)]
