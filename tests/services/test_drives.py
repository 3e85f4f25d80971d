"""./importos run --host | --tap --drive: a file is the same disk for a process as for a machine."""

import os
import subprocess
import sys

import pytest

from tests.support import images

pytestmark = pytest.mark.timeout(180)

BLOCKS = """
def start(machine):
    disk, cd = machine.disks
    print(disk.name, disk.sectors, disk.serial, cd.sectors, cd.block_size, cd.read_only)
    for wrong in ((2048, 512), (0, 100), (0, 0), (-1, 512)):
        try:
            disk.read(wrong[0], bytearray(wrong[1]), print)
        except ValueError:
            print("refused")
    try:
        cd.write(0, bytearray(2048), print)
    except OSError as error:
        print("cd", error.args[0])

    def read(status, buffer):
        print("read", status, bytes(buffer[:3]), disk.fetch(2, 1)[:3], cd.fetch(4, 4)[:2])
        machine.stop()

    order = []
    disk.write(1, bytearray(b"abc" + bytes(509)), lambda status, _: order.append(status))
    disk.write_zeroes(2, 1, lambda status, _: order.append(status))
    disk.discard(8, 8, lambda status, _: order.append(status))
    disk.flush(lambda status, _: order.append(status))
    disk.read(1, bytearray(512), read)
    print("later", order)
"""
VISITS = """
import os


def start(machine):
    try:
        with open("visits") as file:
            visits = int(file.read())
    except OSError:
        visits = 0
    with open("/visits", "w") as file:
        file.write(str(visits + 1))
    print("visit", visits + 1, "visits" in os.listdir("/"))
    __import__("net.inet")
    machine.stop()
"""


def run(path, *words):
    command = [sys.executable, "-m", "tools.cli", "run", *words, path]
    return subprocess.run(
        list(map(str, command)), cwd=images.ROOT, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_disks(tmp_path, interpreter):
    service, disk, cd = tmp_path / "blocks.py", tmp_path / "data.img", tmp_path / "cd.iso"
    service.write_text(BLOCKS)
    disk.write_bytes(b"z" * (1 << 20))
    cd.write_bytes(bytes(2048) + b"CD" + bytes(4094))
    words = ("--host", "--interpreter", interpreter, "--append", "mount=no")
    done = run(service, *words, "--drive", disk, "--drive", cd)
    assert done.returncode == 0, done
    lines = [line for line in done.stdout.splitlines() if not line.startswith("[")]
    assert lines[:6] == ["disk0 2048 data.img 12 2048 True", *["refused"] * 4, "cd 30"], done
    assert lines[6:] == ["later []", "ready", f"read 0 {b'abc'} {bytes(3)} {b'CD'}"]
    assert disk.read_bytes()[508:1540] == b"zzzzabc" + bytes(509 + 512) + b"zzzz"


@pytest.mark.parametrize("where", ["--host", "--tap"])
def test_files(tmp_path, where):
    service, disk = tmp_path / "visits.py", tmp_path / "data.img"
    service.write_text(VISITS)
    os.truncate(os.open(disk, os.O_CREAT | os.O_RDWR), 1 << 20)
    words = (where, "--interpreter", "micropython", "--drive", disk)
    for visit in (1, 2):
        done = run(service, *words, "--append", "mount=disk0:/:littlefs:format")
        assert f"visit {visit} True" in done.stdout and done.returncode == 0, done


def test_cpython_says_that_it_mounts_nothing(tmp_path):
    service = tmp_path / "nothing.py"
    service.write_text(
        "def start(machine):\n    print(machine.disks[0].name)\n    machine.stop()\n"
    )
    (tmp_path / "data.img").write_bytes(bytes(1 << 20))
    done = run(service, "--host", "--drive", tmp_path / "data.img")
    assert "disks are not mounted: CPython has no" in done.stdout and "disk0" in done.stdout


def test_what_is_no_file(tmp_path):
    (tmp_path / "x.py").write_text("def start(machine):\n    pass\n")
    done = run(tmp_path / "x.py", "--host", "--drive", tmp_path / "none.img")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "there is no such file; `truncate -s 64M" in done.stderr
