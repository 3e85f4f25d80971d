"""tools/image/closure.py: what is imported is in the image, and nothing else is."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.build.project import Project
from tools.errors import UserError
from tools.image.closure import find_service
from tools.image.cloud import PARTS
from tools.image.cmodules import FEATURES, MODULES
from tools.image.packages import Package

START = "\ndef start(machine):\n    pass\n"
ALWAYS = {"image", "runtime.boot", "services.main"}


@pytest.fixture
def follow(tmp_path):
    """follow("import a", {"net/a.py": ""}) -> the closure of a service of that text."""

    def follow(text, files=None):
        return Project(tmp_path, {"services/main.py": text + START, **(files or {})}).follow()

    return follow


def names(closure):
    return set(closure.frozen) - ALWAYS


def test_nothing_imported_nothing_frozen(follow):
    closure = follow("", {"net/unused.py": ""})
    assert names(closure) == set()
    assert set(closure.builtin) == {"builtins", "sys"}


@pytest.mark.parametrize(
    "text, found",
    [
        ("import net.a", {"net.a"}),
        ("import net.a as b", {"net.a"}),
        ("from net import a", {"net.a"}),
        ("from net.a import x", {"net.a"}),
        ("from net.a import *", {"net.a"}),
        ("import net.p.q", {"net.p", "net.p.q"}),
        ("from net.p import q", {"net.p", "net.p.q"}),
        ("from net.p import y", {"net.p"}),
        ("from .other import z", {"services.other"}),
        ("from . import other", {"services.other"}),
        ("if x:\n    import net.a\nelse:\n    import net.b", {"net.a", "net.b"}),
        ("def late():\n    import net.a", {"net.a"}),
        ("if TYPE_CHECKING:\n    import net.a", set()),
        ("if sys.implementation.name == 'cpython':\n    import net.a", set()),
        ("if sys.implementation.name != 'cpython':\n    import net.a", {"net.a"}),
        ("__import__('net.a')", {"net.a"}),
        ("async def f(x=__import__('net.b')):\n    pass", {"net.b"}),
        # Relative imports inside a package, from its __init__ and from its parts.
        ("import net.deep", {"net.deep", "net.deep.one", "net.deep.two"}),
    ],
)
def test_every_form_of_import(follow, text, found):
    files = {
        "net/a.py": "x = 1\n",
        "net/b.py": "",
        "net/p/__init__.py": "y = 1\n",
        "net/p/q.py": "",
        "services/other.py": "z = 1\n",
        "net/deep/__init__.py": "from . import one\n",
        "net/deep/one.py": "from .two import three\n",
        "net/deep/two.py": "three = 3\n",
    }
    assert names(follow(text, files)) == found


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, {"net.b"}),
        ({"with": "a"}, {"net.a"}),
        ({"with": "c"}, {"net.b"}),
        ({"a": "a"}, {"net.b"}),
    ],
)
def test_a_setting_of_the_image_chooses_what_is_in_it(tmp_path, settings, found):
    text = """
def f():
    from image import SETTINGS
    if SETTINGS["with"] == "a":
        import net.a
    else:
        import net.b
    if SETTINGS["with"] != "a":
        import net.b
