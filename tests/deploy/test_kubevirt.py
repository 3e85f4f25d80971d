"""./importos deploy kubevirt: the manifest, and what kubectl and skopeo are told."""

import argparse
import json
import os

import pytest
import yaml

from tools import cli, deploy
from tools.deploy import kubevirt
from tools.deploy.kubevirt import manifest
from tools.deploy.provider import Built, Instance
from tools.errors import UserError

REPORT = {"ports": ["udp:53", "tcp:53"], "totals": {"flat": 400_000, "bss": 10_000}}


@pytest.fixture
def built(tmp_path):
    folder = tmp_path / "dns-cloud"
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(REPORT))
    (folder / "dns-cloud.qcow2").write_bytes(b"a disk")
    return Built("dns", folder)


def options(*words):
    return cli.parse(["deploy", "kubevirt", "dns", *words])


def deployed(built, *words):
    """(documents of the manifest, what was said)."""
    said = []
    provider = kubevirt.KubeVirt(options(*words))
    provider.check()
    assert provider.deploy(built, said.append) == []
    text = (built.folder / "dns-kubevirt.yaml").read_text()
    return list(yaml.safe_load_all(text)), said


def test_the_manifest(built):
    (machine, service), said = deployed(built, "--registry", "r.example/me/", "--namespace", "shop")
    assert machine["kind"] == "VirtualMachine"
    assert machine["metadata"]["namespace"] == service["metadata"]["namespace"] == "shop"
    inside = machine["spec"]["template"]["spec"]
    assert inside["domain"]["memory"] == {"guest": "65536Ki"}
    (volume,) = inside["volumes"]
    image = volume["containerDisk"]["image"]
    assert image.startswith("r.example/me/dns:") and image in said[0]
    assert volume["containerDisk"]["path"] == "/disk/dns-cloud.qcow2"
    ports = [(port["protocol"], port["port"]) for port in service["spec"]["ports"]]
    assert ports == [("UDP", 53), ("TCP", 53)]
    labels = machine["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert said[0].startswith("skopeo copy oci-archive:")
    assert said[1].startswith("kubectl apply -f ")


def test_without_a_registry_the_image_is_loaded(built):
    (machine, _), said = deployed(built)
    (volume,) = machine["spec"]["template"]["spec"]["volumes"]
    assert volume["containerDisk"]["image"] == "importos/dns-cloud:latest"
    assert said[0].startswith("ctr -n k8s.io images import ")


def test_several_share_a_service(built):
    documents, _ = deployed(built, "--count", "3")
    assert [d["metadata"]["name"] for d in documents] == ["dns-1", "dns-2", "dns-3", "dns"]


def test_user_data_is_a_disk(built, tmp_path):
    text = '{"axfr": ["10.0.0.0/8"]}\n# a line: with "everything" \\ in it\n'
    (tmp_path / "data").write_text(text)
    (machine, _), _ = deployed(built, "--user-data", str(tmp_path / "data"))
    inside = machine["spec"]["template"]["spec"]
    seed = {"name": "seed", "cloudInitNoCloud": {"userData": text}}
    assert seed in inside["volumes"]
    assert {"name": "seed", "disk": {"bus": "virtio"}} in inside["domain"]["devices"]["disks"]


@pytest.mark.parametrize(
    "value",
    [
        {"a": {}, "b": [], "c": [[1], 2], "d": None},
        [{"yes": "no", "x": "0123"}, {"n": True, "on": 1.5, "": ""}, "null", "a: b", "#c"],
        {"text": "two\nlines", "é": "ü\u2028", "- x": "{}", "list": [{"a": [{"b": 1}]}]},
    ],
)
def test_yaml_is_read_as_it_was_meant(value):
    assert list(yaml.safe_load_all(manifest.yaml([value]))) == [value]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--name", "My_DNS"], "Kubernetes takes a-z"),
        (["--memory", "lots"], "--memory lots"),
        (["--apply"], "--apply needs --registry"),
        (["--apply", "--registry", "r.example"], "kubectl is not installed"),
        (["--user-data", "/none"], "--user-data /none: No such file"),
        (["--name", "1dns"], "a letter first"),
        (["--namespace", "My"], "--namespace My: Kubernetes takes"),
        (["--registry", "https://r.example/me"], r"expected HOST\[:PORT\]/PATH"),
        (["--registry", "https://maria:geheim@r.example"], r"--registry https://\*\*\*@r.example:"),
    ],
)
def test_what_is_refused(words, message, monkeypatch):
    monkeypatch.setenv("PATH", "/none")
    with pytest.raises(UserError, match=message):
        kubevirt.KubeVirt(options(*words)).check()


# A cluster that is a script: answers by the first words, and what was asked for is kept.

SCRIPT = """\
#!/bin/sh
echo "$(basename "$0") $*" >> {folder}/asked
case "$*" in
*"get virtualmachines -l"*) cat {folder}/machines ;;
*"get virtualmachine "*) cat {folder}/machine ;;
*virtualmachineinstance*) cat {folder}/instance ;;
*" logs "*) cat {folder}/log ;;
*fails*) echo "error: no such thing" >&2; exit 1 ;;
esac
"""


