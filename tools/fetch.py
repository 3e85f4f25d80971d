"""MicroPython's source: fetched as Debian source through apt, verified, unpacked, patched.

    micropython = ensure(root, local=os.environ.get("MICROPYTHON"))     build/micropython

apt does the transport and checks the archive's signatures, with a configuration of our own below
build/, so that nothing of the system's is changed: the mirror is the one the machine already uses,
the suite is the one that has our version.  The tarball also has to have the hash that is pinned
here.  A local checkout takes the place of the download for people on other systems; it is copied,
never touched.  Everything is redone when port/micropython/patches change.

Left out: the patches Debian carries; they concern Debian's packages, not the source we use.
"""

import hashlib
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

from tools.errors import UserError

SUITE, PACKAGE, VERSION = "trixie", "micropython", "1.25.0+ds-1"
TARBALL = "micropython_1.25.0+ds.orig.tar.xz"
SHA256 = "7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
OTHERWISE = "name a local checkout of MicroPython 1.25 with MICROPYTHON=DIR"
DEBIAN_SUITES = re.compile(
    r"(oldstable|stable|testing|unstable|sid|bullseye|bookworm|trixie|forky)(-updates)?$"
)


class Mirror(NamedTuple):
    """Where the machine gets Debian from, and the keys it trusts for that."""

    uri: str
    signed_by: str


def ensure(root, local=None, say=print):
    """The folder of the patched source; does nothing when it is there and current."""
    root = Path(root)
    target, stamp = root / "build/micropython", root / "build/micropython.stamp"
    patches = sorted((root / "port/micropython/patches").glob("*.patch"))
    version = _version(patches, local)
    if target.is_dir() and stamp.is_file() and stamp.read_text() == version:
        return target
    stamp.unlink(missing_ok=True)
    fresh = root / "build/micropython.new"
    shutil.rmtree(fresh, ignore_errors=True)
    if local:
        say(f"copying MicroPython from {local}")
        _copy(Path(local), fresh)
    else:
        _unpack(download(root / "build/apt", say), fresh)
    for patch in patches:
        _apply(patch, fresh)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    stamp.write_text(version)
    return target


def download(folder, say=print):
    """The verified tarball in `folder`, fetched if it is not there."""
    tarball = folder / TARBALL
    if not (tarball.is_file() and _sha256(tarball) == SHA256):
        mirror = find_mirror()
        say(f"fetching the source of MicroPython {VERSION} ({SUITE}) from {mirror.uri}")
        _configure(folder, mirror)
        _apt(folder, "update", "-q")
        _apt(folder, "source", "-q", "--download-only", f"{PACKAGE}={VERSION}")
    if not tarball.is_file():
        raise UserError(f"apt did not fetch {TARBALL}; {OTHERWISE}")
    if _sha256(tarball) != SHA256:
        raise UserError(f"{tarball} is not the file whose hash is pinned; remove it and try again")
    return tarball


def find_mirror(apt=Path("/etc/apt")):
    """The first Debian archive among apt's sources, in either format."""
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(errors="replace")
        if file.suffix == ".sources":
            found = _deb822(text)
        elif file.suffix == ".list":
            found = _one_line(text)
        else:
            continue
        for uri, suites, components, signed_by in found:
            if any(map(DEBIAN_SUITES.fullmatch, suites)) and "main" in components:
                return Mirror(uri, signed_by if signed_by.startswith("/") else KEYRING)
    raise UserError(f"apt knows no Debian archive to fetch MicroPython from; {OTHERWISE}")


def _one_line(text):
    # sources.list(5): type [ option=value ... ] uri suite component ...
    line = re.compile(r"^\s*deb(?:-src)?\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#\n]+)", re.M)
    for options, uri, suite, components in line.findall(text):
        signed_by = re.search(r"signed-by=(\S+)", options or "")
        if not uri.startswith("cdrom:"):
            yield uri, [suite], components.split(), signed_by[1] if signed_by else ""


def _deb822(text):
    # sources.list(5): paragraphs of fields; a line that starts with a space continues a field.
    for paragraph in re.split(r"\n\s*\n", re.sub(r"^#.*\n?", "", text, flags=re.M)):
        fields, name = {}, None
        for line in paragraph.splitlines():
            if line[:1].isspace() and name:
                fields[name] += "\n" + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        for uri in fields.get("uris", "").split():
            suites, components = fields.get("suites", ""), fields.get("components", "")
            yield uri, suites.split(), components.split(), fields.get("signed-by", "")


def _configure(folder, mirror):
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    source = f"deb-src [signed-by={mirror.signed_by}] {mirror.uri} {SUITE} main\n"
    (folder / "sources.list").write_text(source)
    (folder / "apt.conf").write_text(
        f"""Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
Acquire::Retries "2";
APT::Sandbox::User "";
APT::Get::AllowUnauthenticated "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
    )


def _apt(folder, *arguments):
    command = ["apt-get", "-c", str(folder / "apt.conf"), *arguments]
    try:
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True)
    except FileNotFoundError:
        raise UserError(f"there is no apt-get on this machine; {OTHERWISE}") from None
    problems = [line for line in done.stderr.splitlines() if line[:2] in ("E:", "W:")]
    # An update that reaches nothing ends with status 0 and warnings.
    if done.returncode or any("Failed to fetch" in line for line in problems):
        reason = next((line[3:] for line in problems), f"apt-get {arguments[0]} failed")
        raise UserError(f"cannot fetch MicroPython: {reason}; {OTHERWISE}")


def _unpack(tarball, target):
    target.mkdir(parents=True)
    with tarfile.open(tarball) as archive:
        top = archive.next().name.partition("/")[0]
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(target)
    for path in (target / top).iterdir():
        path.rename(target / path.name)
    (target / top).rmdir()


def _copy(source, target):
    if not (source / "py/mpconfig.h").is_file():
        raise UserError(f"MICROPYTHON={source}: this is not the source of MicroPython")
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(".git", "build*"))


def _apply(patch, target):
    command = ["patch", "--strip=1", "--force", f"--directory={target}", f"--input={patch}"]
    # A local checkout may have a patch already.
    undo = [*command, "--reverse", "--dry-run"]
    if subprocess.run(undo, capture_output=True).returncode == 0:
        return
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{patch.name} does not apply to this MicroPython: {done.stdout.strip()}")


def _version(patches, local):
    digest = hashlib.sha256(SHA256.encode())
    for patch in patches:
        digest.update(patch.name.encode() + patch.read_bytes())
    if local:
        local = Path(local)
        for part in ("py", "extmod", "shared", "lib/libm_dbl", "mpy-cross", "tools"):
            for path in sorted((local / part).rglob("*.[chp]*")):
                state = path.stat()
                digest.update(f"{path} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