"""
    files = {"services/main.py": text + START, "net/a.py": "", "net/b.py": ""}
    assert names(Project(tmp_path, files).follow(settings=settings)) == found


def test_importers_are_named(follow):
    closure = follow("import net.a, net.b", {"net/a.py": "from net import b", "net/b.py": ""})
    assert closure.frozen["net.b"].importers == {"net.a", "services.main"}
    assert closure.frozen["net.b"].source_name == "net/b.py"


def test_a_package_is_frozen_under_its_init(follow):
    closure = follow("import net.p", {"net/p/__init__.py": ""})
    assert closure.frozen["net.p"].source_name == "net/p/__init__.py"


@pytest.mark.parametrize(
    "text, message",
    [
        ("import nothing", "services/main.py:1: cannot import nothing: no such module"),
        ("\n\nimport net.nothing", "services/main.py:3: cannot import net.nothing: net has no"),
        ("from net.a import b", "services/main.py:1: cannot import b from net.a"),
        ("from net import b", "services/main.py:1: cannot import b from net"),
        ("import tools.cli", "tools/ stays on the host"),
        ("import re.sub", "services/main.py:1: cannot import re.sub"),
        ("from .... import a", "services/main.py:1: a relative import reaches above"),
        ("def f():\n    import threading", "services/main.py:2: cannot import threading"),
        ("x = = 1", "services/main.py:1: "),
    ],
)
def test_what_cannot_be_imported_is_named_with_file_and_line(
    follow, monkeypatch, tmp_path, text, message
):
    monkeypatch.chdir(tmp_path)
    files = {"net/a.py": "x = 1\n", "tools/cli.py": ""}
    with pytest.raises(UserError) as error:
        follow(text, files)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("handler", ["ImportError", "(OSError, ImportError)", "Exception", ""])
def test_an_import_that_may_fail_is_optional(follow, handler):
    text = f"try:\n    import nothing\nexcept {handler}:\n    import net.instead\n"
    assert names(follow(text, {"net/instead.py": ""})) == {"net.instead"}


def test_the_handler_of_an_import_that_works_is_dead(follow):
    text = "try:\n    import net.a\nexcept ImportError:\n    import net.b\n"
    assert names(follow(text, {"net/a.py": "", "net/b.py": ""})) == {"net.a"}


def test_a_try_for_something_else_excuses_nothing(follow):
    with pytest.raises(UserError):
        follow("try:\n    import nothing\nexcept OSError:\n    pass\n")


LAZY = """
_attrs = {"Lock": "lock", "Event": "event"}
def __getattr__(name):
    return getattr(__import__(_attrs[name], None, None, True, 1), name)
