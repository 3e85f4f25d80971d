"""./importos in this process, against a cloud made of dictionaries."""

import json

import pytest
import requests

from tests.support.fake_openstack import AUTH, FakeCloud
from tools import cli
from tools.deploy import openstack as provider
from tools.deploy import readiness
from tools.deploy.openstack import images, servers

PASSWORD = "correct-horse"


@pytest.fixture
def cloud(monkeypatch, tmp_path):
    """A cloud called `test` in clouds.yaml, chosen by OS_CLOUD."""
    made = FakeCloud()
    monkeypatch.setattr(
        requests.adapters.HTTPAdapter, "send", lambda _, *a, **k: made.send(*a, **k)
    )
    for name in ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    auth = {"auth_url": AUTH, "username": "maria", "password": PASSWORD, "project_name": "shop"}
    auth |= {"user_domain_name": "Default", "project_domain_name": "Default"}
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(json.dumps({"clouds": {"test": {"auth": auth, "region_name": "here"}}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    monkeypatch.setenv("OS_CLOUD", "test")
    for module in (readiness, servers, images):
        monkeypatch.setattr(module, "POLL", 0.01)
    monkeypatch.setattr(provider, "SETTLED", 0)
    return made


@pytest.fixture
def importos(monkeypatch, tmp_path, capsys):
    """importos("deploy", ...) -> (status, output, errors); the build is a folder made here."""
    folder = tmp_path / "hello-cloud"
    folder.mkdir()
    (folder / "hello-cloud.qcow2").write_bytes(b"QFI\xfb" + bytes(1000))
    report = {"ports": ["udp:53", "tcp:80"], "totals": {"flat": 300_000, "bss": 100_000}}
    (folder / "report.json").write_text(json.dumps(report))
    monkeypatch.setattr(cli, "build", lambda options: folder)
    capsys.readouterr()

    def run(*words):
        status = cli.main(list(words))
        said = capsys.readouterr()
        assert PASSWORD not in said.out + said.err
        return status, said.out, said.err

    run.folder = folder
    return run
