"""tools/image/needs.py: what a service declares, and the module that is compiled in with it."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.build.project import Project
from tools.errors import UserError
from tools.image import needs

START = "\ndef start(machine):\n    pass\n"
UPPER = "def compile(path):\n    return path.read_bytes().upper()\n"


@pytest.fixture
def read(tmp_path, monkeypatch):
    """read("NEEDS = ...", "zone=x") -> the needs of a service of that text."""
    monkeypatch.chdir(tmp_path)

    def read(text, *overrides):
        project = Project(tmp_path, {"services/main.py": text + START})
        return needs.read(project.service(), tmp_path, overrides)

    return read


def module_of(needed):
    """The names that the generated module binds."""
    text = needed.module({name: file.compile() for name, file in needed.files.items()})
    tree = ast.parse(text)
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    assert text.endswith("import services.main as service\n")
    return found


def test_a_service_without_needs(read):
    assert module_of(read("")) == {"NAME": "main", "SETTINGS": {}}


def test_a_file_becomes_bytes(read, tmp_path):
    (tmp_path / "services").mkdir()
    (tmp_path / "services/motd.txt").write_bytes(b"hi\x00\xff")
    assert module_of(read("NEEDS = {'motd': {'file': 'motd.txt'}}"))["motd"] == b"hi\x00\xff"


def test_a_compiler_makes_them(read, tmp_path):
    (tmp_path / "services").mkdir()
    (tmp_path / "services/motd.txt").write_bytes(b"hi")
    (tmp_path / "services/shouting.py").write_text(UPPER)
    needed = read("NEEDS = {'motd': {'file': 'motd.txt', 'compiler': 'shouting:compile'}}")
    assert module_of(needed)["motd"] == b"HI"
    assert tmp_path / "services/shouting.py" in needed.files["motd"].sources()
    assert tmp_path / "services/motd.txt" in needed.files["motd"].sources()


def test_a_folder_is_compiled_and_every_file_in_it_counts(read, tmp_path):
    (tmp_path / "services/site/deep").mkdir(parents=True)
    (tmp_path / "services/site/a").write_bytes(b"1")
    (tmp_path / "services/site/deep/b").write_bytes(b"2")
    body = "def compile(path):\n    return (path / 'deep' / 'b').read_bytes()\n"
    (tmp_path / "services/listing.py").write_text(body)
    text = "NEEDS = {'site': {'folder': 'site', 'compiler': 'listing:compile'}}"
    needed = read(text)
    assert module_of(needed)["site"] == b"2"
    for name in ("a", "deep/b"):
        assert tmp_path / "services/site" / name in needed.files["site"].sources()
    with pytest.raises(UserError, match="no folder none"):
        read(text, "site=none")


def test_set_replaces_a_file_relative_to_the_user(read, tmp_path):
    (tmp_path / "services").mkdir()
    (tmp_path / "services/motd.txt").write_bytes(b"default")
    (tmp_path / "mine.txt").write_bytes(b"mine")
    needed = read("NEEDS = {'motd': {'file': 'motd.txt'}}", "motd=mine.txt")
    assert module_of(needed)["motd"] == b"mine"


def test_settings_have_defaults_and_are_replaced(read):
    text = "NEEDS = {'greeting': 'hello', 'address': None, 'limit': 3}"
    assert read(text).settings == {"greeting": "hello", "limit": "3"}
    assert read(text, "greeting=a=b", "address=10.0.0.2/24").settings == {
        "greeting": "a=b",
        "address": "10.0.0.2/24",
        "limit": "3",
    }


@pytest.mark.parametrize(
    "text, override, message",
    [
        ("", "x", "--set x: expected NAME=VALUE"),
        ("", "1x=2", "--set 1x=2: expected NAME=VALUE"),
        ("", "service=2", "expected NAME=VALUE"),
        ("NEEDS = {'z': {'file': 'z.zone'}}", None, "main.py:1: need 'z': no file"),
        ("NEEDS = {'z': {'file': 'main.py'}}", "z=none", "--set z: need 'z': no file none"),
        ("NEEDS = {'z': {}}", None, "expected a 'file'"),
        ("NEEDS = {'z': {'file': 'a', 'compile': 'b'}}", None, "expected a 'file'"),
        ("NEEDS = ['z']", None, "main.py:1: NEEDS has to be a dictionary"),
        ("x = 1\nNEEDS = {'z': x}", None, "main.py:2: NEEDS has to be a literal"),
        ("NEEDS = {'a b': 1}", None, "not usable as a name"),
        ("NEEDS = {'SETTINGS': 1}", None, "not usable as a name"),
        ("PORTS = ('udp:0',)", None, "main.py:1: PORTS: expected entries like"),
        ("PORTS = ('53',)", None, "main.py:1: PORTS: expected entries like"),
    ],
)
def test_mistakes_are_one_line(read, text, override, message):
    with pytest.raises(UserError) as error:
        read(text, *[override] if override else [])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_of_two_literals_the_last_counts(read):
    assert read("PORTS = ('tcp:80',)\nPORTS = ('tcp:80', 'udp:53')").ports == ("tcp:80", "udp:53")


@pytest.mark.parametrize(
    "compiler, body, message",
    [
        ("absent:f", None, "no file absent.py"),
        ("maker:g", "def f(path): return b''", "maker:g"),
        ("maker:f", "def f(path): return 'text'", "did not return bytes"),
        ("maker:f", "def f(path): raise ValueError('line 3: bad')", "main.py: line 3: bad"),
    ],
)
def test_a_compiler_that_does_not_work(read, tmp_path, compiler, body, message, monkeypatch):
    (tmp_path / "services").mkdir()
    if body:
        module = f"maker_{abs(hash(body))}"
        compiler = compiler.replace("maker", module)
        message = message.replace("maker", module)
        (tmp_path / f"services/{module}.py").write_text(body)
    text = f"NEEDS = {{'z': {{'file': 'main.py', 'compiler': '{compiler}'}}}}"
    with pytest.raises(UserError) as error:
        file = read(text).files["z"]
        file.sources()
        file.compile()
    assert message in str(error.value)


def test_a_setting_that_nothing_reads_is_refused(tmp_path):
    text = "def start(machine):\n    machine.settings.get('address')\n"
    project = Project(tmp_path, {"services/main.py": text})
    for override, hint in (("addr=1", "did you mean address?"), ("x=1", "it reads address")):
        needed = needs.read(project.service(), tmp_path, [override])
        with pytest.raises(UserError, match=hint):
            needed.check_settings(project.follow())
    needs.read(project.service(), tmp_path, ["address=1"]).check_settings(project.follow())


@given(st.binary(), st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text()))
@settings(deadline=None)
def test_the_module_says_what_it_was_told(tmp_path_factory, data, chosen):
    folder = tmp_path_factory.mktemp("needs")
    project = Project(folder, {"services/main.py": START})
    needed = needs.Needs(project.service(), {}, chosen, ())
    scope = {}
    exec(needed.module({"blob": data}).replace("import services.main as service", ""), scope)
    assert scope["blob"] == data
    assert scope["SETTINGS"] == chosen
