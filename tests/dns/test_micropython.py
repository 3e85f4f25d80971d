"""The same source as native code, on MicroPython for Linux: the same answers, and no allocation."""

import subprocess
from pathlib import Path

import dns.message
import pytest

from tests.conftest import ROOT
from tests.dns.compare import queries
from tests.dns.local import Whole
from tests.dns.streams import framed

pytestmark = pytest.mark.micropython_linux


def test_answers_are_the_same_and_nothing_is_allocated(zone, micropython_linux, tmp_path):
    wires = [wire for wire in queries(zone, 2000, seed=60) if wire]
    (tmp_path / "table").write_bytes(zone.table)
    (tmp_path / "queries").write_bytes(
        b"".join(len(wire).to_bytes(2, "little") + wire for wire in wires)
    )
    script = Path(__file__).with_name("on_micropython.py")
    done = subprocess.run(
        [micropython_linux, "-X", "heapsize=8m", script, ROOT]
        + [tmp_path / name for name in ("table", "queries", "answers")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["0", "0"]
    data = (tmp_path / "answers").read_bytes()
    for wire, expected in zip(wires, Whole(zone.table).ask(wires), strict=True):
        length = int.from_bytes(data[:2], "little")
        assert data[2 : 2 + length] == (expected or b""), wire.hex()
        data = data[2 + length :]
    assert data == b""


def test_queries_over_tcp_allocate_nothing(zone, micropython_linux, tmp_path):
    """Two in a segment, the second one with a name that does not exist."""
    wires = [
        dns.message.make_query(f"{name}.{zone.origin}", "A").to_wire() for name in ("host1", "no")
    ]
    (tmp_path / "table").write_bytes(zone.table)
    (tmp_path / "query").write_bytes(b"".join(map(framed, wires)))
    script = Path(__file__).with_name("streams_on_micropython.py")
    files = (tmp_path / "table", tmp_path / "query")
    done = subprocess.run(
        [micropython_linux, "-X", "heapsize=8m", script, ROOT, *files],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["0", "2002"]
