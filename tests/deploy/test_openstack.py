"""./importos deploy openstack where the cloud says no, is not there, or breaks halfway."""

import base64
import json

import pytest
import requests

DEPLOY = ("deploy", "openstack", "hello")


def certificate(reason):
    """What requests says of one, with urllib3's and OpenSSL's words."""
    cause = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {reason} (_ssl.c:992)"
    return f"HTTPSConnectionPool(host='keystone.test', port=443): (SSLError(1, '{cause}'))"


def one_line(result):
    status, _, errors = result
    assert status == 1
    assert errors.startswith("importos: ") and errors.count("\n") == 1, errors
    return errors


def servers(cloud):
    return sorted(cloud.servers.values(), key=lambda server: server["name"])


def test_a_service_is_there_and_says_where(cloud, importos):
    status, said, errors = importos(*DEPLOY)
    assert (status, errors) == (0, "")
    (server,) = servers(cloud)
    assert server["name"] == "hello" and server["flavorRef"] == "f-tiny"
    assert server["networks"] == [{"uuid": "net-1"}]
    assert server["metadata"]["importos_service"] == "hello"
    assert "ready after" in said and "10.0.0.7" in said


def test_the_same_command_again_changes_nothing(cloud, importos):
    importos(*DEPLOY, "--count", "2")
    cloud.requests.clear()
    status, said, _ = importos(*DEPLOY, "--count", "2")
    assert status == 0 and said.count("there already") == 3  # image and two servers
    changes = [r for r in cloud.requests if r[0] != "GET" and not r[1].endswith("tokens")]
    assert all(path.endswith("/action") for _, path in changes)  # the console log is a POST


def test_more_machines_join_those_that_are_there(cloud, importos):
    importos(*DEPLOY, "--count", "2")
    importos(*DEPLOY, "--count", "3")
    assert [s["name"] for s in servers(cloud)] == ["hello-1", "hello-2", "hello-3"]


def test_another_version_does_not_replace_by_itself(cloud, importos):
    importos(*DEPLOY)
    (importos.folder / "hello-cloud.qcow2").write_bytes(b"QFI\xfb" + bytes(2000))
    assert "--replace" in one_line(importos(*DEPLOY))
    assert len(cloud.images) == 1  # the new one is gone again
    status, said, _ = importos(*DEPLOY, "--replace")
    assert status == 0 and "rebuilt" in said
    (server,) = servers(cloud)
    newest = list(cloud.images)[-1]
    assert server["image"]["id"] == newest


def test_a_stopped_machine_is_started(cloud, importos):
    importos(*DEPLOY)
    assert importos("stop", "openstack", "hello")[0] == 0
    assert servers(cloud)[0]["status"] == "SHUTOFF"
    status, said, _ = importos(*DEPLOY)
    assert status == 0 and "started" in said and servers(cloud)[0]["status"] == "ACTIVE"


def test_the_security_group_is_the_ports_of_the_service(cloud, importos):
    importos(*DEPLOY)
    (group,) = cloud.groups.values()
    assert servers(cloud)[0]["security_groups"] == [{"name": group["id"]}]
    opened = {(r["ethertype"], r["protocol"], r["port_range_min"]) for r in cloud.rules}
    assert ("IPv4", "udp", 53) in opened and ("IPv6", "tcp", 80) in opened
    assert ("IPv4", "icmp", None) in opened and len(opened) == 6


def test_a_group_of_the_users_is_taken_as_it_is(cloud, importos):
    importos(*DEPLOY, "--security-group", "mine")
    assert not cloud.groups
    assert servers(cloud)[0]["security_groups"] == [{"name": "mine"}]


def test_options_of_servers(cloud, importos, tmp_path):
    (tmp_path / "data").write_bytes(b"zone = other\n")
    words = ["--key-name", "k", "--availability-zone", "z", "--config-drive", "--meta", "tier=web"]
    words += ["--user-data", str(tmp_path / "data"), "--flavor", "small", "--network", "net-1"]
    assert importos(*DEPLOY, *words)[0] == 0
    (server,) = servers(cloud)
    assert (server["key_name"], server["availability_zone"]) == ("k", "z")
    assert server["config_drive"] is True and server["metadata"]["tier"] == "web"
    assert base64.b64decode(server["user_data"]) == b"zone = other\n"
    assert server["flavorRef"] == "f-small"


