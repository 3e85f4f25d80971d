"""runtime/files without a disk: in which order a machine ends."""

import sys
import types

from runtime.settings import Settings
from tests.support.metal import Machine as Hardware


def test_files_are_closed_after_all_who_may_still_write_or_hold_what_is_written(monkeypatch):
    """The guest agent, whom a frozen machine waits for, is there before files are."""
    monkeypatch.setitem(sys.modules, "vfs", types.ModuleType("vfs"))
    monkeypatch.setattr(sys, "path", sys.path[:])
    Hardware()
    from runtime import files

    def melt():
        pass

    machine = types.SimpleNamespace(ends=[melt], settings=Settings("mount=no"))
    files.mount(machine)
    assert [machine.ends.pop(), machine.ends.pop()] == [melt, files.close]
