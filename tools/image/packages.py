"""Packages from PyPI: what a service names is fetched, pinned, and may be imported.

A service says with a literal which it needs, or a pyproject.toml beside it does:

    REQUIREMENTS = ("microdot==2.7.0",)             in web.py
    [project] dependencies = ["microdot==2.7.0"]    in pyproject.toml beside the service

    provide(service, root) -> [Package]     fetched and unpacked below build/packages

The law: a version is pinned by what is written there, the file by its hash, which stands in
SERVICE.lock beside the service, in pip's own format.  A hash that is not there yet is written when
the package is fetched for the first time; one that is there is never changed.  What is unpacked
already needs no network.  Of a package only what is imported is frozen (closure.py).

pip fetches.  The old packages of MicroPython's library have no setup.py, so that pip has checked
and unpacked them when it gives up: then what it has left in its temporary folder is taken.
Left out: dependencies of packages (name them); files of packages other than Python modules.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tools.errors import UserError, at
from tools.image.closure import show
from tools.image.needs import literal

REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.+!_-]*)")
LOCKED = re.compile(rf"{REQUIREMENT.pattern} --hash=sha256:([0-9a-f]{{64}})")
HASH = re.compile(r"#sha256=([0-9a-f]{64})")
PATIENCE = 180  # seconds for pip


@dataclass(frozen=True)
class Package:
    """One package, unpacked: its modules lie in `folder`."""

    name: str
    version: str
    folder: Path

    def __str__(self):
        return f"{self.name} {self.version}"


def provide(service, root):
    """The packages that a service names, fetched if need be."""
    wanted = requirements(service)
    path = lock_path(service)
    locked = read_lock(path)
    found, new = [], False
    for name, version, where in wanted:
        digest = locked.get((name, version))
        if not digest:
            digest, new = _fetch(root, name, version, None, where), True
            locked[name, version] = digest
        elif not _folder(root, name, version, digest).is_dir():
            _fetch(root, name, version, digest, where)
        folder = _folder(root, name, version, digest)
        source = folder / "src"
        found.append(Package(name, version, source if source.is_dir() else folder))
    if new:
        kept = {(name, version): locked[name, version] for name, version, _ in wanted}
        write_lock(path, kept)
        print(f"the hashes of its packages are in {show(path)}: keep it with the service")
    return found


def requirements(service):
    """[(name, version, "FILE:LINE")] of the literal, else of pyproject.toml."""
    found = literal(service, "REQUIREMENTS")
    project = service.home / "pyproject.toml"
    if found:
        line, _, words = found
        place = (show(service.path), line)
    elif project.is_file():
        try:
            words = tomllib.loads(project.read_text()).get("project", {}).get("dependencies", [])
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"{show(project)}: {error}") from None
        place = (show(project), 1)
    else:
        return []
    if isinstance(words, str) or not all(isinstance(word, str) for word in words):
        raise at(*place, 'requirements are texts in a tuple: ("microdot==2.7.0",)')
    result = []
    for word in words:
        match = REQUIREMENT.fullmatch(word.replace(" ", ""))
        if not match:
            raise at(*place, f"requirement {word!r}: say which version, like microdot==2.7.0")
        result.append((match[1].lower(), match[2], f"{place[0]}:{place[1]}"))
    return result


def lock_path(service):
    name = service.home.name if service.path.name == "__init__.py" else service.path.stem
    return service.home / f"{name}.lock"


def read_lock(path):
    """{(name, version): hash}"""
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line and not line.startswith("#"):
            match = LOCKED.fullmatch(line)
            if not match:
                raise at(show(path), number, "expected NAME==VERSION --hash=sha256:DIGITS")
            found[match[1], match[2]] = match[3]
    return found


def write_lock(path, locked):
    lines = [
        f"{name}=={version} --hash=sha256:{digest}" for (name, version), digest in locked.items()
    ]
    path.write_text("\n".join(sorted(lines)) + "\n")


def _folder(root, name, version, digest):
    return Path(root) / "build" / "packages" / f"{name}-{version}-{digest[:12]}"


def _fetch(root, name, version, digest, where):
    """Have pip get it; returns the hash of the file."""
    home = Path(root) / "build" / "packages"
    home.mkdir(parents=True, exist_ok=True)
    print(f"fetching {name} {version}", flush=True)
    with tempfile.TemporaryDirectory(dir=home) as temporary:
        temporary = Path(temporary)
        wanted = temporary / "requirements.txt"
        wanted.write_text(f"{name}=={version}" + f" --hash=sha256:{digest}" * bool(digest) + "\n")
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-build-isolation", "--no-clean", "--progress-bar=off"]
        command += ["--requirement", str(wanted), "--dest", str(temporary / "files")]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE,
                env={**os.environ, "TMPDIR": str(temporary)},
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"{where}: {name}=={version}: pip needs too long") from None
        unpacked = temporary / "unpacked"
        files = [path for path in (temporary / "files").glob("*") if path.is_file()]
        left = [path for path in temporary.glob("pip-download-*/*") if any(path.rglob("*.py"))]
        told = HASH.search(done.stdout + done.stderr)
        if files:
            actual = hashlib.sha256(files[0].read_bytes()).hexdigest()
            _unpack(files[0], unpacked)
        elif left and (digest or told):
            # pip has checked the hash before it unpacked the file.
            actual = digest or told[1]
            left[0].rename(unpacked)
        else:
            lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
            reason = lines[-1].removeprefix("ERROR: ") if lines else "pip says nothing"
            raise UserError(f"{where}: {name}=={version} cannot be had: {reason}")
        if digest and actual != digest:
            raise UserError(f"{where}: {name}=={version}: the file is not the one that was locked")
        target = _folder(root, name, version, actual)
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)
    return actual


def _unpack(path, target):
    """The Python files of a wheel or a source distribution."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            files = {name: wheel.read(name) for name in wheel.namelist() if name.endswith(".py")}
    else:
        with tarfile.open(path) as archive:
            members = [m for m in archive.getmembers() if m.isfile() and m.name.endswith(".py")]
            files = {m.name.partition("/")[2]: archive.extractfile(m).read() for m in members}
    target = target.resolve()
    for name, data in files.items():
        place = (target / name).resolve()
        if not place.is_relative_to(target):
            raise UserError(f"{path.name}: it wants to write outside of its folder: {name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    target.mkdir(parents=True, exist_ok=True)