def test_a_volume_to_boot_from(cloud, importos):
    importos(*DEPLOY, "--boot-from", "volume")
    (server,) = servers(cloud)
    (disk,) = server["block_device_mapping_v2"]
    assert disk["source_type"] == "image" and disk["delete_on_termination"]
    assert disk["uuid"] in cloud.images


def test_image_properties(cloud, importos):
    words = ["--property", "hw_machine_type=q35", "--property", "hw_video_model="]
    importos(*DEPLOY, *words)
    (image,) = cloud.images.values()
    assert image["hw_machine_type"] == "q35" and "hw_video_model" not in image
    assert image["hw_disk_bus"] == "virtio" and image["min_ram"] == 6 and image["min_disk"] == 1


@pytest.mark.parametrize(
    "words, message",
    [
        (["--property", "q35"], "--property q35: expected NAME=VALUE"),
        (["--meta", "x"], "--meta x: expected NAME=VALUE"),
        (["--user-data", "none.json"], "--user-data none.json: No such file"),
        (["--flavor", "huge"], "--flavor huge: test has diskless, large, small, tiny"),
        (["--network", "other"], "--network other: test has shared"),
        (["--os-cloud", "tset"], "no cloud 'tset' in clouds.yaml: it has test"),
    ],
)
def test_what_the_user_got_wrong(cloud, importos, words, message):
    assert message in one_line(importos(*DEPLOY, *words))
    assert not cloud.servers and not cloud.images


def test_an_image_that_is_not_there(cloud, importos):
    (importos.folder / "hello-cloud.qcow2").unlink()
    assert "hello-cloud.qcow2: No such file" in one_line(importos(*DEPLOY))


def test_user_data_that_no_cloud_takes(cloud, importos, tmp_path):
    (tmp_path / "data").write_bytes(bytes(50_000))
    assert "49,151 bytes" in one_line(importos(*DEPLOY, "--user-data", str(tmp_path / "data")))


@pytest.mark.parametrize("networks", [[], ["a", "b"]])
def test_which_network(cloud, importos, networks):
    cloud.networks = [{"id": n, "name": n, "router:external": False} for n in networks]
    there = ", ".join(networks) or "none"
    assert f"which network? --network NAME: test has {there}" in one_line(importos(*DEPLOY))


def test_no_flavor_is_large_enough(cloud, importos):
    cloud.flavors = [f for f in cloud.flavors if f["name"] == "diskless"]
    assert "no flavor with 6 MB of memory and 1 GB of disk" in one_line(importos(*DEPLOY))


@pytest.mark.parametrize(
    "where, answer, message",
    [
        (
            ("POST", "/v3/auth/tokens"),
            (401, {"error": {"message": "no", "code": 401, "title": "Unauthorized"}}),
            "test: wrong user name, password or project (401)",
        ),
        (
            ("POST", "/v3/auth/tokens"),
            requests.exceptions.ConnectionError("refused: http://keystone.test/v3/auth/tokens"),
            "test: cannot connect (http://keystone.test/v3/auth/tokens)",
        ),
        (
            ("POST", "/v2.1/servers"),
            requests.exceptions.ReadTimeout("read timed out"),
            "test: making hello: it does not answer",
        ),
        (
            ("POST", "/v3/auth/tokens"),
            requests.exceptions.SSLError(certificate("self-signed certificate")),
            "its certificate is not trusted (self-signed certificate): set cacert",
        ),
        (
            ("POST", "/v3/auth/tokens"),
            requests.exceptions.SSLError(certificate("certificate has expired")),
            "test: its certificate is refused: certificate has expired\n",
        ),
        (
            ("POST", "/v3/auth/tokens"),
            requests.exceptions.SSLError("EOF occurred in violation of protocol"),
            "test: its certificate is not trusted: set cacert",
        ),
        (
            ("POST", "/v3/auth/tokens"),
            OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /none.pem"),
            "test: Could not find a suitable TLS CA certificate bundle, invalid path: /none.pem",
        ),
        (
            ("POST", "/v2/images"),
            (403, "<html><body><h1>403 Forbidden</h1>Quota: no more images<br/></body></html>"),
            "test: uploading the image: not allowed",
        ),
        (
            ("PUT", "/v2/images/.*"),
            (413, {"message": "Denying attempt to upload image because it exceeds the quota"}),
            "exceeds the quota",
        ),
        (
            ("POST", "/v2.1/servers"),
            (403, {"forbidden": {"message": "Quota exceeded for instances", "code": 403}}),
            "test: making hello: not allowed: Quota exceeded for instances",
        ),
        (
            ("POST", "/v2.1/servers"),
            (400, {"badRequest": {"message": "Invalid key_name provided.", "code": 400}}),
            "test: making hello: Invalid key_name provided. (400)",
        ),
        (
            ("GET", "/v2.1/flavors/detail"),
            (503, {"message": "down for\nmaintenance, token=gAAAA" + "x" * 40}),
            "test: asking for flavors: ",
        ),
        (
            ("POST", "/v2.0/security-group-rules"),
            (409, {"NeutronError": {"message": "Quota exceeded", "type": "", "detail": ""}}),
            "making the security group: ",
        ),
    ],
)
def test_what_the_cloud_refuses_is_one_line_and_leaves_nothing(
    cloud, importos, where, answer, message
):
    cloud.fail[where] = answer
    errors = one_line(importos(*DEPLOY))
    assert message in errors and "gAAAA" not in errors
    assert not cloud.servers and not cloud.images and not cloud.groups


