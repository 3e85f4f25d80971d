"""./importos deploy openstack: what several machines share, several commands at once, and commands
that are interrupted: what stays in the cloud is what somebody uses.
"""

import os
import signal

import pytest

from tools.deploy import readiness
from tools.deploy.openstack import images

DEPLOY = ("deploy", "openstack", "hello")
DELETE = ("delete", "openstack")
OTHER = b"QFI\xfb" + bytes(2000)


def left(cloud):
    """How many servers, images and security groups there are."""
    return len(cloud.servers), len(cloud.images), len(cloud.groups)


# Deleting.


def test_image_and_group_go_with_the_last_machine(cloud, importos):
    importos(*DEPLOY, "--count", "3")
    said = importos(*DELETE, "hello-1", "hello-3")[1]
    assert "image" not in said and left(cloud) == (1, 1, 1)
    said = importos(*DELETE, "hello-2")[1]
    assert left(cloud) == (0, 0, 0)
    assert "image importos-hello-" in said and "security group importos-hello: deleted" in said


def test_a_volume_has_an_image_too(cloud, importos):
    importos(*DEPLOY, "--boot-from", "volume", "--count", "2")
    for server in cloud.servers.values():
        server["image"] = ""  # as Nova says it
    importos(*DELETE, "hello-1")
    assert left(cloud) == (1, 1, 1)
    importos(*DELETE, "hello")
    assert left(cloud) == (0, 0, 0)


def test_keep_image(cloud, importos):
    importos(*DEPLOY)
    assert importos(*DELETE, "hello", "--keep-image")[0] == 0
    assert left(cloud) == (0, 1, 1)
    assert "there already" in importos(*DEPLOY)[1]


def test_what_was_uploaded_to_stay_stays_until_all_goes(cloud, importos):
    importos(*DEPLOY, "--image-only")
    importos(*DEPLOY)
    assert left(cloud) == (1, 1, 1)
    assert "stays, it was uploaded to stay" in importos(*DELETE, "hello")[1]
    assert left(cloud) == (0, 1, 0)
    assert importos(*DELETE, "hello")[0] == 1  # nothing has that name
    status, said, _ = importos(*DELETE, "hello", "--all")
    assert status == 0 and "deleted" in said and left(cloud) == (0, 0, 0)
    assert importos(*DELETE, "hello", "--all")[0] == 0  # and nothing to do is fine


def test_an_image_that_others_run_stays(cloud, importos):
    importos(*DEPLOY)
    (image,) = cloud.images
    cloud.servers["x"] = {"id": "x", "name": "x", "metadata": {}, "image": {"id": image}}
    importos(*DELETE, "hello", "--all")
    assert list(cloud.servers) == ["x"] and list(cloud.images) == [image]


def test_snapshots_and_images_of_others_stay(cloud, importos):
    importos(*DEPLOY)
    ((identity, image),) = cloud.images.items()
    # A snapshot inherits the properties; somebody may even have given it such a name.
    for name, more in (("a", {"image_type": "snapshot"}), ("b", {"name": "importos-hello-mine"})):
        cloud.images[name] = {**image, "id": name, **more}
    cloud.images["c"] = {k: v for k, v in image.items() if k != "importos_service"} | {"id": "c"}
    importos(*DELETE, "hello", "--all")
    assert identity not in cloud.images and set(cloud.images) == {"a", "b", "c"}


def test_the_cloud_says_that_an_image_is_used(cloud, importos):
    importos(*DEPLOY)
    cloud.fail["DELETE", "/v2/images/.*"] = (409, {"message": "in use"})
    status, said, _ = importos(*DELETE, "hello")
    assert status == 0 and "stays, the cloud says that it is used" in said


def test_a_replaced_image_goes(cloud, importos):
    importos(*DEPLOY)
    (importos.folder / "hello-cloud.qcow2").write_bytes(OTHER)
    assert importos(*DEPLOY, "--replace")[0] == 0
    assert left(cloud) == (1, 1, 1)
    assert cloud.images[next(iter(cloud.servers.values()))["image"]["id"]]["size"] == len(OTHER)


def test_one_that_cannot_be_deleted_does_not_keep_the_others(cloud, importos):
    importos(*DEPLOY, "--count", "3")
    second = next(i for i, s in cloud.servers.items() if s["name"] == "hello-2")
    cloud.fail["DELETE", f"/v2.1/servers/{second}"] = (409, {"c": {"message": "locked"}})
    status, said, errors = importos(*DELETE, "hello")
    assert status == 1 and "hello-2" in errors and said.count("deleted") == 2
    assert left(cloud) == (1, 1, 1)


