"""SConstruct: nothing is made twice, an edit is cheap, services do not disturb each other."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.images import importos, lock
from tools.image.cmodules import ALWAYS, MODULES

ROOT = Path(__file__).resolve().parent.parent.parent
PRODUCTS = ("elf", "img", "qcow2")


@pytest.fixture
def service(tmp_path):
    """A copy of the name server under a name of its own, with what it needs beside it."""
    name = f"dns{os.getpid()}"
    package = tmp_path / name
    shutil.copytree(ROOT / "services/dns", package)
    for path in package.glob("*.py"):
        path.write_text(path.read_text().replace("services.dns", name))
    (tmp_path / "zones").symlink_to(ROOT / "services/zones")
    yield package
    shutil.rmtree(ROOT / "build" / name, ignore_errors=True)


def build(package):
    """Build; {path of what there is then: inode's time} and the steps that it took."""
    with lock("images"):
        said = importos("build", "--verbose", "--format", "img,qcow2", str(package))
    folder = ROOT / "build" / package.name
    files = [
        path for path in folder.rglob("*") if path.is_file() and path.name != ".sconsign.dblite"
    ]
    return {path: path.stat().st_mtime_ns for path in files}, said.splitlines()


def made_by(tool, steps):
    """The names of what a tool of the build was given."""
    return sorted(Path(step.split()[1]).name for step in steps if step.startswith(f"{tool} "))


def images(package):
    folder = ROOT / "build" / package.name
    return {kind: (folder / f"{package.name}.{kind}").read_bytes() for kind in PRODUCTS}


@pytest.mark.timeout(600)
def test_nothing_is_made_twice_and_an_edit_is_cheap(service):
    first, _ = build(service)
    original = images(service)
    again, _ = build(service)
    assert again == first, "nothing changed, nothing is written"

    module = service / "__init__.py"
    text = module.read_text()
    module.write_text(text + "\nADDED = 1\n")
    changed, steps = build(service)
    assert made_by("freeze", steps) == ["__init__.py"]
    assert made_by("cc", steps) == ["frozen_content.c", "identity.c"], "and nothing of the port"
    remade = {path.name for path in changed if changed[path] != first.get(path)}
    assert {f"{service.name}.{kind}" for kind in PRODUCTS} <= remade
    assert {path for path in remade if path.endswith(".mpy")} == {"__init__.mpy"}

    module.write_text(text)
    shutil.rmtree(ROOT / "build" / service.name)
    build(service)
    assert images(service) == original, "the same source makes the same images"


@pytest.mark.timeout(600)
def test_two_services_build_side_by_side(tmp_path):
    # Of different configurations: one has json, the other does not.
    texts = {
        f"one{os.getpid()}": "import json\n\ndef start(machine):\n    print(json.dumps([1]))\n",
        f"two{os.getpid()}": "def start(machine):\n    print(2)\n",
    }
    running = []
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text + "    machine.stop()\n")
        command = [ROOT / "importos", "build", tmp_path / f"{name}.py"]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    try:
        for process in running:
            output = process.communicate()[0]
            assert process.returncode == 0, output.decode()
        reports = [json.loads((ROOT / "build" / n / "report.json").read_text()) for n in texts]
        modules = [{row["name"] for row in report["c_modules"]} for report in reports]
        assert modules[0] - modules[1] == {"json", "io"}
        for name, printed in zip(texts, ("[1]", "2"), strict=True):
            done = importos("run", "--no-build", str(tmp_path / f"{name}.py"))
            assert f"\n{printed}" in done.replace("\r", "")
    finally:
        for name in texts:
            shutil.rmtree(ROOT / "build" / name, ignore_errors=True)


def test_the_report_adds_up(image):
    folder = image("dns")
    report = json.loads((folder / "report.json").read_text())
    rows = [row for kind in ("python", "c_modules", "core", "needs") for row in report[kind]]
    totals = report["totals"]
    assert sum(row["raw"] for row in rows) == totals["flat"]
    assert abs(sum(row["compressed"] for row in rows) - totals["payload"]) <= len(rows)
    assert totals["loader"] + totals["payload"] == totals["image"]
    zone = next(row for row in report["needs"] if row["name"] == "zone")
    assert zone["raw"] > 100_000
    names = {row["name"] for row in report["python"]}
    assert {"runtime.boot", "net.udp.udp", "services.dns", "image"} <= names
    for row in report["python"]:
        assert row["raw"] > 0 and row["importers"], row
    text = (folder / "report.txt").read_text()
    assert all(name in text for name in names)


@pytest.mark.stress
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("module", [name for name in MODULES if name not in ALWAYS])
def test_every_c_module_can_be_the_only_one(module, tmp_path):
    path = tmp_path / f"only{module.strip('_')}.py"
    # (A module of C behind one of Python has the name of that one.)
    text = f"import {module}\n\ndef start(machine):\n    print('imported', dir({module}))\n"
    path.write_text(text + "    machine.stop()\n")
    with lock("images"):
        assert "imported ['__" in importos("run", str(path))
    shutil.rmtree(ROOT / "build" / path.stem)