def test_the_second_of_three_fails_and_none_is_left(cloud, importos):
    create = cloud.compute

    def compute(method, url, body):
        if method == "POST" and url.path == "/v2.1/servers" and cloud.servers:
            return 403, {"forbidden": {"message": "Quota exceeded", "code": 403}}
        return create(method, url, body)

    cloud.compute = compute
    assert "making hello-2" in one_line(importos(*DEPLOY, "--count", "3"))
    assert not cloud.servers and not cloud.images and not cloud.groups


def test_what_cannot_be_removed_is_said(cloud, importos):
    cloud.fail["POST", "/v2.1/servers"] = (403, {"forbidden": {"message": "no", "code": 403}})
    cloud.fail["DELETE", "/v2/images/.*"] = (500, {"message": "not today"})
    status, said, _ = importos(*DEPLOY)
    assert status == 1 and "left behind: image importos-hello-" in said


def test_bytes_that_arrive_as_others(cloud, importos):
    cloud.corrupt = True
    assert "with other bytes than were sent" in one_line(importos(*DEPLOY))
    assert not cloud.images


def test_a_server_in_error(cloud, importos):
    cloud.state, cloud.fault, cloud.console = "ERROR", "No valid host was found.", ""
    assert "hello: in error: No valid host was found." in one_line(importos(*DEPLOY))
    assert not cloud.servers and not cloud.images


def test_a_machine_that_does_not_become_ready(cloud, importos):
    cloud.console = "\x1b[2Jbooting\r\nTraceback: \x07hm\r\n"
    status, said, errors = importos(*DEPLOY, "--timeout", "1")
    assert status == 1 and "hello: not ready after 1 s" in errors
    assert "    booting\n    Traceback: hm\n" in said and "\x1b" not in said
    assert "what was made is removed" in said and not cloud.servers


def test_keep(cloud, importos):
    cloud.console = ""
    status, said, _ = importos(*DEPLOY, "--timeout", "1", "--keep")
    assert status == 1 and len(cloud.servers) == 1 and "--keep" in said


def test_no_wait(cloud, importos):
    cloud.console = ""
    status, said, _ = importos(*DEPLOY, "--no-wait")
    assert status == 0 and "hello" in said and len(cloud.servers) == 1


def test_list_logs_delete(cloud, importos):
    importos(*DEPLOY, "--count", "2")
    cloud.servers["x"] = {"id": "x", "name": "other", "status": "ACTIVE", "metadata": {}}
    listed = importos("list", "openstack")[1]
    assert "hello-1" in listed and "10.0.0.7" in listed and "other" not in listed
    assert importos("logs", "openstack", "hello-2")[1] == cloud.console
    assert importos("logs", "openstack", "hello")[1].count("ready: hello") == 2
    cloud.console = ""
    assert "nothing on its console (active)" in importos("logs", "openstack", "hello-2")[1]
    assert "no machine or service 'other'" in one_line(importos("delete", "openstack", "other"))
    assert importos("delete", "openstack", "hello")[0] == 0
    assert list(cloud.servers) == ["x"]
    assert "nothing is deployed" in importos("list", "openstack")[1]