def test_uefi_wants_another_disk_and_more_memory(cloud, importos):
    (importos.folder / "hello-cloud-efi.qcow2").write_bytes(OTHER)
    words = ["--property", "hw_firmware_type=uefi"]
    assert importos(*DEPLOY, *words)[0] == 0
    (image,) = cloud.images.values()
    assert image["size"] == len(OTHER) and image["min_ram"] == 128
    assert image["hw_firmware_type"] == "uefi"
    assert next(iter(cloud.servers.values()))["flavorRef"] == "f-small"


# Stopping.


def test_all_are_asked_to_stop_before_one_is_waited_for(cloud, importos):
    importos(*DEPLOY, "--count", "2")
    importos("stop", "openstack", "hello-1")
    cloud.requests.clear()
    assert importos("stop", "openstack", "hello")[1].count(": off") == 2
    assert {s["status"] for s in cloud.servers.values()} == {"SHUTOFF"}


def test_one_that_does_not_stop(cloud, importos):
    importos(*DEPLOY, "--count", "3")
    first, second, _ = cloud.servers
    cloud.fail["POST", f"/v2.1/servers/{first}/action"] = (202, None)  # and nothing happens
    cloud.fail["POST", f"/v2.1/servers/{second}/action"] = (409, {"c": {"message": "it is paused"}})
    status, said, errors = importos("stop", "openstack", "hello", "--timeout", "1")
    assert status == 1 and "hello-3: off" in said
    assert "it is paused" in said
    assert errors == "importos: hello-1: not off after 1 s, but active\n"


# Following.


class Consoles:
    """A provider with a console that says more each time it is looked at."""

    FAILED = ("off",)

    def __init__(self, *texts):
        self.texts = list(texts)

    def refresh(self, instance):
        instance.state = "off" if len(self.texts) == 1 else "active"
        return instance

    def console(self, instance):
        return self.texts.pop(0)


class Named:
    def __init__(self, name):
        self.name = name


def test_a_console_is_followed_until_the_machine_is_off():
    lines = "".join(f"[    0.{n:03}] line\n" for n in range(100))
    # Lost its beginning, as Nova's; was empty; began anew after a reboot.
    texts = ["a\n", "a\n" + lines, lines[-400:] + "b\n", "", "c\n", "c\nd\n"]
    said = []
    readiness.follow(Consoles(*texts), [Named("x")], said.append, lambda _: None)
    assert "".join(said) == "a\n" + lines + "b\n" + "c\nd\n"


def test_several_consoles_carry_names(cloud, importos):
    importos(*DEPLOY, "--count", "2")
    for server in cloud.servers.values():
        server["status"] = "SHUTOFF"
    said = importos("logs", "openstack", "hello", "-f")[1]
    assert said == "".join(f"hello-{n}: {cloud.console}" for n in (1, 2))


# Interrupted.


@pytest.mark.parametrize(
    "where", [("PUT", "/v2/images/.*/file"), ("POST", "/v2.0/security-group-rules")]
)
def test_interrupted_while_the_cloud_is_told(cloud, importos, where):
    cloud.fail[where] = KeyboardInterrupt()
    status, said, errors = importos(*DEPLOY)
    assert status == 130 and errors == ""
    assert said.splitlines()[-1] == "interrupted: what was made is removed"
    assert left(cloud) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["image", "compute"])
def test_interrupted_before_the_answer_is_there(cloud, importos, monkeypatch, kind):
    handler = getattr(cloud, kind)

    def lost(method, url, body):
        answer = handler(method, url, body)
        if method == "POST" and url.path in ("/v2/images", "/v2.1/servers"):
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(cloud, kind, lost)
    assert importos(*DEPLOY)[0] == 130
    assert left(cloud) == (0, 0, 0)


def test_interrupted_while_it_waits(cloud, importos, monkeypatch):
    importos(*DEPLOY, "--count", "2")
    cloud.console = ""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(readiness, "wait", interrupt)
    status, said, _ = importos(*DEPLOY, "--count", "3")
    assert status == 130 and "interrupted: what was made is removed" in said
    assert left(cloud) == (2, 1, 1)  # what was there before
    status, said, _ = importos(*DEPLOY, "--count", "3", "--keep")
    assert status == 130 and "interrupted: kept (--keep): server hello-3" in said
    assert left(cloud) == (3, 1, 1)
    assert "interrupted: nothing was made" in importos(*DEPLOY, "--count", "3")[1]


def test_interrupted_again_while_it_removes(cloud, importos):
    cloud.fail["POST", "/v2.0/security-group-rules"] = KeyboardInterrupt()
    cloud.fail["DELETE", "/v2/images/.*"] = KeyboardInterrupt()
    said = importos(*DEPLOY)[1]
    assert "interrupted: left behind: image importos-hello-" in said
    assert left(cloud) == (0, 1, 0)


