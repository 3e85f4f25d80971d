"""./importos deploy libvirt, as it is typed, to a libvirt of its own."""

import xml.etree.ElementTree as xml

import pytest

from tests.support.images import importos, lock

WORDS = ("deploy", "libvirt", "echo", "--network", "bridge=br0", "--virt", "qemu", "--no-build")


@pytest.fixture(scope="module", autouse=True)
def built():
    with lock("images"):
        importos("build", "--cloud", "echo", "--format", "qcow2")


@pytest.fixture(autouse=True)
def clean(host):
    yield
    for name in host.virsh("list", "--all", "--name").split():
        host.attempt("destroy", name)
        host.attempt("undefine", name, "--managed-save")


def done(host, *words):
    """What a command prints; it has to succeed."""
    ended = host.importos(*words)
    assert ended.returncode == 0, ended
    return ended.stdout


def refused(host, *words):
    """The one line with which a command fails."""
    ended = host.importos(*words)
    assert ended.returncode == 1
    lines = ended.stderr.strip().split("\n")
    assert lines[-1].startswith("importos: "), ended
    return lines[-1]


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_a_machine_comes_and_goes(lan, host, machine):
    text = done(host, *WORDS, "--machine", machine)
    assert f"echo: made, qemu {machine}" in text
    ready = next(line for line in text.split("\n") if "ready after" in line)
    address = next(word for word in ready.split() if word.startswith("10.0.9."))
    lan.run("ping", "-c1", "-W5", address)
    listed = done(host, "list", "libvirt")
    assert "running" in listed and address in listed
    assert "started by disk" in done(host, "logs", "libvirt", "echo")
    assert done(host, *WORDS, "--machine", machine).startswith("echo: there already")
    assert done(host, "stop", "libvirt", "echo", "--timeout", "10") == "echo: off\n"
    assert "shut off" in done(host, "list", "libvirt", "echo")
    assert "echo: started" in done(host, *WORDS, "--machine", machine)
    assert done(host, "delete", "libvirt", "echo") == "echo: deleted\n"
    assert done(host, "list", "libvirt") == "nothing is deployed\n"
    assert "echo" not in host.virsh("vol-list", "default"), "neither disk nor log is left"


def test_a_machine_is_configured_by_who_starts_it(host):
    assert "10.0.9.77" in done(host, *WORDS, "--setting", "address=10.0.9.77/24")


def test_several(host):
    text = done(host, *WORDS, "--count", "2", "--name", "e")
    assert "e-1: ready after" in text and "e-2: ready after" in text
    assert {"e-1", "e-2"} <= set(done(host, "list", "libvirt", "echo").split())
    done(host, "stop", "libvirt", "echo")
    done(host, "delete", "libvirt", "echo")
    assert host.virsh("list", "--all", "--name") == ""


def test_another_version_replaces_only_when_told(host):
    done(host, *WORDS)
    assert "--replace" in refused(host, *WORDS, "--memory", "80M")
    assert "echo: replaced" in done(host, *WORDS, "--memory", "80M", "--replace")
    assert "81920 KiB" in host.virsh("dominfo", "echo")


def test_what_is_not_ours_is_left_alone(host):
    domain = xml.fromstring(done(host, *WORDS, "--print-xml"))
    domain.remove(domain.find("metadata"))
    file = host.where / "other.xml"
    file.write_text(xml.tostring(domain, encoding="unicode"))
    host.virsh("define", file)
    assert done(host, "list", "libvirt") == "nothing is deployed\n"
    assert "not ours" in refused(host, *WORDS)
    assert "no machine or service" in refused(host, "delete", "libvirt", "echo")


@pytest.mark.parametrize(
    "words, message",
    [
        (["--network", "nowhere"], "--network nowhere: libvirt has"),
        (["--network", "bridge=br9"], "br9"),
        (["--memory", "1M"], "this image needs"),
        (["--pool", "none"], "--pool none: libvirt has"),
        (["--setting", "x"], "--setting x: expected NAME=VALUE"),
        (["--user-data", "/no/such"], "--user-data /no/such: No such file"),
        (["--connect", "qemu+unix:///system?socket=/none"], "libvirt: "),
    ],
)
def test_what_is_refused_leaves_nothing(host, words, message):
    assert message in refused(host, *WORDS, *words)
    assert host.virsh("list", "--all", "--name") == ""


def test_a_machine_that_does_not_become_ready_is_removed(host):
    # On a bridge where nobody answers DHCP.
    host.run("ip", "link", "add", "br7", "type", "bridge")
    host.run("ip", "link", "set", "br7", "up")
    words = [*WORDS, "--network", "bridge=br7", "--timeout", "3"]
    assert "not ready after 3 s" in refused(host, *words)
    assert host.virsh("list", "--all", "--name") == ""
    assert "qcow2" not in host.virsh("vol-list", "default")
