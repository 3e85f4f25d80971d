"""The readers on MicroPython: good, bad and damaged data become what they are on CPython."""

import json
import random
import subprocess
from pathlib import Path

import pytest

from tests.clients import test_get
from tests.conftest import ROOT
from tests.instance import test_network, test_platform, test_userdata
from tests.instance.disks import fat, iso
from tests.instance.outcomes import outcome

pytestmark = pytest.mark.micropython_linux
BLANK = " \t\n\r\v\f"  # to MicroPython
FILES = {"meta-data": b"instance-id: x\n" * 50, "user-data": b"", "a/long name.txt": b"long"}


def damaged(data, dice, limit):
    data = bytearray(data)
    for _ in range(dice.randrange(1, 6)):
        data[dice.randrange(min(len(data), limit))] = dice.choice((0, 1, 0xFF, dice.randrange(256)))
    return bytes(data[: dice.randrange(len(data))]) if dice.random() < 0.2 else bytes(data)


def cases():
    dice = random.Random(4)
    user = [*test_userdata.GOOD, *test_userdata.BAD]
    answers = [data for data, _ in test_get.GOOD]
    network = json.dumps(test_network.DESCRIPTION).encode()
    tables = test_platform.TABLES + test_platform.END
    disks = [iso(FILES, "cidata")[: 200 * 2048], fat(FILES, "cidata", size=160)]
    for kind, seeds, count, limit in (
        ("user", user, 300, 1 << 20),
        ("response", answers, 300, 1 << 20),
        ("network", [network], 150, 1 << 20),
        ("smbios", [tables], 100, 1 << 20),
        ("volume", disks, 40, 70_000),
    ):
        for data in seeds:
            yield kind, data
        for _ in range(count):
            yield kind, damaged(dice.choice(seeds) or b"x", dice, limit)


def on_micropython(interpreter, folder, todo):
    """The lines of outcomes.py."""
    path = folder / "cases"
    path.write_bytes(b"".join(b"%s %d\n%s" % (k.encode(), len(d), d) for k, d in todo))
    script = Path(__file__).with_name("outcomes.py")
    command = [interpreter, "-X", "heapsize=16m", script, ROOT, path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    return done.stdout.splitlines()


def test_the_same_outcome(micropython_linux, tmp_path):
    todo = list(cases())
    lines = on_micropython(micropython_linux, tmp_path, todo)
    for (kind, data), line in zip(todo, lines, strict=True):
        expected = outcome(kind, data)
        if not lenient(kind, data, expected):
            assert line == expected, (kind, data[:200])


def lenient(kind, data, expected):
    """MicroPython's JSON does without commas and colons; it may understand more, never less.

    CPython's `strip` takes more for blank.
    """
    if kind == "user" and any(c.isspace() and c not in BLANK for c in str(data, "utf-8", "ignore")):
        return True
    json_expected = kind == "network" or (kind == "user" and data.strip().startswith(b"{"))
    return json_expected and (expected == "trouble" or "6e6f74204a534f4e" in expected)


def test_json_that_ends_too_early_is_refused(micropython_linux, tmp_path):
    data = b'{"settings": {"a": "b"}, "c": [1]}'
    todo = [("user", data[:end]) for end in range(1, len(data) + 1)]
    *cut, whole = on_micropython(micropython_linux, tmp_path, todo)
    assert all(line.startswith("[{},") and len(line) > 20 for line in cut), cut
    assert whole == "[{a=62},]"
