"""./importos deploy libvirt: mistakes are one line, before anything is made."""

import pytest

from tools import cli
from tools.deploy.libvirt.virsh import complaint

SOCKET = "Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("error: Failed to start domain 'dns'\nerror: no network", "no network"),
        ("error: Failed to define domain from /tmp/x\n", "Failed to define domain from /tmp/x"),
        ("error: Disconnected from qemu:///system due to end of file\n", "Disconnected from"),
        ("", "virsh says nothing"),
        (f"error: failed to connect to the hypervisor\nerror: {SOCKET}\n", SOCKET),
    ],
)
def test_the_reason_among_the_words_of_virsh(said, reason):
    assert reason in complaint(said)


def test_a_libvirt_that_is_not_there_is_named_with_the_option_that_names_another(
    tmp_path, monkeypatch, capsys
):
    virsh = tmp_path / "virsh"
    words = ("error: failed to connect to the hypervisor", f"error: {SOCKET}")
    virsh.write_text("#!/bin/sh\n" + "".join(f'echo "{word}" >&2\n' for word in words) + "exit 1\n")
    virsh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["deploy", "libvirt", "dns"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert SOCKET in line and "--connect" in line


@pytest.mark.parametrize("provider", ["libvirt", "openstack", "kubevirt"])
def test_a_service_there_is_not_is_said_before_a_cloud_there_is_not(provider, capsys):
    assert cli.main(["deploy", provider, "nosuch"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("importos: no service 'nosuch'")
