"""tools/image/packages.py: pinned packages, from a folder of wheels instead of PyPI."""

import hashlib
import io
import tarfile
import zipfile

import pytest

from tests.build.project import Project
from tools.errors import UserError
from tools.image import packages

START = "\ndef start(machine):\n    pass\n"


def wheel(folder, name="web", version="1.0", files=None):
    """A wheel as pip takes it; returns the hash of the file."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in (files or {f"{name}.py": "x = 1\n"}).items():
            archive.writestr(member, text)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def old_package(folder, name, version, member):
    """A source distribution without setup.py, as MicroPython's library was put there."""
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for inside, text in ((member, b"y = 2\n"), ("PKG-INFO", b"Metadata-Version: 1.0\n")):
            about = tarfile.TarInfo(f"{name}-{version}/{inside}")
            about.size = len(text)
            archive.addfile(about, io.BytesIO(text))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The folder that pip looks into, and nowhere else."""
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def project(tmp_path):
    def project(requirements):
        text = f"REQUIREMENTS = {requirements!r}\nimport web{START}"
        return Project(tmp_path / "project", {"services/main.py": text})

    return project


def provide(project):
    return packages.provide(project.service(), project.folder)


def test_a_package_is_fetched_once_and_its_hash_written_down(shop, project):
    digest = wheel(shop)
    made = project(("web==1.0",))
    (package,) = provide(made)
    assert (package.folder / "web.py").read_text() == "x = 1\n"
    lock = made.folder / "services/main.lock"
    assert lock.read_text() == f"web==1.0 --hash=sha256:{digest}\n"
    for path in shop.iterdir():
        path.unlink()
    assert provide(made) == [package], "what is there needs no network"
    assert made.follow(packages=[package]).frozen["web"].origin == "web 1.0"


def test_another_file_than_the_locked_one_is_refused(shop, project):
    wheel(shop)
    made = project(("web==1.0",))
    made.write("services/main.lock", f"web==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(UserError, match=r"main\.py:1: web==1\.0 cannot be had"):
        provide(made)
    assert "0" * 64 in (made.folder / "services/main.lock").read_text(), "a pin never changes"


def test_a_package_of_old_without_setup_is_taken_too(shop, project):
    digest = old_package(shop, "micropython-web.simple", "1.3", "web/simple.py")
    made = project(("micropython-web.simple==1.3",))
    made.write("services/main.lock", f"micropython-web.simple==1.3 --hash=sha256:{digest}\n")
    (package,) = provide(made)
    assert (package.folder / "web/simple.py").read_text() == "y = 2\n"


def test_a_version_is_needed(project):
    with pytest.raises(UserError, match=r"main.py:1: requirement 'web': say which version"):
        provide(project(("web",)))
    with pytest.raises(UserError, match="texts in a tuple"):
        provide(project("web==1.0"))


def test_pyproject_beside_the_service_will_do(shop, tmp_path):
    wheel(shop)
    text = '[project]\nname = "x"\ndependencies = ["web == 1.0"]\n'
    files = {
        "services/main/__init__.py": "import web" + START,
        "services/main/pyproject.toml": text,
    }
    made = Project(tmp_path / "project", files)
    (package,) = provide(made)
    assert package.version == "1.0"
    assert (made.folder / "services/main/main.lock").is_file()


def test_what_is_not_there_is_one_line(shop, project):
    with pytest.raises(UserError) as error:
        provide(project(("nothing==1.0",)))
    assert "nothing==1.0 cannot be had" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_package_writes_nowhere_else(shop, project):
    wheel(shop, files={"web.py": "", "../../outside.py": ""})
    with pytest.raises(UserError, match="outside of its folder"):
        provide(project(("web==1.0",)))
    assert not list(shop.parent.rglob("outside.py"))


def test_without_requirements_nothing_happens(tmp_path):
    made = Project(tmp_path, {"services/main.py": START})
    assert provide(made) == []
    assert not (tmp_path / "build").exists()