# Several commands at once.


def unfinished(cloud, importos, created):
    """An image that another command has registered: "image-x"."""
    importos(*DEPLOY, "--image-only")
    ((identity, image),) = cloud.images.items()
    data = {k: image.pop(k) for k in ("os_hash_value", "os_hash_algo", "size")}
    del cloud.images[identity]
    cloud.images["x"] = {**image, "id": "x", "status": "queued", "created_at": created, "tags": []}
    return data


def test_what_an_interrupted_upload_left_is_replaced(cloud, importos):
    unfinished(cloud, importos, "2025-12-31T00:00:00Z")
    status, said, _ = importos(*DEPLOY)
    assert status == 0 and "an upload that was interrupted is removed" in said
    (image,) = cloud.images.values()
    assert image["status"] == "active" and image["id"] != "x"


def test_another_upload_is_waited_for(cloud, importos, monkeypatch):
    data = unfinished(cloud, importos, "2026-01-01T00:02:59Z")
    assert cloud.now() == "2026-01-01T00:02:00Z"

    def finish(_):
        cloud.images["x"] |= {**data, "status": "active"}

    monkeypatch.setattr(images.time, "sleep", finish)
    status, said, _ = importos(*DEPLOY)
    assert status == 0 and "another deployment is uploading it" in said
    assert list(cloud.images) == ["x"]
    (server,) = cloud.servers.values()
    assert server["imageRef"] == "x"


def test_of_two_servers_made_at_once_the_older_stays(cloud, importos, monkeypatch):
    create = cloud.compute

    def compute(method, url, body):
        if method == "POST" and url.path == "/v2.1/servers" and len(cloud.servers) == 0:
            create(method, url, body)  # somebody else's
        return create(method, url, body)

    monkeypatch.setattr(cloud, "compute", compute)
    status, said, _ = importos(*DEPLOY)
    assert status == 0 and "another deployment has made it at the same time" in said
    (server,) = cloud.servers.values()
    assert server["created_at"] < cloud.now()


def test_of_two_groups_made_at_once_the_older_is_taken(cloud, importos, monkeypatch):
    handler = cloud.network

    def network(method, url, body):
        if (method, url.path) == ("POST", "/v2.0/security-groups") and not cloud.groups:
            handler(method, url, body)  # somebody else's
        return handler(method, url, body)

    monkeypatch.setattr(cloud, "network", network)
    assert importos(*DEPLOY)[0] == 0
    (group,) = cloud.groups
    (server,) = cloud.servers.values()
    assert server["security_groups"] == [{"name": group}]


def test_what_ends_a_command_ends_it_once(cloud, importos, monkeypatch):
    # `timeout` and a terminal that goes send a signal twice.
    def end(*_):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(readiness, "wait", end)
    delete = cloud.image

    def image(method, url, body):
        if method == "DELETE":
            end()
        return delete(method, url, body)

    monkeypatch.setattr(cloud, "image", image)
    status, said, _ = importos(*DEPLOY)
    assert status == 130 and "interrupted: what was made is removed" in said
    assert left(cloud) == (0, 0, 0)


# What cannot be.


@pytest.mark.parametrize(
    "words, message",
    [
        (["--count", "0"], "--count 0: expected 1 to 1000"),
        (["--count", "-2"], "--count -2: expected 1 to 1000"),
        (["--count", "99999999999999999999"], "expected 1 to 1000"),
        (["--name", "two words"], "--name 'two words': a name has letters"),
        (["--name=-x"], "--name '-x'"),
        (["--name", "x" * 64], "63 at most"),
        (["--name", "x" * 62, "--count", "2"], "63 at most"),
        (["--name", "naïve"], "--name 'naïve'"),
        (["--name", "../x"], "--name '../x'"),
        (["--flavor", "diskless"], "--flavor diskless has 64 MB and 0 GB: the image needs 6 MB"),
        (["--network", "none", "--network", "shared"], "--network none: there are other networks"),
    ],
)
def test_what_is_refused_before_anything_is_sent(cloud, importos, words, message):
    status, _, errors = importos(*DEPLOY, *words)
    assert status == 1 and message in errors and errors.count("\n") == 1, errors
    assert left(cloud) == (0, 0, 0)


def test_a_flavor_there_is_not_is_said_before_the_build(cloud, importos, monkeypatch):
    from tools import cli

    monkeypatch.setattr(cli, "build", lambda _: pytest.fail("it was built"))
    for words in (["--flavor", "huge"], ["--network", "other"]):
        assert importos(*DEPLOY, *words)[0] == 1