def test_heat_needs_no_cloud(cloud, importos, tmp_path, monkeypatch):
    import yaml

    monkeypatch.delenv("OS_CLOUD")
    (tmp_path / "data").write_text("zone = other\n")
    file = tmp_path / "stack.yaml"
    words = ["--heat", str(file), "--count", "2", "--user-data", str(tmp_path / "data")]
    status, said, _ = importos(*DEPLOY, *words)
    assert status == 0 and "not uploaded" in said and not cloud.requests
    group, member = yaml.safe_load(file.read_text()), None
    member = yaml.safe_load((tmp_path / "stack.member.yaml").read_text())
    kinds = sorted(r["type"].split("::", 1)[1] for r in group["resources"].values())
    assert kinds.count("Octavia::Listener") == kinds.count("Octavia::HealthMonitor") == 2
    assert {"Heat::AutoScalingGroup", "Heat::ScalingPolicy", "Octavia::LoadBalancer"} <= set(kinds)
    assert group["parameters"]["desired"]["default"] == 2
    assert group["parameters"]["user_data"]["default"] == "zone = other\n"
    for template in (group, member):
        for name in references(template, "get_param"):
            assert name in template["parameters"], name
        for name in references(template, "get_resource"):
            assert name in template["resources"], name
    inner = group["resources"]["group"]["properties"]["resource"]
    assert inner["type"] == "stack.member.yaml"
    assert set(inner["properties"]) == set(member["parameters"])


def references(tree, kind):
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == kind:
                yield value
            yield from references(value, kind)
    elif isinstance(tree, list):
        for value in tree:
            yield from references(value, kind)


def test_heat_uploads_where_a_cloud_is_named(cloud, importos, tmp_path):
    status, _, _ = importos(*DEPLOY, "--heat", str(tmp_path / "stack.yaml"))
    (image,) = cloud.images.values()
    assert status == 0 and image["name"] in (tmp_path / "stack.yaml").read_text()
    assert not cloud.servers


def test_which_cloud(cloud, importos, monkeypatch):
    monkeypatch.delenv("OS_CLOUD")
    assert "clouds.yaml has test" in one_line(importos("list", "openstack"))


def test_clouds_yaml_that_is_none(cloud, importos, tmp_path):
    (tmp_path / "clouds.yaml").write_text("clouds: [\n")
    one_line(importos("list", "openstack"))


@pytest.mark.parametrize("name", ["auth_url", "password"])
def test_who_logs_in_is_not_said_in_full(cloud, importos, tmp_path, name):
    known = json.loads((tmp_path / "clouds.yaml").read_text())
    del known["clouds"]["test"]["auth"][name]
    (tmp_path / "clouds.yaml").write_text(json.dumps(known))
    assert name in one_line(importos("list", "openstack"))


def test_who_logs_in_may_stand_in_an_address(cloud, importos, tmp_path):
    known = json.loads((tmp_path / "clouds.yaml").read_text())
    known["clouds"]["test"]["auth"]["auth_url"] = "http://user:mellon@nowhere.test/v3"
    (tmp_path / "clouds.yaml").write_text(json.dumps(known))
    errors = one_line(importos("list", "openstack"))
    assert "cannot connect (http://***@nowhere.test/v3" in errors and "mellon" not in errors


@pytest.mark.parametrize(
    "name, value", [("auth_type", "none-such"), ("cacert", "/none.pem"), ("verify", "/none.pem")]
)
def test_what_no_library_takes_is_one_line(cloud, importos, tmp_path, name, value):
    known = json.loads((tmp_path / "clouds.yaml").read_text())
    known["clouds"]["test"][name] = value
    (tmp_path / "clouds.yaml").write_text(json.dumps(known))
    status, _, errors = importos("list", "openstack")
    assert status == 0 or errors.count("\n") == 1
