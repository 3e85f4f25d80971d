"""./importos: from anywhere, help for nothing, and mistakes in one line."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.images import sources, untimed
from tools.errors import UserError
from tools.image import closure, needs

ROOT = Path(__file__).resolve().parent.parent.parent
LAUNCHER = ROOT / "importos"


def run(*words, launcher=LAUNCHER, **more):
    with untimed():  # most of them build
        return subprocess.run(
            [launcher, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            **more,
        )


def one_line(done, status=1):
    """The message of a command that has to fail with one line."""
    assert done.returncode == status, done
    assert done.stderr.startswith("importos: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("words", [[], ["--help"], ["run", "--help"], ["test", "--help"]])
def test_help_needs_nothing(tmp_path, words):
    # A copy in an empty folder: nothing is installed, made or fetched for help.
    (tmp_path / "importos").write_bytes(LAUNCHER.read_bytes())
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    (tmp_path / "importos").chmod(0o755)
    done = run(*words, launcher=tmp_path / "importos")
    assert done.returncode == 0
    assert any(word in done.stdout for word in ("SERVICE", "COMMAND", "RUNG"))
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        (["boot"], "invalid choice: 'boot'"),
        (["run", "hello", "--disk", "floppy"], "invalid choice: 'floppy'"),
        (["build", "hello", "--frobnicate"], "unrecognized arguments"),
        (["test", "unti"], "no rung or path 'unti'; the rungs are lint, unit, wire"),
    ],
)
def test_what_the_parser_refuses(words, message):
    assert message in one_line(run(*words), 2)


@pytest.mark.parametrize(
    "words, message",
    [
        (["run"], "which service?"),
        (["build", "helo"], "no service 'helo': did you mean hello"),
        (["build", "none.py"], "there is no such file"),
        (["build", "hello", "--set", "x"], "expected NAME=VALUE"),
        (["build", "dns", "--set", "zone=none.zone"], "no file none.zone"),
        (["run", "hello", "--memory", "lots"], "--memory lots"),
        (["run", "echo", "--forward", "53"], "--forward 53"),
        (["run", "echo", "--nic", "tap=no-such-tap"], "no such network device"),
        (["run", "echo", "--nic", "eth0"], "expected tap=NAME"),
        (["run", "echo", "--host", "--disk", "ide"], "it boots no disk"),
        (
            ["run", "echo", "--host", "--drive", "none.img"],
            "--drive none.img: there is no such file",
        ),
        (["run", "echo", "--append", "address=10.0.0.2"], "needs its prefix length"),
        (["run", "hello", "--memory", "1M"], "this image needs 12"),
    ],
)
def test_what_the_user_got_wrong(words, message, tmp_path):
    assert message in one_line(run(*words, cwd=tmp_path))


def test_options_of_a_machine_are_checked_before_the_build(tmp_path):
    # A service that does not build: its message comes second.
    (tmp_path / "web.py").write_text("import flask\n\ndef start(machine):\n    pass\n")
    for words in (["--memory", "x"], ["--forward", "x"], ["--nic", "none"], ["--append", "mtu=x"]):
        assert words[0] in one_line(run("run", "web.py", *words, cwd=tmp_path))


def test_a_setting_that_nothing_reads():
    assert "nothing in this image reads it" in one_line(run("build", "echo", "--set", "addr=1"))


@pytest.fixture(scope="module")
def read_by_echo():
    """A service on the network, and what it imports: that says which settings are read."""
    service = closure.find_service("echo", ROOT)
    generated = {"image": needs.read(service, ROOT, []).skeleton()}
    return service, closure.follow(service, ROOT, sources(), generated)


@pytest.mark.parametrize(
    "setting, reason",
    [
        ("address=banana", "needs its prefix length"),
        ("address=10.0.0.2/33", "a prefix length is between 1 and 32"),
        ("gateway=10.0.0.256", "not an IPv4 address: 10.0.0.256"),
        ("mtu=big", "an MTU is a number from 68 up"),
        ("dns=10.0.0.1,x", "not an IPv4 address: x"),
        ("buffers=many", "expected a whole number"),
        ("log=loud", "must be one of error, warning, info, debug"),
    ],
)
def test_a_setting_that_the_network_would_not_understand(read_by_echo, setting, reason):
    service, imports = read_by_echo
    with pytest.raises(UserError) as raised:
        needs.read(service, ROOT, [setting]).check_settings(imports)
    assert str(raised.value).startswith(f"setting {setting}: ") and reason in str(raised.value)


def test_a_service_without_start(tmp_path):
    (tmp_path / "idle.py").write_text("x = 1\n")
    message = one_line(run("build", "idle.py", cwd=tmp_path))
    assert "idle.py: a service needs a function start(machine)" in message


def test_python_that_micropython_does_not_take(tmp_path):
    # Valid on the host, so that only mpy-cross can refuse it.
    text = "def start(machine):\n    match machine:\n        case _:\n            pass\n"
    (tmp_path / "web.py").write_text(text)
    message = one_line(run("build", "web.py", cwd=tmp_path))
    assert message.endswith("web.py:2: not MicroPython: invalid syntax\n")


def test_a_zone_that_cannot_be_served(tmp_path):
    text = "$ORIGIN a.example.\n@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.800\n"
    (tmp_path / "bad.zone").write_text(text)
    message = one_line(run("build", "dns", "--set", "zone=bad.zone", cwd=tmp_path))
    assert "bad.zone:4: the data of the record is malformed: ns 60 A 192.0.2.800" in message


def test_an_import_that_is_not_there(tmp_path):
    (tmp_path / "web.py").write_text("import flask\n\ndef start(machine):\n    pass\n")
    message = one_line(run("build", "web.py", cwd=tmp_path))
    assert "web.py:1: cannot import flask" in message


def test_a_port_that_is_in_use():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = run("run", "echo", "--forward", f"udp:{port}:7")
    assert f"port {port} of this machine is in use" in one_line(done)


def test_from_another_folder_and_through_a_link(tmp_path):
    (tmp_path / "ios").symlink_to(LAUNCHER)
    (tmp_path / "greet.py").write_text(
        "def start(machine):\n    print('greetings')\n    machine.stop()\n"
    )
    done = run("run", "greet.py", launcher=tmp_path / "ios", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "greetings" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["greet.py", "ios"]


def test_a_service_below_a_folder_with_a_space(tmp_path):
    folder = tmp_path / "my services"
    folder.mkdir()
    text = "NEEDS = {'motd': {'file': 'motd.txt'}}\nfrom image import motd\n"
    text += "def start(machine):\n    print(motd)\n    machine.stop()\n"
    (folder / "greet.py").write_text(text)
    (folder / "motd.txt").write_text("spaced out")
    done = run("run", folder / "greet.py")
    assert "b'spaced out'" in done.stdout, done.stderr


def test_a_checkout_below_a_folder_with_a_space(tmp_path):
    folder = tmp_path / "my checkout"
    folder.mkdir()
    (folder / "importos").write_bytes(LAUNCHER.read_bytes())
    (folder / "tools").symlink_to(ROOT / "tools")
    command = [sys.executable, folder / "importos", "build", "hello"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "has a space in it" in one_line(done)


def test_an_old_python_is_refused():
    text = LAUNCHER.read_text().replace("OLDEST = (3, 11)", "OLDEST = (9, 0)")
    done = subprocess.run(
        [sys.executable, "-c", text.replace("__file__", f"{str(LAUNCHER)!r}")],
        capture_output=True,
        text=True,
    )
    assert "Python 9.0 or later is needed" in one_line(done)


def test_packages_are_checked_without_running_apt(tmp_path):
    # An apt-get that fails proves that it is not called.
    fake = tmp_path / "apt-get"
    fake.write_text("#!/bin/sh\necho called >&2\nexit 1\n")
    fake.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = run("build", "hello", env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr


def test_where_there_is_no_dpkg_the_missing_is_named(tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("env", "python3"):
        (tmp_path / "bin" / name).symlink_to(
            subprocess.check_output(["which", name], text=True).strip()
        )
    done = subprocess.run(
        [sys.executable, LAUNCHER, "build", "hello"],
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path / "bin")},
    )
    message = one_line(done)
    assert "this is not Debian" in message and "gcc" in message and "qemu-img" in message


def test_the_same_service_built_twice_at_once(tmp_path):
    path = tmp_path / "twice_at_once.py"
    path.write_text("def start(machine):\n    machine.stop()\n")
    command = [LAUNCHER, "build", "--format", "img", path]
    at_once = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    with untimed():
        assert [process.wait(600) for process in at_once] == [0, 0]
