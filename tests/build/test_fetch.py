"""tools/fetch.py: the mirror the machine uses, the version we pin, our patches on top."""

import pytest

from tools import fetch
from tools.errors import UserError

KEY = "/usr/share/keyrings/other.gpg"
DEB822 = f"""
# a comment
Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {KEY}
"""
INLINE_KEY = """Types: deb
URIs: http://mirror.example/debian
Suites: trixie
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBGPL0BUBEADmW5NdOOHwPIJlgPu6JDcKw/NZJPR8lsD3K87ZM18gzyQZJD+w
"""


@pytest.mark.parametrize(
    "files, uri, key",
    [
        ({"sources.list.d/debian.sources": DEB822}, "http://mirror.example/debian", KEY),
        ({"sources.list.d/a.sources": INLINE_KEY}, "http://mirror.example/debian", fetch.KEYRING),
        (
            {"sources.list": "deb http://a.example/debian/ trixie main contrib # x\n"},
            "http://a.example/debian/",
            fetch.KEYRING,
        ),
        (
            {
                "sources.list": "# deb http://no.example/debian trixie main\n"
                "deb cdrom:[Debian 12] bookworm main\n"
                f"deb [arch=amd64 signed-by={KEY}] http://b.example/debian sid main\n"
            },
            "http://b.example/debian",
            KEY,
        ),
        (
            {
                "sources.list.d/vendor.list": "deb https://v.example/apt stable vendor\n",
                "sources.list.d/z.list": "deb-src mirror+file:/etc/apt/m.list bookworm main\n",
            },
            "mirror+file:/etc/apt/m.list",
            fetch.KEYRING,
        ),
    ],
)
def test_the_mirror_is_the_one_the_machine_uses(tmp_path, files, uri, key):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert fetch.find_mirror(tmp_path) == (uri, key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "deb https://v.example/apt nodistro main\n",
        "deb http://security.debian.org trixie-security main\n",
    ],
)
def test_no_debian_archive_is_said(tmp_path, text):
    (tmp_path / "sources.list").write_text(text)
    with pytest.raises(UserError, match="MICROPYTHON=DIR"):
        fetch.find_mirror(tmp_path)


def test_a_tarball_that_is_not_ours_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "find_mirror", lambda: fetch.Mirror("http://m.example", KEY))
    monkeypatch.setattr(fetch, "_apt", lambda *arguments: None)
    with pytest.raises(UserError, match="did not fetch"):
        fetch.download(tmp_path, lambda text: None)
    (tmp_path / fetch.TARBALL).write_bytes(b"something else")
    with pytest.raises(UserError, match="hash is pinned"):
        fetch.download(tmp_path, lambda text: None)


def test_without_a_network_one_line_says_so(tmp_path, monkeypatch):
    nowhere = fetch.Mirror("http://127.0.0.1:9/debian", fetch.KEYRING)
    monkeypatch.setattr(fetch, "find_mirror", lambda: nowhere)
    with pytest.raises(UserError, match="cannot fetch MicroPython") as error:
        fetch.download(tmp_path, lambda text: None)
    assert "\n" not in str(error.value)


# Patches, on a local checkout of one file.

PATCH = """--- a/py/mpconfig.h
+++ b/py/mpconfig.h
@@ -1 +1 @@
-old
+new
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "port/micropython/patches").mkdir(parents=True)
    (tmp_path / "port/micropython/patches/10-new.patch").write_text(PATCH)
    (tmp_path / "build").mkdir()
    (tmp_path / "checkout/py").mkdir(parents=True)
    (tmp_path / "checkout/py/mpconfig.h").write_text("old\n")
    return tmp_path


def test_a_local_checkout_is_copied_and_patched_once(root):
    said = []
    for _ in range(2):
        target = fetch.ensure(root, root / "checkout", said.append)
        assert (target / "py/mpconfig.h").read_text() == "new\n"
    assert (root / "checkout/py/mpconfig.h").read_text() == "old\n"
    assert len(said) == 1


def test_new_patches_and_new_sources_are_noticed(root):
    target = fetch.ensure(root, root / "checkout", lambda text: None)
    patch = root / "port/micropython/patches/10-new.patch"
    patch.write_text(PATCH.replace("+new", "+newer"))
    fetch.ensure(root, root / "checkout", lambda text: None)
    assert (target / "py/mpconfig.h").read_text() == "newer\n"
    (root / "checkout/py/mpconfig.h").write_text("newer\n")  # patched by its owner
    (root / "checkout/py/more.h").write_text("more\n")
    fetch.ensure(root, root / "checkout", lambda text: None)
    assert (target / "py/mpconfig.h").read_text() == "newer\n"
    assert (target / "py/more.h").exists()


def test_a_patch_that_does_not_apply_is_named(root):
    (root / "checkout/py/mpconfig.h").write_text("different\n")
    with pytest.raises(UserError, match=r"10-new\.patch does not apply"):
        fetch.ensure(root, root / "checkout", lambda text: None)
    assert not (root / "build/micropython.stamp").exists()


def test_a_folder_that_is_not_micropython_is_refused(root):
    with pytest.raises(UserError, match="not the source of MicroPython"):
        fetch.ensure(root, root / "build", lambda text: None)
