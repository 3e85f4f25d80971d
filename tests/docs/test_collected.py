"""Every test that there is, is run."""

import ast
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


def test_no_test_is_in_a_file_that_is_passed_by():
    """pytest looks into test_*.py alone; what several of them share is called otherwise."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")]
    names = {
        path: [getattr(node, "name", "") for node in ast.parse(path.read_bytes()).body]
        for path in files
    }
    assert not [(path, name) for path in files for name in names[path] if name.startswith("test_")]