"""


@pytest.mark.parametrize(
    "text, parts",
    [
        ("import net.lazy", set()),
        ("from net.lazy import Lock", {"net.lazy.lock"}),
        ("import net.lazy as l\nl.Lock()", {"net.lazy.lock"}),
        ("import net.lazy\nnet.lazy.Event()", {"net.lazy.event"}),
    ],
)
def test_a_lazy_package_brings_in_what_is_used(follow, text, parts):
    files = {"net/lazy/__init__.py": LAZY, "net/lazy/lock.py": "", "net/lazy/event.py": ""}
    assert names(follow(text, files)) == {"net.lazy"} | parts


def test_micropythons_own_library_may_fail_in_functions_only(tmp_path):
    files = {
        "services/main.py": "import asyncio" + START,
        "micropython/extmod/asyncio/__init__.py": "def f():\n    import socket\n",
    }
    project = Project(tmp_path, files)
    assert "asyncio" in project.follow().frozen
    project.write("micropython/extmod/asyncio/__init__.py", "import socket\n")
    with pytest.raises(UserError, match="cannot import socket"):
        project.follow()


# C modules and features.


def test_a_c_module_is_switched_on_by_its_import(follow):
    closure = follow("import re, json")  # json makes a stream of its text, which is io's
    assert closure.builtin["json"] == ["services.main"]
    config = closure.config()
    for name, module in MODULES.items():
        if module.macro:
            assert f"#define {module.macro} ({int(name in ('re', 'json', 'io'))})\n" in config


def test_the_development_image_has_everything(follow):
    config = follow("").config(development=True)
    assert "(0)" not in config.replace("MICROPY_FLOAT_IMPL_NONE", "")


def test_equal_imports_share_a_configuration(tmp_path):
    keys = []
    for number, text in enumerate(["import re\nimport json", "import json, re", "import json"]):
        folder = tmp_path / str(number)
        closure = Project(folder, {"services/main.py": text + START}).follow()
        keys.append(closure.config_key())
    assert keys[0] == keys[1] != keys[2]


def test_a_python_module_shadows_only_the_extensible_c_modules(follow):
    files = {"time.py": "", "gc.py": ""}
    closure = follow("import time, gc", files)
    assert "time" in closure.frozen
    assert "gc" in closure.builtin


@pytest.mark.parametrize(
    "text, features",
    [
        ("x = 1 // 2", set()),
        ("x = 1.5", {"float"}),
        ("def f(a, b):\n    return a / b", {"float"}),
        ("a = 4\na /= 2", {"float"}),
        ("x = float('1')", {"float"}),
        ("def float(x): pass\nfloat(1)", set()),
        ("def f(x: 'float' = 1): pass", set()),
        ("x = 2j", {"complex", "float"}),
        ("import math", {"float"}),
        ("import micropython\nmicropython.RingIO(9)", {"ringio"}),
        ("from micropython import RingIO", {"ringio"}),
    ],
)
def test_language_switches_features_on(follow, text, features):
    closure = follow(text)
    assert set(closure.features) == features
    for feature in FEATURES:
        assert (feature in features) == (FEATURES[feature][1] in _value(closure, feature))


def _value(closure, feature):
    macro = FEATURES[feature][0]
    return next(line.split()[2] for line in closure.config().splitlines() if f" {macro} " in line)


def test_what_a_c_module_does_not_have_is_found_before_it_runs(tmp_path):
    source = "MP_ROM_QSTR(MP_QSTR_loads)"
    files = {"services/main.py": "import json\njson.loads('1')" + START}
    project = Project(tmp_path, {**files, "micropython/extmod/modjson.c": source})
    project.follow()
    project.write("services/main.py", "import json\njson.load_all()" + START)
    with pytest.raises(UserError, match=r"main.py:2: MicroPython's json has no load_all"):
        project.follow()
    project.write("services/main.py", "from json import load_all" + START)
    with pytest.raises(UserError, match=r"main.py:1: cannot import load_all from json"):
        project.follow()


# The modules that people know (runtime/library).

LIBRARY = {
    "runtime/library/time.py": "from _time import *\ndef sleep(s):\n    pass\n",
    "runtime/library/socket.py": "def socket():\n    pass\n",
    "runtime/network.py": "from net.inet import Inet\n",
    "net/inet.py": "class Inet:\n    pass\n",
    "drivers/virtio/net.py": "",
    "micropython/extmod/modtime.c": "MP_ROM_QSTR(MP_QSTR_ticks_ms)",
}


def test_a_module_people_know_is_frozen_under_its_plain_name(follow):
    closure = follow("import time", LIBRARY)
    assert closure.frozen["time"].source_name == "time.py"
    assert "_time" in closure.builtin


@pytest.mark.parametrize(
    "text, message",
    [
        ("import time\ntime.monotonic()", "main.py:2: time has no monotonic: use ticks_ms"),
        ("from time import monotonic", "main.py:1: cannot import monotonic from time: use ticks"),
        ("import utime\nutime.monotonic()", "main.py:2: time has no monotonic: use ticks_ms"),
        ("import threading", "main.py:1: cannot import threading: there is one thread"),
        ("import urllib.request", "main.py:1: cannot import urllib.request: name it"),
    ],
)
def test_what_is_not_there_is_told_with_what_is_there_instead(follow, text, message):
    with pytest.raises(UserError) as error:
        follow(text, LIBRARY)
    assert message in str(error.value)


def test_names_of_the_c_module_below_are_found_through_the_star(follow):
    follow("import time\ntime.ticks_ms()\nfrom time import ticks_ms, sleep", LIBRARY)


@pytest.mark.parametrize("text", ["import ujson", "from ujson import loads", "import ujson as j"])
def test_the_old_name_of_a_c_module_is_the_module(follow, text):
    assert "json" in follow(text).builtin


def test_old_names_bring_in_the_parts_of_lazy_packages(follow):
    files = {
        "runtime/library/uasyncio.py": "def __getattr__(name):\n    import asyncio\n",
        "micropython/extmod/asyncio/__init__.py": LAZY,
        "micropython/extmod/asyncio/lock.py": "",
        "micropython/extmod/asyncio/event.py": "",
    }
    found = names(follow("import uasyncio as a\na.Lock\nfrom uasyncio import Event", files))
    assert found == {"uasyncio", "asyncio", "asyncio.lock", "asyncio.event"}


def test_sockets_bring_in_a_stack_unless_the_service_composes_one(follow):
    assert "runtime.network" in follow("import socket", LIBRARY).frozen
    assert "runtime.network" not in follow("import socket, net.inet", LIBRARY).frozen
    assert "runtime.network" not in follow("import time", LIBRARY).frozen


def test_a_service_does_not_take_the_name_of_a_module_people_know(tmp_path):
    project = Project(tmp_path / "os", {**LIBRARY, "user/socket.py": START})
    with pytest.raises(UserError, match="taken by the system"):
        project.service(str(tmp_path / "os/user/socket.py"))


def test_modules_of_packages_are_found_last(tmp_path):
    files = {"services/main.py": "import web, socket" + START, **LIBRARY}
    files.update({"packages/one/web.py": "import ujson\n", "packages/one/socket.py": "no\n"})
    project = Project(tmp_path, files)
    found = project.follow(packages=[Package("one", "1.0", tmp_path / "packages/one")])
    assert found.frozen["web"].origin == "one 1.0"
    assert found.frozen["web"].path == tmp_path / "packages/one/web.py"
    assert found.frozen["socket"].path == tmp_path / "runtime/library/socket.py"


def test_settings_that_are_read_are_known(follow):
    text = "def f(machine, settings):\n    machine.settings.get('a', 1)\n    settings['b']\n"
    text += "    {}['c']\n"
    assert set(follow(text).settings) == {"a", "b"}


@pytest.mark.parametrize(("bus", "there"), [(None, False), ("pci", False), ("mmio", True)])
def test_machines_without_pci_are_for_those_who_ask(tmp_path, bus, there):
    files = {
        "services/main.py": "import drivers.virtio.transport" + START,
        "drivers/virtio/transport.py": "",
        "drivers/virtio/mmio.py": "",
    }
    found = Project(tmp_path, files).follow(settings={"bus": bus} if bus else {})
    assert ("drivers.virtio.mmio" in found.frozen) == there


def test_a_bus_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UserError, match="--set bus=isa: expected one of pci, mmio"):
        Project(tmp_path, {"services/main.py": START}).follow(settings={"bus": "isa"})


# Services.


def test_a_service_is_a_module_or_a_package_or_a_path(tmp_path):
    files = {
        "services/one.py": START,
        "services/two/__init__.py": START,
        "user/three.py": START,
        "user/four/__init__.py": "from . import part" + START,
        "user/four/part.py": "",
    }
    project = Project(tmp_path / "os", files)
    user = tmp_path / "os" / "user"
    assert project.service("one").module == "services.one"
    assert project.service("two").module == "services.two"
    assert project.service(str(user / "three.py")).module == "three"
    assert project.service(str(tmp_path / "os/services/one.py")).module == "services.one"
    assert {"four", "four.part"} <= set(project.follow(str(user / "four")).frozen)


def test_a_service_in_one_file_may_import_its_neighbours(tmp_path):
    files = {"user/three.py": "import helper" + START, "user/helper.py": ""}
    project = Project(tmp_path, files)
    assert "helper" in project.follow(str(tmp_path / "user/three.py")).frozen


@pytest.mark.parametrize(
    "text, message",
    [
        ("async def start(machine):", "it cannot be async"),
        ("def start():", "start is called with one argument"),
        ("def start(machine, more):", "start is called with one argument"),
        ("def start(*, machine):", "start is called with one argument"),
        ("def start(machine, more=1):", None),
        ("def start(*machines):", None),
        ("from elsewhere import start\nif True:", None),
    ],
)
def test_how_start_is_called(tmp_path, text, message):
    project = Project(tmp_path, {"services/main.py": f"X = 1\n{text}\n    pass\n"})
    if message is None:
        project.service()
    else:
        with pytest.raises(UserError, match=f"main.py:2: .*{message}"):
            project.service()


@pytest.mark.parametrize(
    "name, message",
    [
        ("dsn", "no service 'dsn': did you mean dns?"),
        ("zzz", "there are dns, or give a path"),
        ("./none.py", "there is no such file"),
        ("user/my-web.py", "rename it"),
        ("user/async.py", "rename it"),
        ("user/net.py", "taken by the system"),
        ("user/idle.py", "a service needs a function start(machine)"),
    ],
)
def test_a_service_that_cannot_be_meant(tmp_path, monkeypatch, name, message):
    files = {
        "services/dns.py": START,
        "net/udp.py": "",
        "user/my-web.py": START,
        "user/async.py": START,
        "user/net.py": START,
        "user/idle.py": "def run(machine): pass\n",
    }
    Project(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        find_service(name, tmp_path)
    assert message in str(error.value)


# The closure of a random graph is what can be reached in it.

GRAPHS = st.integers(1, 8).flatmap(
    lambda n: st.lists(st.sets(st.integers(0, n - 1)), min_size=n, max_size=n)
)


@given(GRAPHS)
@settings(deadline=None)
def test_closure_is_reachability(tmp_path_factory, graph):
    folder = tmp_path_factory.mktemp("graph")
    files = {
        f"net/m{i}.py": "".join(f"import net.m{j}\n" for j in sorted(edges))
        for i, edges in enumerate(graph)
    }
    files["services/main.py"] = "import net.m0" + START
    reached, waiting = set(), [0]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += graph[node]
    closure = Project(folder, files).follow()
    assert names(closure) == {f"net.m{i}" for i in reached}


@pytest.mark.parametrize(
    ("text", "generator"),
    [
        ("def start(machine):\n    machine.entropy.bytes(16)", True),
        ("x = stack.machine.entropy", True),
        ("machine.entropy = None", False),
        ("x = oven.entropy", False),
    ],
)
def test_who_reads_the_entropy_of_the_machine_brings_its_generator_and_device(
    follow, text, generator
):
    files = {"runtime/csprng.py": "", "drivers/virtio/rng.py": ""}
    wanted = {"runtime.csprng", "drivers.virtio.rng"} if generator else set()
    assert names(follow(text, files)) & {"runtime.csprng", "drivers.virtio.rng"} == wanted


def test_what_looks_whether_there_is_entropy_does_not_bring_it(follow):
    files = {"runtime/csprng.py": "", "runtime/boot.py": "machine.entropy.seeded"}
    assert "runtime.csprng" not in names(follow("", files))


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("open('x')", {"vfs", "fat", "littlefs"}),
        ("import os\nos.listdir()", {"vfs", "fat", "littlefs"}),
        ("import vfs\nvfs.mount(1, 2)", {"vfs", "fat", "littlefs"}),
        ("import vfs\nvfs.VfsLfs2.mkfs(1)\nopen('x')", {"vfs", "littlefs"}),
        ("from vfs import VfsFat", {"vfs", "fat"}),
        ("import os\nos.urandom(1)", set()),
        ("def open():\n    pass\nopen()", set()),
        ("connection.open('x')", set()),
    ],
)
def test_who_uses_files_brings_file_systems_and_disks(follow, text, features):
    files = {
        "runtime/files.py": "import vfs\nmachine.disks",
        "drivers/virtio/blk.py": "",
        "runtime/library/os.py": "from _os import *\ndef urandom(n): pass",
    }
    closure = follow(text, files)
    assert {"vfs", "fat", "littlefs"} & set(closure.features) == features
    brought = {"runtime.files", "drivers.virtio.blk"} if features else set()
    assert {"runtime.files", "drivers.virtio.blk"} & names(closure) == brought
    assert ("io" in closure.builtin) == bool(features)  # `open` is of io


def test_who_reads_the_disks_of_the_machine_brings_their_driver(follow):
    files = {"drivers/virtio/blk.py": "", "drivers/virtio/scsi.py": ""}
    brought = names(follow("def start(machine):\n    machine.disks[0]", files))
    assert "drivers.virtio.blk" in brought and "drivers.virtio.scsi" not in brought


def test_where_tcp_is_the_driver_has_offloads(follow):
    files = {"net/tcp/__init__.py": "", "net/udp.py": "", "drivers/virtio/net/offload.py": ""}
    assert "drivers.virtio.net.offload" in names(follow("import net.tcp", files))
    assert "drivers.virtio.net.offload" not in names(follow("import net.udp", files))


def test_who_attaches_interfaces_brings_what_several_of_them_need(follow):
    files = {
        "net/inet.py": "import net.stack\nimport net.ip4.internet",
        "net/stack.py": "class Stack:\n    def attach(self):\n        self.attach",
        "net/ip4/internet.py": "",
        "net/several.py": "",
        "net/ip4/several.py": "",
        "drivers/virtio/net/__init__.py": "",
    }
    several = {"net.several", "net.ip4.several"}
    assert several <= names(follow("import net.inet\ninet.attach(nic)", files))
    assert not several & names(follow("import net.inet", files))
    assert names(follow("thing.attach(other)", files)) == set()


@pytest.mark.parametrize(
    "text, known",
    [
        ("print(inet.dns)", True),
        ("print(self.inet.search)", True),
        ("print(anything.captive)", True),
        ("words.search(x)", False),
        ("inet.dns = 1", False),
        ("", False),
    ],
)
def test_who_asks_what_the_network_says_of_itself_brings_what_remembers_it(follow, text, known):
    files = {
        "net/stack.py": "stack.dns",
        "net/knowledge.py": "",
        "net/dhcp/facts.py": "",
        "drivers/virtio/net/__init__.py": "",
    }
    found = names(follow("import net.stack\n" + text, files))
    assert ("net.knowledge" in found) == known
    assert "net.dhcp.facts" not in found, "without DHCP there is nothing to parse"


def test_parts_are_in_if_what_they_are_for_is(tmp_path):
    files = {
        "net/stack.py": "",
        "runtime/for_all.py": "import runtime.more\n",
        "runtime/more.py": "",
        "runtime/for_nets.py": "",
        "runtime/for_parts.py": "",
    }
    parts = (
        ("runtime.for_parts", "runtime.more"),  # which comes with another part, later
        ("runtime.for_nets", "net.stack"),
        ("runtime.for_all", None),
    )
    for text, found in (("", set()), ("import net.stack", {"net.stack", "runtime.for_nets"})):
        project = Project(tmp_path, {"services/main.py": text + START, **files})
        always = {"runtime.for_all", "runtime.more", "runtime.for_parts"}
        assert names(project.follow()) == found - {"runtime.for_nets"}
        assert names(project.follow(parts=parts)) == found | always


def test_a_part_that_is_not_there_is_refused(tmp_path):
    project = Project(tmp_path, {"services/main.py": START})
    with pytest.raises(UserError, match=r"runtime\.gone"):
        project.follow(parts=(("runtime.gone", None),))


def test_the_parts_of_the_cloud_are_files():
    root = Path(__file__).resolve().parent.parent.parent
    for names_of_part in PARTS:
        for name in filter(None, names_of_part):
            path = root / name.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), name
