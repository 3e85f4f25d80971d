"""What an import does, in a machine: each line is one law (tests/vm/test_boot.py)."""

import sys

import imports.deep.leaf
import imports.folder.plain
from imports import deep
from imports.deep import leaf


def missing(name):
    try:
        __import__(name)
    except ImportError as error:
        return str(error)


def start(machine):
    assert imports.deep is deep and deep.leaf is leaf  # bound in its package, the top one here
    assert sys.modules["imports.deep.leaf"] is leaf
    assert leaf.ORDER == ["deep", "leaf"]  # packages first, each once
    assert leaf.upper is deep  # from .. import deep
    assert imports.folder.plain.VALUE == 7  # a folder without __init__.py is a package, too
    assert leaf.__name__ == "imports.deep.leaf"
    assert leaf.__file__ == "imports/deep/leaf.py"
    assert hasattr(deep, "__path__") and not hasattr(leaf, "__path__")
    for name in (
        "nowhere",
        "imports.nowhere",
        "imports.deep.leafy",
        "imports.dee",
        "imports.deep.leaf.x",
    ):
        assert missing(name) == f"no module named '{name}'", name
        assert name not in sys.modules
    machine.log.info("every import did what it should")
    machine.stop()
