"""The programs the tests use. A missing one is a failure that names its package, never a skip."""

import shutil

from tools.testing import PACKAGES


def tool(name):
    """The path of a program, also from the folders that only root has on its path."""
    path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        raise AssertionError(
            f"{name} is not installed; `./importos test` installs what the tests need:"
            f" {', '.join(PACKAGES)}"
        )
    return path