class Cluster:
    def __init__(self, folder):
        self.folder = folder
        for tool in ("kubectl", "skopeo"):
            path = folder / tool
            path.write_text(SCRIPT.format(folder=folder))
            path.chmod(0o755)
        self.put("Running")
        self.write("log", "[    0.031] ready: dns 10.0.2.2\n")
        answer = {"status": {"interfaces": [{"ipAddress": "10.244.0.7"}]}}
        self.write("instance", json.dumps(answer))

    def put(self, state):
        item = {
            "metadata": {"name": "dns", "labels": {"importos_service": "dns"}},
            "status": {"printableStatus": state},
        }
        self.write("machine", json.dumps(item))
        self.write("machines", json.dumps({"items": [item]}))

    def write(self, name, text):
        (self.folder / name).write_text(text)

    @property
    def asked(self):
        return (self.folder / "asked").read_text()


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    folder = tmp_path / "cluster"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Cluster(folder)


def test_apply_pushes_applies_and_waits(cluster, built, capsys):
    words = options("--apply", "--registry", "r.example/me", "--context", "here")
    assert deploy.run(words, lambda _: built.folder) == 0
    said = capsys.readouterr().out
    assert "dns: ready after" in said and "10.0.2.2" in said
    assert "skopeo copy --quiet oci-archive:" in cluster.asked
    assert "kubectl --context here --namespace default apply -f" in cluster.asked


def test_what_there_is_is_listed_stopped_and_deleted(cluster, capsys):
    assert deploy.run(cli.parse(["list", "kubevirt"]), None) == 0
    assert "running" in capsys.readouterr().out
    assert deploy.run(cli.parse(["logs", "kubevirt", "dns"]), None) == 0
    assert "ready: dns" in capsys.readouterr().out
    provider = kubevirt.KubeVirt(argparse.Namespace(namespace="default", context=None))
    provider.press(Instance("dns", "dns", "running"))
    assert '{"spec": {"runStrategy": "Halted"}}' in cluster.asked
    cluster.put("Stopped")
    assert deploy.run(cli.parse(["stop", "kubevirt", "dns"]), None) == 0
    assert deploy.run(cli.parse(["delete", "kubevirt", "dns"]), None) == 0
    assert "delete virtualmachine dns" in cluster.asked
    assert "delete service" not in cluster.asked  # the script still has a machine of it
    cluster.write("machines", '{"items": []}')
    provider.tidy(["dns"], print)
    assert "delete service -l importos_service=dns" in cluster.asked


# skopeo 1.9 on a registry that is not there, and on one that wants a password.
REFUSED = (
    'time="2026-11-21T20:00:00Z" level=warning msg="trying again"\n'
    'time="2026-11-21T20:00:01Z" level=fatal msg="trying to reuse blob sha256:4a at destination: '
    'pinging container registry r.example: Get \\"https://r.example/v2/\\": '
    'dial tcp: no such host"\n'
)


@pytest.mark.parametrize(
    "said, reason",
    [
        (
            REFUSED,
            "trying to reuse blob sha256:4a at destination: pinging container registry r.example:"
            ' Get "https://r.example/v2/": dial tcp: no such host',
        ),
        ('time="x" level=fatal msg="a\\nb"', "a b"),
        ("error: two\nerror: lines\n", "lines"),
        ("", "no message"),
        ("Get https://maria:geheim@r.example/v2: refused", "Get https://***@r.example/v2: refused"),
    ],
)
def test_the_reason_among_the_words_of_a_tool(said, reason):
    assert kubevirt.complaint(said) == reason


def test_a_push_that_fails_is_one_line_and_applies_nothing(cluster, built, monkeypatch, capsys):
    cluster.write("words", REFUSED)
    (cluster.folder / "skopeo").write_text(f"#!/bin/sh\ncat {cluster.folder}/words >&2; exit 1\n")
    monkeypatch.setattr(cli, "build", lambda _: built.folder)
    words = ("deploy", "kubevirt", "dns", "--apply", "--registry", "r.example/me")
    assert cli.main(list(words)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("importos: skopeo: trying to reuse blob") and "level=" not in line
    assert "apply" not in cluster.asked


def test_a_manifest_that_cannot_be_written(built):
    provider = kubevirt.KubeVirt(options("--output", "/none/x.yaml"))
    provider.check()
    with pytest.raises(UserError, match=r"^--output /none/x.yaml: No such file"):
        provider.deploy(built, print)


def test_a_cluster_that_refuses_is_one_line(cluster):
    provider = kubevirt.KubeVirt(argparse.Namespace(namespace="fails", context=None))
    with pytest.raises(UserError, match=r"^kubectl: no such thing$"):
        provider.delete(Instance("x", "x", "running"))
